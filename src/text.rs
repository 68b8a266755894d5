//! Text in the encodings that editors and shells write: UTF-8 and UTF-16, with or without a byte order mark.

use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// Decodes text; `None` where it is none. Without a mark UTF-16 is told by its zeros, since it is ASCII for the most part.
pub fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => str::from_utf8(rest).ok().map(Cow::Borrowed),
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        [first, 0, ..] if *first != 0 => utf_16(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf_16(bytes, u16::from_be_bytes),
        _ => str::from_utf8(bytes).ok().map(Cow::Borrowed),
    }
}

/// Reads JSON in any of these encodings; an error names the fault.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_str(&decode(bytes).ok_or("it is no text")?).map_err(|error| error.to_string())
}

/// A parser's message, in which types have the names that programmers know, in plain words and one line.
pub fn plain(message: &str) -> String {
    const WORDS: [(&str, &str); 14] = [
        ("expected usize", "expected a whole number"),
        ("expected u64", "expected a whole number"),
        ("expected u32", "expected a whole number"),
        ("expected a nonzero u32", "expected a whole number above 0"),
        ("expected f64", "expected a number"),
        ("expected f32", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected a sequence", "expected a list, such as [1, 2]"),
        ("expected a map", "expected a table"),
        ("expected struct RunOptions", "expected a table of options"),
        ("invalid type: floating point", "the number"),
        ("invalid type: sequence", "a list"),
        ("invalid type: map", "a table"),
        ("invalid type: ", "the "),
    ];
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    WORDS.iter().fold(line, |line, (jargon, words)| line.replace(jargon, words))
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Cow<'_, str>> {
    let (pairs, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return None;
    }
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|&pair| unit(pair))).collect();
    text.ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_the_same_text() {
        let text = "epochs = 1 # größer 🙂\n";
        let units = || text.encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        let with = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            with(b"\xef\xbb\xbf", text.as_bytes()),
            with(b"\xff\xfe", &little),
            with(b"\xfe\xff", &big),
            little,
            big,
        ] {
            assert_eq!(decode(&bytes).as_deref(), Some(text), "{bytes:02x?}");
        }
        assert_eq!(decode(b"").as_deref(), Some(""));
        assert_eq!(json::<Vec<u8>>(b"\xef\xbb\xbf[1]"), Ok(vec![1]));
        for none in [&b"\xff\xfea"[..], b"\xff\xfe\0\xd8", b"\xc3", b"\xef\xbb\xbf\xff"] {
            assert_eq!(decode(none), None, "{none:02x?}");
        }
    }

    #[test]
    fn messages_are_in_plain_words() {
        let message = plain("invalid type: string \"five\",\n expected usize");
        assert_eq!(message, "the string \"five\", expected a whole number");
        assert_eq!(plain("unknown field `x`"), "unknown field `x`");
    }
}
