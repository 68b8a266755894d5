//! A run that goes on epoch by epoch, on a thread of its own: it owns the data, the device and the trainer, and is told what to do.

use super::data::{images, select};
use super::device::open;
use super::errors::{check_process, exception, panicked};
use super::model::{GivenWeights, Model, Weights, weights_of, with_weights};
use ffcl_gpu::Error;
use ffcl_gpu::assembly::Prepared;
use ffcl_gpu::config::{Extent, Idle, RunOptions};
use ffcl_gpu::dataset::arrays;
use ffcl_gpu::engine::Job;
use ffcl_gpu::gpu::adapter::DeviceRequest;
use ffcl_gpu::model::Parameters;
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::train::{Advance, Doubts, Event, Trainer};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often Ctrl-C is looked for.
const ATTENTION: Duration = Duration::from_millis(50);

enum Command {
    Epoch,
    Trust,
    Weights,
    SetWeights(Box<Parameters>),
}

enum Reply {
    Ready {
        device: String,
        memory: u64,
        options: String,
    },
    /// What became of the epoch, and its reports as JSON.
    Advanced(Advance, String),
    Weights(Box<Parameters>),
    /// See [`Doubts`].
    Trust {
        kept: Vec<f32>,
        scores: Vec<f32>,
        suspects: Vec<u32>,
    },
    Done,
}

/// What the thread fails by: an error of the library, or its own panic.
enum Failure {
    Error(Error),
    Panic(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Failure {
    fn exception(self) -> PyErr {
        match self {
            Self::Error(error) => exception(&error),
            Self::Panic(text) => PyRuntimeError::new_err(text),
        }
    }
}

/// Where it stands, readable from outside.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    steps: AtomicUsize,
    steps_of_epoch: AtomicUsize,
}

/// A run; see `ffcl_gpu.Trainer`.
#[pyclass(module = "ffcl_gpu._ffcl")]
pub struct Run {
    /// `None` when the run has failed.
    commands: Option<Sender<Command>>,
    replies: std::sync::Mutex<Receiver<Result<Reply, Failure>>>,
    shared: Arc<Shared>,
    description: ModelDescription,
    device: String,
    memory: u64,
    options: String,
    done: bool,
}

/// What layers kept, scores and suspects.
type TrustArrays<'py> = (Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<u32>>);

/// What the thread works on.
struct Work {
    run: Prepared<'static>,
    request: DeviceRequest,
}

#[pymethods]
impl Run {
    /// `options`: JSON of the table's options. `x`: [n, numbers] of uint8 or float32; `y`: [n] numbers of classes. `train` and `test` are
    /// rows of `x`, without which all are both; `unlabelled`: ascending places among those to train on. `idle_allowed`: see
    /// `ffcl_gpu::config::Idle`.
    #[new]
    #[pyo3(signature = (options, x, y, classes, shape, *, train=None, test=None, unlabelled=None, device="auto", seed=0, replicas=1, shuffle=true, max_steps=None, idle_allowed=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        options: &str,
        x: &Bound<'_, PyAny>,
        y: PyReadonlyArray1<'_, u8>,
        classes: Vec<String>,
        shape: [usize; 3],
        train: Option<PyReadonlyArray1<'_, u32>>,
        test: Option<PyReadonlyArray1<'_, u32>>,
        unlabelled: Option<PyReadonlyArray1<'_, u32>>,
        device: &str,
        seed: u64,
        replicas: usize,
        shuffle: bool,
        max_steps: Option<u64>,
        idle_allowed: bool,
    ) -> PyResult<Self> {
        check_process()?;
        let options: RunOptions = serde_json::from_str(options)
            .map_err(|error| PyValueError::new_err(format!("the options cannot be used: {error}")))?;
        let all = images(x, y.as_array().iter().copied().collect(), shape)?;
        let part =
            |rows: Option<PyReadonlyArray1<'_, u32>>| rows.map_or_else(|| Ok(all.head(all.count())), |rows| select(&all, &rows));
        let (train, test) = (part(train)?, part(test)?);
        drop(all);
        let unlabelled: Vec<u32> = unlabelled.map_or_else(Vec::new, |places| places.as_array().iter().copied().collect());
        if !unlabelled.is_sorted() || unlabelled.last().is_some_and(|&last| last as usize >= train.count()) {
            return Err(PyValueError::new_err("unlabelled must be ascending places of rows to train on"));
        }
        let dataset = arrays::dataset(train, test, classes, unlabelled, None, None).map_err(|error| exception(&error))?;
        let request: DeviceRequest = device.parse().unwrap_or(DeviceRequest::Auto);
        let extent = Extent { seed, replicas, shuffle, max_steps };
        let typed = options.given();
        let idle = if idle_allowed { Idle::Allowed } else { Idle::Refused(&typed) };
        let run = options.on(Cow::Owned(dataset), extent, idle).map_err(|error| exception(&error))?;
        Self::start(py, Work { run, request })
    }

