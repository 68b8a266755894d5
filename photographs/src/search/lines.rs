//! Ruled lines, grids, printed frames and cells of forms, told from handwriting: they are straight, long and thin, or close a rectangle.

use super::components::{INK, PAPER};
use image::GrayImage;
use image::imageops::{rotate90, rotate270};
use imageproc::point::Point;

/// The thickest line, as a share of the longer side.
const THICKEST: f32 = 0.012;
/// The steepest line, in rows for each column: 17°, the farthest that somebody holds a camera askew without noticing.
const STEEPEST: f32 = 0.3;
/// How long the side of a frame has to be, as a share of the shorter side.
const SHORTEST: f32 = 0.1;
/// How long a line has to be that no frame needs to be around: a share of the shorter side, and its own thickness so many times.
const LONG: (f32, f32) = (0.5, 30.0);
/// In smaller pictures a line is as thick as a stroke.
const SMALLEST_SIDE: u32 = 64;
/// More runs than this are a texture.
const MOST_RUNS: usize = 60_000;
/// Bins of the vote that are looked at.
const MOST_CANDIDATES: usize = 2000;

/// A straight line of a picture.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: Point<f32>,
    end: Point<f32>,
    thickness: f32,
}

impl Segment {
    fn length(&self) -> f32 {
        (self.end.x - self.start.x).hypot(self.end.y - self.start.y)
    }

    fn distance(&self, point: Point<f32>) -> f32 {
        let along = (self.end.x - self.start.x, self.end.y - self.start.y);
        let offset = (point.x - self.start.x, point.y - self.start.y);
        let squared = (along.0 * along.0 + along.1 * along.1).max(f32::MIN_POSITIVE);
        let share = ((offset.0 * along.0 + offset.1 * along.1) / squared).clamp(0.0, 1.0);
        (offset.0 - share * along.0).hypot(offset.1 - share * along.1)
    }

    /// The same in a picture turned back by a quarter: `height` is that of the picture that is turned back to.
    fn turned_back(&self, height: u32) -> Self {
        // Turned clockwise, row y became column height − 1 − y.
        let turn = |point: Point<f32>| Point::new(point.y, (height - 1) as f32 - point.x);
        Self { start: turn(self.start), end: turn(self.end), thickness: self.thickness }
    }
}

/// The mask without the lines on it.
pub(super) fn remove(mask: &GrayImage) -> GrayImage {
    let mut without = mask.clone();
    if mask.width().min(mask.height()) < SMALLEST_SIDE {
        return without;
    }
    let turned = rotate90(mask);
    let flat = segments(mask);
    let upright: Vec<Segment> = segments(&turned);
    let all = flat.iter().copied().chain(upright.iter().map(|segment| segment.turned_back(mask.height()))).collect::<Vec<_>>();
    let kept = printed(&all, mask);
    let (kept_flat, kept_upright) = kept.split_at(flat.len());
    erase(&mut without, flat.iter().zip(kept_flat).filter_map(|(segment, &kept)| kept.then_some(segment)));
    if kept_upright.contains(&true) {
        let mut turned = rotate90(&without);
        erase(&mut turned, upright.iter().zip(kept_upright).filter_map(|(segment, &kept)| kept.then_some(segment)));
        without = rotate270(&turned);
    }
    without
}

/// Which segments are no handwriting: the long ones, and those that end at others at both ends, until no free end is left.
fn printed(segments: &[Segment], mask: &GrayImage) -> Vec<bool> {
    let (width, height) = (mask.width() as f32, mask.height() as f32);
    let shorter = width.min(height);
    let reach = |segment: &Segment| 3.0 + 2.0 * segment.thickness;
    let at_edge = |segment: &Segment, point: Point<f32>| {
        let reach = reach(segment);
        point.x < reach || point.y < reach || point.x > width - reach || point.y > height - reach
    };
    let long = |segment: &Segment| {
        let length = segment.length();
        let through = at_edge(segment, segment.start) && at_edge(segment, segment.end);
        length > LONG.0 * shorter && (through || length > LONG.1 * segment.thickness)
    };
    let alike = |one: &Segment, other: &Segment| {
        let ratio = (one.thickness + 1.0) / (other.thickness + 1.0);
        (0.5..=2.0).contains(&ratio)
    };
    let mut kept = vec![true; segments.len()];
    loop {
        let ends_at_another = |index: usize, point: Point<f32>| {
            let segment = &segments[index];
            let meets = |other: usize| other != index && kept[other] && alike(segment, &segments[other]);
            at_edge(segment, point)
                || (0..segments.len()).any(|other| meets(other) && segments[other].distance(point) < reach(segment))
        };
        let stays = |index: usize| {
            let segment = &segments[index];
            long(segment) || ends_at_another(index, segment.start) && ends_at_another(index, segment.end)
        };
        let next: Vec<bool> = (0..segments.len()).map(|index| kept[index] && stays(index)).collect();
        if next == kept {
            return kept;
        }
        kept = next;
    }
}

/// Ink of a column without a break.
#[derive(Clone, Copy)]
struct Run {
    top: u32,
    bottom: u32,
}

impl Run {
    fn length(self) -> u32 {
        self.bottom - self.top
    }

    fn middle(self) -> f32 {
        (self.top + self.bottom - 1) as f32 / 2.0
    }

    fn is_near(self, row: f32, tolerance: f32) -> bool {
        row > self.top as f32 - tolerance - 1.0 && row < self.bottom as f32 + tolerance
    }
}

