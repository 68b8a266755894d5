//! Shapes of tiles chosen by measuring: the candidates run on a run's own tensors, and the fastest stays.
//!
//! Counting selects the shapes that are worth measuring, not the fastest on an adapter. No shape changes a bit of a result
//! ([`crate::kernels::tiles::Knob`]), so a choice may differ from machine to machine and from day to day. A driver that computes one of them
//! wrong must not spoil a run: what was chosen has to train to the same bits as what is built in, or it is not taken (`same_bits.rs`).

use super::backend::{GpuBackend, GpuOptions};
use super::bound_dispatch::BoundDispatch;
use super::buffers::Allocator;
use super::choice::fits;
use super::context::Context;
use super::same_bits::trains_to_the_same_bits;
use crate::engine::Job;
use crate::error::Result;
use crate::kernels::tiles::{Knob, Tiles};
use crate::kernels::{Launch, Operation};
use crate::waiting::{Instant, wait};
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

impl GpuBackend {
    /// Operations of a step whose shader or grid differs between two sets of tiles.
    fn changed<'a>(&'a self, one: &'a Tiles, other: &'a Tiles) -> impl Iterator<Item = &'a Operation> {
        let slots = self.programs.slots;
        let compiled = move |operation: &Operation, tiles: &Tiles| {
            let launch = Launch { tiles, slots };
            (operation.variant(launch), operation.describe().groups(launch))
        };
        let operations = self.programs.stages.iter().flatten();
        operations.filter(move |operation| compiled(operation, one) != compiled(operation, other))
    }

    /// Whether a step runs differently with two sets of tiles.
    fn depends_on(&self, one: &Tiles, other: &Tiles) -> bool {
        self.changed(one, other).next().is_some()
    }

    /// Seconds of all operations of a step, with `tiles`, that any of the `candidates` changes; none where the adapter lacks what they ask
    /// for.
    fn seconds_of_changed(&mut self, candidates: &[Tiles], tiles: &Tiles, effort: Effort) -> Result<Option<f64>> {
        let Some(base) = candidates.first() else { return Ok(None) };
        let changes = |operation: &&Operation| {
            candidates.iter().any(|other| self.changed(base, other).any(|changed| std::ptr::eq(changed, *operation)))
        };
        let operations: Vec<&Operation> = self.programs.stages.iter().flatten().filter(changes).collect();
        let launch = Launch { tiles, slots: self.programs.slots };
        if operations.iter().any(|operation| !fits(&self.context, operation, launch)) {
            return Ok(None);
        }
        let allocator = Allocator::new(&self.context);
        let mut bound = Vec::with_capacity(operations.len());
        for operation in operations {
            bound.push(wait(BoundDispatch::new(&allocator, operation, &self.tensors, &self.steps, launch))?);
        }
        let run = |rounds: usize| -> Result<f64> {
            let begin = Instant::now();
            let submission = self.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                (0..rounds).for_each(|_| bound.iter().for_each(|dispatch| dispatch.record(&mut pass, 0)));
            });
            wait(self.context.wait(submission, "timing tiles"))?;
            Ok(begin.elapsed().as_secs_f64())
        };
        // The first run compiles what drivers leave until then.
        run(1)?;
        let mut rounds = 1;
        while run(rounds)? < effort.stretch && rounds < 1 << 12 {
            rounds *= 2;
        }
        let times = (0..effort.stretches).map(|_| run(rounds)).collect::<Result<Vec<_>>>()?;
        Ok(Some(times.into_iter().fold(f64::MAX, f64::min) / rounds as f64))
    }
}

/// The result of tuning.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The fastest tiles; those of the options where [`Self::differs`].
    pub tiles: Tiles,
    /// All that was measured.
    pub candidates: Vec<Candidate>,
    /// The fastest tiles train to other bits than those of the options, which is a fault of the driver.
    pub differs: bool,
}

/// Looks for the tiles that are fastest for `job`. The dispatches run on tensors of the job that hold nothing yet.
pub fn tune(job: Job, context: Context, options: GpuOptions, effort: Effort) -> Result<(Context, Tuned)> {
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
    let (context, same) = match best == options.tiles {
        true => (backend.into_context(), true),
        false => trains_to_the_same_bits(job, backend.into_context(), [options, GpuOptions { tiles: best, ..options }])?,
    };
    Ok((context, Tuned { tiles: if same { best } else { options.tiles }, candidates: table, differs: !same }))
}
