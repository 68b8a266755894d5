//! Shapes of tiles chosen by measuring: the candidates run on a run's own tensors, and the fastest stays.
//!
//! Counting says which shapes are worth a try, not which one an adapter likes. No shape changes a bit of a result
//! ([`crate::kernels::tiles::Knob`]), so a choice may differ from machine to machine and from day to day.

use super::backend::{GpuBackend, GpuOptions};
use super::context::Context;
use crate::engine::Job;
use crate::error::Result;
use crate::kernels::tiles::{Knob, Tiles};
use serde::Serialize;

/// A setting of a knob, and how long it took.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// The knob.
    pub knob: Knob,
    /// Where it stood.
    pub setting: String,
    /// Microseconds of all dispatches of a step that it changes, at best; none where the adapter cannot run it.
    pub microseconds: Option<f64>,
    /// It was chosen.
    pub chosen: bool,
}

/// How long candidates are timed.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Seconds of one stretch of dispatches, at least,
    pub stretch: f64,
    /// and stretches; the shortest counts, since whatever disturbs the machine only lengthens them.
    pub stretches: usize,
}

impl Effort {
    /// Enough to tell settings apart that differ by a few hundredths, some hundred milliseconds for a run.
    pub const QUICK: Effort = Effort { stretch: 2e-3, stretches: 5 };
    /// For a table that people look at.
    pub const LONG: Effort = Effort { stretch: 20e-3, stretches: 9 };
}

/// A challenger has to be this much faster: less is noise.
const MARGIN: f64 = 0.97;

/// The tiles that are fastest for `job`, and what was measured. The dispatches run on tensors of the job that hold nothing yet.
pub fn tune(job: Job, context: Context, options: GpuOptions, effort: Effort) -> Result<(Context, Tiles, Vec<Candidate>)> {
    let subgroup_size = context.subgroup_size;
    let mut backend = GpuBackend::new(job, context, options)?;
    let (mut best, mut table) = (options.tiles, Vec::new());
    for knob in Knob::ALL {
        let candidates = best.candidates(knob, subgroup_size);
        if !candidates.iter().any(|tiles| backend.depends_on(&best, tiles)) {
            continue;
        }
        let first = table.len();
        let mut shortest: Option<(f64, usize)> = None;
        for (index, tiles) in candidates.iter().enumerate() {
            let seconds = backend.seconds_of_changed(&candidates, tiles, effort)?;
            let beats =
                |seconds: f64| shortest.is_none_or(|(other, place)| seconds < if place == 0 { MARGIN * other } else { other });
            if let Some(seconds) = seconds.filter(|&seconds| beats(seconds)) {
                shortest = Some((seconds, index));
            }
            let microseconds = seconds.map(|seconds| 1e6 * seconds);
            table.push(Candidate { knob, setting: tiles.setting(knob), microseconds, chosen: false });
        }
        let chosen = shortest.map_or(0, |(_, index)| index);
        table[first + chosen].chosen = true;
        best = candidates[chosen];
    }
    Ok((backend.into_context(), best, table))
}
