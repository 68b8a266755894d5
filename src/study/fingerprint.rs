//! The fingerprint of a cell, by which the results of a study are found again.

use crate::config::{
    Adam, Augmentation, Guide, HiddenLossKind, Method, OutputLoss, Recipe, RunOptions, Schedule, TrainingConfig,
};
use crate::dataset::{Dataset, Origin};
use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

/// The options of the first version, with its names and in its order: its fingerprints still hold. Those of hidden losses that a run
/// does not use count, as they always did.
#[derive(Serialize)]
struct Record {
    layers: Vec<usize>,
    epochs: u32,
    batch_size: usize,
    adam: Adam,
    schedule: Schedule,
    seed: u64,
    replicas: usize,
    shuffle: bool,
    max_steps: Option<u64>,
    method: Method,
    output_loss: OutputLoss,
    hidden_loss: Option<HiddenLossKind>,
    /// Gone.
    representation: &'static str,
    centre: Option<bool>,
    guide: Option<Guide>,
    projection: Option<usize>,
    temperature: Option<f64>,
    /// Gone.
    mutual: f64,
    normalize: bool,
    augmentation: Augmentation,
    standardize: bool,
    /// Options of later versions, where they are not as they were before there were any.
    #[serde(flatten)]
    later: Map<String, Value>,
}

/// What [`Record`] has by itself.
const FIRST: [&str; 18] = [
    "layers",
    "epochs",
    "batch-size",
    "learning-rate",
    "schedule",
    "method",
    "output-loss",
    "hidden-loss",
    "centre",
    "guide",
    "projection",
    "temperature",
    "normalize",
    "shift",
    "rotation",
    "scale",
    "shared-view",
    "standardize",
];

/// The same for equal runs on equal data, in every build; seeds and how many of them train side by side change nothing. `options` are
/// all those that come to `training`.
pub fn fingerprint(
    (training, options): (&TrainingConfig, &RunOptions),
    dataset: &Dataset,
    train_images: usize,
    hold_out: Option<usize>,
) -> Result<String> {
    let failed = |error| Error::Configuration(format!("the run cannot be written as JSON: {error}"));
    let record = Record {
        layers: training.architecture.widths(),
        epochs: training.epochs,
        batch_size: training.batch_size,
        adam: training.adam,
        schedule: training.schedule,
        seed: 0,
        replicas: 1,
        shuffle: training.shuffle,
        max_steps: training.max_steps,
        method: training.method,
        output_loss: training.output_loss,
        hidden_loss: options.hidden_loss,
        representation: "activation",
        centre: options.centre,
        guide: options.guide,
        projection: options.projection,
        temperature: options.temperature,
        mutual: 0.0,
        normalize: training.normalize,
        augmentation: training.augmentation,
        standardize: training.standardize,
        later: later(options).map_err(failed)?,
    };
    let text = serde_json::to_vec(&(&dataset.name, train_images, hold_out, &record)).map_err(failed)?;
    // Labels tell apart data sets that share a name, such as files of another origin under the names of MNIST's; what is no known set may
    // have other content under the same name and labels, too.
    let content = if dataset.origin == Origin::Known { String::new() } else { dataset.checksum() };
    Ok(fingerprint_of([&text, &dataset.train.labels[..], &dataset.test.labels, content.as_bytes()].into_iter().flatten()))
}

/// An option that came later changes no fingerprint where it is as in the paper's recipe.
fn later(options: &RunOptions) -> serde_json::Result<Map<String, Value>> {
    let record = |options: &RunOptions| serde_json::from_value::<Map<String, Value>>(serde_json::to_value(options)?);
    let before = record(&RunOptions::of(&Recipe::Paper.config()))?;
    let is_later = |(name, value): &(String, Value)| !FIRST.contains(&name.as_str()) && before.get(name) != Some(value);
    Ok(record(options)?.into_iter().filter(is_later).collect())
}

/// Of any bytes.
pub fn fingerprint_of<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> String {
    format!("{:016x}", bytes.into_iter().fold(FNV_OFFSET, |hash, &byte| fnv_1a(hash, byte)))
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// One byte into a hash (Fowler, Noll and Vo, variant 1a, 64 bits).
fn fnv_1a(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::grid::tests::grid;

    /// A fingerprint that changed by itself would have every finished study trained again.
    #[test]
    fn fingerprints_follow_the_run_and_nothing_else() {
        let of = |rest: &str| grid(rest).unwrap()[0].key.fingerprint.clone();
        let plain = of("[variants.a]");
        assert_eq!(of("[variants.b]\nepochs = 30"), plain);
        assert_eq!(of("first-seed = 7\n[variants.a]"), plain);
        // However the widths are given.
        for same in ["[variants.a]\nhidden = [64, 64]", "[variants.a]\nlayers = ['auto', 64, 64, 'auto']"] {
            assert_eq!(of(same), plain, "{same}");
        }
        assert_eq!(of("layers = [[784, 64, 64, 10]]\n[variants.a]"), plain);
        for other in ["[variants.a]\nepochs = 31", "train-sizes = [299]\n[variants.a]", "hold-out = 20\n[variants.a]"] {
            assert_ne!(of(other), plain, "{other}");
        }
        // The reference values of the hash's authors.
        let hash = |text: &str| text.bytes().fold(FNV_OFFSET, fnv_1a);
        assert_eq!((hash("a"), hash("foobar")), (0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8));
    }

    /// The values are those of version 0.1.0 before options were gathered in one table.
    #[test]
    fn fingerprints_of_old_studies_stay() {
        let of = |variant: &str| grid(&format!("[variants.a]\n{variant}")).unwrap()[0].key.fingerprint.clone();
        let cases = [
            ("", "e4e81d239be1ef1a"),
            ("recipe = 'paper'", "7fdf9ad797106b05"),
            ("recipe = 'centred'\nlayers = [784, 8, 10]", "682171f06688c4f2"),
            ("method = 'ffcl3'", "a1308a98946f8af5"),
            (
                "shift = 1\nrotation = 10\nscale = 0.1\nshared-view = true\nstandardize = true\nnormalize = false",
                "e91f7d0df9c2b49c",
            ),
            // Options of another hidden loss.
            ("hidden-loss = 'cosine'", "772685cc8572d4be"),
            ("recipe = 'paper'\n[base]\nguide = 'own'\nprojection = 5", "d42eeda533756280"),
            ("method = 'backprop'\nlearning-rate = 1e-3\nbatch-size = 50\nepochs = 7\nschedule = 'constant'", "9178fb838b725749"),
        ];
        for (variant, fingerprint) in cases {
            assert_eq!(of(variant), fingerprint, "{variant}");
        }
    }
}
