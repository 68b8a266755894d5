use super::*;
use image::Luma;
use imageproc::drawing::{draw_filled_rect_mut, draw_hollow_ellipse_mut};
use imageproc::noise::gaussian_noise;
use imageproc::rect::Rect;
use proptest::prelude::*;

const PAPER: u8 = 235;
const PEN: u8 = 40;

fn page() -> GrayImage {
    GrayImage::from_pixel(600, 800, Luma([PAPER]))
}

fn fill(page: &mut GrayImage, at: (i32, i32), size: (u32, u32), shade: u8) {
    draw_filled_rect_mut(page, Rect::at(at.0, at.1).of_size(size.0, size.1), Luma([shade]));
}

/// A seven: a bar, and a stroke that goes down from its end. Its box is 120 by 200.
fn seven(page: &mut GrayImage, left: u32, top: u32, shade: u8) {
    fill(page, (left as i32, top as i32), (120, 20), shade);
    for row in 20..200 {
        let from = left + 100 - row / 3;
        (from..from + 20).for_each(|x| page.put_pixel(x, top + row, Luma([shade])));
    }
}

fn with_seven() -> GrayImage {
    let mut page = page();
    seven(&mut page, 200, 300, PEN);
    page
}

/// That nothing but the seven is found, to a pixel or two.
fn check_seven(page: &GrayImage, what: &str) {
    let found: Vec<Bounds> = digits(page).iter().map(|found| found.bounds).collect();
    let [Bounds { left, top, width, height }] = found[..] else { panic!("{what}: {found:?}") };
    let near = |one: u32, other: u32| one.abs_diff(other) <= 4;
    assert!(near(left, 200) && near(top, 300) && near(width, 120) && near(height, 200), "{what}: {found:?}");
}

fn shaded(page: &GrayImage, light: impl Fn(u32, u32) -> f32) -> GrayImage {
    GrayImage::from_fn(page.width(), page.height(), |x, y| Luma([(f32::from(page.get_pixel(x, y).0[0]) * light(x, y)) as u8]))
}

#[test]
fn a_digit_is_found_in_every_light() {
    let page = with_seven();
    check_seven(&page, "even");
    check_seven(&shaded(&page, |x, _| 1.0 - 0.65 * x as f32 / 600.0), "from the left");
    check_seven(&shaded(&page, |_, y| 0.4 + 0.6 * y as f32 / 800.0), "from below");
    check_seven(&shaded(&page, |x, y| if x + y > 700 { 0.55 } else { 1.0 }), "half in a shadow");
    check_seven(&shaded(&page, |x, _| if x > 150 { 0.55 } else { 1.0 }), "in a shadow");
    check_seven(&gaussian_noise(&page, 0.0, 8.0, 1), "noise");
    let mut pencil = self::page();
    seven(&mut pencil, 200, 300, 175);
    check_seven(&gaussian_noise(&pencil, 0.0, 5.0, 1), "pencil");
    let mut board = page.clone();
    image::imageops::invert(&mut board);
    check_seven(&board, "a blackboard");
}

#[test]
fn specks_are_no_ink() {
    let mut page = with_seven();
    for (index, size) in (2..12).enumerate() {
        fill(&mut page, (20 + 55 * index as i32, 30 + 7 * index as i32), (size, size), PEN);
        fill(&mut page, (20 + 55 * index as i32, 780 - 7 * index as i32), (size, 4), PEN);
    }
    check_seven(&page, "specks");
}

#[test]
fn lines_frames_and_edges_are_no_ink() {
    for (slope, shade) in [(0.0, 150), (0.03, 100), (-0.06, PEN)] {
        let mut page = with_seven();
        for first in (-100..900).step_by(50) {
            for x in 0..600 {
                let y = first as f32 + slope * x as f32;
                for y in [y as i32, y as i32 + 1] {
                    if (0..800).contains(&y) && page.get_pixel(x, y as u32).0[0] > shade {
                        page.put_pixel(x, y as u32, Luma([shade]));
                    }
                }
            }
        }
        check_seven(&page, &format!("ruled {slope} {shade}"));
    }
    for gap in [20, 60] {
        let mut page = with_seven();
        let (left, top, width, height) = (200 - gap, 300 - gap, 120 + 2 * gap, 200 + 2 * gap);
        fill(&mut page, (left, top), (width as u32, 5), PEN);
        fill(&mut page, (left, top + height), (width as u32, 5), PEN);
        fill(&mut page, (left, top), (5, height as u32), PEN);
        fill(&mut page, (left + width, top), (5, height as u32 + 5), PEN);
        check_seven(&page, &format!("a frame {gap} away"));
    }
    let mut page = with_seven();
    fill(&mut page, (0, 0), (30, 800), 50);
    fill(&mut page, (0, 770), (600, 30), 50);
    check_seven(&page, "a table's edge");
}

#[test]
fn large_shadows_beside_a_digit_are_no_texture() {
    // Of the fingers that hold the camera: narrow, and together far larger than the digit.
    let finger = |x: u32, y: u32, row: f32| {
        let away = ((x as f32 - 300.0) / 170.0).hypot((y as f32 - row) / 30.0);
        1.0 / (1.0 + ((away - 1.0) * 7.0).exp())
    };
    let light = |x: u32, y: u32| {
        1.0 - 0.4 * [60.0, 140.0, 220.0, 600.0, 680.0].map(|row| finger(x, y, row)).into_iter().fold(0.0, f32::max)
    };
    check_seven(&shaded(&with_seven(), light), "fingers");
    assert!(digits(&shaded(&page(), light)).is_empty(), "fingers alone");
}

