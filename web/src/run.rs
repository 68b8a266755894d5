//! One training run: a future that lives as long as the run does, and lets the page in between.

use crate::words::json;
use ffcl_gpu::assembly::Prepared;
use ffcl_gpu::config::{Extent, Idle, RunOptions};
use ffcl_gpu::cpu;
use ffcl_gpu::dataset::Dataset;
use ffcl_gpu::diagnosis::Sign;
use ffcl_gpu::engine::{Backend, Job};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::Context;
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::train::{Advance, Event, ReplicaReport, Trainer};
use ffcl_gpu::trained::TrainedModel;
use ffcl_gpu::{Error, Result};
use js_sys::{Function, Promise};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::time::Duration;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_time::Instant;

/// How long the run keeps the worker to itself: after so long it listens to the page.
const SLICE: Duration = Duration::from_millis(120);
/// How often the page gets to see the weights; each time the device is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// What the page asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// As on the command line.
    pub options: RunOptions,
    #[serde(default)]
    pub seed: u64,
    #[serde(default = "one")]
    pub replicas: usize,
    #[serde(default)]
    pub max_steps: Option<u64>,
}

fn one() -> usize {
    1
}

impl Request {
    /// The run on these images, which stay as they are for the next one.
    pub fn on<'a>(&self, dataset: &'a Dataset) -> Result<Prepared<'a>> {
        let &Self { seed, replicas, max_steps, .. } = self;
        let extent = Extent { seed, replicas, max_steps, ..Extent::default() };
        self.options.on(Cow::Borrowed(dataset), extent, Idle::Refused(&self.options.given()))
    }
}

/// What the page turns while the run goes on.
#[derive(Default)]
pub struct Controls {
    pub paused: Cell<bool>,
    pub stopped: Cell<bool>,
}

/// Messages to the page.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Told<'a> {
    Begun { layers: usize, epochs: u32, steps: usize, dispatches: Option<usize>, memory: u64 },
    Progress { epoch: u32, done: usize, of: usize, images_per_second: f64 },
    Epoch { reports: &'a [ReplicaReport] },
    Warning { sign: Sign, epoch: u32, replicas: usize },
    Weights { steps: u64 },
}

/// Trains to the end, or until it is stopped; leaves the weights in `model` whenever it shows them.
pub async fn train(
    run: &Prepared<'_>,
    context: Option<Context>,
    controls: &Controls,
    model: &RefCell<Option<TrainedModel>>,
    listener: &Function,
) -> Result<()> {
    let tell = |told: &Told| {
        // A listener that throws is the page's own affair.
        let _ = listener.call1(&JsValue::NULL, &json(told));
    };
    let job = run.job();
    let Job { config, dataset } = job;
    let mut backend: Box<dyn Backend> = match context {
        Some(context) => {
            let options = GpuOptions::for_device(&context);
            Box::new(GpuBackend::new_async(job, context, options).await?)
        }
        None => cpu::backend::open(job)?,
    };
    backend.set_parameters(&config.initial_parameters()?)?;
    tell(&Told::Begun {
        layers: config.architecture.layer_count(),
        epochs: config.epochs,
        steps: config.steps_per_epoch(dataset.train.count()),
        dispatches: backend.dispatches_per_step(),
        memory: backend.memory(),
    });
    let mut trainer = Trainer::new(job, backend.as_mut()).with_truth(run.truth.as_deref());
    let mut looked: Option<Instant> = None;
    let mut speed = Speed::default();
    loop {
        let advance = if controls.stopped.get() {
            Advance::Done
        } else {
            let begun = Instant::now();
            let observe = &mut |event: Event| {
                match event {
                    Event::Progress { epoch, steps_done, steps } => {
                        let images_per_second = speed.at(epoch, steps_done, config.batch_size * config.replicas);
                        tell(&Told::Progress { epoch, done: steps_done, of: steps, images_per_second });
                    }
                    Event::Epoch(reports) => tell(&Told::Epoch { reports }),
                    // What trust says of each image: files keep it, the page does not.
                    Event::Records(_) | Event::Judged { .. } => {}
                    Event::Warning { sign, epoch, replicas } => tell(&Told::Warning { sign, epoch, replicas }),
                }
                let stop = controls.stopped.get() || controls.paused.get() || begun.elapsed() > SLICE;
                Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            };
            trainer.epoch_async(observe).await?
        };
        let over = advance == Advance::Done;
        if over || controls.paused.get() || looked.is_none_or(|looked| looked.elapsed() > LOOK) {
            let parameters = trainer.parameters_async().await?;
            *model.borrow_mut() = Some(TrainedModel::new(parameters, ModelDescription::of(job))?);
            tell(&Told::Weights { steps: trainer.position().steps });
            looked = Some(Instant::now());
        }
        if over {
            return Ok(());
        }
        let asked = Instant::now();
        sleep(0).await?;
        while controls.paused.get() && !controls.stopped.get() {
            sleep(50).await?;
        }
        speed.leave_out(asked.elapsed());
    }
}

/// Images a second over the last second or so, without the time that the page took.
#[derive(Default)]
struct Speed {
    since: Option<(Instant, u32, usize)>,
    last: f64,
}

impl Speed {
    fn at(&mut self, epoch: u32, steps: usize, images: usize) -> f64 {
        match self.since {
            Some((since, of, before)) if of == epoch => {
                let elapsed = since.elapsed();
                if elapsed > Duration::from_secs(1) {
                    self.last = (steps.saturating_sub(before) * images) as f64 / elapsed.as_secs_f64();
                    self.since = Some((Instant::now(), epoch, steps));
                } else if self.last == 0.0 && steps > before {
                    return ((steps - before) * images) as f64 / elapsed.as_secs_f64().max(1e-3);
                }
            }
            _ => self.since = Some((Instant::now(), epoch, steps)),
        }
        self.last
    }

    fn leave_out(&mut self, pause: Duration) {
        if let Some((since, ..)) = &mut self.since {
            *since += pause;
        }
    }
}

/// Lets the worker do something else for so many milliseconds.
pub async fn sleep(milliseconds: i32) -> Result<()> {
    let no_timer = |_| Error::Device("this browser has no timers; use another one".into());
    let timer: Function =
        js_sys::Reflect::get(&js_sys::global(), &"setTimeout".into()).and_then(|timer| timer.dyn_into()).map_err(no_timer)?;
    let promise = Promise::new(&mut |resolve, _| {
        let _ = timer.call2(&JsValue::NULL, &resolve, &milliseconds.into());
    });
    JsFuture::from(promise).await.map(|_| ()).map_err(no_timer)
}
