//! A picture with what was found in it drawn on it.

use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::output::picture::{COLOURS, prepare_font};
use ffcl_gpu::output::whole_file::write_whole_or;
use ffcl_gpu::trained::picture::Picture;
use ffcl_gpu::trained::preparation::Bounds;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use plotters::prelude::*;
use std::path::Path;

/// Fails where `path`, given as `option`, cannot become a picture, before the work is done.
pub fn check_path(path: &Path, option: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_png = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if is_png && !path.is_dir() && folder.is_dir() {
        return Ok(());
    }
    let message =
        format!("{option} {} cannot be written; give a file that ends in .png, in a folder that exists", path.display());
    Err(Error::Configuration(message))
}

/// Writes a PNG of the picture with boxes and what each is taken for.
pub fn write(picture: &Picture, boxes: &[(Bounds, String)], path: &Path) -> Result<()> {
    let failed = |problem: String| Error::Format {
        path: path.to_owned(),
        problem: format!("cannot be drawn: {problem}"),
        remedy: "leave --annotate out".into(),
    };
    let mut image = picture.to_rgb();
    let (width, height) = image.dimensions();
    prepare_font().and_then(|()| draw(&mut image, (width, height), boxes)).map_err(failed)?;
    let mut png = Vec::new();
    let encoded = PngEncoder::new(&mut png).write_image(image.as_raw(), width, height, ExtendedColorType::Rgb8);
    encoded.map_err(|error| failed(error.to_string()))?;
    write_whole_or(path, &png, "free some space, or give --annotate a file in a folder that can be written")
}

fn draw(image: &mut image::RgbImage, size: (u32, u32), boxes: &[(Bounds, String)]) -> std::result::Result<(), String> {
    let root = BitMapBackend::with_buffer(image, size).into_drawing_area();
    // Seen on a screen that shows the whole picture.
    let thickness = (size.0.max(size.1) / 300).max(1);
    let letters = (size.0.min(size.1) / 16).clamp(10, 200);
    for (index, (bounds, answer)) in boxes.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let (left, top) = (bounds.left as i32, bounds.top as i32);
        let (right, bottom) = (left + bounds.width as i32, top + bounds.height as i32);
        for inset in 0..thickness as i32 {
            let corners = [(left - inset, top - inset), (right + inset, bottom + inset)];
            root.draw(&Rectangle::new(corners, colour)).map_err(|error| error.to_string())?;
        }
        let above = top - letters as i32 - thickness as i32;
        let style = ("sans-serif", letters).into_font().color(&colour);
        root.draw_text(answer, &style, (left, if above >= 0 { above } else { bottom + thickness as i32 }))
            .map_err(|error| error.to_string())?;
    }
    root.present().map_err(|error| error.to_string())
}
