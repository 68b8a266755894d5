//! Files that appear whole or not at all.

use crate::error::{Error, Result};
use std::io::Write;
use std::path::Path;

/// What to do where writing fails.
pub(crate) const REMEDY: &str = "free some space, or give --out a folder that can be written";

/// How names of temporary files end.
const UNFINISHED: &str = ".part";

#[cfg(feature = "program")]
/// Removes temporary files that a killed process left in `folder`, in which no other process may be writing.
#[cfg(feature = "program")]
pub(crate) fn remove_unfinished(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && name.ends_with(UNFINISHED) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes a temporary file and renames it, so that a reader finds the old file or the new one, whole.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole_or(path, bytes, REMEDY)
}

/// The same with another remedy.
pub fn write_whole_or(path: &Path, bytes: &[u8], remedy: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut file = tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(UNFINISHED).tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        #[cfg(unix)]
        {
            // Temporary files are private; results are to be shared like any other file of the user.
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path).map_err(|error| error.error)?;
        // The new name must survive a loss of power, too. Where folders cannot be opened (Windows), the system sees to it.
        #[cfg(unix)]
        std::fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().map_err(|error| Error::file("write", path, error, remedy))
}
