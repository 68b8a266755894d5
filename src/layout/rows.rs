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
        /// Their number as allocated.
        rows: u32,
    }
}

device_struct! {
    /// A loss of each image, which has one row.
    RowLoss {
        /// 1: they are rectified outputs; nothing passes back where one is 0.
        rectified: u32,
        /// Numbers in a row.
        width: u32,
        /// Row length, in quads.
        quads: u32,
        /// Images of a batch as allocated.
        batch_size: u32,
        /// The labels' leading index is `slot >> label_shift`.
        label_shift: u32,
        /// Where the loss stands among the metrics of an image.
        metric: u32,
        /// Metrics of an image: a loss of each layer, and right answers.
        metrics: u32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
    }
}

device_struct! {
    /// Means of the rows of each class, one row an image.
    Prototypes {
        /// Numbers in a row.
        width: u32,
        /// Row length, in quads.
        quads: u32,
        /// Images of a batch as allocated.
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

    /// f32 in a slot's rows.
    pub fn len(&self) -> usize {
        self.rows as usize * self.stride()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `rows` rows of `width` numbers.
    pub fn new(width: usize, rows: usize, rectified: bool) -> Self {
        let quads = super::quads(width) as u32;
        Self { width: width as u32, quads, rows: rows as u32, rectified: u32::from(rectified) }
    }

    /// The first `rows` rows of a slot, without their padding.
    pub fn unpadded<'a>(&self, values: &'a [f32], rows: usize) -> impl Iterator<Item = f32> + 'a {
        let width = self.width as usize;
        values.chunks_exact(self.stride()).take(rows).flat_map(move |row| &row[..width]).copied()
    }

    /// The loss of images of which each has one of these rows, as metric `metric` of `metrics`.
    pub fn loss(&self, views: super::Views, metric: usize, metrics: usize) -> RowLoss {
        RowLoss {
            width: self.width,
            quads: self.quads,
            batch_size: self.rows,
            rectified: self.rectified,
            label_shift: views.shift(),
            metric: metric as u32,
            metrics: metrics as u32,
            padding_0: 0,
        }
    }
}

impl RowLoss {
    /// The rows.
    pub fn rows(&self) -> Rows {
        Rows { width: self.width, quads: self.quads, rows: self.batch_size, rectified: self.rectified }
    }

    /// f32 in a slot's metrics.
    pub fn metrics_len(&self) -> usize {
        (self.metrics * self.batch_size) as usize
    }
}

device_struct! {
    /// Which rows of a batch are worth learning from.
    Trust {
        /// Images of the training set.
        images: u32,
        /// Rows of a batch.
        batch_size: u32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
        /// Padding.
        padding_1: u32,
    }
}

device_struct! {
    /// Where the fused scores of a layer find and leave its tensors, in quads.
    ScorePlaces {
        /// Unit rows; or, without prototypes, logits.
        rows: u32,
        /// The prototypes, left behind.
        prototypes: u32,
        /// How near the rows are to them, left behind.
        scores: u32,
        /// How badly labels fit.
        losses: u32,
        /// The class that the layer predicts.
        answers: u32,
        /// 1: it predicts by prototypes.
        by_prototypes: u32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
        /// Padding.
        padding_1: u32,
    }
}

device_struct! {
    /// Where the fused selection of a layer finds and leaves its tensors, in quads.
    SelectPlaces {
        /// How badly labels fit.
        losses: u32,
        /// The class that the layer predicts.
        answers: u32,
        /// How much each row counts.
        weights: u32,
        /// What is kept of both for the host.
        record: u32,
    }
}

device_struct! {
    /// Labels of rows that have none.
    PseudoLabels {
        /// The labels' leading index is `slot >> label_shift`.
        label_shift: u32,
        /// Rows of a batch.
        batch_size: u32,
        /// Answers of a smaller loss are sure.
        largest_loss: f32,
        /// What a row counts that has a label.
        labelled_weight: f32,
        /// What a sure one without counts in the end.
        unlabelled_weight: f32,
        /// Padding to a multiple of 16 bytes.
        padding_0: u32,
        /// Padding.
        padding_1: u32,
        /// Padding.
        padding_2: u32,
    }
}

impl PseudoLabels {
    /// Of batches of `batch_size` rows, 2 or more, of `views`, of which [`labelled_rows`] have labels. Answers are sure whose probability is
    /// above `threshold`. Of both kinds of rows the mean counts.
    pub fn new(views: super::Views, batch_size: usize, threshold: f64) -> Self {
        let (rows, labelled) = (batch_size as f32, labelled_rows(batch_size) as f32);
        Self {
            label_shift: views.shift(),
            batch_size: batch_size as u32,
            largest_loss: -threshold.ln() as f32,
            labelled_weight: rows / labelled,
            unlabelled_weight: rows / (rows - labelled),
            ..Self::default()
        }
    }
}

/// Rows of a batch that have labels, the first ones, where not all images have one.
pub const fn labelled_rows(batch_size: usize) -> usize {
    batch_size.div_ceil(2)
}

/// A layer's loss and answer for an image when it last came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note {
    /// Its loss at the label.
    pub loss: f32,
    /// The class that it took the image for.
    pub answer: u8,
    /// The epoch, as far as [`super::EPOCH_MASK`] tells.
    pub epoch: u32,
    /// Whether it called the image worth learning from.
    pub is_kept: bool,
}

impl Trust {
    /// A share as a whole number.
    pub fn rate(share: f64) -> u32 {
        (share * f64::from(super::WHOLE)).round() as u32
    }

    /// Rows that are not learned from. `rate` and `ramp` are shares of [`super::WHOLE`]. Whole numbers, so that every device drops as many.
    pub fn dropped(&self, rate: u32, ramp: u32) -> u32 {
        let part = |number: u32, share: u32| (number * share + super::WHOLE / 2) / super::WHOLE;
        part(self.batch_size, part(rate, ramp)).min(self.batch_size - 1)
    }

    /// The two words of a record.
    pub fn note(loss: u32, rest: u32) -> Note {
        let is_kept = rest & super::KEPT > 0;
        Note { loss: f32::from_bits(loss), answer: rest as u8, epoch: rest >> 8 & super::EPOCH_MASK, is_kept }
    }
}
