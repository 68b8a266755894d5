//! Text in the encodings that editors and shells write: UTF-8 and UTF-16, with or without a byte order mark.

use crate::checksum::hexadecimal;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
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

/// Text from outside as a terminal may show it: what would move the cursor, change its state, end a line or turn letters around is written
/// as its code, as JSON has it, so that objects of JSON stay what they are.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_command) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_command(letter) { shown.push_str(&format!("\\u{:04x}", u32::from(letter))) } else { shown.push(letter) }
    }
    Cow::Owned(shown)
}

/// Control characters but the tab, ends of lines, and marks of a direction of writing.
fn is_command(letter: char) -> bool {
    letter.is_control() && letter != '\t'
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The longest name that is written out; every file system takes twice as much.
const LONGEST_NAME: usize = 120;

/// A name for one file or folder, from text from outside: letters, digits and a few marks. Where that leaves something out, a part of the
/// text's hash keeps different texts apart.
pub fn file_name(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '=' | '+');
    let words: Vec<_> = text.split(|letter| !is_plain(letter)).filter(|word| !word.is_empty()).collect();
    let whole = words.join("-");
    let mut name = whole.trim_start_matches(['.', '-']).to_owned();
    let says_all = name == whole && text.chars().all(|letter| is_plain(letter) || matches!(letter, ' ' | ','));
    if says_all && !name.is_empty() && name.len() <= LONGEST_NAME {
        return name;
    }
    let mut end = name.len().min(LONGEST_NAME - 20);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    let mut hash = Sha256::new();
    hash.update(text);
    format!("{name}{}{}", if name.is_empty() { "" } else { "-" }, &hexadecimal(hash)[..8])
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
    fn nothing_from_outside_commands_a_terminal() {
        assert_eq!(shown("größer\t🙂"), "größer\t🙂");
        assert_eq!(shown("x\u{1b}[2J\u{7}\u{9b}\n\u{202e}y"), "x\\u001b[2J\\u0007\\u009b\\u000a\\u202ey");
        let object = serde_json::json!({ "file": "a\u{9b}\u{1b}" });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown(&object.to_string())).unwrap(), object);
    }

    #[test]
    fn names_of_files_stay_in_their_folder_and_apart() {
        assert_eq!(file_name("epochs mnist 784-64-10 600"), "epochs-mnist-784-64-10-600");
        let odd =
            ["../photos", "/photos", "raw/d.csv", "raw-d.csv", "a\nb", "..", "", "\u{1b}[2J", "CON\\x", "ä".repeat(200).as_str()]
                .map(file_name);
        for (place, name) in odd.iter().enumerate() {
            assert!(
                !name.is_empty() && name.len() <= LONGEST_NAME && !name.starts_with('.') && !odd[..place].contains(name),
                "{name}"
            );
            assert!(name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '.')), "{name}");
        }
    }

    #[test]
    fn messages_are_in_plain_words() {
        let message = plain("invalid type: string \"five\",\n expected usize");
        assert_eq!(message, "the string \"five\", expected a whole number");
        assert_eq!(plain("unknown field `x`"), "unknown field `x`");
    }
}
