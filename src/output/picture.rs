//! What all pictures share: SVG on a light ground, and colours.

use crate::error::{Error, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

/// Fails where `path`, given as `option`, cannot become a picture, before the work is done.
pub fn check_path(path: &Path, option: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("svg")) || path.is_dir() || !folder.is_dir() {
        return Err(Error::Configuration(format!(
            "{option} {} cannot be written; give a file that ends in .svg, in a folder that exists",
            path.display()
        )));
    }
    let probe = tempfile::tempfile_in(folder);
    probe.map(drop).map_err(|error| Error::file("write", path, error, "give a file in a folder that can be written"))
}

/// Told apart by people who cannot tell red from green, too (Okabe and Ito, without the yellow that fades on white).
pub const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// Height of the line with the title.
pub(crate) const TITLE: u32 = 34;

/// A part of a picture.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The result of drawing.
pub(crate) type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// A picture with a title above what `content` draws; an error is the library's words.
pub(crate) fn draw(size: (u32, u32), title: &str, content: impl FnOnce(&Area) -> Drawn) -> std::result::Result<String, String> {
    let mut picture = String::new();
    let drawn = || -> Drawn {
        let root = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        root.fill(&WHITE)?;
        content(&root.titled(title, ("sans-serif", 15))?)?;
        root.present()
    };
    drawn().map_err(|error| error.to_string())?;
    Ok(picture)
}

/// 1234567 as 1.2M.
pub(crate) fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1e9 => (value * 1e-9, "G"),
        value if value >= 1e6 => (value * 1e-6, "M"),
        value if value >= 1e3 => (value * 1e-3, "k"),
        value => (value, ""),
    };
    format!("{}{unit}", (scaled * 10.0).round() / 10.0)
}
