//! Pictures of a study: accuracy over the epochs, and against what varies. Each has a panel for single networks and one for pairs.

use super::request::joined;
use super::results::SeedResult;
use super::statistics::mean_and_deviation;
use super::summary::{ENSEMBLE, Group, Measure, Row, SINGLE, Summary};
use crate::output::axis::{Axis, round_values};
use crate::output::picture::{self, Area, COLOURS, Drawn, TITLE};
use crate::text;
use plotters::prelude::*;

/// Pixels of a panel.
const PANEL: (u32, u32) = (470, 380);
const TEXT: (&str, u32) = ("sans-serif", 14);
const CAPTIONS: [&str; 2] = ["single networks, mean of A and B", "pairs: A and B together"];

/// A file that shows something.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The file's name.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The file's content.
    pub svg: String,
}

/// What a picture shows.
struct Chart {
    name: String,
    title: String,
    x_label: &'static str,
    y_label: &'static str,
    /// Values that the horizontal axis names.
    ticks: Vec<f64>,
    /// Whether equal factors, not equal differences, are equally far apart.
    logarithmic: bool,
    /// The variants' names; a line's place among them is its looks.
    names: Vec<String>,
    /// Single networks and pairs: a line for each variant that has one.
    panels: [Vec<Line>; 2],
}

/// One variant's line.
struct Line {
    variant: usize,
    points: Vec<Point>,
}

/// What varies, and the accuracy there in per cent: mean and deviation over the seeds.
#[derive(Clone, Copy)]
struct Point {
    x: f64,
    mean: f64,
    deviation: f64,
}

/// All pictures of a study; an error is the drawing library's words.
pub fn all(summary: &Summary) -> std::result::Result<Vec<Picture>, String> {
    let mut charts = Vec::new();
    for dataset in summary.datasets() {
        let groups: Vec<_> = summary.groups_of(dataset).collect();
        charts.extend(sweeps(summary, &groups));
        charts.extend(groups.iter().map(|group| curves(summary, group)));
    }
    let draw = |chart: Chart| Ok(Picture { svg: draw(&chart)?, name: chart.name, title: chart.title });
    charts.into_iter().map(draw).collect()
}

/// Accuracy over the epochs in one group.
fn curves(summary: &Summary, group: &Group) -> Chart {
    type Curve = fn(&SeedResult) -> &[f64];
    let measures: [Curve; 2] = [|result| &result.curve.test_accuracy_single, |result| &result.curve.test_accuracy_ensemble];
    let line = |row: &Row, curve: Curve| -> Vec<Point> {
        let epochs = row.results.iter().map(|result| curve(result).len()).min().unwrap_or(0);
        let point = |epoch| point((epoch + 1) as f64, mean_and_deviation(row.results.iter().map(|result| curve(result)[epoch])));
        (0..epochs).map(point).collect()
    };
    let names = summary.variants();
    let lines = |measure: Curve| {
        let of = |(variant, name): (usize, &&str)| Some(Line { variant, points: line(group.row(name)?, measure) });
        names.iter().enumerate().filter_map(of).collect::<Vec<_>>()
    };
    let panels = measures.map(lines);
    let longest = panels.iter().flatten().map(|line| line.points.len()).max().unwrap_or(0);
    let Group { dataset, layers, train_images, .. } = group;
    Chart {
        name: file_name(&format!("epochs {dataset} {} {train_images}", joined(layers))),
        title: format!("{} ({dataset}, {}, {train_images} training images)", summary.manifest.title, joined(layers)),
        x_label: "epoch",
        y_label: y_label(summary),
        ticks: round_values(longest),
        logarithmic: false,
        names: names.iter().map(ToString::to_string).collect(),
        panels,
    }
}

fn y_label(summary: &Summary) -> &'static str {
    if summary.manifest.hold_out.is_some() { "accuracy on held-out images, %" } else { "test accuracy, %" }
}

