use super::*;
use crate::model::Architecture;
use image::{Rgb, RgbImage};

const FRAME: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };

/// A picture of an L, `height` tall and 3/5 as wide, at a position, in two colours.
fn letter(size: (u32, u32), position: (u32, u32), height: u32, colours: [[u8; 3]; 2]) -> Picture {
    let (width, pen) = (height * 3 / 5, height / 5);
    let pixels = RgbImage::from_fn(size.0, size.1, |x, y| {
        let (x, y) = (x.wrapping_sub(position.0), y.wrapping_sub(position.1));
        let inked = x < width && y < height && (x < pen || y >= height - pen);
        Rgb(colours[usize::from(inked)])
    });
    Picture { name: "it".into(), image: pixels.into(), plain: None }
}

fn box_of(image: &[u8]) -> [usize; 4] {
    let inked = |at: fn(usize) -> usize| (0..784).filter(|&index| image[index] > 127).map(at).collect::<Vec<_>>();
    let (columns, rows) = (inked(|index| index % 28), inked(|index| index / 28));
    let ends = |of: &[usize]| (*of.iter().min().unwrap(), *of.iter().max().unwrap());
    let ((left, right), (top, bottom)) = (ends(&columns), ends(&rows));
    [left, top, right - left + 1, bottom - top + 1]
}

fn digit_of(picture: &Picture) -> Vec<u8> {
    Preparation::Digit.apply(picture, FRAME).unwrap()
}

#[test]
fn the_box_is_twenty_high_and_its_mass_in_the_middle() {
    let image = digit_of(&letter((300, 400), (20, 250), 100, [[0; 3], [255; 3]]));
    let [_, _, width, height] = box_of(&image);
    assert_eq!((width, height), (12, 20));
    assert_eq!((image.iter().max(), image[0]), (Some(&255), 0));
    let mass: f64 = image.iter().map(|&value| f64::from(value)).sum();
    let centre = |at: fn(usize) -> usize| {
        image.iter().enumerate().map(|(index, &value)| f64::from(value) * at(index) as f64).sum::<f64>() / mass
    };
    let (x, y) = (centre(|index| index % 28), centre(|index| index / 28));
    assert!((x - 14.0).abs() <= 0.5 && (y - 14.0).abs() <= 0.5, "{x} {y}");
}

#[test]
fn where_how_large_and_in_which_colours_makes_no_difference() {
    let reference = digit_of(&letter((300, 400), (20, 250), 100, [[0; 3], [255; 3]]));
    let (paper, pencil, red, blue) = ([230, 225, 210], [90, 90, 100], [250, 60, 50], [10, 20, 90]);
    for (size, position, height, colours) in [
        ((300, 400), (200, 10), 100, [[0; 3], [255; 3]]),
        ((300, 400), (20, 250), 100, [[255; 3], [0; 3]]),
        ((300, 400), (0, 0), 100, [paper, pencil]),
        ((300, 400), (240, 300), 100, [blue, red]),
        ((300, 400), (100, 100), 100, [red, blue]),
        // Mid-grey paper is light beside a black pen, and dark beside a white one.
        ((300, 400), (100, 100), 100, [[150; 3], [0; 3]]),
        ((300, 400), (100, 100), 100, [[100; 3], [255; 3]]),
        ((900, 300), (500, 20), 200, [[255; 3], [0; 3]]),
    ] {
        let image = digit_of(&letter(size, position, height, colours));
        let worst = image.iter().zip(&reference).map(|(one, other)| one.abs_diff(*other)).max();
        assert!(worst <= Some(2), "{size:?} {position:?} {height} {colours:?}: {worst:?}");
    }
}

#[test]
fn a_small_digit_is_enlarged() {
    let image = digit_of(&letter((40, 40), (25, 3), 10, [[255; 3], [0; 3]]));
    let [_, _, width, height] = box_of(&image);
    assert!((11..=13).contains(&width) && (19..=20).contains(&height), "{width}×{height}");
}

#[test]
fn one_shade_shows_nothing_and_odd_shapes_do_no_harm() {
    for picture in [letter((50, 50), (10, 10), 20, [[80; 3]; 2]), letter((1, 1), (0, 0), 20, [[0; 3], [255; 3]])] {
        let error = Preparation::Digit.apply(&picture, FRAME).unwrap_err().to_string();
        assert!(error.starts_with("it shows nothing"), "{error}");
        let image = Preparation::Resize.apply(&picture, FRAME).unwrap();
        assert!(image.iter().all(|&value| value == image[0]));
    }
    for size in [(3000, 1), (1, 3000), (2, 1)] {
        let line = Picture {
            name: "it".into(),
            image: RgbImage::from_fn(size.0, size.1, |x, y| Rgb([[0, 255][usize::from(x + y == 1)]; 3])).into(),
            plain: None,
        };
        for shape in [FRAME, ImageShape::gray(1, 784), ImageShape::gray(784, 1), ImageShape::gray(1, 1)] {
            assert_eq!(Preparation::Digit.apply(&line, shape).unwrap().len(), shape.pixels());
        }
    }
}

#[test]
fn a_blank_sheet_on_a_desk_is_no_digit() {
    let sheet =
        RgbImage::from_fn(500, 600, |x, y| Rgb([if (60..430).contains(&x) && (50..540).contains(&y) { 230 } else { 60 }; 3]));
    let picture = Picture { name: "it".into(), image: sheet.into(), plain: None };
    assert!(Preparation::Digit.find(&picture, FRAME).unwrap().is_empty());
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
