//! One error type for the library. Each message names the cause, with the numbers, and the remedy.

use std::path::PathBuf;

/// Everything that can go wrong outside of a bug.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself or the data.
    #[error("{0}")]
    Configuration(String),

    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}; {remedy}", path.display())]
    File {
        /// What was being done: "read", "create", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What the user can do.
        remedy: String,
    },

    /// A file was read, but its content is not what it should be.
    #[error("{} {problem}; {remedy}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, as the rest of a sentence that begins with the file's name.
        problem: String,
        /// What the user can do.
        remedy: String,
    },

    /// The data set lacks something or does not fit.
    #[error("{0}")]
    Dataset(String),

    /// No device fits the request.
    #[error("{0}")]
    Device(String),

    /// The device refused or failed during work.
    #[error("the device failed while {during}: {problem}; try again, another --device, or --device cpu")]
    Gpu {
        /// What was being done.
        during: String,
        /// The driver's or wgpu's words.
        problem: String,
    },

    /// The device is gone: the driver was reset, a watchdog ended its work, or the card was removed.
    #[error(
        "the device was lost while {during}: {problem}; its driver was reset, or it is gone: run it again, or on another --device"
    )]
    DeviceLost {
        /// What was being done.
        during: String,
        /// The driver's or wgpu's words.
        problem: String,
    },

    /// The device has too little memory.
    #[error(
        "the device has too little memory for {during}: {problem}; use fewer --replicas, narrower --layers or a smaller --batch-size, or --device cpu"
    )]
    DeviceMemory {
        /// What was being done, with its size.
        during: String,
        /// The driver's or wgpu's words.
        problem: String,
    },

    /// A size exceeds a limit of the device.
    #[error(
        "{what}: {needed} is above this adapter's limit {limit} = {allowed}; use fewer --replicas, narrower --layers or a smaller --batch-size, or --device cpu"
    )]
    Limit {
        /// What is counted: "bytes of the buffer …".
        what: String,
        /// How many are needed.
        needed: u64,
        /// The name of wgpu's limit.
        limit: &'static str,
        /// The limit's value.
        allowed: u64,
    },

    /// A loss or weight stopped being a finite number.
    #[error("{0}")]
    NotFinite(String),

    /// A run was ended by an error.
    #[error("{source}; {kept}")]
    Interrupted {
        /// What ended it.
        source: Box<Error>,
        /// What is left of it, and how it goes on.
        kept: String,
    },
}

/// The library's result type.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A [`Error::File`] whose remedy is one fixed sentence.
    pub fn file(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error, remedy: &str) -> Self {
        Error::File { action, path: path.into(), source, remedy: remedy.to_owned() }
    }

    /// What went wrong with a file, without its name: the rest of a sentence that begins with it.
    pub fn problem(&self) -> String {
        match self {
            Error::Format { problem, .. } => problem.clone(),
            Error::File { action, source, .. } => format!("cannot be used: cannot {action} it: {source}"),
            other => other.to_string(),
        }
    }

    /// True where another attempt on a device opened anew may go well.
    pub fn is_device_loss(&self) -> bool {
        match self {
            Error::DeviceLost { .. } => true,
            Error::Interrupted { source, .. } => source.is_device_loss(),
            _ => false,
        }
    }

    /// True where the caller asked for something impossible (exit code 2), false where the work itself failed (exit code 1).
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Configuration(_) | Error::Device(_))
    }
}
