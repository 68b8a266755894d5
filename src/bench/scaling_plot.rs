//! A picture of a benchmark: throughput against what varies within each group, a panel a group.

use super::Measurement;
use crate::error::{Error, Result};
use crate::output::picture::{self, Area, COLOURS, Drawn, TITLE, short};
use crate::output::whole_file::write_whole;
use plotters::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Pixels of a panel.
const PANEL: (u32, u32) = (440, 360);

/// One panel: for each recipe and backend, the points (what varies, images a second).
struct Panel {
    group: &'static str,
    lines: BTreeMap<String, Vec<(f64, f64)>>,
}

/// Draws all groups with two points or more.
pub fn write(path: &Path, measurements: &[Measurement], device: &str) -> Result<()> {
    let panels = panels(measurements);
    if panels.is_empty() {
        return Err(Error::Configuration(
            "--plot needs a group of regimes in which something varies, such as --regimes small,replicas".into(),
        ));
    }
    let picture = draw(&panels, device).map_err(|problem| Error::Format {
        path: path.to_owned(),
        problem: format!("could not be drawn: {problem}"),
        remedy: "leave --plot out".into(),
    })?;
    write_whole(path, picture.as_bytes())
}

fn panels(measurements: &[Measurement]) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for measurement in measurements {
        let position = panels.iter().position(|panel| panel.group == measurement.group);
        let position = position.unwrap_or_else(|| {
            panels.push(Panel { group: measurement.group, lines: BTreeMap::new() });
            panels.len() - 1
        });
        let point = (measurement.variable as f64, measurement.images_per_second);
        panels[position]
            .lines
            .entry(format!("{} on {}", measurement.recipe.name(), measurement.contestant))
            .or_default()
            .push(point);
    }
    // One replica is the replicas' first point.
    let single = panels.iter().position(|panel| panel.group == "small").map(|position| panels.remove(position));
    if let (Some(single), Some(replicas)) = (single, panels.iter_mut().find(|panel| panel.group == "replicas")) {
        for (name, points) in single.lines {
            replicas.lines.entry(name).or_default().splice(0..0, points);
        }
    }
    panels.retain(|panel| panel.lines.values().any(|points| points.len() > 1));
    panels
}

fn draw(panels: &[Panel], device: &str) -> std::result::Result<String, String> {
    let columns = panels.len().min(3);
    let rows = panels.len().div_ceil(columns);
    picture::draw((PANEL.0 * columns as u32, TITLE + PANEL.1 * rows as u32), device, |area| {
        panels.iter().zip(area.split_evenly((rows, columns))).try_for_each(|(panel, area)| draw_panel(panel, &area))
    })
}

fn draw_panel(panel: &Panel, area: &Area) -> Drawn {
    // The values that vary stand side by side, each with its own label; throughput spans whole powers of ten.
    let mut values: Vec<f64> = panel.lines.values().flatten().map(|point| point.0).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let place = |value: f64| values.iter().position(|&other| other == value).unwrap_or(0) as f64;
    let speeds = || panel.lines.values().flatten().map(|point| point.1.max(f64::MIN_POSITIVE).log10());
    let (low, high) = (speeds().fold(f64::MAX, f64::min).floor(), speeds().fold(f64::MIN, f64::max).ceil());
    let mut chart = ChartBuilder::on(area)
        .caption(format!("images/s by {}", panel.group), ("sans-serif", 15))
        .margin(10)
        .x_label_area_size(34)
        .y_label_area_size(52)
        .build_cartesian_2d(-0.3..values.len() as f64 - 0.7, (10f64.powf(low)..10f64.powf(high.max(low + 1.0))).log_scale())?;
    let label = |index: &f64| {
        let whole = (index - index.round()).abs() < 1e-6 && *index > -0.1;
        let value = values.get(index.round() as usize).filter(|_| whole);
        value.map_or_else(String::new, |&value| short(value))
    };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(values.len() + 1)
        .x_desc(panel.group)
        .x_label_formatter(&label)
        .y_label_formatter(&|value| short(*value))
        .draw()?;
    for ((name, points), &colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
        chart
            .draw_series(
                LineSeries::new(points.iter().map(|&(value, speed)| (place(value), speed)), colour.stroke_width(2)).point_size(3),
            )?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperRight).background_style(WHITE.mix(0.8)).draw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::regimes::BenchRecipe;

    fn measurement(group: &'static str, variable: usize, images_per_second: f64) -> Measurement {
        Measurement {
            recipe: BenchRecipe::Paper,
            regime: format!("{group}-{variable}"),
            group,
            variable,
            contestant: "cpu".into(),
            milliseconds_per_step: 1.0,
            deviation: 0.0,
            repeats: 1,
            steps_per_repeat: 1,
            images_per_second,
            gigaflops: 1.0,
            dispatches_per_step: None,
            bytes_per_step: 1.0,
            memory_mib: 1.0,
        }
    }

    #[test]
    fn replicas_begin_at_one_and_lone_points_have_no_panel() {
        let measured = [
            measurement("small", 1, 1e5),
            measurement("replicas", 8, 2e5),
            measurement("wide", 1, 3.0),
            measurement("replicas", 32, 3e5),
        ];
        let panels = panels(&measured);
        assert_eq!(panels.len(), 1);
        assert_eq!(panels[0].lines["paper on cpu"], [(1.0, 1e5), (8.0, 2e5), (32.0, 3e5)]);
        let picture = draw(&panels, "a device").unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("replicas") && picture.contains("a device"));
    }
}
