//! Folders of small pictures, made here.

use super::*;
use crate::random::{Generator, Stream};
use image::{GrayImage, Rgb, RgbImage};
use std::fs;
use tempfile::TempDir;

fn folder(files: &[&str], write: impl Fn(&Path)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path);
    }
    folder
}

fn colour(path: &Path) {
    RgbImage::from_fn(4, 3, |x, y| Rgb([x as u8, 100 + y as u8, 200])).save(path).unwrap();
}

fn gray(path: &Path) {
    GrayImage::from_fn(4, 3, |x, y| image::Luma([(10 * y + x) as u8])).save(path).unwrap();
}

/// Another picture for each name.
fn different(path: &Path) {
    let place =
        path.to_string_lossy().bytes().rev().take_while(|&byte| byte != b'/').fold(7u8, |sum, byte| sum.wrapping_mul(31) ^ byte);
    match path.extension().is_some_and(|extension| extension == "png") {
        true => GrayImage::from_fn(4, 3, |x, y| image::Luma([(10 * y + x) as u8 ^ place])).save(path).unwrap(),
        false => fs::write(path, "{}").unwrap(),
    }
}

/// As runs read of before.
fn at_first(test_fraction: Option<f64>) -> FolderOptions {
    FolderOptions { test_fraction, reading: Reading::First, ..FolderOptions::default() }
}

fn read(folder: &TempDir, options: FolderOptions) -> Result<Loaded> {
    load(folder.path(), &options, &|_, _| {})
}

fn refusal(folder: &TempDir, options: FolderOptions) -> String {
    let message = read(folder, options).unwrap_err().to_string();
    assert!(!message.contains('\n') && message.contains("; "), "{message}");
    message
}

const SPLIT: &[&str] =
    &["train/dog/a.png", "train/dog/b.png", "train/cat/c.png", "train/ant/d.png", "test/cat/e.png", "test/dog/f.png"];

#[test]
fn channels_stand_one_after_another_and_classes_are_sorted() {
    let folder = folder(SPLIT, colour);
    fs::write(folder.path().join("train/dog/.hidden"), "").unwrap();
    let counts = std::sync::Mutex::new(Vec::new());
    let Loaded { dataset, skipped, .. } =
        load(folder.path(), &FolderOptions::default(), &|done, all| counts.lock().unwrap().push((done, all))).unwrap();
    assert_eq!((dataset.train.count(), dataset.test.count(), skipped.len()), (4, 2, 0));
    assert_eq!(dataset.class_names, ["ant", "cat", "dog"]);
    assert_eq!(dataset.train.shape, ImageShape { channels: 3, height: 3, width: 4 });
    let image = dataset.test.image(0);
    assert_eq!((&image[..4], &image[12..17], image[35]), (&[0, 1, 2, 3][..], &[100, 100, 100, 100, 101][..], 200));
    let mut labels = dataset.train.labels;
    labels.sort_unstable();
    assert_eq!(labels, [0, 1, 2, 2]);
    assert_eq!(counts.into_inner().unwrap().iter().max(), Some(&(6, 6)));
}

#[test]
fn gray_images_have_one_channel_and_three_among_coloured_ones() {
    let all_gray = folder(SPLIT, gray);
    let data = read(&all_gray, FolderOptions::default()).unwrap().dataset;
    assert_eq!((data.train.shape, &data.train.pixels[..5]), (ImageShape::gray(3, 4), &[0, 1, 2, 3, 10][..]));
    colour(&all_gray.path().join("train/ant/d.png"));
    let mixed = read(&all_gray, FolderOptions::default()).unwrap().dataset;
    let image = mixed.test.image(0);
    assert_eq!((mixed.test.shape.channels, &image[..12], &image[..12]), (3, &image[12..24], &image[24..]));
    let made_gray = read(&all_gray, FolderOptions { grayscale: true, ..FolderOptions::default() }).unwrap().dataset;
    assert_eq!(made_gray.train.shape, ImageShape::gray(3, 4));
}

