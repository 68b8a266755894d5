//! Arrays of NumPy as the engine's data.

use ffcl_gpu::dataset::{FeatureRows, Features, ImageShape, Images};
use numpy::{PyArray2, PyArrayMethods, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use std::sync::Arc;

/// Rows of an array that stays where it is.
struct ArrayRows(Py<PyArray2<f32>>);

impl FeatureRows for ArrayRows {
    fn read(&self, rows: &[u32], target: &mut [f32]) {
        Python::attach(|py| {
            let array = self.0.bind(py);
            let width = array.shape().get(1).copied().unwrap_or(0).max(1);
            let Ok(array) = array.try_readonly() else {
                // Somebody writes to it: what cannot be read must not pass for a number.
                return target.fill(f32::NAN);
            };
            let all = array.as_array();
            for (target, &row) in target.chunks_exact_mut(width).zip(rows) {
                match all.row(row as usize).as_slice() {
                    Some(numbers) => target.copy_from_slice(numbers),
                    None => target.iter_mut().zip(all.row(row as usize)).for_each(|(target, number)| *target = *number),
                }
            }
        });
    }
}

/// The rows of `x`, an array `[n, numbers]` of uint8 or float32, and their labels. Bytes are images of `shape` and are copied; float32 are
/// features, and are read where they are.
pub fn images(x: &Bound<'_, PyAny>, labels: Vec<u8>, shape: [usize; 3]) -> PyResult<Images> {
    let [channels, height, width] = shape;
    let shape = ImageShape { channels, height, width };
    let fits = |size: &[usize]| {
        if size.len() == 2 && size[0] == labels.len() && Some(size[1]) == shape.checked_pixels() && size[0] > 0 {
            Ok(())
        } else {
            Err(PyValueError::new_err(format!("x has the shape {size:?}, and {} labels of {shape} belong to it", labels.len())))
        }
    };
    if let Ok(array) = x.cast::<PyArray2<u8>>() {
        fits(array.shape())?;
        let pixels = array.readonly().as_array().iter().copied().collect();
        return Ok(Images { pixels, labels, shape, features: None });
    }
    let array =
        x.cast::<PyArray2<f32>>().map_err(|_| PyTypeError::new_err("x must be an array [n, numbers] of uint8 or float32"))?;
    fits(array.shape())?;
    if u32::try_from(labels.len()).is_err() {
        return Err(PyValueError::new_err("x has more than 2³² rows"));
    }
    let features = Features::new(Arc::new(ArrayRows(array.clone().unbind())), labels.len(), shape.pixels());
    Ok(Images { pixels: Vec::new(), labels, shape, features: Some(features) })
}

/// The rows of `images` with these numbers.
pub fn select(images: &Images, rows: &PyReadonlyArray1<'_, u32>) -> PyResult<Images> {
    let rows: Vec<usize> = rows.as_array().iter().map(|&row| row as usize).collect();
    if rows.is_empty() || rows.iter().any(|&row| row >= images.count()) {
        return Err(PyValueError::new_err(format!("rows must be numbers of the {} rows of x, one or more", images.count())));
    }
    Ok(Images {
        pixels: if images.has_features() {
            Vec::new()
        } else {
            rows.iter().flat_map(|&row| images.image(row)).copied().collect()
        },
        labels: rows.iter().map(|&row| images.labels[row]).collect(),
        shape: images.shape,
        features: images.features.as_ref().map(|features| features.select(rows.iter().copied())),
    })
}
