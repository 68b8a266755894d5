//! A sheet of paper that is smaller than the picture: on a desk, at a wall. What is around it is no place for digits.

use super::Bounds;
use image::imageops::thumbnail;
use image::{GrayImage, Luma};
use imageproc::geometric_transformations::{Border, Interpolation, Projection, warp_into};
use imageproc::geometry::convex_hull;
use imageproc::point::Point;
use imageproc::region_labelling::{Connectivity, connected_components};

/// The longer side of the picture that is searched for sheets: their edges are long, and need no more.
const SIDE: u32 = 250;
/// In smaller pictures an edge is as wide as what it parts.
const SMALLEST_SIDE: u32 = 64;
/// Shades that are tried as the border between a sheet and what is around it.
const LEVELS: u8 = 15;
/// The least share of the picture that a sheet covers, and the most.
const COVERS: (f32, f32) = (0.1, 0.9);
/// How much of the area within its outline has the shade of paper; the rest is ink.
const LEAST_PAPER: f32 = 0.75;
/// How much of its outline four corners account for; of an ellipse's they do for 64 %.
const LEAST_SQUARE: f32 = 0.85;
/// The most of its outline that may lie at the picture's edge: of the lit part of a page, more does.
const MOST_AT_EDGE: f32 = 0.3;
/// The share of its outline where the shade changes, and by how much of the brighter one.
const SHARP: (f32, f32) = (0.75, 0.08);
/// The least share of the change of shade that lies within the first step.
const CROSSED: f32 = 0.7;
/// Pixels from an outline that a shadow's soft edge takes more of, and those behind which a printed line ends.
const STEPS: (f32, f32) = (2.0, 8.0);
/// How much of a sheet, from its middle on, is looked at: its edge is not quite where the outline says.
const INNER: f32 = 0.96;

type Corner = Point<f32>;

/// A sheet as it looks from above.
pub(super) struct Sheet {
    pub gray: GrayImage,
    /// Whether it is darker than what is around it.
    pub dark: bool,
    /// From the picture to the sheet.
    view: Projection,
}

impl Sheet {
    /// The largest one.
    pub fn find(gray: &GrayImage) -> Option<Self> {
        if gray.width().min(gray.height()) < SMALLEST_SIDE {
            return None;
        }
        let scale = (SIDE as f32 / gray.width().max(gray.height()) as f32).min(1.0);
        let side = |length: u32| ((length as f32 * scale).round() as u32).max(1);
        let small = thumbnail(gray, side(gray.width()), side(gray.height()));
        let levels = (1..=LEVELS).map(|level| level * (255 / (LEVELS + 1)));
        let outlines = levels
            .flat_map(|level| [false, true].map(|dark| outline(&small, level, dark).map(|corners| (corners, dark))))
            .flatten();
        let (corners, dark) = outlines.max_by(|(one, _), (other, _)| area(one).total_cmp(&area(other)))?;
        let middle = middle(&corners);
        let back = |value: f32, middle: f32| (middle + INNER * (value - middle)) / scale;
        let corners = corners.map(|corner| (back(corner.x, middle.x), back(corner.y, middle.y)));
        let length = |one: usize, other: usize| (corners[one].0 - corners[other].0).hypot(corners[one].1 - corners[other].1);
        let (width, height) = ((length(0, 1) + length(3, 2)) / 2.0, (length(0, 3) + length(1, 2)) / 2.0);
        let view = Projection::from_control_points(corners, [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)])?;
        let mut sheet = GrayImage::new((width as u32).max(1), (height as u32).max(1));
        warp_into(gray, view, Interpolation::Bilinear, Border::Replicate, &mut sheet);
        Some(Self { gray: sheet, dark, view })
    }

    /// The box, in a picture of this size, of one in the sheet.
    pub fn place(&self, Bounds { left, top, width, height }: Bounds, (columns, rows): (u32, u32)) -> Bounds {
        let back = self.view.invert();
        let corners = [(left, top), (left + width, top), (left, top + height), (left + width, top + height)];
        let points = corners.map(|(x, y)| back * (x as f32, y as f32));
        let range = |of: fn(&(f32, f32)) -> f32, length: u32| {
            let values = points.iter().map(of);
            let first = values.clone().fold(f32::MAX, f32::min).floor().clamp(0.0, (length - 1) as f32) as u32;
            let last = values.fold(0.0, f32::max).ceil().clamp(0.0, length as f32) as u32;
            (first, last.max(first + 1) - first)
        };
        let ((left, width), (top, height)) = (range(|point| point.0, columns), range(|point| point.1, rows));
        Bounds { left, top, width, height }
    }
}