/// Accuracy against training images, depth and width, wherever two groups differ by nothing else.
fn sweeps(summary: &Summary, groups: &[&Group]) -> Vec<Chart> {
    /// A group's place on an axis, and what it must share with its neighbours there.
    struct Sweep {
        name: &'static str,
        x_label: &'static str,
        logarithmic: bool,
        place: fn(&Group) -> Option<(usize, String)>,
    }
    let axes = [
        Sweep {
            name: "train-images",
            x_label: "training images (logarithmic)",
            logarithmic: true,
            place: |group| Some((group.train_images, joined(group.layers))),
        },
        Sweep {
            name: "depth",
            x_label: "hidden layers",
            logarithmic: false,
            place: |group| {
                let (depth, width) = uniform(group.layers)?;
                Some((depth, format!("{width} wide, {} training images", group.train_images)))
            },
        },
        Sweep {
            name: "width",
            x_label: "width of hidden layers (logarithmic)",
            logarithmic: true,
            place: |group| {
                let (depth, width) = uniform(group.layers)?;
                Some((width, format!("{depth} hidden layers, {} training images", group.train_images)))
            },
        },
    ];
    let names = summary.variants();
    let mut charts = Vec::new();
    for axis in axes {
        let mut families: Vec<(String, Vec<(usize, &Group)>)> = Vec::new();
        for group in groups {
            if let Some((value, rest)) = (axis.place)(group) {
                match families.iter_mut().find(|family| family.0 == rest) {
                    Some(family) => family.1.push((value, group)),
                    None => families.push((rest, vec![(value, group)])),
                }
            }
        }
        for (rest, mut members) in families.into_iter().filter(|family| family.1.len() > 1) {
            members.sort_by_key(|member| member.0);
            let lines = |measure: Measure| {
                let of = |(variant, name): (usize, &&str)| {
                    let at = |(x, group): &(usize, &Group)| Some(point(*x as f64, group.row(name)?.of(measure)));
                    let points: Vec<_> = members.iter().filter_map(at).collect();
                    (!points.is_empty()).then_some(Line { variant, points })
                };
                names.iter().enumerate().filter_map(of).collect()
            };
            let dataset = &members[0].1.dataset;
            charts.push(Chart {
                name: file_name(&format!("{} {dataset} {rest}", axis.name)),
                title: format!("{} ({dataset}, {rest})", summary.manifest.title),
                x_label: axis.x_label,
                y_label: y_label(summary),
                ticks: members.iter().map(|member| member.0 as f64).collect(),
                logarithmic: axis.logarithmic,
                names: names.iter().map(ToString::to_string).collect(),
                panels: [SINGLE, ENSEMBLE].map(lines),
            });
        }
    }
    charts
}

/// The name of a chart's file.
fn file_name(words: &str) -> String {
    format!("{}.svg", text::file_name(words))
}

/// Number and width of hidden layers, if all have one width.
fn uniform(layers: &[usize]) -> Option<(usize, usize)> {
    let hidden = layers.get(1..layers.len() - 1)?;
    let width = *hidden.first()?;
    hidden.iter().all(|&other| other == width).then_some((hidden.len(), width))
}

fn point(x: f64, (mean, deviation): (f64, f64)) -> Point {
    Point { x, mean: 100.0 * mean, deviation: 100.0 * deviation }
}

fn draw(chart: &Chart) -> std::result::Result<String, String> {
    let longest = chart.names.iter().map(|name| name.chars().count()).max().unwrap_or(0) as u32;
    let legend = 70 + 8 * longest.min(40);
    let size = (2 * PANEL.0 + legend, TITLE + PANEL.1.max(40 + 22 * chart.names.len() as u32));
    // A letter of the title is about 8 pixels wide.
    let title: String = chart.title.chars().take(size.0 as usize / 8).collect();
    picture::draw(size, &title, |area| {
        let (panels, right) = area.split_horizontally(size.0 - legend);
        for ((area, lines), caption) in panels.split_evenly((1, 2)).iter().zip(&chart.panels).zip(CAPTIONS) {
            draw_panel(area, chart, lines, caption)?;
        }
        draw_legend(&right, chart)
    })
}

