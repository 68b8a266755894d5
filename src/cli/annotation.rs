//! A picture with what was found in it drawn on it.

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::output::picture::COLOURS;
use ffcl_gpu::output::whole_file::write_whole_or;
use ffcl_gpu::trained::picture::Picture;
use ffcl_gpu::trained::preparation::Bounds;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use std::path::Path;

#[derive(Template)]
#[template(path = "annotation.svg")]
struct Drawing {
    width: u32,
    height: u32,
    png: String,
    /// Width of the boxes' lines: seen on a screen that shows the whole picture.
    line: u32,
    letters: u32,
    labels: Vec<Label>,
}

struct Label {
    bounds: Bounds,
    answer: String,
    colour: String,
    /// Of the answer: above the box, or below where there is no room.
    baseline: u32,
}

/// Writes an SVG of the picture with boxes and what each is taken for.
pub fn write(picture: &Picture, boxes: &[(Bounds, String)], path: &Path) -> Result<()> {
    let failed = |problem: String| Error::Format {
        path: path.to_owned(),
        problem: format!("cannot be drawn: {problem}"),
        remedy: "remove --annotate".into(),
    };
    let image = picture.to_rgb();
    let (width, height) = image.dimensions();
    let mut png = Vec::new();
    let encoded = PngEncoder::new(&mut png).write_image(image.as_raw(), width, height, ExtendedColorType::Rgb8);
    encoded.map_err(|error| failed(error.to_string()))?;
    let line = (width.max(height) / 300).max(1);
    let letters = (width.min(height) / 16).clamp(10, 200);
    let label = |(index, (bounds, answer)): (usize, &(Bounds, String))| {
        let colour = COLOURS[index % COLOURS.len()];
        let below = bounds.top + bounds.height + letters + line;
        let baseline = if bounds.top >= letters + line { bounds.top - line } else { below };
        Label {
            bounds: *bounds,
            answer: answer.clone(),
            colour: format!("rgb({},{},{})", colour.0, colour.1, colour.2),
            baseline,
        }
    };
    let labels = boxes.iter().enumerate().map(label).collect();
    let drawing = Drawing { width, height, png: BASE64_STANDARD.encode(png), line, letters, labels };
    let text = drawing.render().map_err(|error| failed(error.to_string()))?;
    write_whole_or(path, text.as_bytes(), "free some space, or give --annotate a file in a folder that can be written")
}