#[test]
fn sizes_must_agree_or_are_made_to() {
    let folder = folder(SPLIT, colour);
    GrayImage::new(9, 5).save(folder.path().join("test/dog/f.png")).unwrap();
    let message = refusal(&folder, FolderOptions::default());
    assert!(message.contains("f.png has 5x9 pixels") && message.contains("--image-size 3x4"), "{message}");
    let size = "6x2".parse().ok();
    let data = read(&folder, FolderOptions { image_size: size, ..FolderOptions::default() }).unwrap().dataset;
    assert_eq!(data.train.shape, ImageShape { channels: 3, height: 6, width: 2 });
    assert_eq!("28".parse(), Ok(ImageSize { height: 28, width: 28 }));
    for wrong in ["", "0", "x", "3x", "-1", "5000", "3x4x5"] {
        assert!(wrong.parse::<ImageSize>().is_err(), "{wrong}");
    }
}

#[test]
fn bad_files_are_left_out_and_named() {
    let folder = folder(SPLIT, colour);
    let whole = fs::read(folder.path().join("train/dog/a.png")).unwrap();
    fs::write(folder.path().join("train/dog/cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.path().join("train/cat/empty.jpg"), "").unwrap();
    colour(&folder.path().join("train/cat/whole.jpg"));
    let jpeg = fs::read(folder.path().join("train/cat/whole.jpg")).unwrap();
    // Enough of it to be decoded, with grey for the rest.
    fs::write(folder.path().join("train/cat/cut.jpg"), &jpeg[..jpeg.len() - 3]).unwrap();
    fs::write(folder.path().join("test/cat/notes.txt"), "no image at all").unwrap();
    fs::create_dir(folder.path().join("test/cat/deeper")).unwrap();
    // A header of PNG that announces a picture of 65,535×65,535 pixels.
    let mut bomb = whole.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
    fs::write(folder.path().join("train/ant/bomb.png"), bomb).unwrap();
    let Loaded { dataset, skipped, .. } = read(&folder, FolderOptions::default()).unwrap();
    assert_eq!((dataset.train.count(), dataset.test.count()), (5, 2));
    let mut names: Vec<_> = skipped.iter().map(|skipped| skipped.path.file_name().unwrap().to_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["bomb.png", "cut.jpg", "cut.png", "deeper", "empty.jpg", "notes.txt"]);
    assert!(skipped.iter().all(|skipped| !skipped.problem.is_empty() && !skipped.problem.contains('\n')), "{skipped:?}");
    fs::write(folder.path().join("train/ant/d.png"), "spoiled").unwrap();
    assert!(refusal(&folder, FolderOptions::default()).contains("no training image of class ant"));
}

/// Whatever stands in a file, it is an image or it is left out.
#[test]
fn random_damage_never_panics() {
    let folder = folder(SPLIT, colour);
    let mut random = Generator::new(1, Stream::Check, 0);
    for extension in ["png", "jpg", "bmp", "gif", "ppm", "tiff", "webp"] {
        let path = folder.path().join("train/dog").join(format!("whole.{extension}"));
        colour(&path);
        let whole = fs::read(&path).unwrap();
        for index in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(4) {
                bytes[random.below(whole.len() as u32) as usize] = random.below(256) as u8;
            }
            if index % 3 == 0 {
                bytes.truncate(random.below(whole.len() as u32) as usize);
            }
            fs::write(folder.path().join("train/cat").join(format!("{index}.{extension}")), bytes).unwrap();
        }
    }
    let Loaded { dataset, skipped, .. } =
        read(&folder, FolderOptions { image_size: "3x4".parse().ok(), ..FolderOptions::default() }).unwrap();
    assert_eq!(dataset.train.count() + skipped.len(), 4 + 7 + 2100);
    assert!(dataset.train.count() > 200 && skipped.len() > 200, "{} damaged", skipped.len());
}

#[test]
fn a_part_of_each_class_is_held_back_always_the_same() {
    let names: Vec<_> = ["x", "y"].iter().flat_map(|class| (0..10).map(move |index| format!("{class}/{index}.png"))).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let split = |names: &[&str], fraction| {
        let folder = folder(names, gray);
        let listing = list(folder.path(), &at_first(fraction)).unwrap();
        let relative =
            |entries: &[Entry]| entries.iter().map(|entry| entry.path.strip_prefix(folder.path()).unwrap().to_owned()).collect();
        let (train, test): (Vec<_>, Vec<_>) = (relative(&listing.train), relative(&listing.test));
        (train, test)
    };
    let (train, test) = split(&names, None);
    assert_eq!((train.len(), test.len(), test.iter().filter(|path| path.starts_with("x")).count()), (16, 4, 2));
    assert!(
        train[..4].iter().any(|path| path.starts_with("x")) && train[..4].iter().any(|path| path.starts_with("y")),
        "{train:?}"
    );
    let origin = |names: &[&str], fraction| read(&folder(names, gray), at_first(fraction)).unwrap().dataset.origin;
    assert_eq!(origin(&names, None), Origin::Folder { test_fraction: Some(TEST_FRACTION) });
    assert_eq!(origin(&names, Some(0.1)), Origin::Folder { test_fraction: Some(0.1) });
    assert_eq!(origin(SPLIT, None), Origin::Folder { test_fraction: None });
    let backwards: Vec<_> = names.iter().rev().copied().collect();
    assert_eq!(split(&backwards, None), (train, test));
    assert_eq!(split(&names, Some(0.01)).1.len(), 2);
    assert_eq!(split(&names, Some(0.99)).0.len(), 2);
    for fraction in [0.0, 1.0, -1.0, f64::NAN] {
        let folder = folder(&names, gray);
        assert!(list(folder.path(), &at_first(Some(fraction))).unwrap_err().to_string().contains("--test-fraction"));
    }
}

#[test]
fn folders_of_another_shape_are_refused() {
    let refused = |files: &[&str]| refusal(&folder(files, gray), FolderOptions::default());
    assert!(refused(&["a.png"]).contains("no class folders"));
    let without_test = refused(&["train/a/a.png", "train/b/b.png"]);
    assert!(without_test.contains("none for testing beside it"), "{without_test}");
    let without_train = refused(&["test/a/a.png", "test/b/b.png"]);
    assert!(without_train.contains("none of the name train"), "{without_train}");
    assert!(refused(&["a/a.png"]).contains("one class folder"));
    assert!(refused(&["a/a.png", "b/b.png"]).contains("no image to test on"));
    assert!(refused(&["train/a/a.png", "train/b/b.png", "test/a/a.png", "test/c/c.png"]).contains("a class that"));
    let many: Vec<_> = (0..257).map(|class| format!("{class}/a.png")).collect();
    assert!(refused(&many.iter().map(String::as_str).collect::<Vec<_>>()).contains("257 class folders"));
    let split = folder(SPLIT, gray);
    assert!(refusal(&split, FolderOptions { test_fraction: Some(0.2), ..FolderOptions::default() }).contains("leave it out"));
}

#[test]
fn images_of_the_folder_unlabelled_have_no_labels() {
    let whole = ["cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png", "unlabelled/e.png", "unlabelled/f.png"];
    let split = [SPLIT, &["train/unlabelled/e.png", "train/unlabelled/f.png"]].concat();
    for files in [&whole[..], &split] {
        let folder = folder(files, different);
        fs::write(folder.path().join(files[files.len() - 1]).with_file_name("g.png"), "no picture").unwrap();
        let loaded = read(&folder, FolderOptions { test_fraction: None, ..FolderOptions::default() }).unwrap();
        let files: Vec<_> = loaded.dataset.unlabelled.iter().map(|&image| loaded.train_files[image as usize].clone()).collect();
        let mut names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["e.png", "f.png"]);
        assert!(!loaded.dataset.class_names.contains(&"unlabelled".to_owned()));
        assert_eq!(loaded.skipped.len(), 1);
        let test =
            load_test(folder.path(), Some(1.0), Reading::Second, loaded.dataset.train.shape, &|_| Ok(vec![0; 12]), &|_, _| {})
                .unwrap();
        assert_eq!((test.classes, test.images.count()), (loaded.dataset.class_names, files_with_labels(&folder)));
    }
    let tested = folder(&[SPLIT, &["test/unlabelled/e.png"]].concat(), gray);
    assert!(refusal(&tested, FolderOptions::default()).contains("holds images without labels"));
}

