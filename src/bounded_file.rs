//! Reads text files whole, up to a limit: a large file of another kind never fills the memory.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The bytes of a file that has at most `limit`. `remedy` is for a file that cannot be read.
pub fn read(path: &Path, limit: u64, remedy: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Whatever its size is said to be: that of a pipe, which may be named too, is not known.
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    read.map_err(|error| Error::file("read", path, error, remedy))?;
    if bytes.len() as u64 <= limit {
        return Ok(bytes);
    }
    Err(Error::Format {
        path: path.to_owned(),
        problem: format!("is larger than the {limit} bytes that such a file may have"),
        remedy: "give another file".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_too_many_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, [7; 20]).unwrap();
        assert_eq!(read(&path, 20, "").unwrap(), [7; 20]);
        let message = read(&path, 19, "").unwrap_err().to_string();
        assert!(message.ends_with("text is larger than the 19 bytes that such a file may have; give another file"), "{message}");
        // Its own size says nothing.
        #[cfg(unix)]
        assert!(read(Path::new("/dev/zero"), 1 << 10, "").is_err());
    }
}
