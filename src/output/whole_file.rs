//! Files that appear whole or not at all.

use crate::error::{Error, Result};
use std::io::Write;
use std::path::Path;

/// What to do where writing fails.
pub(crate) const REMEDY: &str = "give --out a folder that can be written";

/// Writes a file by way of a temporary one beside it, so that a reader finds the old file or the new one, whole.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole_or(path, bytes, REMEDY)
}

/// The same with another remedy.
pub(crate) fn write_whole_or(path: &Path, bytes: &[u8], remedy: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        #[cfg(unix)]
        {
            // Temporary files are private; results are to be shared like any other file of the user.
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| Error::file("write", path, error, remedy))
}
