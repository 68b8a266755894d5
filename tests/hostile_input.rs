//! Every reader of outside bytes on the inputs of the fuzz targets: a few good ones, and all that were ever found to break
//! something. (`fuzz/README.md` says how to look for more.)

#[path = "../fuzz/inputs.rs"]
mod inputs;
#[path = "../fuzz/seeds.rs"]
mod seeds;

use std::path::{Path, PathBuf};

/// The most that a seed may have: they are a begin for mutations, not data.
const LARGEST_SEED: usize = 4 << 10;

fn folder(of: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(of).join(target)
}

/// Names and bytes of a folder's files; none where it is not there.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        paths.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn no_input_breaks_a_reader() {
    for (target, read) in inputs::TARGETS {
        for of in ["seeds", "regressions"] {
            for (name, bytes) in files(&folder(of, target)) {
                // The name of a file that breaks something is what is needed then.
                println!("{of}/{target}/{name}");
                read(&bytes);
            }
        }
    }
}

#[test]
fn every_target_has_small_seeds() {
    for (target, _) in inputs::TARGETS {
        let seeds = files(&folder("seeds", target));
        assert!(!seeds.is_empty() && seeds.iter().all(|(_, bytes)| bytes.len() < LARGEST_SEED), "{target}");
    }
}

#[test]
#[ignore = "writes fuzz/seeds anew"]
fn seeds_are_written() {
    for (target, _) in inputs::TARGETS {
        let folder = folder("seeds", target);
        std::fs::create_dir_all(&folder).unwrap();
        seeds::of(target).iter().for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes).unwrap());
    }
}
