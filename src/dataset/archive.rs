//! Takes the wanted files out of an archive, by name; where the archive says they should go is never asked.

use super::catalogue::file_name;
use super::checksum::{SUMS, of_file};
use super::idx::MAXIMUM_BYTES;
use crate::error::{Error, Result};
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

const REMEDY: &str = "free some space, or give --data-dir a folder that can be written";

/// Unpacks `entries` of a tar archive compressed by gzip into `folder`.
pub fn unpack_tar_gz(archive: &Path, entries: &[&'static str], folder: &Path) -> Result<()> {
    let damaged = |error| Error::file("unpack", archive, error, "fetch it again");
    let file = File::open(archive).map_err(damaged)?;
    let mut unpacked = Vec::new();
    // What stands between the entries is unpacked too, if only to be passed over: a few megabytes can be anything.
    let mut reader = tar::Archive::new(GzDecoder::new(BufReader::new(file)).take(MAXIMUM_BYTES));
    // Raw, since the long names of others would be taken into memory; the wanted ones are short.
    for entry in reader.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path_bytes().into_owned();
        if let Some(&wanted) = entries.iter().find(|wanted| wanted.as_bytes() == name) {
            write_entry(archive, wanted, entry.size(), folder, &mut entry)?;
            unpacked.push(wanted);
        }
    }
    finish(archive, entries, &unpacked, folder)
}

/// Unpacks `entries` of a zip archive into `folder`.
pub fn unpack_zip(archive: &Path, entries: &[&'static str], folder: &Path) -> Result<()> {
    let damaged = |error: io::Error| Error::file("unpack", archive, error, "fetch it again");
    let file = File::open(archive).map_err(damaged)?;
    let mut reader = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(error.into()))?;
    let mut unpacked = Vec::new();
    for &wanted in entries {
        match reader.by_name(wanted) {
            Ok(mut entry) => write_entry(archive, wanted, entry.size(), folder, &mut entry)?,
            Err(zip::result::ZipError::FileNotFound) => continue,
            Err(error) => return Err(damaged(error.into())),
        }
        unpacked.push(wanted);
    }
    finish(archive, entries, &unpacked, folder)
}

/// Writes an entry that is to have `size` bytes.
fn write_entry(archive: &Path, wanted: &'static str, size: u64, folder: &Path, content: &mut dyn Read) -> Result<()> {
    if size > MAXIMUM_BYTES {
        let problem = format!("announces {size} bytes of {wanted}, above the maximum of {MAXIMUM_BYTES}");
        return Err(Error::Format { path: archive.to_owned(), problem, remedy: "fetch it again".into() });
    }
    write_file(folder, file_name(wanted), size, content).map_err(|error| match error {
        Error::File { source, .. } if is_damage(&source) => Error::file("unpack", archive, source, "fetch it again"),
        other => other,
    })
}

/// Whether it is not the disk's fault.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
}

/// Fails if an entry was missing; else notes the checksums of all.
fn finish(archive: &Path, entries: &[&'static str], unpacked: &[&str], folder: &Path) -> Result<()> {
    if let Some(missing) = entries.iter().find(|entry| !unpacked.contains(entry)) {
        let problem = format!("lacks the entry {missing}");
        return Err(Error::Format { path: archive.to_owned(), problem, remedy: "fetch it again".into() });
    }
    let mut sums = String::new();
    for name in entries.iter().copied().map(file_name) {
        sums.push_str(&format!("{}  {name}\n", of_file(&folder.join(name))?));
    }
    write_file(folder, SUMS, sums.len() as u64, &mut sums.as_bytes())
}

/// Writes a file of `size` bytes, which appears whole or not at all.
fn write_file(folder: &Path, name: &str, size: u64, content: &mut dyn Read) -> Result<()> {
    let part = folder.join(format!("{name}.part"));
    let mut write = || {
        let mut file = File::create(&part)?;
        // One more shows that there are too many.
        if io::copy(&mut content.take(size.saturating_add(1)), &mut file)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.flush()?;
        file.sync_all()?;
        fs::rename(&part, folder.join(name))
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&part);
        Error::file("write", &part, error, REMEDY)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::checksum::recorded;

    const ENTRIES: &[&str] = &["in/a.bin", "in/b.bin"];

    fn tar_gz(names: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for name in names {
            let mut header = tar::Header::new_gnu();
            // Not by the builder, which refuses names that lead elsewhere.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(3);
            header.set_cksum();
            builder.append(&header, &b"abc"[..]).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn zip(names: &[&str]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for name in names {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(b"abc").unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    type Make = fn(&[&str]) -> Vec<u8>;
    type Unpack = fn(&Path, &[&'static str], &Path) -> Result<()>;

    #[test]
    fn wanted_files_come_out_and_no_others() {
        let make: [(Make, Unpack); 2] = [(tar_gz, unpack_tar_gz), (zip, unpack_zip)];
        for (make, unpack) in make {
            let parent = tempfile::tempdir().unwrap();
            let (archive, folder) = (parent.path().join("archive"), parent.path().join("out"));
            fs::create_dir(&folder).unwrap();
            fs::write(&archive, make(&["in/b.bin", "../a.bin", "in/c.bin", "in/a.bin", "a.bin"])).unwrap();
            unpack(&archive, ENTRIES, &folder).unwrap();
            let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, [SUMS, "a.bin", "b.bin"]);
            assert_eq!(recorded(&folder).len(), 2);
            assert!(!parent.path().join("a.bin").exists());

            fs::write(&archive, make(&["in/a.bin", "../in/b.bin"])).unwrap();
            let message = unpack(&archive, ENTRIES, &folder).unwrap_err().to_string();
            assert!(message.contains("lacks the entry in/b.bin"), "{message}");
            for damaged in [&b"nonsense"[..], &make(ENTRIES)[..40], b""] {
                fs::write(&archive, damaged).unwrap();
                assert!(unpack(&archive, ENTRIES, &folder).is_err());
            }
        }
    }

    #[test]
    fn what_an_entry_announces_is_checked() {
        let parent = tempfile::tempdir().unwrap();
        let archive = parent.path().join("archive");
        for (size, part) in [(MAXIMUM_BYTES + 1, "above the maximum"), (4000, "cannot unpack")] {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..8].copy_from_slice(b"in/a.bin");
            header.set_size(size);
            header.set_cksum();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(header.as_bytes()).unwrap();
            encoder.write_all(&[7; 512]).unwrap();
            fs::write(&archive, encoder.finish().unwrap()).unwrap();
            let message = unpack_tar_gz(&archive, ENTRIES, parent.path()).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("fetch it again"), "{message}");
            assert!(!parent.path().join("a.bin").exists());
        }
    }
}