/// The corners of the largest piece that is brighter, or darker, than `level`, if it is a sheet: from the upper left one on, clockwise.
fn outline(gray: &GrayImage, level: u8, dark: bool) -> Option<[Corner; 4]> {
    let mask = GrayImage::from_fn(gray.width(), gray.height(), |x, y| {
        Luma([if (gray.get_pixel(x, y).0[0] < level) == dark { 255 } else { 0 }])
    });
    let labels = connected_components(&mask, Connectivity::Eight, Luma([0]));
    let mut areas = vec![0u32; labels.iter().copied().max()? as usize + 1];
    labels.iter().filter(|label| **label > 0).for_each(|label| areas[*label as usize] += 1);
    let (label, &pixels) = areas.iter().enumerate().max_by_key(|(_, area)| **area)?;
    let all = (gray.width() * gray.height()) as f32;
    if (pixels as f32) < COVERS.0 * all {
        return None;
    }
    let points: Vec<Point<i32>> = labels
        .enumerate_pixels()
        .filter(|(.., pixel)| pixel.0[0] as usize == label)
        .map(|(x, y, _)| Point::new(x as i32, y as i32))
        .collect();
    let hull: Vec<Corner> = convex_hull(points).iter().map(|point| Point::new(point.x as f32, point.y as f32)).collect();
    let covered = area(&hull);
    let is_sheet = covered <= COVERS.1 * all && pixels as f32 >= LEAST_PAPER * covered && has_edges(gray, &hull);
    let corners = four_corners(&hull)?;
    (is_sheet && area(&corners) >= LEAST_SQUARE * covered).then_some(corners)
}

/// The area of a polygon.
fn area(corners: &[Corner]) -> f32 {
    let next = corners.iter().cycle().skip(1);
    corners.iter().zip(next).map(|(one, other)| one.x * other.y - other.x * one.y).sum::<f32>().abs() / 2.0
}

fn middle(corners: &[Corner]) -> Corner {
    let (least, most) =
        corners.iter().fold((Point::new(f32::MAX, f32::MAX), Point::new(0.0f32, 0.0f32)), |(least, most), corner| {
            (Point::new(least.x.min(corner.x), least.y.min(corner.y)), Point::new(most.x.max(corner.x), most.y.max(corner.y)))
        });
    Point::new((least.x + most.x) / 2.0, (least.y + most.y) / 2.0)
}

/// The two corners that are farthest apart, and the two that are farthest from the line between these.
fn four_corners(hull: &[Corner]) -> Option<[Corner; 4]> {
    let distance = |(one, other): &(Corner, Corner)| (one.x - other.x).hypot(one.y - other.y);
    let pairs = hull.iter().enumerate().flat_map(|(index, one)| hull[index + 1..].iter().map(move |other| (*one, *other)));
    let (one, other) = pairs.max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let beside = |corner: &Corner| (other.x - one.x) * (corner.y - one.y) - (other.y - one.y) * (corner.x - one.x);
    let least = hull.iter().min_by(|a, b| beside(a).total_cmp(&beside(b)))?;
    let most = hull.iter().max_by(|a, b| beside(a).total_cmp(&beside(b)))?;
    let mut corners = [one, *least, other, *most];
    let middle = middle(&corners);
    let angle = |corner: &Corner| (corner.y - middle.y).atan2(corner.x - middle.x);
    corners.sort_by(|a, b| angle(a).total_cmp(&angle(b)));
    Some(corners)
}

