//! The folder that an audit writes into: named before the training, and held by one process.

use ffcl_gpu::error::{Error, Result};
use ffcl_gpu::text;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const REMEDY: &str = "give --out a folder that can be written";

/// A folder that no other audit writes into, for as long as this lives.
pub struct Folder {
    pub path: PathBuf,
    /// None where folders cannot be locked: two processes in one folder are then the user's business.
    _lock: Option<File>,
}

impl Folder {
    /// The one that was asked for, or a new one of the data's name, with a number behind it where that is taken.
    pub fn open(asked: Option<&Path>, data: &str) -> Result<Self> {
        let path = match asked {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(|error| Error::file("create the folder", path, error, REMEDY))?;
                path.to_owned()
            }
            None => create_named(&text::file_name(data))?,
        };
        tempfile::tempfile_in(&path).map_err(|error| Error::file("write into", &path, error, REMEDY))?;
        let lock = File::open(&path).ok();
        if let Some(Err(TryLockError::WouldBlock)) = lock.as_ref().map(File::try_lock) {
            let path = path.display();
            return Err(Error::Configuration(format!(
                "another audit is writing into {path}; wait for it, or give another --out"
            )));
        }
        Ok(Self { path, _lock: lock })
    }
}

fn create_named(name: &str) -> Result<PathBuf> {
    for number in 1u32.. {
        let folder = PathBuf::from(if number == 1 { format!("audit-{name}") } else { format!("audit-{name}-{number}") });
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::file("create the folder", folder, error, REMEDY)),
        }
    }
    Err(Error::Configuration(format!("audit-{name} and all its numbers are taken; give --out")))
}
