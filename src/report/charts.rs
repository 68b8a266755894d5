//! Draws charts as SVG: with the colours of a page, for light and dark, or on white.

use super::curves::Chart;
use crate::output::axis::{Axis, round_logarithms, round_steps, round_values};
use crate::output::picture::{COLOURS, short};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::ops::Range;

/// Pixels of a chart.
const SIZE: (u32, u32) = (560, 330);
/// Colours that stand for those of the page, which is light or dark: text, lines of the grid, and from [`FIRST`] on the series.
const TEXT: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const FIRST: u8 = 3;

type Drawn<E> = Result<(), DrawingAreaErrorKind<E>>;

/// Where colours come from.
#[derive(Clone, Copy)]
struct Palette {
    text: RGBColor,
    grid: RGBColor,
    series: fn(usize) -> RGBColor,
}

/// A chart as SVG without a ground, to stand in a page that defines `--text`, `--grid` and `--series-0` …
pub fn svg(chart: &Chart) -> Result<String, String> {
    let mut text = String::new();
    let palette = Palette { text: TEXT, grid: GRID, series: |index| RGBColor(FIRST + (index % COLOURS.len()) as u8, 0, 0) };
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(chart, &root, palette).and_then(|()| root.present()).map_err(|error| error.to_string())?;
    }
    let mut themed = text
        .replacen(&format!("width=\"{}\" height=\"{}\"", SIZE.0, SIZE.1), "role=\"img\"", 1)
        .replace("#010101", "var(--text)")
        .replace("#020202", "var(--grid)");
    for index in 0..COLOURS.len() {
        themed = themed.replace(&format!("#{:02X}0000", usize::from(FIRST) + index), &format!("var(--series-{index})"));
    }
    Ok(themed)
}

/// All charts in one picture on white.
pub fn picture(charts: &[Chart]) -> Result<String, String> {
    let columns = charts.len().clamp(1, 2) as u32;
    let rows = (charts.len() as u32).div_ceil(columns).max(1);
    let palette =
        Palette { text: RGBColor(40, 40, 40), grid: RGBColor(220, 220, 220), series: |index| COLOURS[index % COLOURS.len()] };
    let mut text = String::new();
    let mut drawn = || -> Drawn<_> {
        let root = SVGBackend::with_string(&mut text, (SIZE.0 * columns, SIZE.1 * rows)).into_drawing_area();
        root.fill(&WHITE)?;
        for (chart, area) in charts.iter().zip(root.split_evenly((rows as usize, columns as usize))) {
            draw(chart, &area, palette)?;
        }
        root.present()
    };
    drawn().map_err(|error| error.to_string())?;
    Ok(text)
}

/// A chart's vertical axis: its values, as logarithms where the chart wants that, with some air.
fn vertical(chart: &Chart) -> Range<f64> {
    let place = |value: f64| if chart.logarithmic { value.log10() } else { value };
    let values = chart.series.iter().flat_map(|series| &series.points).flat_map(|point| &point[2..]);
    let shown = values.map(|&value| place(value)).filter(|value| value.is_finite());
    let (low, high) = shown.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
    let air = 0.06 * (high - low).max(1e-3);
    let [bottom, top] = chart.bounds.map(|bound| bound.map(place));
    let low = bottom.unwrap_or(low - air);
    low..top.unwrap_or(high + air).max(low + 1e-3)
}

/// Where at the right the legend hides less.
fn emptiest_place(chart: &Chart, range: &Range<f64>, place: impl Fn(f64) -> f64) -> SeriesLabelPosition {
    let share = |value: f64| (place(value) - range.start) / (range.end - range.start);
    let last = chart.series.iter().flat_map(|series| &series.points).map(|point| point[0]).fold(0.0, f64::max);
    let at_the_right = || chart.series.iter().flat_map(|series| &series.points).filter(|point| point[0] >= 0.6 * last);
    let within = |from: f64, to: f64| at_the_right().filter(|point| share(point[3]) >= from && share(point[2]) <= to).count();
    let places = [
        (within(0.64, 1.0), SeriesLabelPosition::UpperRight),
        (within(0.0, 0.36), SeriesLabelPosition::LowerRight),
        (within(0.32, 0.68), SeriesLabelPosition::MiddleRight),
    ];
    // Of equals the first.
    places.into_iter().min_by_key(|place| place.0).map_or(SeriesLabelPosition::UpperRight, |place| place.1)
}

fn draw<'a, B: DrawingBackend + 'a>(chart: &Chart, area: &DrawingArea<B, Shift>, palette: Palette) -> Drawn<B::ErrorType> {
    let range = vertical(chart);
    let place = |value: f64| {
        let value = if chart.logarithmic { value.log10() } else { value };
        // A loss of 0 has no logarithm: it lies below all others.
        value.clamp(range.start, range.end)
    };
    let epochs = || chart.series.iter().flat_map(|series| &series.points).map(|point| point[0]);
    let (first, last) = (epochs().fold(f64::MAX, f64::min).min(1.0), epochs().fold(f64::MIN, f64::max));
    let label = ("sans-serif", 14).into_font().color(&palette.text);
    let horizontal = Axis { range: first..last.max(first + 1.0), ticks: round_values(last as usize) };
    let ticks = if chart.logarithmic { round_logarithms(&range) } else { round_steps(&range) };
    let mut context = ChartBuilder::on(area)
        .caption(chart.title, ("sans-serif", 19).into_font().color(&palette.text))
        .margin(8)
        .margin_right(16)
        .x_label_area_size(36)
        .y_label_area_size(62)
        .build_cartesian_2d(horizontal, Axis { range: range.clone(), ticks })?;
    context
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(palette.grid.stroke_width(1))
        .axis_style(palette.grid.stroke_width(1))
        .x_desc("epoch")
        .y_desc(chart.unit)
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .y_label_formatter(&|&value| number(if chart.logarithmic { 10f64.powf(value) } else { value }))
        .label_style(label.clone())
        .axis_desc_style(label.clone())
        .draw()?;
    for (index, series) in chart.series.iter().enumerate() {
        let colour = (palette.series)(index);
        let finite = || series.points.iter().filter(|point| point.iter().all(|number| number.is_finite()));
        if finite().any(|point| point[2] < point[3]) {
            let upper = finite().map(|point| (point[0], place(point[3])));
            let lower = finite().rev().map(|point| (point[0], place(point[2])));
            context.draw_series(std::iter::once(Polygon::new(upper.chain(lower).collect::<Vec<_>>(), colour.mix(0.18))))?;
        }
        let line: Vec<(f64, f64)> = finite().map(|point| (point[0], place(point[1]))).collect();
        // A lone point is no line.
        let size = if line.len() < 2 { 3 } else { 0 };
        context
            .draw_series(LineSeries::new(line, colour.stroke_width(2)).point_size(size))?
            .label(&series.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2)));
    }
    context
        .configure_series_labels()
        .position(emptiest_place(chart, &range, place))
        .label_font(label)
        .legend_area_size(18)
        .margin(4)
        .draw()
}

/// A number beside an axis.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e4 {
        short(value)
    } else if size >= 1.0 || size == 0.0 {
        format!("{}", (value * 100.0).round() / 100.0)
    } else if size >= 1e-3 {
        format!("{}", (value * 1e4).round() / 1e4)
    } else {
        format!("{value:.0e}")
    }
}
