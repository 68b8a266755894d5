//! Which ink is a digit, and which is part of the same one.

use super::components::{Component, INK, Labelled, PAPER, quantile};
use super::illumination::Page;
use super::{Bounds, Doubt, Found, Ink};
use image::{GrayImage, Luma};
use imageproc::distance_transform::Norm;
use imageproc::morphology::dilate;

/// The least height of a digit in pixels, and as a share of the picture's shorter side: less is a speck.
const LEAST_SIZE: (u32, f32) = (6, 0.03);
/// A digit among larger ones is at least so high, as a share of the largest: a comma is less.
const LEAST_OF_LARGEST: f32 = 0.45;
/// No stroke is wider than this share of a digit's longer side: a blot is.
const WIDEST_STROKE: f32 = 0.5;
/// How much of an outline may lie at the picture's edge: of a strip, such as that of a table, half does.
const MOST_AT_EDGE: f32 = 0.42;
/// Wider than high by more than this is no single digit.
const WIDE: f32 = 1.5;
/// Wider than this is none at all.
const WIDEST: f32 = 4.0;

/// How much of a stroke's ink its outline has to lose within a quarter of the stroke's width, for three quarters of the outline: strokes
/// have edges, and what shadows and stains leave behind has slopes.
const LEAST_SHARP: f32 = 0.45;
/// The same of what is hardly darker than the unevenness around it.
const LEAST_SHARP_FAINT: f32 = 0.75;
/// How much fainter than the darkest digit another one may be: the same pen leaves about the same ink, shadows and folds leave less.
const LEAST_OF_DARKEST: f32 = 0.6;

/// What may be a digit.
struct Candidate {
    contrast: f32,
    at_edge: bool,
    found: Found,
}

/// Components that make up one digit.
struct Group {
    bounds: Bounds,
    members: Vec<usize>,
}

/// The digits of a page: `without` is its ink without lines, `all` with them.
pub(super) fn digits(page: &Page, without: &GrayImage, all: &GrayImage) -> Vec<Found> {
    let labelled = Labelled::of(without, page);
    let shorter = without.width().min(without.height());
    let mut mains: Vec<usize> = (0..labelled.list.len())
        .filter(|&index| may_be_digit(&labelled.list[index], shorter) && is_drawn(page, &labelled, index))
        .collect();
    // What touches the edge counts beside what does not only if it is no larger.
    let inner = mains.iter().filter(|&&index| labelled.list[index].at_edge == 0);
    let largest_inner = inner.map(|&index| labelled.list[index].bounds.longer()).max();
    if let Some(largest) = largest_inner {
        mains.retain(|&index| {
            let component = &labelled.list[index];
            component.at_edge == 0 || component.bounds.longer() as f32 <= 1.3 * largest as f32
        });
    }
    let mut groups: Vec<Group> =
        mains.iter().map(|&index| Group { bounds: labelled.list[index].bounds, members: vec![index] }).collect();
    merge(&mut groups, &labelled.list);
    attach(&mut groups, &labelled.list);
    let candidates: Vec<Candidate> = groups.iter().filter_map(|group| digit(page, &labelled, group, all)).collect();
    if is_texture(&labelled.list, &groups) {
        return Vec::new();
    }
    let mut found = consistent(candidates);
    sort(&mut found);
    found
}

/// Who wrote one digit wrote the others with the same pen, about as large, and none of them half outside of the picture.
fn consistent(mut candidates: Vec<Candidate>) -> Vec<Found> {
    let inner = || candidates.iter().filter(|candidate| !candidate.at_edge);
    let contrast = inner().map(|candidate| candidate.contrast).fold(0.0, f32::max);
    let heights: Vec<u32> = inner().map(|candidate| candidate.found.bounds.height).collect();
    let (low, high) =
        (heights.iter().min().map_or(0, |least| least * 3 / 4), heights.iter().max().map_or(u32::MAX, |most| most * 4 / 3));
    candidates.retain(|candidate| {
        let alike = candidate.contrast > 0.7 * contrast && (low..=high).contains(&candidate.found.bounds.height);
        if candidate.at_edge { alike } else { candidate.contrast > LEAST_OF_DARKEST * contrast }
    });
    let largest = candidates.iter().map(|candidate| candidate.found.bounds.longer()).max().unwrap_or(0) as f32;
    candidates.retain(|candidate| candidate.found.bounds.longer() as f32 >= LEAST_OF_LARGEST * largest);
    candidates.into_iter().map(|candidate| candidate.found).collect()
}

fn may_be_digit(component: &Component, shorter: u32) -> bool {
    let Bounds { width, height, .. } = component.bounds;
    let (wide, high, longer) = (width as f32, height as f32, component.bounds.longer() as f32);
    let size = longer >= (LEAST_SIZE.1 * shorter as f32).max(LEAST_SIZE.0 as f32);
    let strokes = component.thickness as f32 <= WIDEST_STROKE * longer;
    let inside = component.at_edge as f32 <= MOST_AT_EDGE * component.outline as f32;
    // A box that is full is a blot or a rule, unless it is a one.
    let open = component.area as f32 <= 0.8 * wide * high || high >= 2.0 * wide;
    size && strokes && inside && open && wide <= WIDEST * high
}

