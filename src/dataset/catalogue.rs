//! The data sets that the program knows by name: one table of their classes, shapes, files and where to get them.
//!
//! Sizes and checksums of the downloads are those that TensorFlow Datasets publishes; MNIST's checksums of the unpacked files are
//! of the files themselves.

use super::ImageShape;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetName {
    /// Drawn by the program itself; needs no files.
    Digits,
    /// Handwritten digits.
    Mnist,
    /// Pieces of clothing.
    FashionMnist,
    /// Cursive Japanese characters.
    Kmnist,
    /// MNIST made once more, with all of its test images.
    Qmnist,
    /// More handwritten digits.
    EmnistDigits,
    /// Handwritten digits and letters.
    EmnistBalanced,
    /// Photographs of animals and vehicles.
    Cifar10,
}

/// What is known of a data set.
#[derive(Debug)]
pub struct Known {
    /// What it is called.
    pub name: DatasetName,
    /// The same as text.
    pub text: &'static str,
    /// Of each image.
    pub shape: ImageShape,
    /// Training images and test images, where it is whole.
    pub images: (usize, usize),
    /// What each label stands for.
    pub classes: &'static [&'static str],
    /// Its files; the one that the program draws has none.
    pub files: Option<Files>,
}

/// The files of a data set.
#[derive(Debug)]
pub struct Files {
    /// How they are to be read.
    pub format: Format,
    /// Their names, in the order in which they are read.
    pub names: &'static [&'static str],
    /// Folders below a data folder that may hold them; the first one is where a download goes.
    pub folders: &'static [&'static str],
    /// What has to be fetched for them.
    pub downloads: &'static [Download],
    /// Where from: each followed by a download's name is an address.
    pub mirrors: &'static [&'static str],
}

/// How the files of a data set are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Images and labels of the training set, then of the test set.
    Idx {
        /// Images stand column by column.
        transposed: bool,
    },
    /// Five batches of the training set, then the test set's.
    Cifar,
}

/// A file on a server.
#[derive(Debug)]
pub struct Download {
    /// What it is called there.
    pub name: &'static str,
    /// Its length.
    pub bytes: u64,
    /// Its checksum, in hexadecimal digits.
    pub sha256: &'static str,
    /// What it holds.
    pub content: Content,
}

/// What a download holds.
#[derive(Debug)]
pub enum Content {
    /// A file of the data set, compressed by gzip; with the checksum of the unpacked one, where it is known.
    Gzip(Option<&'static str>),
    /// An archive, and what is wanted of it: the full names of its entries, each of which ends in the name of a file to write.
    TarGz(&'static [&'static str]),
    /// The same.
    Zip(&'static [&'static str]),
}

impl Download {
    /// The files that are there once it has been fetched: itself, or what is wanted of the archive.
    pub fn yields(&self) -> Vec<&'static str> {
        match self.content {
            Content::Gzip(_) => vec![self.name],
            Content::TarGz(entries) | Content::Zip(entries) => entries.iter().map(|entry| file_name(entry)).collect(),
        }
    }
}

/// The last part of an archive entry's name.
pub(super) fn file_name(entry: &'static str) -> &'static str {
    entry.rsplit('/').next().unwrap_or(entry)
}

impl DatasetName {
    /// What is known of it.
    pub fn known(self) -> &'static Known {
        // The table is in the order of the names; a test sees to it.
        &KNOWN[self as usize]
    }
}

impl std::fmt::Display for DatasetName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.known().text)
    }
}

const MNIST_FILES: &[&str] =
    &["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

const NUMERALS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

const GREY_28: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };

const IDX: Format = Format::Idx { transposed: false };

const fn gzip(name: &'static str, bytes: u64, sha256: &'static str, unpacked: Option<&'static str>) -> Download {
    Download { name, bytes, sha256, content: Content::Gzip(unpacked) }
}

