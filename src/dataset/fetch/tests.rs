//! Downloads from a server of our own on the loopback interface; nothing here reaches a network.

use super::*;
use crate::dataset::DatasetName;
use crate::dataset::checksum::SUMS;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;

/// What the server does with one request.
enum Answer {
    /// The file from another byte on than what was asked for.
    Elsewhere(Vec<u8>),
    /// The whole file, whatever was asked for.
    Whole(Vec<u8>),
    /// What was asked for.
    Range(Vec<u8>),
    /// The same, but the connection ends after so many bytes.
    Cut(Vec<u8>, usize),
    Status(u16),
}

/// A server that gives these answers in turn: its address, and the requests that came: path and first byte asked for.
fn serve(answers: Vec<Answer>) -> (String, Receiver<(String, u64)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/sets", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines: Vec<_> = BufReader::new(&stream)
                .lines()
                .map_while(|line| line.ok().filter(|line| !line.is_empty()).map(|line| line.to_lowercase()))
                .collect();
            let begin = lines.iter().find_map(|line| line.strip_prefix("range: bytes=")?.trim_end_matches('-').parse().ok());
            let path = lines[0].split(' ').nth(1).unwrap().to_owned();
            let first: u64 = begin.unwrap_or_default();
            sender.send((path, first)).unwrap();
            let (status, content, sent) = match &answer {
                Answer::Whole(bytes) => ("200 OK".into(), &bytes[..], bytes.len()),
                Answer::Range(bytes) => (status(begin), &bytes[first as usize..], bytes.len()),
                Answer::Elsewhere(bytes) => ("206 Partial Content".into(), &bytes[first as usize..], bytes.len()),
                Answer::Cut(bytes, sent) => (status(begin), &bytes[first as usize..], *sent),
                Answer::Status(code) => (format!("{code} Whatever"), &[][..], 0),
            };
            let told = if matches!(answer, Answer::Elsewhere(_)) { first + 1 } else { first };
            let range = if status.starts_with("206") { format!("Content-Range: bytes {told}-9/10\r\n") } else { String::new() };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{range}Connection: close\r\n\r\n", content.len());
            // A client that has seen enough hangs up.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content[..sent.min(content.len())]));
        }
    });
    (address, receiver)
}

fn status(begin: Option<u64>) -> String {
    if begin.is_some() { "206 Partial Content".into() } else { "200 OK".into() }
}

fn content() -> Vec<u8> {
    (0..200_000u32).map(|index| (index * 7 % 253) as u8).collect()
}

/// A set of one file of this content.
fn set(bytes: &[u8], content: Content) -> Files {
    let sum = Box::leak(sha256(bytes).unwrap().into_boxed_str());
    let download = Download { name: "set-idx.gz", bytes: bytes.len() as u64, sha256: sum, content };
    Files { names: &["set-idx"], downloads: Box::leak(Box::new([download])), mirrors: &[], ..*mnist() }
}

fn mnist() -> &'static Files {
    DatasetName::Mnist.known().files.as_ref().unwrap()
}

struct Shelf {
    folder: TempDir,
    files: Files,
}

