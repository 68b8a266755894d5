//! Downloads: from several mirrors, continued where they broke off, checked, and there whole or not at all.
//!
//! What has come so far stands in a file `….part` beside the final name. It is never read as data: only after its checksum has been
//! found right does it get its name.

use super::archive::{unpack_tar_gz, unpack_zip};
use super::catalogue::{Content, Download, Files, Known};
use super::checksum::{is_here, require_right, sha256};
use super::places::listed;
use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a server may take to answer, and to send the next bytes.
const PATIENCE: Duration = Duration::from_secs(30);

const REMEDY: &str = "free some space, or give --data-dir a folder that can be written";

/// What a server answers.
type Response = ureq::http::Response<ureq::Body>;

/// A callback: the file's name, bytes received, bytes in all.
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// Fetches what `folder` lacks of a data set, from the known mirrors or from others. True if something had to be fetched.
/// Afterwards all that is read from there is right, or this fails.
pub fn fetch(known: &Known, files: &Files, folder: &Path, mirrors: &[String], progress: Progress) -> Result<bool> {
    fs::create_dir_all(folder).map_err(|error| Error::file("create the folder", folder, error, REMEDY))?;
    let known_mirrors: Vec<_> = files.mirrors.iter().map(ToString::to_string).collect();
    let mirrors = if mirrors.is_empty() { &known_mirrors } else { mirrors };
    let mut fetched = false;
    for download in files.downloads {
        if is_here(files, download, folder)? {
            continue;
        }
        let path = folder.join(download.name);
        let part = folder.join(format!("{}.part", download.name));
        let outcome = Transfer::new(download, &part).and_then(|mut transfer| transfer.run(mirrors, progress));
        outcome.map_err(|problem| match problem {
            Problem::Here(error) => error,
            Problem::There(tried) => explain(&tried.join("; "), known, files, &part),
        })?;
        match download.content {
            Content::Gzip(_) => {
                fs::rename(&part, &path).map_err(|error| Error::file("create", &path, error, REMEDY))?;
            }
            Content::TarGz(entries) => unpack_tar_gz(&part, entries, folder)?,
            Content::Zip(entries) => unpack_zip(&part, entries, folder)?,
        }
        if part.exists() {
            fs::remove_file(&part).map_err(|error| Error::file("remove", &part, error, "remove it by hand"))?;
        }
        fetched = true;
    }
    require_right(files, folder)?;
    Ok(fetched)
}

/// Why a download failed.
enum Problem {
    /// Ours: the disk, another process.
    Here(Error),
    /// What each address came to.
    There(Vec<String>),
}

/// The error of a download that no mirror gave. Nothing is left of one that never began, or whose content was wrong.
fn explain(tried: &str, known: &Known, files: &Files, part: &Path) -> Error {
    let folder = part.parent().unwrap_or(Path::new("."));
    let kept = fs::metadata(part).is_ok_and(|metadata| metadata.len() > 0);
    if !kept {
        let _ = fs::remove_file(part);
        // If it is empty.
        let _ = fs::remove_dir(folder);
    }
    let again = if kept { "run the same command again to go on with what has come, " } else { "" };
    Error::Dataset(format!(
        "cannot fetch {}: {tried}; {again}give another source by --mirror URL, or put {} into {}",
        known.text,
        listed(files),
        folder.display()
    ))
}

/// A download on its way.
struct Transfer<'a> {
    download: &'a Download,
    agent: ureq::Agent,
    path: PathBuf,
    part: File,
    /// Bytes that are here.
    length: u64,
}

/// Why one request failed.
enum Failure {
    Disk(io::Error),
    Server(String),
}

impl<'a> Transfer<'a> {
    /// Opens the file of what has come so far.
    fn new(download: &'a Download, path: &Path) -> std::result::Result<Self, Problem> {
        let fail = |error| Problem::Here(Error::file("write", path, error, REMEDY));
        let part = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(fail)?;
        match part.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let problem = format!("{} is being fetched by another process; wait until it is done", path.display());
                return Err(Problem::Here(Error::Dataset(problem)));
            }
            // Not every file system has locks; the checksum finds out if two write at once.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let length = part.metadata().map_err(fail)?.len();
        let settings = ureq::Agent::config_builder()
            .timeout_resolve(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .http_status_as_error(false)
            .user_agent(concat!("ffcl-gpu/", env!("CARGO_PKG_VERSION")));
        // The tests' server is on this machine, which a proxy knows nothing of.
        #[cfg(test)]
        let settings = settings.proxy(None);
        Ok(Self { download, agent: settings.build().new_agent(), path: path.to_owned(), part, length })
    }