    /// Trains until the end of the next epoch. Returns its reports as JSON, or None where none was left. `hear(done, all)` is called back with steps done and steps in all.
    #[pyo3(signature = (hear=None))]
    fn epoch(&mut self, py: Python<'_>, hear: Option<Bound<'_, PyAny>>) -> PyResult<Option<String>> {
        if self.done {
            return Ok(None);
        }
        match self.ask(py, Command::Epoch, hear.as_ref())? {
            Reply::Advanced(Advance::Epoch, reports) => Ok(Some(reports)),
            Reply::Advanced(Advance::Done, reports) => {
                self.done = true;
                Ok(Some(reports).filter(|reports| reports != "[]"))
            }
            Reply::Advanced(Advance::Stopped, _) => Err(PyRuntimeError::new_err("the epoch was stopped in its middle")),
            _ => Err(lost()),
        }
    }

    /// Weight [outputs, inputs] and bias [outputs] of each layer of each network, A and B of each replica in turn.
    fn weights<'py>(&mut self, py: Python<'py>) -> PyResult<Weights<'py>> {
        let parameters = self.parameters(py)?;
        weights_of(py, &parameters.slots)
    }

    /// Replaces the weights, in the shapes of `weights`.
    fn set_weights(&mut self, py: Python<'_>, weights: GivenWeights<'_>) -> PyResult<()> {
        let parameters = with_weights(self.parameters(py)?, &weights)?;
        drop(weights);
        self.ask(py, Command::SetWeights(Box::new(parameters)), None).map(|_| ())
    }

    /// Of each training row, in their order: the share of layers and networks that called it worth learning from when they saw it last, and
    /// its score; then the rows that are suspects, the worst first: see `ffcl_gpu::train::Doubts`. All are empty without the option trust.
    fn trust<'py>(&mut self, py: Python<'py>) -> PyResult<TrustArrays<'py>> {
        match self.ask(py, Command::Trust, None)? {
            Reply::Trust { kept, scores, suspects } => {
                Ok((PyArray1::from_vec(py, kept), PyArray1::from_vec(py, scores), PyArray1::from_vec(py, suspects)))
            }
            _ => Err(lost()),
        }
    }

    /// The model as it stands.
    fn model(&mut self, py: Python<'_>) -> PyResult<Model> {
        Model::of(self.parameters(py)?, self.description.clone())
    }

    /// Where it computes.
    #[getter]
    fn device(&self) -> &str {
        &self.device
    }

    /// Bytes that it keeps on the device.
    #[getter]
    fn memory(&self) -> u64 {
        self.memory
    }

    /// Every option of the run, as JSON.
    #[getter]
    fn options(&self) -> &str {
        &self.options
    }

    /// Whether nothing is left to do.
    #[getter]
    fn done(&self) -> bool {
        self.done
    }
}

fn lost() -> PyErr {
    PyRuntimeError::new_err("the run has ended by an error, and cannot go on; make a new one")
}

impl Run {
    fn start(py: Python<'_>, work: Work) -> PyResult<Self> {
        let description = ModelDescription::of(work.run.job());
        let shared = Arc::new(Shared::default());
        let (commands, received) = channel();
        let (answer, replies) = channel();
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new().name("ffcl_gpu run".into()).spawn(move || {
            let worked = catch_unwind(AssertUnwindSafe(|| serve(work, &received, &answer, &of_thread)));
            let failure = match worked {
                Ok(Ok(())) => return,
                Ok(Err(error)) => Failure::Error(error),
                Err(payload) => Failure::Panic(panicked(payload.as_ref())),
            };
            // Nobody may be left to hear it.
            let _ = answer.send(Err(failure));
        });
        thread.map_err(|error| PyRuntimeError::new_err(format!("no thread can be started: {error}")))?;
        let mut run = Self {
            commands: Some(commands),
            replies: replies.into(),
            shared,
            description,
            device: String::new(),
            memory: 0,
            options: String::new(),
            done: false,
        };
        let Reply::Ready { device, memory, options } = run.wait(py, None)? else { return Err(lost()) };
        (run.device, run.memory, run.options) = (device, memory, options);
        Ok(run)
    }

    fn parameters(&mut self, py: Python<'_>) -> PyResult<Parameters> {
        match self.ask(py, Command::Weights, None)? {
            Reply::Weights(parameters) => Ok(*parameters),
            _ => Err(lost()),
        }
    }