/// Whether a component has enough of a group's ink to be drawn with the same pen.
fn alike(list: &[Component], group: &Group, index: usize) -> bool {
    let (one, other) = (list[group.members[0]].contrast, list[index].contrast);
    one.min(other) >= 0.5 * one.max(other)
}

/// Pieces of one digit whose stroke is broken in the middle.
fn merge(groups: &mut Vec<Group>, list: &[Component]) {
    let belong = |one: &Group, other: &Group| {
        let (a, b) = (&one.bounds, &other.bounds);
        let narrower = a.width.min(b.width).max(1) as f32;
        let above = a.shared_columns(b) as f32 >= 0.5 * narrower;
        let thickness = one.members.iter().chain(&other.members).map(|&index| list[index].thickness).max().unwrap_or(0);
        let smaller = (a.width * a.height).min(b.width * b.height).max(1) as f32;
        let inside = (a.shared_columns(b) * a.shared_rows(b)) as f32 >= 0.6 * smaller;
        // The bar of a five stands beside its body rather than above it.
        let (low, high) = (a.height.min(b.height), a.height.max(b.height));
        let bar = low as f32 <= 0.5 * high as f32;
        // Two halves, as high together as a digit is; two rows of text are higher.
        let both = a.with(b);
        let halves = above && 5 * a.gap(b) <= both.height && 2 * both.width >= both.height;
        alike(list, one, other.members[0]) && (inside || halves || (above || bar) && a.gap(b) <= thickness)
    };
    let mut index = 0;
    while index < groups.len() {
        match (index + 1..groups.len()).find(|&other| belong(&groups[index], &groups[other])) {
            Some(other) => {
                let taken = groups.remove(other);
                groups[index].bounds = groups[index].bounds.with(&taken.bounds);
                groups[index].members.extend(taken.members);
                index = 0;
            }
            None => index += 1,
        }
    }
}

/// Small pieces go to the digit that they are near and above or below; crumbs are thinner than strokes.
fn attach(groups: &mut [Group], list: &[Component]) {
    let owned: Vec<usize> = groups.iter().flat_map(|group| group.members.clone()).collect();
    for (index, piece) in list.iter().enumerate().filter(|(index, piece)| !owned.contains(index) && piece.at_edge == 0) {
        let fits = |group: &Group| {
            let thickness = group.members.iter().map(|&member| list[member].thickness).max().unwrap_or(0);
            let gap = group.bounds.gap(&piece.bounds);
            let columns = piece.bounds.shared_columns(&group.bounds) as f32;
            let near = gap as f32 <= 0.2 * group.bounds.height as f32 && columns >= 0.5 * piece.bounds.width as f32
                || gap <= thickness && piece.bounds.longer() < group.bounds.height / 2;
            let solid = piece.thickness as f32 >= 0.4 * thickness as f32
                && piece.bounds.longer() as f32 >= 0.1 * group.bounds.longer() as f32;
            (near && solid && alike(list, group, index)).then_some(gap)
        };
        let nearest = groups.iter_mut().filter_map(|group| fits(group).map(|gap| (gap, group))).min_by_key(|(gap, _)| *gap);
        if let Some((_, group)) = nearest {
            group.bounds = group.bounds.with(&piece.bounds);
            group.members.push(index);
        }
    }
}

/// Whether what is left over is as much as what was found, and about as dark: the pieces of a texture are alike. A shadow, or a fold of
/// the paper, may be large, but is fainter than what was written.
fn is_texture(list: &[Component], groups: &[Group]) -> bool {
    let members: Vec<&Component> = groups.iter().flat_map(|group| &group.members).map(|&index| &list[index]).collect();
    let darkest = members.iter().map(|component| component.contrast).fold(0.0, f32::max);
    let found: u64 = members.iter().map(|component| u64::from(component.area)).sum();
    let rivals = list.iter().filter(|component| component.at_edge == 0 && component.contrast > LEAST_OF_DARKEST * darkest);
    rivals.map(|component| u64::from(component.area)).sum::<u64>() > 2 * found
}