#[test]
fn what_is_around_a_sheet_is_no_ink() {
    let planks = GrayImage::from_fn(800, 1000, |x, y| Luma([if (x + y / 9) % 90 < 12 { 40 } else { 110 }]));
    for (what, sheet, expected) in [("a blank sheet", page(), 0), ("a sheet", with_seven(), 1)] {
        let mut picture = planks.clone();
        image::imageops::replace(&mut picture, &sheet, 110, 90);
        let found: Vec<Bounds> = digits(&picture).iter().map(|found| found.bounds).collect();
        assert_eq!(found.len(), expected, "{what}: {found:?}");
        for Bounds { left, top, width, height } in found {
            let near = |one: u32, other: u32| one.abs_diff(other) <= 8;
            assert!(
                near(left, 310) && near(top, 390) && near(width, 120) && near(height, 200),
                "{what}: {left} {top} {width} {height}"
            );
        }
    }
}

#[test]
fn a_dark_thing_without_a_digit_is_no_sheet() {
    let mut page = with_seven();
    fill(&mut page, (350, 60), (200, 600), 40);
    assert!(on_sheet(&page).is_none(), "a phone on the paper");
    let mut slate = GrayImage::from_pixel(800, 1000, Luma([PAPER]));
    fill(&mut slate, (110, 90), (600, 800), 40);
    seven(&mut slate, 310, 390, 220);
    assert_eq!(on_sheet(&slate).map(|found| found.len()), Some(1), "a slate");
}

#[test]
fn digits_are_found_one_by_one_in_the_order_of_reading() {
    let mut page = page();
    let places = [(50, 60), (230, 20), (420, 80), (60, 420), (300, 450)];
    for (left, top) in [places[3], places[1], places[4], places[0], places[2]] {
        seven(&mut page, left, top, PEN);
    }
    // A comma, which is no digit.
    fill(&mut page, (200, 250), (12, 40), PEN);
    let found: Vec<(u32, u32)> = digits(&page).iter().map(|found| (found.bounds.left, found.bounds.top)).collect();
    assert_eq!(found.len(), places.len(), "{found:?}");
    for (found, place) in found.iter().zip(places) {
        assert!(found.0.abs_diff(place.0) <= 4 && found.1.abs_diff(place.1) <= 4, "{found:?} {place:?}");
    }
}

#[test]
fn the_one_digit_of_a_picture_is_large_or_in_the_middle() {
    let mut page = page();
    seven(&mut page, 10, 10, PEN);
    seven(&mut page, 240, 300, PEN);
    let found = main_digit(&page).unwrap().bounds;
    assert!(found.left > 200, "{found:?}");
    assert!(main_digit(&self::page()).is_none());
}

#[test]
fn what_is_no_digit_is_none() {
    let mut pictures = vec![("blank", page())];
    for deviation in [3.0, 20.0, 60.0] {
        let grey = GrayImage::from_pixel(600, 800, Luma([128]));
        pictures.push(("noise", gaussian_noise(&grey, 0.0, deviation, 7)));
    }
    pictures.push(("gradient", shaded(&page(), |x, _| 1.0 - 0.6 * x as f32 / 600.0)));
    pictures.push(("shadow", shaded(&page(), |x, y| if x + y > 700 { 0.55 } else { 1.0 })));
    let ruled = GrayImage::from_fn(600, 800, |_, y| Luma([if y % 50 < 2 { 120 } else { PAPER }]));
    pictures.push(("ruled", ruled));
    let weave = |x: u32, y: u32| (x as f32 / 3.0).sin() * (y as f32 / 3.0).sin();
    pictures.push(("cloth", GrayImage::from_fn(600, 800, |x, y| Luma([(140.0 + 40.0 * weave(x, y)) as u8]))));
    let mut blot = page();
    fill(&mut blot, (200, 300), (150, 160), PEN);
    pictures.push(("a blot", blot));
    for (what, picture) in pictures {
        let found: Vec<Bounds> = digits(&picture).iter().map(|found| found.bounds).collect();
        assert!(found.is_empty(), "{what}: {found:?}");
    }
}

#[test]
fn what_is_large_takes_no_longer() {
    let mut large = GrayImage::from_pixel(6000, 8000, Luma([PAPER]));
    draw_hollow_ellipse_mut(&mut large, (3000, 4000), 900, 1500, Luma([PEN]));
    for width in 0..120 {
        draw_hollow_ellipse_mut(&mut large, (3000, 4000), 900 + width, 1500 + width, Luma([PEN]));
    }
    let found = digits(&large);
    assert_eq!(found.len(), 1);
    assert!(found[0].bounds.height.abs_diff(3240) < 60 && found[0].ink.height() < LONGEST_SIDE, "{:?}", found[0].bounds);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any picture, of any size and shape: no panic, and boxes that lie within it.
    #[test]
    fn boxes_lie_within_the_picture(
        (width, height) in prop_oneof![
            (1u32..80, 1u32..80),
            Just((1, 1)), Just((1, 4000)), Just((4000, 1)), Just((3, 3000)), Just((5000, 2)), Just((1001, 70)),
        ],
        seed in any::<u64>(),
        levels in 1u64..256,
    ) {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 32) % levels * 255 / levels.max(2)) as u8
        };
        let picture = GrayImage::from_fn(width, height, |_, _| Luma([next()]));
        for found in digits(&picture) {
            let Bounds { left, top, width: wide, height: high } = found.bounds;
            prop_assert!(wide > 0 && high > 0 && left + wide <= width && top + high <= height);
            prop_assert!(found.ink.pixels().all(|ink| (0.0..=1.0).contains(&ink.0[0])));
        }
        main_digit(&picture);
    }
}
