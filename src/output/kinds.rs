//! What a file is that was given in place of a safetensors file, told by how it begins.

use crate::error::Error;
use std::path::Path;

/// Bytes that are enough to tell all kinds.
pub(super) const ENOUGH: u64 = 4096;

/// Kinds of files that cannot begin a safetensors file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Zip,
    Pickle,
    Picture,
    Hdf5,
    Npy,
    Gzip,
    Text,
}

/// Beginnings that no safetensors file has, since it begins with the small length of its header and seven bytes later with a brace.
const BEGINNINGS: [(&[u8], Kind); 16] = [
    (b"PK\x03\x04", Kind::Zip),
    (b"\x80\x02", Kind::Pickle),
    (b"\x80\x03", Kind::Pickle),
    (b"\x80\x04", Kind::Pickle),
    (b"\x80\x05", Kind::Pickle),
    (b"\x89PNG", Kind::Picture),
    (b"\xff\xd8\xff", Kind::Picture),
    (b"GIF8", Kind::Picture),
    (b"BM", Kind::Picture),
    (b"RIFF", Kind::Picture),
    (b"II*\0", Kind::Picture),
    (b"MM\0*", Kind::Picture),
    (b"\x89HDF", Kind::Hdf5),
    (b"\x93NUMPY", Kind::Npy),
    (b"\x1f\x8b", Kind::Gzip),
    (b"{", Kind::Text),
];

/// The kind of a file by its first eight bytes; `None` where it may be a safetensors file.
pub(super) fn begin(bytes: &[u8]) -> Option<Kind> {
    // A header that is not absurdly long leaves the upper bytes of its length zero; nothing below begins so.
    if bytes.get(4..8).is_some_and(|upper| upper == [0; 4]) {
        return None;
    }
    let text = || bytes.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')).then_some(Kind::Text);
    BEGINNINGS.iter().find(|(begin, _)| bytes.starts_with(begin)).map(|(_, kind)| *kind).or_else(text)
}

/// The error about a file of another kind; `bytes` are its first ones.
pub(super) fn refusal(path: &Path, kind: Kind, bytes: &[u8]) -> Error {
    const RUN: &str = "give a run's folder or its model.safetensors";
    const PYTORCH: &str =
        "load it in PyTorch and save its tensors by safetensors.torch.save_file, or give a run's model.safetensors";
    let holds = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
    let (what, remedy) = match kind {
        Kind::Zip if holds(b".npy") => ("an .npz archive of NumPy arrays", "save its arrays by safetensors.numpy.save_file"),
        Kind::Zip if holds(b"data.pkl") => ("a PyTorch file (.pt, .pth)", PYTORCH),
        Kind::Zip if holds(b"config.json") => ("a Keras file", RUN),
        Kind::Zip => ("a ZIP archive", RUN),
        Kind::Pickle => ("a Python pickle (.pkl, or an old PyTorch file)", PYTORCH),
        Kind::Picture => ("a picture", "give the model first, then the pictures"),
        Kind::Hdf5 => ("an HDF5 file (.h5)", RUN),
        Kind::Npy => ("a NumPy array (.npy)", RUN),
        Kind::Gzip => ("compressed by gzip", "unpack it first"),
        Kind::Text => ("text", RUN),
    };
    Error::Format { path: path.to_owned(), problem: format!("is no whole safetensors file: it is {what}"), remedy: remedy.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_called_by_its_name() {
        let cases: [(&[u8], &str); 9] = [
            (b"PK\x03\x04\x14\0\0\0\x08\0archive/data.pkl", "a PyTorch file"),
            (b"PK\x03\x04\x14\0\0\0\x08\0x_train.npy", "an .npz archive"),
            (b"\x80\x02}q\0X\x05abc", "a Python pickle"),
            (b"\x89PNG\r\n\x1a\n", "is a picture"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "is a picture"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
            (b"\x93NUMPY\x01\0v\0", "a NumPy array"),
            (b"{\"version\": 1}", "it is text"),
            (b"no weights", "it is text"),
        ];
        for (bytes, part) in cases {
            let kind = begin(&bytes[..8]).unwrap();
            let message = refusal(Path::new("model"), kind, bytes).to_string();
            assert!(message.contains(part) && message.contains("no whole safetensors file"), "{message}");
        }
        for length in [2u64, 8 << 20, 100_000_000] {
            assert_eq!(begin(&length.to_le_bytes()), None, "{length}");
        }
    }
}