impl Shelf {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), files: set(&content(), Content::Gzip(None)) }
    }

    fn fetch(&self, mirrors: &[&str]) -> Result<bool> {
        let mirrors: Vec<_> = mirrors.iter().map(ToString::to_string).collect();
        fetch(DatasetName::Mnist.known(), &self.files, &self.path(), &mirrors, &mut |_, _, _| {})
    }

    fn refusal(&self, mirrors: &[&str]) -> String {
        let message = self.fetch(mirrors).unwrap_err().to_string();
        assert!(!message.contains('\n') && message.contains("; "), "{message}");
        message
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("mnist")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_file_comes_whole_and_only_once() {
    let shelf = Shelf::new();
    let (address, requests) = serve(vec![Answer::Range(content())]);
    let mut heard = Vec::new();
    let mirrors = [format!("{address}/")];
    let progress: Progress = &mut |name, here, all| heard.push((name.to_owned(), here, all));
    assert!(fetch(DatasetName::Mnist.known(), &shelf.files, &shelf.path(), &mirrors, progress).unwrap());
    assert_eq!(heard.last().unwrap(), &("set-idx.gz".to_owned(), 200_000, 200_000));
    assert_eq!((shelf.names(), fs::read(shelf.path().join("set-idx.gz")).unwrap()), (vec!["set-idx.gz".to_owned()], content()));
    assert_eq!(requests.recv().unwrap(), ("/sets/set-idx.gz".to_owned(), 0));
    // No server is asked for what is here; a damaged file is fetched again.
    assert!(!shelf.fetch(&[&address]).unwrap());
    fs::write(shelf.path().join("set-idx.gz"), "damaged").unwrap();
    let (address, _requests) = serve(vec![Answer::Range(content())]);
    assert!(shelf.fetch(&[&address]).unwrap());
    assert_eq!(fs::read(shelf.path().join("set-idx.gz")).unwrap(), content());
}

#[test]
fn a_cut_connection_is_taken_up_where_it_broke_off() {
    let shelf = Shelf::new();
    let (address, requests) =
        serve(vec![Answer::Cut(content(), 70_000), Answer::Cut(content(), 50_000), Answer::Range(content())]);
    assert!(shelf.fetch(&[&address]).unwrap());
    let begins: Vec<_> = requests.iter().map(|(_, begin)| begin).collect();
    assert_eq!(begins, [0, 70_000, 120_000]);
    assert_eq!(fs::read(shelf.path().join("set-idx.gz")).unwrap(), content());
}

#[test]
fn an_interrupted_download_goes_on_in_the_next_run() {
    let shelf = Shelf::new();
    let (address, requests) = serve(vec![Answer::Cut(content(), 70_000), Answer::Status(503)]);
    let message = shelf.refusal(&[&address]);
    assert!(message.contains("status 503") && message.contains("same command again"), "{message}");
    assert_eq!(shelf.names(), ["set-idx.gz.part"]);
    drop(requests);
    // Another mirror, the first of which lacks it.
    let (empty, _requests) = serve(vec![Answer::Status(404)]);
    let (address, requests) = serve(vec![Answer::Range(content())]);
    assert!(shelf.fetch(&[&empty, &address]).unwrap());
    assert_eq!(requests.recv().unwrap().1, 70_000);
    assert_eq!((shelf.names(), fs::read(shelf.path().join("set-idx.gz")).unwrap()), (vec!["set-idx.gz".to_owned()], content()));
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let shelf = Shelf::new();
    let (address, requests) = serve(vec![Answer::Cut(content(), 70_000), Answer::Whole(content())]);
    assert!(shelf.fetch(&[&address]).unwrap());
    assert_eq!(requests.iter().count(), 2);
    assert_eq!(fs::read(shelf.path().join("set-idx.gz")).unwrap(), content());
}

#[test]
fn a_server_that_cannot_go_on_is_asked_from_the_beginning() {
    for refusal in [Answer::Status(416), Answer::Elsewhere(content())] {
        let shelf = Shelf::new();
        let (address, requests) = serve(vec![Answer::Cut(content(), 70_000), refusal, Answer::Range(content())]);
        assert!(shelf.fetch(&[&address]).unwrap());
        assert_eq!(requests.iter().map(|(_, begin)| begin).collect::<Vec<_>>(), [0, 70_000, 0]);
        assert_eq!(fs::read(shelf.path().join("set-idx.gz")).unwrap(), content());
    }
    // What has come is not given up for a server that has nothing.
    let shelf = Shelf::new();
    let (address, _requests) = serve(vec![Answer::Cut(content(), 70_000), Answer::Status(416), Answer::Status(404)]);
    assert!(shelf.refusal(&[&address]).contains("status 404"));
    assert_eq!(fs::metadata(shelf.path().join("set-idx.gz.part")).unwrap().len(), 70_000);
    let (address, _requests) = serve(vec![Answer::Elsewhere(content()), Answer::Elsewhere(content())]);
    assert!(shelf.refusal(&[&address]).contains("what it is asked for"));
}

#[test]
fn a_damaged_raw_file_is_not_taken_for_what_was_fetched() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"images").unwrap();
    let compressed = encoder.finish().unwrap();
    let sum = Box::leak(sha256(&b"images"[..]).unwrap().into_boxed_str());
    for known in [None, Some(&*sum)] {
        let shelf = Shelf { files: set(&compressed, Content::Gzip(known)), ..Shelf::new() };
        fs::create_dir(shelf.path()).unwrap();
        let raw = shelf.path().join("set-idx");
        fs::write(&raw, "damage").unwrap();
        let (address, requests) = serve(vec![Answer::Range(compressed.clone())]);
        // It came once, and need not come again.
        for _ in 0..2 {
            let message = shelf.refusal(&[&address]);
            assert!(message.starts_with(raw.to_str().unwrap()) && message.contains("; remove it"), "{message}");
        }
        assert_eq!(requests.iter().count(), 1);
        for content in ["images", ""] {
            fs::write(&raw, content).unwrap();
            assert_eq!(shelf.fetch(&[&address]).is_ok(), content == "images");
        }
        fs::remove_file(&raw).unwrap();
        assert!(!shelf.fetch(&[&address]).unwrap());
    }
}

