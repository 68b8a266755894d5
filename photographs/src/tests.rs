use super::*;
use image::{DynamicImage, Rgb, RgbImage};

const FRAME: Frame = Frame { height: 28, width: 28 };

/// A picture of an L, `height` tall and 3/5 as wide, at a position, in two colours.
fn letter(size: (u32, u32), position: (u32, u32), height: u32, colours: [[u8; 3]; 2]) -> GrayImage {
    let (width, pen) = (height * 3 / 5, height / 5);
    let pixels = RgbImage::from_fn(size.0, size.1, |x, y| {
        let (x, y) = (x.wrapping_sub(position.0), y.wrapping_sub(position.1));
        let inked = x < width && y < height && (x < pen || y >= height - pen);
        Rgb(colours[usize::from(inked)])
    });
    DynamicImage::from(pixels).to_luma8()
}

fn box_of(image: &[u8]) -> [usize; 4] {
    let inked = |at: fn(usize) -> usize| (0..784).filter(|&index| image[index] > 127).map(at).collect::<Vec<_>>();
    let (columns, rows) = (inked(|index| index % 28), inked(|index| index / 28));
    let ends = |of: &[usize]| (*of.iter().min().unwrap(), *of.iter().max().unwrap());
    let ((left, right), (top, bottom)) = (ends(&columns), ends(&rows));
    [left, top, right - left + 1, bottom - top + 1]
}

fn digit_of(picture: &GrayImage) -> Vec<u8> {
    main_digit(picture, FRAME).unwrap()
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
        assert_eq!((main_digit(&picture, FRAME), digits(&picture, FRAME)), (None, None));
    }
    for (width, height) in [(3000, 1), (1, 3000), (2, 1)] {
        let line = GrayImage::from_fn(width, height, |x, y| Luma([[0, 255][usize::from(x + y == 1)]]));
        for (height, width) in [(28, 28), (1, 784), (784, 1), (1, 1)] {
            assert_eq!(main_digit(&line, Frame { height, width }).unwrap().len(), height * width);
        }
    }
}

#[test]
#[cfg(feature = "search")]
fn a_blank_sheet_on_a_desk_is_no_digit() {
    let is_sheet = |x, y| (60..430).contains(&x) && (50..540).contains(&y);
    let desk = GrayImage::from_fn(500, 600, |x, y| Luma([if is_sheet(x, y) { 230 } else { 60 }]));
    assert_eq!(digits(&desk, FRAME), Some(Vec::new()));
}

#[test]
#[cfg(not(feature = "search"))]
fn without_a_search_all_ink_is_one_digit() {
    let page = letter((300, 400), (20, 250), 100, [[255; 3], [0; 3]]);
    let found = digits(&page, FRAME).unwrap();
    assert_eq!((found.len(), &found[0].pixels), (1, &digit_of(&page)));
    assert_eq!(found[0].bounds, Bounds { left: 20, top: 250, width: 60, height: 100 });
}
