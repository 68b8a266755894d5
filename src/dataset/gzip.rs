//! gzip streams as files hold them: one behind the other, perhaps with zeros behind the last, as tapes and block devices leave them.

use flate2::bufread::GzDecoder;
use std::fmt::{Display, Formatter};
use std::io::{self, BufRead, ErrorKind, Read};

/// How a gzip stream begins.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What a gzip file holds; something else than zeros behind it is an error, [`Garbage`].
#[derive(Debug)]
pub struct Unpacked<R> {
    /// None at the end.
    member: Option<GzDecoder<R>>,
}

/// Something that is no gzip stream behind one: its first bytes. Other programs leave it out, with a warning or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage(Vec<u8>);

impl Display for Garbage {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let bytes: Vec<_> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        write!(formatter, "has something else behind its gzip stream, which begins with {}", bytes.join(" "))
    }
}

impl std::error::Error for Garbage {}

impl<R: BufRead> Unpacked<R> {
    /// Of a file that begins with [`MAGIC`].
    pub fn new(file: R) -> Self {
        Self { member: Some(GzDecoder::new(file)) }
    }

    /// What comes behind a member: another one, or nothing.
    fn behind(mut file: R) -> io::Result<Option<GzDecoder<R>>> {
        if file.fill_buf()?.first() == Some(&MAGIC[0]) {
            return Ok(Some(GzDecoder::new(file)));
        }
        loop {
            let bytes = file.fill_buf()?;
            let (length, zeros) = (bytes.len(), bytes.iter().take_while(|&&byte| byte == 0).count());
            if length == 0 {
                return Ok(None);
            }
            if zeros < length {
                // They may come in parts.
                file.consume(zeros);
                let mut first = Vec::new();
                file.take(4).read_to_end(&mut first)?;
                return Err(io::Error::new(ErrorKind::InvalidData, Garbage(first)));
            }
            file.consume(length);
        }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let file = self.member.take().map(GzDecoder::into_inner);
            self.member = file.map(Self::behind).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// What an error of [`Unpacked`] found behind a gzip stream, if that is what it is about.
pub fn garbage(error: &io::Error) -> Option<&Garbage> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(file: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // A small buffer: what is behind may come in parts.
        Unpacked::new(io::BufReader::with_capacity(7, file)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn members_follow_each_other_and_zeros_pass() {
        let two = [gzip(b"abc"), gzip(b""), gzip(b"def")].concat();
        assert_eq!(unpack(&two).unwrap(), b"abcdef");
        assert_eq!(unpack(&[two, vec![0; 600]].concat()).unwrap(), b"abcdef");
    }

    #[test]
    fn anything_else_behind_is_named() {
        for (behind, shown) in [(&b"\r\n"[..], "0d 0a"), (b"\0\0\0x", "78"), (b"garbage", "67 61 72 62")] {
            let error = unpack(&[gzip(b"abc"), behind.to_vec()].concat()).unwrap_err();
            assert!(garbage(&error).unwrap().to_string().contains(shown), "{error}");
        }
        // A second stream that breaks off is a damaged file.
        let broken = unpack(&[gzip(b"abc"), gzip(b"def")[..9].to_vec()].concat()).unwrap_err();
        assert!(garbage(&broken).is_none(), "{broken}");
    }
}
