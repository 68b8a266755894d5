//! The shapes of kernels that take the rows of a batch one by one.

device_struct! {
    /// Rows of one slot.
    Rows {
        /// 1: they are rectified outputs; nothing passes back where one is 0.
        rectified: u32,
        /// Numbers in a row.
        width: u32,
        /// Row length, in quads.
        quads: u32,
        /// Rows of a batch as allocated.
        batch_size: u32,
    }
}

device_struct! {
    /// A loss of each row.
    RowLoss {
        /// 1: they are rectified outputs; nothing passes back where one is 0.
        rectified: u32,
        /// Numbers in a row.
        width: u32,
        /// Row length, in quads.
        quads: u32,
        /// Rows of a batch as allocated.
        batch_size: u32,
        /// The labels' leading index is `slot >> label_shift`.
        label_shift: u32,
        /// Where the loss stands among the metrics of a row.
        metric: u32,
        /// Metrics of a row: a loss of each layer, and right answers.
        metrics: u32,
        /// Share of the target that is the partner's own answer.
        mutual: f32,
    }
}

device_struct! {
    /// Means of the rows of each class.
    Prototypes {
        /// Numbers in a row.
        width: u32,
        /// Row length, in quads.
        quads: u32,
        /// Rows of a batch as allocated.
        batch_size: u32,
        /// The labels' leading index is `slot >> label_shift`.
        label_shift: u32,
        /// Classes.
        classes: u32,
        /// The prototypes are those of `slot ^ partner`: 1 for the partner's.
        partner: u32,
        /// One over the temperature: the factor of cosines.
        inverse_temperature: f32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
    }
}

impl Rows {
    /// f32 in a row.
    pub fn stride(&self) -> usize {
        4 * self.quads as usize
    }

    /// f32 in a slot's rows of a batch.
    pub fn len(&self) -> usize {
        self.batch_size as usize * self.stride()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of `width` numbers.
    pub fn new(width: usize, batch_size: usize, rectified: bool) -> Self {
        let quads = super::quads(width) as u32;
        Self { width: width as u32, quads, batch_size: batch_size as u32, rectified: u32::from(rectified) }
    }

    /// The first `rows` rows of a slot, without their padding.
    pub fn unpadded<'a>(&self, values: &'a [f32], rows: usize) -> impl Iterator<Item = f32> + 'a {
        let width = self.width as usize;
        values.chunks_exact(self.stride()).take(rows).flat_map(move |row| &row[..width]).copied()
    }

    /// Their loss, as metric `metric` of `metrics`.
    pub fn loss(&self, views: super::Views, metric: usize, metrics: usize) -> RowLoss {
        RowLoss {
            width: self.width,
            quads: self.quads,
            batch_size: self.batch_size,
            rectified: self.rectified,
            label_shift: views.shift(),
            metric: metric as u32,
            metrics: metrics as u32,
            mutual: 0.0,
        }
    }
}

impl RowLoss {
    /// The rows.
    pub fn rows(&self) -> Rows {
        Rows { width: self.width, quads: self.quads, batch_size: self.batch_size, rectified: self.rectified }
    }

    /// f32 in a slot's metrics.
    pub fn metrics_len(&self) -> usize {
        (self.metrics * self.batch_size) as usize
    }
}
