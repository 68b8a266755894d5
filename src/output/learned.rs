//! `learned.bin` in a run's folder: what its training images show or its rows hold, eight bytes for each. By it `evaluate` tells how many of
//! other images were learned from.

use super::whole_file::write_whole;
use crate::bounded_file;
use crate::dataset::Images;
use crate::error::Result;
use std::path::Path;

/// The file's name.
pub const LEARNED: &str = "learned.bin";
/// The most that it may have: 128 million images.
const LARGEST: u64 = 1 << 30;

/// Writes it, unless it is there.
pub fn save(folder: &Path, train: &Images) -> Result<()> {
    let path = folder.join(LEARNED);
    if path.exists() {
        return Ok(());
    }
    let mut contents = train.contents();
    contents.sort_unstable();
    contents.dedup();
    write_whole(&path, &contents.iter().flat_map(|content| content.to_le_bytes()).collect::<Vec<_>>())
}

/// How many of `images` a model was trained on: the one in this run's folder, or in a file of it. Nothing where no run says it.
pub fn count(model: &Path, images: &Images) -> Result<Option<usize>> {
    let folder = if model.is_dir() { model } else { model.parent().unwrap_or(Path::new("")) };
    let path = folder.join(LEARNED);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = bounded_file::read(&path, LARGEST, "remove it, or restore it")?;
    let (learned, _) = bytes.as_chunks();
    let learned: Vec<u64> = learned.iter().map(|content| u64::from_le_bytes(*content)).collect();
    Ok(Some(images.contents().iter().filter(|content| learned.binary_search(content).is_ok()).count()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::digits;

    #[test]
    fn images_that_were_learned_from_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let data = digits::generate_with_counts(digits::SEED, 50, 20);
        assert_eq!(count(folder.path(), &data.test).unwrap(), None);
        save(folder.path(), &data.train).unwrap();
        assert_eq!(count(folder.path(), &data.test).unwrap(), Some(0));
        let some = data.train.select(&[3, 1, 3]);
        assert_eq!(count(&folder.path().join("model.safetensors"), &some).unwrap(), Some(3));
        // The first run's stays.
        save(folder.path(), &data.test).unwrap();
        assert_eq!(count(folder.path(), &some).unwrap(), Some(3));
    }
}
