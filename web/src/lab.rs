//! What the worker holds: a device, a data set, a run, a model.

use crate::files::{self, File};
use crate::run::{self, Controls, Request};
use crate::words::{failure, json};
use ffcl_gpu::arithmetic::{Double, Single};
use ffcl_gpu::config::Recipe;
use ffcl_gpu::cpu::{self, backend::CpuBackend};
use ffcl_gpu::dataset::{Dataset, ImageShape, Images, digits, folder};
use ffcl_gpu::engine::{Backend, DeviceDescription, Job};
use ffcl_gpu::gpu::adapter::{Choice, DeviceRequest, choose_async};
use ffcl_gpu::gpu::backend::{GpuBackend, GpuOptions};
use ffcl_gpu::gpu::context::{Context, ContextOptions};
use ffcl_gpu::kernels::Kernel;
use ffcl_gpu::model::Network;
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::weights::{self, MODEL, Opened, Undescribed};
use ffcl_gpu::train::train;
use ffcl_gpu::trained::TrainedModel;
use ffcl_gpu::trained::picture::Picture;
use ffcl_gpu::trained::preparation::Preparation;
use ffcl_gpu::verify;
use ffcl_gpu::{Error, Result};
use js_sys::{Array, Function, Uint8Array};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Cases of each kernel that a visitor waits for, and the numbers that one may have.
const CASES: usize = 6;
const LARGEST_CASE: usize = 200_000;

/// The worker's end of the page.
#[wasm_bindgen]
#[derive(Default)]
pub struct Lab {
    /// Nothing: the processor.
    context: RefCell<Option<Context>>,
    dataset: RefCell<Option<Rc<Dataset>>>,
    model: RefCell<Option<TrainedModel>>,
    controls: Controls,
    busy: Cell<bool>,
    limits: Cell<Option<u32>>,
}

#[derive(Serialize)]
struct Opening<'a> {
    device: &'a DeviceDescription,
    /// What the visitor should know about it.
    notice: Option<String>,
}

#[derive(Serialize)]
struct Summary<'a> {
    name: &'a str,
    train: usize,
    test: usize,
    /// Of those to learn from.
    unlabelled: usize,
    shape: ImageShape,
    classes: &'a [String],
}

#[derive(Serialize)]
struct Held {
    network: String,
    replicas: usize,
    image: ImageShape,
    classes: Vec<String>,
    dataset: String,
}

#[derive(Serialize)]
struct Answer {
    /// The image that the model was asked about,
    pixels: Vec<u8>,
    /// and what A, B and both say, a probability for each class.
    networks: [Vec<f32>; 3],
    /// What leaves each layer, `[model][layer]`.
    layers: Vec<Vec<Vec<f32>>>,
}

#[wasm_bindgen]
impl Lab {
    /// Nothing yet: the processor, and no data.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes no buffer above so many bytes, however large the adapter's may be: to meet small adapters.
    pub fn pretend_small(&self, bytes: u32) {
        self.limits.set(Some(bytes));
    }

    /// Opens "gpu" or "cpu"; "auto" is the first of them that is there.
    pub async fn open(&self, device: String) -> std::result::Result<JsValue, JsValue> {
        let opened = self.open_device(&device).await.map_err(|error| failure(&error))?;
        *self.context.borrow_mut() = opened.0;
        Ok(json(&Opening { device: &opened.1, notice: opened.2 }))
    }