/// The split follows what pictures show: whatever they are called and however they are written, and copies stay together.
#[test]
fn renamed_and_converted_pictures_keep_their_side() {
    let numbers: Vec<u8> = (0..40).collect();
    let write = |name: &dyn Fn(u8) -> String| {
        let folder = tempfile::tempdir().unwrap();
        for &number in &numbers {
            let path = folder.path().join(if number % 2 == 0 { "even" } else { "odd" }).join(name(number));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            GrayImage::from_fn(4, 3, |x, y| image::Luma([number ^ (10 * y + x) as u8])).save(&path).unwrap();
        }
        folder
    };
    // A file of another format may have its grey as colours.
    let of = |folder: &TempDir| read(folder, FolderOptions { grayscale: true, ..FolderOptions::default() }).unwrap().dataset;
    let plain = of(&write(&|number| format!("{number}.png")));
    assert_eq!((plain.train.count(), plain.test.count()), (32, 8));
    for other in [write(&|number| format!("x{}.png", 99 - number)), write(&|number| format!("{number}.bmp"))] {
        let other_data = of(&other);
        assert!(other_data.train == plain.train && other_data.test == plain.test);
        let prepare = |path: &Path| Ok(image::open(path).unwrap().to_luma8().into_raw());
        let test = load_test(other.path(), None, Reading::Second, plain.test.shape, &prepare, &|_, _| {}).unwrap();
        let sorted = |images: &Images| {
            let mut all: Vec<Vec<u8>> = (0..images.count()).map(|image| images.image(image).to_vec()).collect();
            all.sort();
            all
        };
        assert_eq!((sorted(&test.images), test.left_out), (sorted(&plain.test), 32));
    }
    let doubled = write(&|number| format!("{number}.png"));
    for entry in ["even", "odd"].iter().flat_map(|class| fs::read_dir(doubled.path().join(class)).unwrap()) {
        let path = entry.unwrap().path();
        fs::copy(&path, path.with_extension("copy.png")).unwrap();
    }
    let doubled = of(&doubled);
    assert_eq!((doubled.test.count(), doubled.copies()), (16, 0));
}