    fn ask(&mut self, py: Python<'_>, command: Command, hear: Option<&Bound<'_, PyAny>>) -> PyResult<Reply> {
        check_process()?;
        self.commands.as_ref().ok_or_else(lost)?.send(command).map_err(|_| lost())?;
        self.wait(py, hear)
    }

    /// Waits without the interpreter's lock. A signal, or an exception of `hear`, stops the epoch where it stands.
    fn wait(&mut self, py: Python<'_>, hear: Option<&Bound<'_, PyAny>>) -> PyResult<Reply> {
        let mut interrupted = None;
        let reply = loop {
            let replies = &self.replies;
            let reply = py.detach(|| match replies.lock() {
                Ok(replies) => replies.recv_timeout(ATTENTION),
                Err(_) => Err(RecvTimeoutError::Disconnected),
            });
            match reply {
                Ok(reply) => break reply,
                Err(RecvTimeoutError::Disconnected) => return Err(lost()),
                Err(RecvTimeoutError::Timeout) if interrupted.is_some() => {}
                Err(RecvTimeoutError::Timeout) => {
                    let steps = [&self.shared.steps, &self.shared.steps_of_epoch].map(|steps| steps.load(Ordering::Relaxed));
                    let heard = hear.map_or(Ok(()), |hear| hear.call1((steps[0], steps[1])).map(|_| ()));
                    if let Err(error) = py.check_signals().and(heard) {
                        self.shared.stop.store(true, Ordering::Relaxed);
                        interrupted = Some(error);
                    }
                }
            }
        };
        self.shared.stop.store(false, Ordering::Relaxed);
        if let Some(error) = interrupted {
            return Err(error);
        }
        reply.map_err(|failure| {
            self.commands = None;
            failure.exception()
        })
    }
}

/// The life of the thread.
fn serve(
    work: Work,
    commands: &Receiver<Command>,
    answer: &Sender<Result<Reply, Failure>>,
    shared: &Shared,
) -> Result<(), Error> {
    let Work { run, request } = work;
    let mut backend = open(&request, run.job())?;
    let Prepared { config, complete, dataset, truth } = run;
    let mut dataset = dataset.into_owned();
    backend.set_parameters(&config.initial_parameters()?)?;
    let ready = Reply::Ready {
        device: backend.device().to_string(),
        memory: backend.memory(),
        options: serde_json::to_string(&complete).unwrap_or_default(),
    };
    // The device has the data now; only how much it was is still asked.
    for images in [&mut dataset.train, &mut dataset.test] {
        (images.pixels, images.features) = (Vec::new(), None);
    }
    let mut trainer = Trainer::new(Job { config: &config, dataset: &dataset }, backend.as_mut()).with_truth(truth.as_deref());
    let mut doubts = None;
    if answer.send(Ok(ready)).is_err() {
        return Ok(());
    }
    // The run is dropped where nobody sends any more.
    while let Ok(command) = commands.recv() {
        let reply = match command {
            Command::Epoch => {
                let mut reports = "[]".to_owned();
                let advance = trainer.epoch(&mut |event| {
                    match event {
                        Event::Progress { steps_done, steps, .. } => {
                            shared.steps.store(steps_done, Ordering::Relaxed);
                            shared.steps_of_epoch.store(steps, Ordering::Relaxed);
                        }
                        Event::Epoch(of_epoch) => reports = serde_json::to_string(of_epoch).unwrap_or_default(),
                        Event::Records(records) => {
                            let new = || Doubts::new(dataset.train.count(), dataset.classes());
                            doubts.get_or_insert_with(new).observe(records, 2 * config.replicas);
                        }
                        Event::Judged { .. } | Event::Warning { .. } => {}
                    }
                    Ok(if shared.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
                })?;
                Reply::Advanced(advance, reports)
            }
            Command::Trust => {
                let doubts = doubts.as_ref();
                let suspects = |doubts: &Doubts| {
                    let suspects = doubts.suspects(&dataset.train.labels);
                    suspects.into_iter().map(|suspect| suspect.index as u32).collect()
                };
                Reply::Trust {
                    kept: doubts.map(Doubts::kept).unwrap_or_default(),
                    scores: doubts.map(Doubts::scores).unwrap_or_default(),
                    suspects: doubts.map(suspects).unwrap_or_default(),
                }
            }
            Command::Weights => Reply::Weights(Box::new(trainer.parameters()?)),
            Command::SetWeights(parameters) => {
                trainer.set_parameters(&parameters)?;
                Reply::Done
            }
        };
        if answer.send(Ok(reply)).is_err() {
            break;
        }
    }
    Ok(())
}
