//! Event files that TensorBoard reads: a folder for each replica, in it a scalar for each number of a report.
//!
//! Records of length, masked CRC-32C of the length, message and masked CRC-32C of the message (TensorFlow's `tfrecord` format); a
//! message is an `Event` of `event.proto`.

use crate::error::{Error, Result};
use crate::train::ReplicaReport;
use crc::{CRC_32_ISCSI, Crc};
use prost::Message;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder in a run's folder.
pub const FOLDER: &str = "tensorboard";
/// What names of event files begin with.
const PREFIX: &str = "events.out.tfevents.";
/// The first event of a file.
const VERSION: &str = "brain.Event:2";
/// CRC-32C (Castagnoli).
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// `Event`, as far as it is needed.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

/// `Summary.Value`, a scalar.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Event files of a run, one for each replica.
pub struct EventFiles {
    files: Vec<(PathBuf, File)>,
}

impl EventFiles {
    /// Begins the files anew, with what the run reported so far: a run that goes on takes back what came after its checkpoint,
    /// which a file that is only appended to could not.
    pub fn create(folder: &Path, replicas: usize, history: &[ReplicaReport]) -> Result<Self> {
        let seconds = now().floor();
        let file = |replica: usize| {
            let folder = folder.join(format!("r{replica}"));
            let path = folder.join(format!("{PREFIX}{seconds}.ffcl-gpu"));
            let begin = || -> std::io::Result<File> {
                std::fs::create_dir_all(&folder)?;
                for entry in std::fs::read_dir(&folder)? {
                    let path = entry?.path();
                    if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)) {
                        std::fs::remove_file(path)?;
                    }
                }
                let mut file = File::create(&path)?;
                file.write_all(&record(&Event { wall_time: now(), file_version: Some(VERSION.into()), ..Event::default() }))?;
                Ok(file)
            };
            begin().map(|file| (path.clone(), file)).map_err(|error| unwritable(&path, error))
        };
        let mut files = Self { files: (0..replicas).map(file).collect::<Result<_>>()? };
        files.append(history)?;
        Ok(files)
    }

    /// Appends the scalars of reports.
    pub fn append(&mut self, reports: &[ReplicaReport]) -> Result<()> {
        for report in reports {
            let values = scalars(report).into_iter().map(|(tag, value)| Value { tag, simple_value: Some(value as f32) });
            let summary = Some(Summary { values: values.collect() });
            let event = Event { wall_time: now(), step: report.epoch.into(), summary, file_version: None };
            if let Some((path, file)) = self.files.get_mut(report.replica) {
                file.write_all(&record(&event)).map_err(|error| unwritable(path, error))?;
            }
        }
        Ok(())
    }
}

/// Every number of a report, by its tag.
fn scalars(report: &ReplicaReport) -> Vec<(String, f64)> {
    let mut scalars: Vec<(String, f64)> = [
        ("accuracy/train", report.train_accuracy),
        ("accuracy/test_a", report.test_accuracy_a),
        ("accuracy/test_b", report.test_accuracy_b),
        ("accuracy/test_ensemble", report.test_accuracy_ensemble),
        ("speed/images_per_second", report.samples_per_second),
        ("speed/seconds", report.seconds),
    ]
    .map(|(tag, value)| (tag.to_owned(), value))
    .into();
    let layers = &report.diagnosis;
    for (name, values) in [
        ("loss", &report.layer_losses),
        ("alignment", &layers.alignment),
        ("participation_ratio", &layers.participation_ratio),
        ("dead_units", &layers.dead_units),
        ("weight_norm", &layers.weight_norm),
        ("update_norm", &layers.update_norm),
        ("divergence", &layers.divergence),
    ] {
        scalars.extend(values.iter().enumerate().map(|(layer, &value)| (format!("{name}/layer_{}", layer + 1), value)));
    }
    scalars
}

/// A message with its frame.
fn record(event: &Event) -> Vec<u8> {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), &message, &masked(&message)].concat()
}

/// The checksum, turned by 15 bits and moved by a constant, as the format asks.
fn masked(bytes: &[u8]) -> [u8; 4] {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::file("write", path, error, "free some space, or leave --tensorboard out")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-32C, and the mask of the format's description.
    #[test]
    fn checksums_are_those_of_the_format() {
        assert_eq!(CRC.checksum(b"123456789"), 0xe306_9283);
        // 0xe3069283 turned right by 15 bits is 0x2507c60d.
        assert_eq!(masked(b"123456789"), 0x2507_c60du32.wrapping_add(0xa282_ead8).to_le_bytes());
    }

    #[test]
    fn records_can_be_read_back() {
        let event = Event {
            wall_time: 1.5,
            step: 3,
            file_version: None,
            summary: Some(Summary { values: vec![Value { tag: "loss/layer_1".into(), simple_value: Some(0.25) }] }),
        };
        let bytes = record(&event);
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(bytes.len(), length + 16);
        assert_eq!(Event::decode(&bytes[12..12 + length]).unwrap(), event);
    }
}
