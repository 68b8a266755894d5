//! The shapes that tuning tries.

use super::{FusedTile, Knob, SUBGROUP, Tile, Tiles};

/// Register tiles that are worth a try on a GPU: (lanes_x, lanes_y, rows, quads).
const FORWARD_CANDIDATES: [(u32, u32, u32, u32); 8] =
    [(16, 4, 2, 1), (16, 4, 4, 1), (8, 8, 2, 2), (8, 8, 4, 2), (16, 8, 4, 1), (16, 8, 4, 2), (16, 16, 4, 2), (32, 8, 8, 1)];
/// The same for updates, where a row is a quad of inputs.
const UPDATE_CANDIDATES: [(u32, u32, u32, u32); 7] =
    [(16, 4, 1, 1), (8, 8, 1, 1), (16, 8, 1, 2), (16, 16, 1, 1), (16, 16, 2, 1), (16, 16, 2, 2), (8, 8, 2, 2)];
/// The same by way of workgroup memory, and the steps of a chunk. More loads are in flight, and each is made once for the workgroup; whether
/// that beats the caches is for the adapter to say.
const SHARED_FORWARD: [(u32, u32, u32, u32, u32); 5] =
    [(16, 4, 4, 1, 4), (8, 8, 4, 2, 4), (16, 8, 4, 2, 2), (16, 16, 4, 2, 2), (16, 16, 8, 1, 2)];
const SHARED_UPDATE: [(u32, u32, u32, u32, u32); 4] = [(16, 4, 1, 1, 8), (16, 16, 1, 1, 8), (8, 8, 2, 2, 8), (16, 16, 2, 2, 4)];
/// Rows and quads of staged tiles for software adapters.
const STAGED_FORWARD: [(u32, u32); 6] = [(8, 1), (16, 1), (8, 2), (16, 2), (32, 2), (16, 4)];
const STAGED_UPDATE: [(u32, u32); 6] = [(2, 1), (4, 1), (2, 2), (4, 2), (8, 2), (4, 4)];
/// Rows of the fused kernels.
const FUSED_ROWS: [u32; 4] = [1, 2, 4, 8];
const STAGED_FUSED_ROWS: [u32; 3] = [8, 16, 32];

impl Tiles {
    /// The settings of a knob that are worth a try on a device, this one first; everything else stays. The order of every sum stays too.
    pub fn candidates(&self, knob: Knob, subgroup_size: Option<u32>) -> Vec<Self> {
        let mut candidates = vec![*self];
        let is_staged = self.forward_small.stage;
        let all = |tile: Tile| Self { forward_small: tile, forward_large: tile, update_small: tile, update_large: tile, ..*self };
        let of_fused = |rows: &u32| {
            let fused = FusedTile { rows: *rows, ..self.fused_tile(knob) };
            Self { fused_small: fused, fused_large: fused, ..*self }
        };
        let plain = |&(x, y, rows, quads): &(u32, u32, u32, u32)| Tile::new(x, y, rows, quads);
        let shared = |&(x, y, rows, quads, chunk): &(u32, u32, u32, u32, u32)| Tile { chunk, ..Tile::new(x, y, rows, quads) };
        let settings: Vec<Self> = match (knob, is_staged) {
            (Knob::FusedSmall | Knob::FusedLarge, false) => FUSED_ROWS.iter().map(of_fused).collect(),
            (Knob::FusedSmall | Knob::FusedLarge, true) => STAGED_FUSED_ROWS.iter().map(of_fused).collect(),
            (Knob::ForwardSmall | Knob::ForwardLarge, false) => {
                FORWARD_CANDIDATES.iter().map(plain).chain(SHARED_FORWARD.iter().map(shared)).map(all).collect()
            }
            (Knob::UpdateSmall | Knob::UpdateLarge, false) => {
                UPDATE_CANDIDATES.iter().map(plain).chain(SHARED_UPDATE.iter().map(shared)).map(all).collect()
            }
            (_, true) => {
                let shapes = if matches!(knob, Knob::ForwardSmall | Knob::ForwardLarge) { STAGED_FORWARD } else { STAGED_UPDATE };
                let shuffles: &[bool] = if subgroup_size == Some(SUBGROUP) { &[false, true] } else { &[false] };
                let tiles =
                    shapes.iter().flat_map(|&(rows, quads)| shuffles.iter().map(move |&on| Tile::staged(rows, quads, on)));
                tiles.map(all).collect()
            }
        };
        for setting in settings {
            let candidate = self.with(knob, &setting);
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        candidates
    }

    /// Whether these are `base` with each knob at one of its candidates.
    pub fn is_tuned_from(&self, base: &Self, subgroup_size: Option<u32>) -> bool {
        Knob::ALL.into_iter().try_fold(*base, |tiles, knob| {
            let changed = tiles.with(knob, self);
            base.candidates(knob, subgroup_size).contains(&base.with(knob, self)).then_some(changed)
        }) == Some(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tuning may choose sums in the order of the table, or a choice would change a run's bits.
    #[test]
    fn candidates_keep_the_order_of_sums() {
        for base in Tiles::ALL {
            for knob in Knob::ALL {
                let candidates = base.candidates(knob, Some(SUBGROUP));
                assert_eq!(candidates[0], base);
                assert!(candidates.len() > 2, "{knob}");
                for tiles in candidates {
                    assert!(tiles.is_tuned_from(&base, Some(SUBGROUP)));
                    let order = |tiles: &Tiles| (tiles.lanes, tiles.fused_small.splits, tiles.fused_small.lanes);
                    assert_eq!(order(&tiles), order(&base));
                    assert_eq!(
                        (tiles.fused_large.splits, tiles.fused_large.lanes),
                        (base.fused_large.splits, base.fused_large.lanes)
                    );
                }
            }
            let foreign = Tiles { forward_small: Tile::new(1, 1, 1, 1), ..base };
            assert!(!foreign.is_tuned_from(&base, Some(SUBGROUP)));
        }
    }
}