#[test]
fn names_of_folders_have_one_meaning_or_are_refused() {
    let refused = |files: &[&str]| refusal(&folder(files, different), FolderOptions::default());
    assert!(refused(&["Cat/a.png", "cat/b.png", "dog/c.png"]).contains("differ by case"));
    assert!(refused(&["cat/a.png", "cat /b.png", "dog/c.png"]).contains("differ by case, blanks"));
    assert!(refused(&["caf\u{e9}/a.png", "cafe\u{301}/b.png", "dog/c.png"]).contains("form of a letter"));
    assert!(refused(&["train/a.png", "test/b.png"]).contains("no classes but parts"));
    let of = |files: &[&str]| {
        let folder = folder(files, different);
        let loaded = read(&folder, FolderOptions::default()).unwrap();
        (loaded.dataset.class_names.clone(), loaded.dataset.unlabelled.len(), loaded.dataset.taken.left_out.clone())
    };
    let classes = ["cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png"];
    for spelling in ["unlabeled", "Unlabelled", "un-labelled"] {
        let name = format!("{spelling}/e.png");
        assert_eq!(of(&[&classes[..], &[&name]].concat()), (vec!["cat".into(), "dog".into()], 1, vec![]));
    }
    // A train is a class beside others.
    assert_eq!(of(&["train/a.png", "train/b.png", "car/c.png", "car/d.png"]).0, ["car", "train"]);
    let (names, _, left_out) =
        of(&[&classes[..], &["runs/first/config.json", "runs/first/metrics.jsonl", "audit-x/audit.json", "y.png"]].concat());
    assert_eq!((names.len(), left_out.len()), (2, 3));
    assert!(left_out[0].contains("audit-x, which this program wrote") && left_out[2].contains("1 files"), "{left_out:?}");
    let (_, _, left_out) = of(&[SPLIT, &["val/cat/g.png"]].concat());
    assert!(left_out.len() == 1 && left_out[0].contains("val, which is beside"), "{left_out:?}");
    let (names, ..) = of(&["train/caf\u{e9}/a.png", "train/b/b.png", "test/cafe\u{301}/c.png", "test/b/d.png"]);
    assert_eq!(names, ["b", "caf\u{e9}"]);
}

fn files_with_labels(folder: &TempDir) -> usize {
    fn count(folder: &Path) -> usize {
        let children = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        children.filter(|path| !path.ends_with("unlabelled")).map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
    count(folder.path())
}