#[test]
fn a_wrong_checksum_leaves_nothing() {
    let mut damaged = content();
    damaged[5] ^= 1;
    let longer = [content(), vec![0]].concat();
    for (wrong, part) in
        [(damaged.clone(), "wrong checksum"), (longer, "more than the 200000 bytes"), (vec![0; 10], "after 10 of")]
    {
        let shelf = Shelf::new();
        let (address, _requests) = serve(vec![Answer::Whole(wrong.clone()), Answer::Whole(wrong)]);
        let message = shelf.refusal(&[&address]);
        assert!(message.contains(part) && message.contains(&address), "{message}");
        if part != "after 10 of" {
            assert!(!shelf.path().exists(), "{:?}", shelf.names());
        }
    }
    // What another server had begun may be what was wrong.
    let shelf = Shelf::new();
    fs::create_dir(shelf.path()).unwrap();
    fs::write(shelf.path().join("set-idx.gz.part"), &damaged[..70_000]).unwrap();
    let (address, requests) = serve(vec![Answer::Range(content()), Answer::Range(content())]);
    assert!(shelf.fetch(&[&address]).unwrap());
    assert_eq!(requests.iter().map(|(_, begin)| begin).collect::<Vec<_>>(), [70_000, 0]);
}

#[test]
fn no_server_at_all_is_one_clear_line() {
    let shelf = Shelf::new();
    // A port that nobody listens on any more.
    let address = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let message = shelf.refusal(&[&address, "nonsense"]);
    let folder = shelf.path().display().to_string();
    for part in [&format!("{address}/set-idx.gz: "), "nonsense/set-idx.gz: ", "--mirror", "set-idx (each", &folder] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert!(!shelf.path().exists());
}

#[test]
fn an_archive_leaves_what_is_wanted_of_it() {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    builder.append_data(&mut header, "sets/one.bin", &b"abc"[..]).unwrap();
    let archive = builder.into_inner().unwrap().finish().unwrap();
    let shelf = Shelf { files: set(&archive, Content::TarGz(&["sets/one.bin"])), ..Shelf::new() };
    let (address, _requests) = serve(vec![Answer::Range(archive)]);
    assert!(shelf.fetch(&[&address]).unwrap());
    assert_eq!(shelf.names(), [SUMS, "one.bin"]);
    assert!(!shelf.fetch(&[&address]).unwrap());
}

#[test]
fn two_processes_do_not_fetch_into_one_file() {
    let shelf = Shelf::new();
    fs::create_dir(shelf.path()).unwrap();
    let part = File::create(shelf.path().join("set-idx.gz.part")).unwrap();
    part.lock().unwrap();
    assert!(shelf.refusal(&["http://127.0.0.1:1"]).contains("another process"));
}