    async fn open_device(&self, device: &str) -> Result<(Option<Context>, DeviceDescription, Option<String>)> {
        let processor = |notice| Ok((None, cpu::backend::processor(), notice));
        if device == "cpu" {
            return processor(None);
        }
        match self.open_gpu(false).await {
            Ok(context) => {
                let description = context.description.clone();
                Ok((Some(context), description, None))
            }
            Err(error) if device == "auto" => processor(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// An adapter gives one device only: each is asked for anew.
    async fn open_gpu(&self, shader_checks: bool) -> Result<Context> {
        let Choice::Gpu(adapter, _) = choose_async(&DeviceRequest::Gpu).await? else {
            return Err(Error::Device("this browser has no GPU for pages".into()));
        };
        let limits = self.limits.get().map(|bytes| {
            let mut limits = adapter.limits();
            limits.max_buffer_size = bytes.into();
            limits.max_storage_buffer_binding_size = bytes.into();
            limits
        });
        Context::open_async(&adapter, &ContextOptions { shader_checks: Some(shader_checks), limits }).await
    }

    /// Makes `digits`.
    pub fn digits(&self, train: usize, test: usize) -> JsValue {
        self.keep(digits::generate_with_counts(digits::SEED, train, test))
    }

    /// Reads files that were dropped.
    pub fn files(&self, names: Vec<String>, contents: &Array) -> std::result::Result<JsValue, JsValue> {
        let contents = contents.iter().map(|bytes| Uint8Array::new(&bytes).to_vec());
        let files: Vec<File> = names.into_iter().zip(contents).map(|(name, bytes)| File { name, bytes }).collect();
        Ok(self.keep(files::read(&files).map_err(|error| failure(&error))?))
    }

    /// Takes pictures that the page has decoded, of these paths: pixels are bytes, channel by channel.
    pub fn pictures(
        &self,
        name: String,
        paths: Vec<String>,
        channels: usize,
        height: usize,
        width: usize,
        pixels: &[u8],
    ) -> std::result::Result<JsValue, JsValue> {
        let shape = ImageShape { channels, height, width };
        Ok(self.keep(folder::of_pictures(name, &paths, shape, pixels).map_err(|error| failure(&error))?))
    }

    fn keep(&self, dataset: Dataset) -> JsValue {
        let told = json(&Summary {
            name: &dataset.name,
            train: dataset.train.count(),
            test: dataset.test.count(),
            unlabelled: dataset.unlabelled.len(),
            shape: dataset.train.shape,
            classes: &dataset.class_names,
        });
        *self.dataset.borrow_mut() = Some(Rc::new(dataset));
        told
    }

    /// A test image's pixels.
    pub fn example(&self, index: usize) -> std::result::Result<Vec<u8>, JsValue> {
        let dataset = self.dataset.borrow();
        match dataset.as_ref().map(|dataset| &dataset.test) {
            Some(test) if !test.has_features() => Ok(test.image(index % test.count()).to_vec()),
            _ => Err(failure(&Error::Configuration("this data has no images to show".into()))),
        }
    }

    /// Trains as `request` asks and calls `listener` back. Ends with the run.
    pub async fn train(&self, request: String, listener: Function) -> std::result::Result<(), JsValue> {
        self.train_now(&request, &listener).await.map_err(|error| {
            if error.is_device_loss() {
                *self.context.borrow_mut() = None;
            }
            failure(&error)
        })
    }

    async fn train_now(&self, request: &str, listener: &Function) -> Result<()> {
        let (request, dataset) = self.asked(request)?;
        let prepared = request.on(&dataset)?;
        if self.busy.replace(true) {
            return Err(Error::Configuration("another run goes on; stop it first".into()));
        }
        self.controls.paused.set(false);
        self.controls.stopped.set(false);
        let context = self.context.borrow().as_ref().map(Context::share);
        let ran = run::train(&prepared, context, &self.controls, &self.model, listener).await;
        self.busy.set(false);
        ran
    }

    fn asked(&self, request: &str) -> Result<(Request, Rc<Dataset>)> {
        let bad = |problem: String| Error::Configuration(problem);
        let request = serde_json::from_str(request).map_err(|error| bad(format!("the settings are refused: {error}")))?;
        let dataset = self.dataset.borrow().clone().ok_or_else(|| bad("there is no data yet; choose a data set".into()))?;
        Ok((request, dataset))
    }

    /// Holds the run where it is, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.controls.paused.set(paused);
    }

    /// Ends the run.
    pub fn stop(&self) {
        self.controls.stopped.set(true);
    }

    /// The weights of one network's first layer, unit by unit.
    pub fn filters(&self, slot: usize) -> Vec<f32> {
        let model = self.model.borrow();
        let layer = model.as_ref().and_then(|model| model.parameters().slots.get(slot)?.first());
        layer.map(|layer| layer.weight.clone()).unwrap_or_default()
    }

    /// Asks the model about a drawing of shades of grey.
    pub fn ask(&self, width: usize, height: usize, shades: Vec<u8>) -> std::result::Result<JsValue, JsValue> {
        self.answer(width, height, &shades).map(|answer| json(&answer)).map_err(|error| failure(&error))
    }

    fn answer(&self, width: usize, height: usize, shades: &[u8]) -> Result<Answer> {
        let model = self.model.borrow();
        let model = model.as_ref().ok_or_else(|| Error::Configuration("there is no model yet; train one, or load one".into()))?;
        if model.description().features.is_some() {
            return Err(Error::Configuration("this model reads features, not drawings".into()));
        }
        // The simplest format there is: a picture goes the same way as those that `predict` opens.
        let pnm = [format!("P5 {width} {height} 255\n").as_bytes(), shades].concat();
        let picture = Picture::decode(Path::new("the drawing"), &pnm)?;
        let (description, shape) = (model.description(), model.description().image);
        let pixels = Preparation::of(description).apply(&picture, shape)?;
        let images = Images { pixels: pixels.clone(), labels: vec![0], shape, features: None };
        let one = model.clone().replica(0)?;
        let answers = one.answers(&images, &cpu::backend::open)?;
        let networks = [Network::A, Network::B, Network::Ensemble].map(|network| answers.probabilities(network, 0).to_vec());
        Ok(Answer { layers: one.activations(&pixels), pixels, networks })
    }

    /// The model as a file.
    pub fn model(&self) -> std::result::Result<Vec<u8>, JsValue> {
        let model = self.model.borrow();
        let nothing = || Error::Configuration("there is no model yet; train one first".into());
        let model = model.as_ref().ok_or_else(|| failure(&nothing()))?;
        weights::to_bytes(Path::new(MODEL), model.parameters(), model.description()).map_err(|error| failure(&error))
    }

    /// Takes a model from a file.
    pub fn load(&self, name: String, bytes: Vec<u8>) -> std::result::Result<JsValue, JsValue> {
        let open = || -> Result<TrainedModel> {
            let Opened { parameters, model, .. } = weights::parse(Path::new(&name), &bytes, Undescribed::Refuse)?;
            TrainedModel::new(parameters, model)
        };
        let model = open().map_err(|error| failure(&error))?;
        let description = model.description();
        let told = json(&Held {
            network: description.architecture.summary(),
            replicas: description.replicas,
            image: description.image,
            classes: description.classes.clone(),
            dataset: description.dataset.clone(),
        });
        *self.model.borrow_mut() = Some(model);
        Ok(told)
    }

    /// Compares every kernel on this browser's GPU with its twin on the processor, and whole training steps; `listener` is called with each row.
    pub async fn verify(&self, listener: Function) -> std::result::Result<(), JsValue> {
        self.verify_now(&listener).await.map_err(|error| failure(&error))
    }

    async fn verify_now(&self, listener: &Function) -> Result<()> {
        let tell = |row: &verify::Row| drop(listener.call1(&JsValue::NULL, &json(row)));
        // With the checks each case runs once: the browser has its own in any case.
        let context = self.open_gpu(true).await?;
        for kernel in Kernel::ALL {
            let row = verify::kernel_async(&context, kernel, CASES, LARGEST_CASE).await.or_else(|error| match error {
                // What this browser cannot compile is a row like any other that failed.
                Error::Gpu { problem, .. } => {
                    let failed = verify::Row { passed: false, worst_at: problem, ..verify::Row::new(kernel.name()) };
                    Ok(failed)
                }
                other => Err(other),
            })?;
            tell(&row);
            run::sleep(0).await?;
        }
        for recipe in [Recipe::Paper, Recipe::default()] {
            let make = async |job: Job<'_>| -> Result<Box<dyn Backend>> {
                let context = context.share();
                let options = GpuOptions::for_device(&context);
                let backend: Box<dyn Backend> = Box::new(GpuBackend::new_async(job, context, options).await?);
                Ok(backend)
            };
            for mut row in verify::steps::check_async(&recipe.config(), 10, make).await? {
                row.name = format!("{} ({})", row.name, serde_json::to_string(&recipe).unwrap_or_default().replace('"', ""));
                tell(&row);
            }
        }
        Ok(())
    }

    /// The model of a run by the twin that computes in f32, or in f64: what tests hold a device's against.
    pub fn twin(&self, request: String, double: bool) -> std::result::Result<Vec<u8>, JsValue> {
        let train = || -> Result<Vec<u8>> {
            let (request, dataset) = self.asked(&request)?;
            let prepared = request.on(&dataset)?;
            let job = prepared.job();
            let mut backend: Box<dyn Backend> =
                if double { Box::new(CpuBackend::<Double>::new(job)?) } else { Box::new(CpuBackend::<Single>::new(job)?) };
            backend.set_parameters(&job.config.initial_parameters()?)?;
            let outcome = train(job, backend.as_mut(), &mut |_| Ok(ControlFlow::Continue(())))?;
            weights::to_bytes(Path::new(MODEL), &outcome.parameters, &ModelDescription::of(job))
        };
        train().map_err(|error| failure(&error))
    }
}
