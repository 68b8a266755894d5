//! Standard output and standard error.

use ffcl_gpu::{Error, Result, text};
use std::io::Write;

/// Prints a line to standard output, escaped by [`text::shown`]. A reader that left (`| head`) is not an error: the run may still have files
/// to write.
pub fn print_line(line: &str) -> Result<()> {
    print(format!("{}\n", text::shown(line)).as_bytes())
}

/// Prints to standard output, likewise.
pub fn print(content: &[u8]) -> Result<()> {
    match std::io::stdout().write_all(content).and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::file("write", "standard output", error, "free some space or send the output elsewhere"))
        }
        _ => Ok(()),
    }
}

/// Prints a line to standard error, escaped likewise, if that is open.
pub fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text::shown(line));
}