/// The group's ink, cut out.
fn digit(page: &Page, labelled: &Labelled, group: &Group, all: &GrayImage) -> Option<Candidate> {
    let Bounds { left, top, width, height } = group.bounds;
    let members = |x: u32, y: u32| group.members.contains(&((labelled.labels.get_pixel(x, y).0[0] as usize).wrapping_sub(1)));
    let own = GrayImage::from_fn(width, height, |x, y| if members(left + x, top + y) { INK } else { PAPER });
    let values = own.enumerate_pixels().filter(|(.., pixel)| **pixel == INK);
    let full = quantile(values.map(|(x, y, _)| page.ink.get_pixel(left + x, top + y).0[0]).collect(), 0.98);
    let contrast = labelled.list[*group.members.first()?].contrast;
    let thickness = group.members.iter().map(|&index| labelled.list[index].thickness).max().unwrap_or(1);
    // The soft edge of a stroke is its own, that of a line beside it is not.
    let soft = dilate(&own, Norm::LInf, (thickness / 2).clamp(2, 40) as u8);
    let ink = Ink::from_fn(width, height, |x, y| {
        let is_own = *own.get_pixel(x, y) == INK;
        let near = *soft.get_pixel(x, y) == INK && *all.get_pixel(left + x, top + y) == PAPER;
        let value = page.ink.get_pixel(left + x, top + y).0[0];
        Luma([if is_own || near { (value / full.max(f32::MIN_POSITIVE)).min(1.0) } else { 0.0 }])
    });
    let outline: u32 = group.members.iter().map(|&index| labelled.list[index].outline).sum();
    let at_edge: u32 = group.members.iter().map(|&index| labelled.list[index].at_edge).sum();
    let mut doubts = Vec::new();
    if width as f32 > WIDE * height as f32 {
        doubts.push(Doubt::Wide);
    }
    if at_edge * 20 > outline {
        doubts.push(Doubt::AtEdge);
    }
    if is_faint(page, contrast) {
        doubts.push(Doubt::Faint);
    }
    Some(Candidate { contrast, at_edge: at_edge > 0, found: Found { bounds: group.bounds, ink, doubts } })
}

/// Whether this is a sliver that was left over where the paper ends: narrow, and with other paper to its one side than to its other.
fn is_edge_of_paper(page: &Page, bounds: &Bounds) -> bool {
    let Bounds { left, top, width, height } = *bounds;
    let (narrower, longer) = (width.min(height), bounds.longer());
    if longer < 4 * narrower {
        return false;
    }
    let shade = |x: u32, y: u32| page.paper.get_pixel(x.min(page.paper.width() - 1), y.min(page.paper.height() - 1)).0[0];
    let (beyond_x, beyond_y) = (left + width + narrower, top + height + narrower);
    let (before_x, before_y) = (left.saturating_sub(narrower), top.saturating_sub(narrower));
    let sides = (0..longer).map(|at| {
        if height > width {
            (shade(before_x, top + at), shade(beyond_x, top + at))
        } else {
            (shade(left + at, before_y), shade(left + at, beyond_y))
        }
    });
    let differ = sides.filter(|&(one, other)| 10 * u32::from(one.min(other)) < 7 * u32::from(one.max(other))).count();
    2 * differ as u32 > longer
}

/// Whether this was drawn, with a pen that has an edge.
fn is_drawn(page: &Page, labelled: &Labelled, index: usize) -> bool {
    let component = &labelled.list[index];
    let least = if is_faint(page, component.contrast) { LEAST_SHARP_FAINT } else { LEAST_SHARP };
    !is_edge_of_paper(page, &component.bounds) && sharpness(page, labelled, index) >= least * component.contrast
}

fn is_faint(page: &Page, contrast: f32) -> bool {
    contrast < 2.0 * page.least
}

/// How much the ink changes across the outline, where it does so least.
fn sharpness(page: &Page, labelled: &Labelled, index: usize) -> f32 {
    let Component { bounds, thickness, .. } = labelled.list[index];
    let reach = (thickness / 4).clamp(2, 10);
    let (width, height) = page.ink.dimensions();
    let own = |x: u32, y: u32| labelled.labels.get_pixel_checked(x, y).is_some_and(|label| label.0[0] as usize == index + 1);
    let outline =
        (bounds.top..bounds.bottom()).flat_map(|y| (bounds.left..bounds.right()).map(move |x| (x, y))).filter(|&(x, y)| {
            own(x, y) && !(own(x.wrapping_sub(1), y) && own(x + 1, y) && own(x, y.wrapping_sub(1)) && own(x, y + 1))
        });
    let range = |(x, y): (u32, u32)| {
        let window = |at: u32, length: u32| at.saturating_sub(reach)..(at + reach + 1).min(length);
        let values = window(y, height).flat_map(|y| window(x, width).map(move |x| (x, y)));
        let (low, high) = values.fold((f32::MAX, 0.0f32), |(low, high), (x, y)| {
            let value = page.ink.get_pixel(x, y).0[0];
            (low.min(value), high.max(value))
        });
        high - low
    };
    quantile(outline.map(range).collect(), 0.25)
}

/// Rows from the top, digits of a row from the left. Digits are in one row if they share a third of the lower one's height.
fn sort(found: &mut Vec<Found>) {
    found.sort_by_key(|digit| digit.bounds.top);
    let mut rows: Vec<Vec<Found>> = Vec::new();
    for digit in found.drain(..) {
        let beside = |other: &Found| {
            let (one, other) = (&digit.bounds, &other.bounds);
            3 * one.shared_rows(other) >= one.height.min(other.height)
        };
        match rows.iter_mut().find(|row| row.iter().any(beside)) {
            Some(row) => row.push(digit),
            None => rows.push(vec![digit]),
        }
    }
    for row in &mut rows {
        row.sort_by_key(|digit| digit.bounds.left);
    }
    found.extend(rows.into_iter().flatten());
}
