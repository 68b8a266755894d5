//! The pictures that a command line names: files, and all that lie in folders.

use super::terminal::report;
use ffcl_gpu::error::{Error, Result};
use std::path::{Path, PathBuf};

/// How pictures' names end. In a folder other files are left out; a file that is named by itself may have any name.
const ENDINGS: [&str; 12] = ["png", "jpg", "jpeg", "bmp", "gif", "pnm", "pgm", "ppm", "pbm", "tif", "tiff", "webp"];

/// The deepest nesting of folders that is searched: deeper ones are links to themselves.
const DEEPEST: usize = 16;

/// The files that are named, and in place of each folder the pictures in it and in its folders, by their names. Other files in it are
/// counted on standard error.
pub fn files(named: &[PathBuf]) -> Vec<Result<PathBuf>> {
    named.iter().flat_map(|path| if path.is_dir() { in_folder(path) } else { vec![Ok(path.clone())] }).collect()
}

fn in_folder(folder: &Path) -> Vec<Result<PathBuf>> {
    let (mut found, mut others) = (Vec::new(), 0);
    if let Err(error) = collect(folder, 0, &mut found, &mut others) {
        return vec![Err(error)];
    }
    if others > 0 {
        report(&format!("note: {others} other files in {} are left out", folder.display()));
    }
    if found.is_empty() {
        let problem = "is a folder without pictures in it".into();
        let remedy = "give pictures, or a folder of them".into();
        return vec![Err(Error::Format { path: folder.to_owned(), problem, remedy })];
    }
    found.into_iter().map(Ok).collect()
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>, others: &mut usize) -> Result<()> {
    let unreadable = |error| Error::file("read the folder", folder, error, "give a folder that can be read");
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().map_err(unreadable)?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if depth < DEEPEST {
                collect(&path, depth + 1, found, others)?;
            }
        } else if name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending)) {
            found.push(path);
        } else {
            *others += 1;
        }
    }
    Ok(())
}
