//! Puts the home folder in place of `~`. Shells do so only where a word begins with it: not in `--out=~/run`, and not in files.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The path with the user's home folder in place of a `~` at its beginning. (A folder of that name is `./~`.)
pub fn expand(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), directories::BaseDirs::new()) {
        // Joining nothing would leave a separator at the end.
        (Ok(rest), Some(folders)) if rest.as_os_str().is_empty() => folders.home_dir().to_owned(),
        (Ok(rest), Some(folders)) => folders.home_dir().join(rest),
        _ => path.to_owned(),
    }
}

/// The same for a word of the command line: a path, or an option's `--name=~/path`.
pub fn expand_argument(word: &OsStr) -> OsString {
    // Only text can be taken apart, and a name that is none has no `~` from a keyboard.
    let Some(text) = word.to_str() else { return word.to_owned() };
    match text.split_once('=') {
        Some((name, value)) if name.starts_with("--") && value.starts_with('~') => {
            let mut whole = OsString::from(format!("{name}="));
            whole.push(expand(Path::new(value)));
            whole
        }
        _ if text.starts_with('~') => expand(Path::new(text)).into_os_string(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_folder_only_at_the_beginning() {
        let Some(folders) = directories::BaseDirs::new() else { return };
        let home = folders.home_dir();
        assert_eq!((expand(Path::new("~")), expand(Path::new("~/a/b"))), (home.to_owned(), home.join("a/b")));
        for other in ["./~", "a/~/b", "~user/x", "", "/~"] {
            assert_eq!(expand(Path::new(other)), Path::new(other), "{other}");
        }
        let word = |text: &str| expand_argument(OsStr::new(text));
        assert_eq!(word("--out=~/x"), OsString::from(format!("--out={}", home.join("x").display())));
        assert_eq!(word("~/x"), home.join("x").into_os_string());
        for other in ["--out=./~", "a=~/b", "--seed=3", "-q"] {
            assert_eq!(word(other), OsString::from(other));
        }
    }
}
