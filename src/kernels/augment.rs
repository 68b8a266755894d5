//! Random changes of training images, which [`super::gather`] makes: the twin of `shaders/shared/augment.wgsl`.

use crate::layout::{ELASTIC_CELLS, ELASTIC_NODES, Shard};
use crate::random::{philox_words, unit};

/// How one image of one epoch is changed.
pub(super) struct Change {
    pub shift: [i32; 2],
    /// Cosine and sine of the angle, over the factor of size.
    pub turn: [f32; 2],
    /// Whether it is mirrored before all else.
    pub flip: bool,
    /// How far the nodes of a grid over the image are displaced, in pixels; row by row.
    pub displacements: [[f32; 2]; ELASTIC_NODES as usize],
}

impl Change {
    /// That of `image` in `epoch`, as `view` sees it.
    pub fn new(shard: &Shard, epoch: u32, view: u32, image: u32) -> Self {
        let replica = u64::from(view >> shard.order_shift);
        let seed = (u64::from(shard.seed_high) << 32 | u64::from(shard.seed_low)).wrapping_add(replica);
        let model = view & ((1 << shard.order_shift) - 1);
        let words = philox_words(seed, shard.stream + model, u64::from(epoch) << 32 | u64::from(image));
        let span = 2 * shard.shift + 1;
        let shift = |word: u32| ((u64::from(word) * u64::from(span)) >> 32) as i32 - shard.shift as i32;
        let angle = 0.25 * shard.rotation * signed_unit(words[2]);
        let square = angle * angle;
        let mut sine = angle * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0))));
        let mut cosine = 1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0)));
        for _ in 0..2 {
            (sine, cosine) = (2.0 * sine * cosine, 1.0 - 2.0 * sine * sine);
        }
        let size = 1.0 + shard.scale * signed_unit(words[3]);
        // The lowest bit, which the factor of size does not use.
        let flip = shard.flip & words[3] == 1;
        let mut displacements = [[0.0; 2]; ELASTIC_NODES as usize];
        if shard.bends() {
            for (node, displacement) in (1..).zip(&mut displacements) {
                let words = philox_words(seed, shard.stream + (node << 8) + model, u64::from(epoch) << 32 | u64::from(image));
                *displacement = [words[0], words[1]].map(|word| shard.elastic * signed_unit(word));
            }
        }
        Self { shift: [shift(words[0]), shift(words[1])], turn: [cosine / size, sine / size], flip, displacements }
    }

    /// How far a place is displaced: interpolated between the nodes around it.
    pub fn displaced(&self, shard: &Shard, column: u32, row: u32) -> [f32; 2] {
        let ((column, across), (row, down)) = (cell(column, shard.width), cell(row, shard.height));
        let nodes = ELASTIC_CELLS as usize + 1;
        let node = row * nodes + column;
        let below = node + nodes;
        let mix = |a: f32, b: f32, share: f32| a + share * (b - a);
        [0, 1].map(|axis| {
            let at = |node: usize| self.displacements[node][axis];
            mix(mix(at(node), at(below), down), mix(at(node + 1), at(below + 1), down), across)
        })
    }
}

/// The cell of the grid that holds a place along an axis of so many pixels, and the place's share of the way through it.
fn cell(place: u32, length: u32) -> (usize, f32) {
    let span = (length - 1).max(1);
    let first = (ELASTIC_CELLS * place / span).min(ELASTIC_CELLS - 1);
    (first as usize, (ELASTIC_CELLS * place - first * span) as f32 / span as f32)
}

fn signed_unit(word: u32) -> f32 {
    2.0 * unit(word) - 1.0
}
