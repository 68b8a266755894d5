//! A picture of the drift of a device's weights in an epoch, beside what rounding predicts.

use super::drift::Point;
use crate::error::{Error, Result};
use crate::output::axis::{Axis, round_logarithms};
use crate::output::picture::{self, Area, COLOURS, Drawn, TITLE, short};
use crate::output::whole_file::write_whole;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (640, 420);

/// A line's name, and its height at a point.
type Line = (&'static str, fn(&Point) -> f64);

/// Draws the points; `title` says on what they were measured.
pub fn write(path: &Path, points: &[Point], title: &str) -> Result<()> {
    let picture = picture::draw((SIZE.0, TITLE + SIZE.1), title, |area| draw(points, area));
    let picture = picture.map_err(|problem| Error::Format {
        path: path.to_owned(),
        problem: format!("could not be drawn: {problem}"),
        remedy: "leave --drift out".into(),
    })?;
    write_whole(path, picture.as_bytes())
}

fn draw(points: &[Point], area: &Area) -> Drawn {
    // Relative to how far the weights moved; a device that agrees to the last bit has no logarithm.
    let share = |point: &Point, value: f64| (value > 0.0 && point.movement > 0.0).then(|| (value / point.movement).log10());
    let lines: [Line; 3] = [
        ("what rounding allows", |point| point.bound),
        ("this device", |point| point.device),
        ("rounding alone (the farthest f32 twin)", |point| point.single),
    ];
    let values: Vec<f64> =
        points.iter().flat_map(|point| lines.iter().filter_map(|(_, value)| share(point, value(point)))).collect();
    let (low, high) = values.iter().fold((0.0f64, -1.0f64), |(low, high), &value| (low.min(value), high.max(value)));
    let (across, up) = (-0.1..points.last().map_or(1.0, |point| (point.step as f64).log10() + 0.1), low - 0.2..high + 0.2);
    let [across, up] = [across, up].map(|range| Axis { ticks: round_logarithms(&range), range });
    let mut chart =
        ChartBuilder::on(area).margin(10).x_label_area_size(40).y_label_area_size(70).build_cartesian_2d(across, up)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("steps")
        .y_desc("distance from the f64 twin, of the way it went")
        .x_label_formatter(&|value| short(10f64.powf(*value)))
        .y_label_formatter(&|value| format!("1e{}", value.round()))
        .draw()?;
    for ((name, value), &colour) in lines.iter().zip(&COLOURS) {
        let places = points.iter().filter_map(|point| Some(((point.step as f64).log10(), share(point, value(point))?)));
        chart
            .draw_series(LineSeries::new(places, colour.stroke_width(2)).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).draw()
}