fn runs(mask: &GrayImage) -> Vec<Vec<Run>> {
    let column = |x: u32| {
        let mut runs = Vec::new();
        let mut top = None;
        for y in 0..=mask.height() {
            let inked = y < mask.height() && *mask.get_pixel(x, y) == INK;
            match (inked, top) {
                (true, None) => top = Some(y),
                (false, Some(first)) => {
                    runs.push(Run { top: first, bottom: y });
                    top = None;
                }
                _ => {}
            }
        }
        runs
    };
    (0..mask.width()).map(column).collect()
}

fn tolerance(mask: &GrayImage) -> f32 {
    1.0 + 0.0015 * mask.width() as f32
}

/// The straight lines that go more across than down. Hough's transform, of the middles of short runs: what is thick casts no vote, and
/// angles are told apart as finely as the picture's width allows.
fn segments(mask: &GrayImage) -> Vec<Segment> {
    let (width, height) = mask.dimensions();
    let thickest = ((THICKEST * width.max(height) as f32).round() as u32).max(2);
    let mut columns = runs(mask);
    let thin = |run: &Run| run.length() <= thickest;
    let points: Vec<(f32, f32)> = columns
        .iter()
        .enumerate()
        .flat_map(|(x, runs)| runs.iter().filter(|run| thin(run)).map(move |run| (x as f32 - width as f32 / 2.0, run.middle())))
        .collect();
    if points.len() > MOST_RUNS {
        return Vec::new();
    }
    let shortest = SHORTEST * width.min(height) as f32;
    let steps = (STEEPEST * width as f32).ceil() as i32;
    let slope = |step: usize| (step as i32 - steps) as f32 / width as f32;
    let margin = (STEEPEST * width as f32 / 2.0).ceil() + 1.0;
    let bins = height as usize + 2 * margin as usize + 2;
    let mut candidates: Vec<(u32, usize, usize)> = Vec::new();
    for step in 0..=2 * steps as usize {
        let mut votes = vec![0u32; bins];
        for (x, y) in &points {
            votes[(y - slope(step) * x + margin).round() as usize] += 1;
        }
        let enough = votes.into_iter().enumerate().filter(|(_, votes)| *votes as f32 > 0.5 * shortest);
        candidates.extend(enough.map(|(bin, votes)| (votes, step, bin)));
    }
    candidates.sort_unstable_by(|one, other| other.cmp(one));
    let mut found = Vec::new();
    for (_, step, bin) in candidates.into_iter().take(MOST_CANDIDATES) {
        let row = |x: usize| slope(step) * (x as f32 - width as f32 / 2.0) + bin as f32 - margin;
        found.extend(take_segments(&mut columns, thickest, shortest, tolerance(mask), &row));
    }
    found
}

/// The segments along a line, whose runs are taken away, lest they be found again.
fn take_segments(
    columns: &mut [Vec<Run>],
    thickest: u32,
    shortest: f32,
    tolerance: f32,
    row: &dyn Fn(usize) -> f32,
) -> Vec<Segment> {
    let widest_gap = (0.02 * columns.len() as f32).max(3.0) as usize;
    // What the line is at each column: a thin run of that length, 0 behind something thick, nothing.
    let at = |columns: &[Vec<Run>], x: usize| {
        let run = columns[x].iter().find(|run| run.is_near(row(x), tolerance));
        run.map(|run| if run.length() <= thickest { run.length() } else { 0 })
    };
    let mut found = Vec::new();
    let mut x = 0;
    while x < columns.len() {
        if at(columns, x).is_none_or(|length| length == 0) {
            x += 1;
            continue;
        }
        let (first, mut last, mut lengths, mut gap, mut missing) = (x, x, Vec::new(), 0, 0);
        while x < columns.len() && gap <= widest_gap {
            match at(columns, x) {
                Some(0) => {}
                Some(length) => {
                    (last, gap) = (x, 0);
                    lengths.push(length);
                }
                None => (gap, missing) = (gap + 1, missing + 1),
            }
            x += 1;
        }
        missing -= gap.min(missing);
        lengths.sort_unstable();
        let thickness = lengths[lengths.len() / 2];
        let regular = lengths.iter().filter(|&&length| length <= thickness + thickness / 2 + 1).count();
        let is_line = (last - first) as f32 >= shortest.max(8.0 * thickness as f32)
            && lengths.len() > 4 * missing
            && 3 * lengths.len() > last - first
            && 10 * regular >= 8 * lengths.len();
        if is_line {
            let point = |x: usize| Point::new(x as f32, row(x));
            found.push(Segment { start: point(first), end: point(last), thickness: thickness as f32 });
            for (x, runs) in columns.iter_mut().enumerate().take(last + 1).skip(first) {
                runs.retain(|run| run.length() > thickest || !run.is_near(row(x), tolerance));
            }
        }
    }
    found
}

/// Takes lines off a mask, but not what crosses them: where a stroke does, the ink is higher than the line is thick.
fn erase<'a>(mask: &mut GrayImage, lines: impl Iterator<Item = &'a Segment>) {
    let columns = runs(mask);
    let tolerance = tolerance(mask);
    for line in lines {
        let margin = 2.0 + line.thickness;
        let slope = (line.end.y - line.start.y) / (line.end.x - line.start.x).max(1.0);
        let first = (line.start.x - margin).max(0.0) as usize;
        let last = ((line.end.x + margin) as usize).min(columns.len() - 1);
        for (x, runs) in columns.iter().enumerate().take(last + 1).skip(first) {
            let row = line.start.y + slope * (x as f32 - line.start.x);
            for run in runs.iter().filter(|run| run.is_near(row, tolerance) && run.length() as f32 <= 1.6 * line.thickness + 2.0)
            {
                (run.top..run.bottom).for_each(|y| mask.put_pixel(x as u32, y, PAPER));
            }
        }
    }
}