/// Both of its data sets come out of one archive, so that it is fetched once for both.
const EMNIST: &[Download] = &[Download {
    name: "gzip.zip",
    bytes: 561_753_746,
    sha256: "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    content: Content::Zip(&[
        "gzip/emnist-digits-train-images-idx3-ubyte.gz",
        "gzip/emnist-digits-train-labels-idx1-ubyte.gz",
        "gzip/emnist-digits-test-images-idx3-ubyte.gz",
        "gzip/emnist-digits-test-labels-idx1-ubyte.gz",
        "gzip/emnist-balanced-train-images-idx3-ubyte.gz",
        "gzip/emnist-balanced-train-labels-idx1-ubyte.gz",
        "gzip/emnist-balanced-test-images-idx3-ubyte.gz",
        "gzip/emnist-balanced-test-labels-idx1-ubyte.gz",
    ]),
}];

const EMNIST_MIRRORS: &[&str] =
    &["https://biometrics.nist.gov/cs_links/EMNIST/", "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/"];

/// All of them, in the order of [`DatasetName`].
pub static KNOWN: [Known; 8] = [
    Known {
        name: DatasetName::Digits,
        text: "digits",
        shape: GREY_28,
        images: (super::digits::TRAIN_COUNT, super::digits::TEST_COUNT),
        classes: NUMERALS,
        files: None,
    },
    Known {
        name: DatasetName::Mnist,
        text: "mnist",
        shape: GREY_28,
        images: (60_000, 10_000),
        classes: NUMERALS,
        files: Some(Files {
            format: IDX,
            names: MNIST_FILES,
            folders: &["mnist", "MNIST/raw", "MNIST"],
            downloads: &[
                gzip(
                    "train-images-idx3-ubyte.gz",
                    9_912_422,
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    Some("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
                ),
                gzip(
                    "train-labels-idx1-ubyte.gz",
                    28_881,
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    Some("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
                ),
                gzip(
                    "t10k-images-idx3-ubyte.gz",
                    1_648_877,
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    Some("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
                ),
                gzip(
                    "t10k-labels-idx1-ubyte.gz",
                    4_542,
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                    Some("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
                ),
            ],
            mirrors: &["https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"],
        }),
    },
    Known {
        name: DatasetName::FashionMnist,
        text: "fashion-mnist",
        shape: GREY_28,
        images: (60_000, 10_000),
        classes: &["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
        files: Some(Files {
            format: IDX,
            names: MNIST_FILES,
            folders: &["fashion-mnist", "FashionMNIST/raw", "FashionMNIST"],
            downloads: &[
                gzip(
                    "train-images-idx3-ubyte.gz",
                    26_421_880,
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    None,
                ),
                gzip(
                    "train-labels-idx1-ubyte.gz",
                    29_515,
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    None,
                ),
                gzip(
                    "t10k-images-idx3-ubyte.gz",
                    4_422_102,
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    None,
                ),
                gzip(
                    "t10k-labels-idx1-ubyte.gz",
                    5_148,
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                    None,
                ),
            ],
            mirrors: &[
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            ],
        }),
    },
    Known {
        name: DatasetName::Kmnist,
        text: "kmnist",
        shape: GREY_28,
        images: (60_000, 10_000),
        classes: &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
        files: Some(Files {
            format: IDX,
            names: MNIST_FILES,
            folders: &["kmnist", "KMNIST/raw", "KMNIST"],
            downloads: &[
                gzip(
                    "train-images-idx3-ubyte.gz",
                    18_165_135,
                    "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                    None,
                ),
                gzip(
                    "train-labels-idx1-ubyte.gz",
                    29_497,
                    "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                    None,
                ),
                gzip(
                    "t10k-images-idx3-ubyte.gz",
                    3_041_136,
                    "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                    None,
                ),
                gzip(
                    "t10k-labels-idx1-ubyte.gz",
                    5_120,
                    "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                    None,
                ),
            ],
            mirrors: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
        }),
    },
    Known {
        name: DatasetName::Qmnist,
        text: "qmnist",
        shape: GREY_28,
        images: (60_000, 60_000),
        classes: NUMERALS,
        files: Some(Files {
            format: IDX,
            names: &[
                "qmnist-train-images-idx3-ubyte",
                "qmnist-train-labels-idx2-int",
                "qmnist-test-images-idx3-ubyte",
                "qmnist-test-labels-idx2-int",
            ],
            folders: &["qmnist", "QMNIST/raw", "QMNIST"],
            // Nobody publishes the SHA-256 of its files.
            downloads: &[],
            mirrors: &[],
        }),
    },
    Known {
        name: DatasetName::EmnistDigits,
        text: "emnist-digits",
        shape: GREY_28,
        images: (240_000, 40_000),
        classes: NUMERALS,
        files: Some(Files {
            format: Format::Idx { transposed: true },
            names: &[
                "emnist-digits-train-images-idx3-ubyte",
                "emnist-digits-train-labels-idx1-ubyte",
                "emnist-digits-test-images-idx3-ubyte",
                "emnist-digits-test-labels-idx1-ubyte",
            ],
            folders: &["emnist", "emnist-digits", "gzip", "EMNIST/raw", "EMNIST"],
            downloads: EMNIST,
            mirrors: EMNIST_MIRRORS,
        }),
    },
    Known {
        name: DatasetName::EmnistBalanced,
        text: "emnist-balanced",
        shape: GREY_28,
        images: (112_800, 18_800),
        // Lower-case letters that look like their capitals are counted as these.
        classes: &[
            "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M",
            "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b", "d", "e", "f", "g", "h", "n", "q", "r",
            "t",
        ],
        files: Some(Files {
            format: Format::Idx { transposed: true },
            names: &[
                "emnist-balanced-train-images-idx3-ubyte",
                "emnist-balanced-train-labels-idx1-ubyte",
                "emnist-balanced-test-images-idx3-ubyte",
                "emnist-balanced-test-labels-idx1-ubyte",
            ],
            folders: &["emnist", "emnist-balanced", "gzip", "EMNIST/raw", "EMNIST"],
            downloads: EMNIST,
            mirrors: EMNIST_MIRRORS,
        }),
    },
    Known {
        name: DatasetName::Cifar10,
        text: "cifar10",
        shape: ImageShape { channels: 3, height: 32, width: 32 },
        images: (50_000, 10_000),
        classes: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
        files: Some(Files {
            format: Format::Cifar,
            names: &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
                "test_batch.bin",
            ],
            folders: &["cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"],
            downloads: &[Download {
                name: "cifar-10-binary.tar.gz",
                bytes: 170_052_171,
                sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                content: Content::TarGz(&[
                    "cifar-10-batches-bin/data_batch_1.bin",
                    "cifar-10-batches-bin/data_batch_2.bin",
                    "cifar-10-batches-bin/data_batch_3.bin",
                    "cifar-10-batches-bin/data_batch_4.bin",
                    "cifar-10-batches-bin/data_batch_5.bin",
                    "cifar-10-batches-bin/test_batch.bin",
                ]),
            }],
            mirrors: &["https://www.cs.toronto.edu/~kriz/"],
        }),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_the_names_and_itself() {
        for (name, known) in DatasetName::value_variants().iter().zip(&KNOWN) {
            let text = name.to_possible_value().unwrap().get_name().to_owned();
            assert_eq!((known.name, known.text), (*name, text.as_str()));
            assert_eq!((name.known().text, name.to_string()), (known.text, text.clone()));
            assert_eq!(serde_json::to_string(name).unwrap(), format!("\"{text}\""));
            let Some(files) = &known.files else { continue };
            let yielded: Vec<_> = files.downloads.iter().flat_map(Download::yields).collect();
            for file in files.names.iter().filter(|_| !files.downloads.is_empty()) {
                assert!(yielded.iter().any(|have| have.strip_suffix(".gz").unwrap_or(have) == *file), "{file}");
            }
            for download in files.downloads {
                assert!(download.sha256.len() == 64 && download.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
            assert!(files.mirrors.iter().all(|mirror| mirror.ends_with('/')));
        }
        assert_eq!((DatasetName::value_variants().len(), DatasetName::EmnistBalanced.known().classes.len()), (KNOWN.len(), 47));
    }
}