fn draw_panel(area: &Area, chart: &Chart, lines: &[Line], caption: &str) -> Drawn {
    let place = |x: f64| if chart.logarithmic { x.log10() } else { x };
    let ticks = chart.ticks.iter().copied().map(place).collect();
    let xs = || lines.iter().flat_map(|line| &line.points).map(|point| place(point.x));
    let (left, right) = (xs().fold(f64::MAX, f64::min), xs().fold(f64::MIN, f64::max));
    let margin = if right > left { 0.03 * (right - left) } else { 0.5 };
    // Both panels have one scale, so that they can be compared.
    let points = || chart.panels.iter().flatten().flat_map(|line| &line.points);
    let low = points().map(|point| point.mean - point.deviation).fold(100.0, f64::min);
    let high = points().map(|point| point.mean + point.deviation).fold(0.0, f64::max);
    let space = (0.06 * (high - low)).max(0.1);
    let (low, high) = ((low - space).max(0.0), (high + space).min(100.0));
    let decimals = if high - low < 5.0 { 1 } else { 0 };
    let mut axes = ChartBuilder::on(area)
        .caption(caption, TEXT)
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d(Axis { range: left - margin..right + margin, ticks }, low..high)?;
    axes.configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .axis_desc_style(TEXT)
        .label_style(("sans-serif", 12))
        .x_desc(chart.x_label)
        .y_desc(chart.y_label)
        .x_label_formatter(&|x| format!("{}", if chart.logarithmic { 10f64.powf(*x) } else { *x }.round()))
        .y_label_formatter(&|y| format!("{y:.decimals$}"))
        .draw()?;
    // Many bands over each other must leave the lines to be seen.
    let opacity = if lines.len() > 4 { 0.08 } else { 0.15 };
    for line in lines {
        let edge = |sign: f64| line.points.iter().map(move |point| (place(point.x), point.mean + sign * point.deviation));
        if line.points.len() > 1 && line.points.iter().any(|point| point.deviation > 0.0) {
            let outline: Vec<_> = edge(1.0).chain(edge(-1.0).rev()).map(|(x, y)| (x, y.clamp(low, high))).collect();
            axes.draw_series([Polygon::new(outline, colour(line.variant).mix(opacity).filled())])?;
        }
    }
    for line in lines {
        let style = colour(line.variant).stroke_width(2);
        let points: Vec<_> = line.points.iter().map(|point| (place(point.x), point.mean)).collect();
        if is_dashed(line.variant) {
            axes.draw_series(DashedLineSeries::new(points.iter().copied(), 7, 4, style))?;
        } else {
            axes.draw_series(LineSeries::new(points.iter().copied(), style))?;
        }
        // Single values are seen as such where there are few.
        if points.len() <= 12 {
            axes.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour(line.variant).filled())))?;
        }
    }
    Ok(())
}

fn draw_legend(area: &Area, chart: &Chart) -> Drawn {
    let mut row = 0;
    for (variant, name) in chart.names.iter().enumerate() {
        if chart.panels.iter().flatten().any(|line| line.variant == variant) {
            let y = 48 + 22 * row;
            let pieces: &[(i32, i32)] = if is_dashed(variant) { &[(6, 13), (17, 24), (28, 32)] } else { &[(6, 32)] };
            for &(from, to) in pieces {
                area.draw(&PathElement::new([(from, y), (to, y)], colour(variant).stroke_width(3)))?;
            }
            let short: String = name.chars().take(40).collect();
            area.draw(&Text::new(short, (40, y - 7), TEXT))?;
            row += 1;
        }
    }
    if chart.panels.iter().flatten().flat_map(|line| &line.points).any(|point| point.deviation > 0.0) {
        area.draw(&Text::new("band: ± 1 std", (6, 52 + 22 * row), ("sans-serif", 12).into_font().color(&BLACK.mix(0.6))))?;
    }
    Ok(())
}

fn colour(variant: usize) -> RGBColor {
    COLOURS[variant % COLOURS.len()]
}

/// The second time that a colour is used.
fn is_dashed(variant: usize) -> bool {
    variant / COLOURS.len() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_short() {
        assert_eq!(file_name("depth mnist 64 wide, 10 training images"), "depth-mnist-64-wide-10-training-images.svg");
        let [one, other] = ["64", "65"].map(|last| file_name(&format!("epochs mnist {}{last} 10", "64-".repeat(250))));
        assert!(one.len() < 130 && one != other);
        let [one, other] = ["/data/größe", "/data/gr/e"].map(|data| file_name(&format!("epochs {data} 64 10")));
        assert!(one.starts_with("epochs-data-größe-64-10-") && one != other && !other.contains('/'), "{one} {other}");
    }

    #[test]
    fn only_networks_of_one_width_have_one() {
        assert_eq!(uniform(&[784, 64, 64, 10]), Some((2, 64)));
        assert_eq!(uniform(&[784, 64, 32, 10]), None);
        assert_eq!(uniform(&[784, 10]), None);
    }
}