/// Whether most of the outline is within the picture, and parts two shades, sharply and for good.
fn has_edges(gray: &GrayImage, hull: &[Corner]) -> bool {
    let (width, height) = (gray.width() as f32, gray.height() as f32);
    let shade = |x: f32, y: f32| {
        let within = x >= 0.0 && y >= 0.0 && x < width && y < height;
        within.then(|| f32::from(gray.get_pixel(x as u32, y as u32).0[0]))
    };
    let middle = middle(hull);
    let (mut all, mut at_edge, mut sharp) = (0u32, 0u32, 0u32);
    for (one, other) in hull.iter().zip(hull.iter().cycle().skip(1)) {
        let length = (other.x - one.x).hypot(other.y - one.y);
        let mut normal = ((other.y - one.y) / length.max(1.0), (one.x - other.x) / length.max(1.0));
        if normal.0 * (one.x - middle.x) + normal.1 * (one.y - middle.y) < 0.0 {
            normal = (-normal.0, -normal.1);
        }
        for step in 0..length as u32 {
            let share = step as f32 / length;
            let (x, y) = (one.x + share * (other.x - one.x), one.y + share * (other.y - one.y));
            let at = |away: f32| shade(x + away * normal.0, y + away * normal.1);
            all += 1;
            let (Some(inside), Some(near), Some(far)) = (at(-STEPS.0), at(STEPS.0), at(STEPS.1)) else {
                at_edge += 1;
                continue;
            };
            let differs = (inside - far).abs() >= SHARP.1 * inside.max(far).max(1.0);
            // A shadow's edge is not crossed yet when a sheet's is.
            let crossed = (near - inside) * (far - inside).signum() >= CROSSED * (far - inside).abs();
            sharp += u32::from(differs && crossed);
        }
    }
    at_edge as f32 <= MOST_AT_EDGE * all as f32 && sharp as f32 >= SHARP.0 * (all - at_edge) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use imageproc::drawing::{draw_filled_ellipse_mut, draw_hollow_rect_mut, draw_polygon_mut};
    use imageproc::rect::Rect;

    fn desk(shade: u8) -> GrayImage {
        GrayImage::from_pixel(600, 800, Luma([shade]))
    }

    #[test]
    fn a_sheet_on_a_desk_is_cut_out() {
        let corners = [(120, 150), (470, 110), (520, 640), (90, 600)].map(|(x, y)| Point::new(x, y));
        for (table, paper) in [(70, 230), (220, 180), (200, 60)] {
            let mut picture = desk(table);
            draw_polygon_mut(&mut picture, &corners, Luma([paper]));
            let sheet = Sheet::find(&picture).unwrap();
            assert_eq!(sheet.dark, paper < table);
            let Bounds { left, top, width, height } =
                sheet.place(Bounds { left: 0, top: 0, width: sheet.gray.width(), height: sheet.gray.height() }, (600, 800));
            assert!(left.abs_diff(99) <= 10 && top.abs_diff(120) <= 10, "{left} {top}");
            assert!(width.abs_diff(413) <= 20 && height.abs_diff(509) <= 20, "{width} {height}");
            assert!(sheet.gray.iter().all(|shade| shade.abs_diff(paper) < 3), "something of the desk is left");
        }
    }

    #[test]
    fn what_fills_the_picture_or_has_no_corners_is_none() {
        assert!(Sheet::find(&desk(200)).is_none());
        let mut blob = desk(70);
        draw_filled_ellipse_mut(&mut blob, (300, 400), 200, 280, Luma([230]));
        assert!(Sheet::find(&blob).is_none());
        let mut frame = desk(230);
        for inset in 0..6 {
            draw_hollow_rect_mut(
                &mut frame,
                Rect::at(100 + inset, 100 + inset).of_size(400 - 2 * inset as u32, 500 - 2 * inset as u32),
                Luma([40]),
            );
        }
        assert!(Sheet::find(&frame).is_none());
        let lit = GrayImage::from_fn(600, 800, |x, y| Luma([if x + y > 700 { 120 } else { 230 }]));
        assert!(Sheet::find(&lit).is_none());
        let soft = GrayImage::from_fn(600, 800, |x, y| {
            let away = (x.abs_diff(300) as f32 / 150.0).max(y.abs_diff(400) as f32 / 200.0) - 1.0;
            Luma([(230.0 - 90.0 / (1.0 + (away * 12.0).exp())) as u8])
        });
        assert!(Sheet::find(&soft).is_none());
    }
}
