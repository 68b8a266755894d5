//! Connected ink, and what can be measured of it.

use super::illumination::Page;
use super::{Bounds, Ink};
use image::{GrayImage, ImageBuffer, Luma};
use imageproc::distance_transform::{Norm, distance_transform};
use imageproc::region_labelling::{Connectivity, connected_components};

/// What a mask holds for ink.
pub(super) const INK: Luma<u8> = Luma([255]);
pub(super) const PAPER: Luma<u8> = Luma([0]);

/// Ink that is connected.
#[derive(Clone, Debug)]
pub(super) struct Component {
    pub bounds: Bounds,
    /// Pixels.
    pub area: u32,
    /// Pixels with paper, or the picture's edge, at one of their four sides.
    pub outline: u32,
    /// Pixels at the picture's edge.
    pub at_edge: u32,
    /// The widest stroke.
    pub thickness: u32,
    /// The ink that most of it has.
    pub contrast: f32,
}

/// The components of a mask, and the number of each pixel's: 0 for paper, else one more than the place in the list.
pub(super) struct Labelled {
    pub labels: ImageBuffer<Luma<u32>, Vec<u32>>,
    pub list: Vec<Component>,
}

impl Labelled {
    pub fn of(mask: &GrayImage, page: &Page) -> Self {
        let labels = connected_components(mask, Connectivity::Eight, PAPER);
        let inverted = GrayImage::from_fn(mask.width(), mask.height(), |x, y| Luma([255 - mask.get_pixel(x, y).0[0]]));
        let depth = distance_transform(&inverted, Norm::LInf);
        let none = Component {
            bounds: Bounds { left: u32::MAX, top: u32::MAX, width: 0, height: 0 },
            area: 0,
            outline: 0,
            at_edge: 0,
            thickness: 0,
            contrast: 0.0,
        };
        let count = labels.iter().copied().max().unwrap_or(0) as usize;
        let mut list = vec![none; count];
        for (component, shades) in list.iter_mut().zip(shades(&labels, &page.ink).into_iter().skip(1)) {
            component.contrast = quantile(shades, 0.8);
        }
        let (last_column, last_row) = (mask.width() - 1, mask.height() - 1);
        for (x, y, label) in labels.enumerate_pixels() {
            let Some(component) = (label.0[0] as usize).checked_sub(1).and_then(|index| list.get_mut(index)) else { continue };
            let pixel = Bounds { left: x, top: y, width: 1, height: 1 };
            component.bounds = if component.area == 0 { pixel } else { component.bounds.with(&pixel) };
            component.area += 1;
            let edge = x == 0 || y == 0 || x == last_column || y == last_row;
            component.at_edge += u32::from(edge);
            let open = |x: u32, y: u32| *mask.get_pixel(x, y) == PAPER;
            component.outline += u32::from(edge || open(x - 1, y) || open(x + 1, y) || open(x, y - 1) || open(x, y + 1));
            // The depth counts from paper; across a stroke it goes up and down again.
            component.thickness = component.thickness.max(2 * u32::from(depth.get_pixel(x, y).0[0]) - 1);
        }
        Self { labels, list }
    }
}

/// Where there is ink: above half of what the darkest strokes of the same connected piece have, so that strokes keep their width,
/// whatever pen drew them, and faint marks that touch them stay away.
pub(super) fn ink_mask(page: &Page) -> GrayImage {
    let (width, height) = page.ink.dimensions();
    let any = mask(&page.ink, |_, _, ink| ink > page.least);
    let labels = connected_components(&any, Connectivity::Eight, PAPER);
    let contrasts: Vec<f32> = shades(&labels, &page.ink).into_iter().map(|shades| quantile(shades, 0.99)).collect();
    GrayImage::from_fn(width, height, |x, y| {
        let label = labels.get_pixel(x, y).0[0];
        let inked = label > 0 && page.ink.get_pixel(x, y).0[0] > 0.5 * contrasts[label as usize];
        if inked { INK } else { PAPER }
    })
}

/// The ink of each label's pixels; of paper, label 0, none.
fn shades(labels: &ImageBuffer<Luma<u32>, Vec<u32>>, ink: &Ink) -> Vec<Vec<f32>> {
    let count = labels.iter().copied().max().unwrap_or(0) as usize;
    let mut shades = vec![Vec::new(); count + 1];
    for (label, ink) in labels.iter().zip(ink.iter()).filter(|(label, _)| **label > 0) {
        shades[*label as usize].push(*ink);
    }
    shades
}

/// The pixels of which something holds.
fn mask(ink: &Ink, holds: impl Fn(u32, u32, f32) -> bool) -> GrayImage {
    GrayImage::from_fn(ink.width(), ink.height(), |x, y| if holds(x, y, ink.get_pixel(x, y).0[0]) { INK } else { PAPER })
}

/// A value that a share of all are below; 0 of none.
pub(super) fn quantile(mut values: Vec<f32>, share: f32) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let index = (share * (values.len() - 1) as f32).round() as usize;
    *values.select_nth_unstable_by(index, f32::total_cmp).1
}