    /// Goes from mirror to mirror until the file is here and right.
    fn run(&mut self, mirrors: &[String], progress: Progress) -> std::result::Result<(), Problem> {
        let mut problems = Vec::new();
        for mirror in mirrors {
            let address = format!("{}/{}", mirror.trim_end_matches('/'), self.download.name);
            match self.try_mirror(&address, progress) {
                Ok(()) => return Ok(()),
                Err(Failure::Server(problem)) => problems.push(format!("{address}: {problem}")),
                Err(Failure::Disk(error)) => return Err(Problem::Here(Error::file("write", &self.path, error, REMEDY))),
            }
        }
        Err(Problem::There(problems))
    }

    /// Asks one mirror for as long as each answer brings the file further.
    fn try_mirror(&mut self, address: &str, progress: Progress) -> std::result::Result<(), Failure> {
        let mut most = self.length;
        let mut may_begin_anew = self.length > 0;
        loop {
            match self.request(address, progress) {
                Ok(()) if self.is_right().map_err(Failure::Disk)? => return Ok(()),
                Ok(()) => {
                    self.discard().map_err(Failure::Disk)?;
                    // The beginning may have come from elsewhere.
                    if !std::mem::take(&mut may_begin_anew) {
                        return Err(Failure::Server("what it serves has the wrong checksum".into()));
                    }
                    most = 0;
                }
                Err(Failure::Server(problem)) if self.length <= most => return Err(Failure::Server(problem)),
                Err(Failure::Server(_)) => most = self.length,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Asks for what is missing, once.
    fn request(&mut self, address: &str, progress: Progress) -> std::result::Result<(), Failure> {
        let total = self.download.bytes;
        if self.length > total {
            self.discard().map_err(Failure::Disk)?;
        }
        if self.length == total {
            return Ok(());
        }
        let mut response = self.ask(address, self.length)?;
        if self.length > 0 && matches!(response.status().as_u16(), 206 | 416) && begin(&response) != Some(self.length) {
            // It cannot go on. What has come is kept until it begins anew.
            response = self.ask(address, 0)?;
        }
        match response.status().as_u16() {
            206 if begin(&response) == Some(self.length) => {}
            200 => self.discard().map_err(Failure::Disk)?,
            206 => return Err(Failure::Server("it does not send what it is asked for".into())),
            status => return Err(Failure::Server(format!("it answers with status {status}"))),
        }
        self.part.seek(SeekFrom::Start(self.length)).map_err(Failure::Disk)?;
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            progress(self.download.name, self.length, total);
            let cut = |length| format!("it broke off after {length} of {total} bytes");
            match body.read(&mut buffer) {
                Ok(0) if self.length < total => return Err(Failure::Server(cut(self.length))),
                Ok(0) => return Ok(()),
                Ok(count) if self.length + count as u64 > total => {
                    self.discard().map_err(Failure::Disk)?;
                    return Err(Failure::Server(format!("it sends more than the {total} bytes that the file has")));
                }
                Ok(count) => {
                    self.part.write_all(&buffer[..count]).map_err(Failure::Disk)?;
                    self.length += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Server(format!("{}: {}", cut(self.length), one_line(&error)))),
            }
        }
    }

    /// Sends a request for all from the byte `first` on.
    fn ask(&self, address: &str, first: u64) -> std::result::Result<Response, Failure> {
        let mut request = self.agent.get(address);
        if first > 0 {
            request = request.header("Range", format!("bytes={first}-"));
        }
        request.call().map_err(|error| Failure::Server(one_line(&error)))
    }

    /// Whether what has come has the checksum that it should have. It is on the disk then.
    fn is_right(&mut self) -> io::Result<bool> {
        self.part.sync_all()?;
        self.part.seek(SeekFrom::Start(0))?;
        Ok(sha256(&self.part)? == self.download.sha256)
    }

    /// Forgets what has come.
    fn discard(&mut self) -> io::Result<()> {
        self.length = 0;
        self.part.set_len(0)
    }
}

/// The place of an answer's first byte, by a header such as `Content-Range: bytes 100-199/200`.
fn begin(response: &Response) -> Option<u64> {
    let range = response.headers().get("Content-Range")?.to_str().ok()?;
    range.trim().strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

fn one_line(error: &dyn std::error::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
