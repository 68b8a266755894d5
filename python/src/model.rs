//! A trained model.

use super::data::images;
use super::device::open;
use super::errors::{check_process, exception, guarded};
use ffcl_gpu::gpu::adapter::DeviceRequest;
use ffcl_gpu::model::{LayerParameters, Network, Parameters};
use ffcl_gpu::output::description::ModelDescription;
use ffcl_gpu::output::onnx;
use ffcl_gpu::output::weights::{self, Opened, Undescribed};
use ffcl_gpu::trained::TrainedModel;
use numpy::{PyArray1, PyArray2, PyArrayDyn, PyArrayMethods, PyReadonlyArray1, PyReadonlyArrayDyn};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::{Path, PathBuf};

/// Weight, in a dense layer `[outputs, inputs]`, and bias `[outputs]` of each layer of each slot.
pub type Weights<'py> = Vec<Vec<(Bound<'py, PyArrayDyn<f32>>, Bound<'py, PyArray1<f32>>)>>;

/// The same as it comes in.
pub type GivenWeights<'py> = Vec<Vec<(PyReadonlyArrayDyn<'py, f32>, PyReadonlyArray1<'py, f32>)>>;

/// All weights as arrays.
pub fn weights_of<'py>(py: Python<'py>, slots: &[Vec<LayerParameters>]) -> PyResult<Weights<'py>> {
    let layer = |layer: &LayerParameters| {
        let weight = PyArray1::from_slice(py, &layer.weight).reshape(layer.shape.clone())?;
        Ok((weight, PyArray1::from_slice(py, &layer.bias)))
    };
    slots.iter().map(|slot| slot.iter().map(layer).collect()).collect()
}

/// `parameters` with other weights of the network, which must have the same shapes.
pub fn with_weights(mut parameters: Parameters, given: &GivenWeights<'_>) -> PyResult<Parameters> {
    let wrong =
        || PyValueError::new_err("the weights have other shapes than the network's; give them as Trainer.weights has them");
    if given.len() != parameters.slots.len() {
        return Err(wrong());
    }
    for (slot, given) in parameters.slots.iter_mut().zip(given) {
        if slot.len() != given.len() {
            return Err(wrong());
        }
        for (layer, (weight, bias)) in slot.iter_mut().zip(given) {
            let (weight, bias) = (weight.as_array(), bias.as_array());
            if weight.shape() != layer.shape || bias.len() != layer.bias.len() {
                return Err(wrong());
            }
            layer.weight = weight.iter().copied().collect();
            layer.bias = bias.iter().copied().collect();
        }
    }
    Ok(parameters)
}

/// A trained model: the bytes of a safetensors file that ffcl-gpu wrote.
#[pyclass(module = "ffcl_gpu._ffcl", frozen)]
pub struct Model {
    model: TrainedModel,
}

impl Model {
    pub fn of(parameters: Parameters, description: ModelDescription) -> PyResult<Self> {
        let model = TrainedModel::new(parameters, description).map_err(|error| exception(&error))?;
        Ok(Self { model })
    }
}

#[pymethods]
impl Model {
    #[new]
    fn new(file: &[u8]) -> PyResult<Self> {
        let opened = guarded(|| weights::parse(Path::new("the model"), file, Undescribed::Refuse))?;
        let Opened { parameters, model, .. } = opened;
        Self::of(parameters, model)
    }

    /// The bytes of its file.
    fn file<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = guarded(|| weights::to_bytes(Path::new("the model"), self.model.parameters(), self.model.description()))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn __getnewargs__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>,)> {
        Ok((self.file(py)?,))
    }

    /// All that its answers depend on beside the weights, as JSON.
    fn description(&self) -> PyResult<String> {
        serde_json::to_string(self.model.description()).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// Weight [outputs, inputs] and bias [outputs] of each layer of each network, A and B of each replica in turn.
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Weights<'py>> {
        weights_of(py, &self.model.parameters().slots)
    }

    /// The probabilities [n, classes] of all networks together.
    fn probabilities<'py>(&self, py: Python<'py>, x: &Bound<'py, PyAny>, device: &str) -> PyResult<Bound<'py, PyArray2<f32>>> {
        check_process()?;
        let description = self.model.description();
        let (shape, classes) = (description.image, description.classes.len());
        let count = x.len()?;
        let images = images(x, vec![0; count], [shape.channels, shape.height, shape.width])?;
        let request: DeviceRequest = device.parse().unwrap_or(DeviceRequest::Auto);
        let all = py.detach(|| {
            guarded(|| {
                let answers = self.model.answers(&images, &|job| open(&request, job))?;
                let all: Vec<f32> =
                    (0..count).flat_map(|row| answers.probabilities(Network::Ensemble, row).iter().copied()).collect();
                Ok(all)
            })
        })?;
        PyArray1::from_vec(py, all).reshape([count, classes])
    }

    /// Writes an ONNX file of all networks together.
    fn to_onnx(&self, path: PathBuf) -> PyResult<()> {
        guarded(|| onnx::save(&path, self.model.parameters(), self.model.description(), Network::Ensemble))
    }
}
