use super::*;
use crate::model::Architecture;
use image::{Rgb, RgbImage};

const FRAME: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };

#[test]
fn one_shade_is_resized_but_shows_no_digit() {
    let picture = Picture { name: "it".into(), image: RgbImage::from_pixel(50, 50, Rgb([80; 3])).into(), plain: None };
    let errors = [Preparation::Digit.apply(&picture, FRAME).map(|_| ()), Preparation::Digit.find(&picture, FRAME).map(|_| ())];
    for error in errors.map(|error| error.unwrap_err().to_string()) {
        assert!(error.starts_with("it shows nothing"), "{error}");
    }
    let image = Preparation::Resize.apply(&picture, FRAME).unwrap();
    assert!(image.iter().all(|&value| value == image[0]));
}

#[test]
fn resizing_keeps_colours_and_nothing_else_changes() {
    let pixels = RgbImage::from_fn(4, 2, |x, _| if x < 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
    let picture = Picture { name: "it".into(), image: pixels.into(), plain: None };
    let shape = ImageShape { channels: 3, height: 1, width: 2 };
    let image = Preparation::Resize.apply(&picture, shape).unwrap();
    assert!(image[0] > 200 && image[1] < 50 && image[2..4] == [0, 0] && image[4] < 50 && image[5] > 200, "{image:?}");
    // What already fits stays as it is.
    let image = Preparation::Resize.apply(&picture, ImageShape::gray(2, 4)).unwrap();
    assert_eq!((image.len(), image[0], image[3]), (8, 54, 18));
    assert!(Preparation::Resize.apply(&picture, ImageShape { channels: 2, height: 1, width: 1 }).is_err());
}

#[test]
fn the_data_set_decides() {
    let model = |dataset: &str, image: ImageShape| ModelDescription {
        architecture: Architecture::dense(&[image.pixels(), 10]),
        replicas: 1,
        normalize: false,
        mean: 0.0,
        deviation: 1.0,
        features: None,
        image,
        classes: crate::dataset::numbered(10),
        dataset: dataset.into(),
        origin: Origin::Known,
        held_out: None,
        input: None,
    };
    for name in ["digits", "mnist", "kmnist", "emnist-balanced", "unknown"] {
        assert_eq!(Preparation::of(&model(name, FRAME)), Preparation::Digit, "{name}");
    }
    for name in ["fashion-mnist", "cifar10", "photos"] {
        assert_eq!(Preparation::of(&model(name, FRAME)), Preparation::Resize, "{name}");
    }
    // A folder's name says nothing about its images.
    for name in ["digits", "mnist", "emnist-x", "unknown"] {
        let of_folder = ModelDescription { origin: Origin::Folder { test_fraction: None }, ..model(name, FRAME) };
        assert_eq!(Preparation::of(&of_folder), Preparation::Resize, "{name}");
    }
    assert_eq!(Preparation::of(&model("unknown", ImageShape::gray(8, 8))), Preparation::Resize);
    assert_eq!(Preparation::of(&model("mnist", ImageShape { channels: 3, ..FRAME })), Preparation::Resize);
}
