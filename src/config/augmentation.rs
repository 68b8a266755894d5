//! Random changes of training images.

use serde::{Deserialize, Serialize};

/// Random changes of each training image, new in each epoch. A moved image is sampled bilinearly and filled with zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augmentation {
    /// Largest shift, in whole pixels along each axis.
    pub shift: u32,
    /// Largest rotation, in degrees either way.
    pub rotation: f64,
    /// Largest change of size, as a fraction either way.
    pub scale: f64,
    /// Largest displacement of single places, in pixels along each axis, smooth across the image. (Not written where it is off.)
    #[serde(skip_serializing_if = "is_off")]
    pub elastic: f64,
    /// Mirror half of the images, left to right. (Not written where it is off: files from before there were flips stay the same.)
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub flip: bool,
    /// A and B see the same change; else each its own.
    pub shared: bool,
}

impl Augmentation {
    /// Whether images change at all.
    pub fn is_active(&self) -> bool {
        self.flip || self.shift > 0 || self.rotation > 0.0 || self.scale > 0.0 || self.elastic > 0.0
    }
}

fn is_off(number: &f64) -> bool {
    *number == 0.0
}
