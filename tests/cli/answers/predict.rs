//! What a model says of pictures: `predict`.

use super::{ask, gray, image_of, model};
use crate::support::{Refusal, check_refused, join, text};
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The digit six times as large, in colours, at a corner of a tall picture.
fn photo(ink: &[u8]) -> DynamicImage {
    let mix = |from: u8, to: u8, ink: u8| (f32::from(from) + (f32::from(to) - f32::from(from)) * f32::from(ink) / 255.0) as u8;
    RgbImage::from_fn(300, 400, |x, y| {
        let ink = if (120..288).contains(&x) && y < 168 { ink[(28 * (y / 6) + (x - 120) / 6) as usize] } else { 0 };
        Rgb([mix(240, 30, ink), mix(230, 40, ink), mix(200, 140, ink)])
    })
    .into()
}

/// The digit in black, on nothing.
fn transparent(ink: &[u8]) -> DynamicImage {
    RgbaImage::from_fn(28, 28, |x, y| Rgba([0, 0, 0, ink[(28 * y + x) as usize]])).into()
}

#[test]
fn predict_knows_digits_however_they_are_shown() {
    let folder = TempDir::new().unwrap();
    let mut files: Vec<(u8, PathBuf)> = Vec::new();
    for class in 0..10 {
        let ink = image_of(class);
        let pictures = [gray(&ink, |ink| ink), gray(&ink, |ink| 255 - ink), photo(&ink), transparent(&ink)];
        for (picture, (kind, ending)) in
            pictures.iter().zip([("dark", "png"), ("light", "bmp"), ("photo", "jpg"), ("clear", "webp")])
        {
            let file = folder.path().join(format!("{class} {kind}.{ending}"));
            // The library writes no WebP here; a file's name does not matter.
            let format =
                if ending == "webp" { image::ImageFormat::Png } else { image::ImageFormat::from_extension(ending).unwrap() };
            picture.save_with_format(&file, format).unwrap();
            files.push((class, file));
        }
    }
    let names: Vec<&str> = files.iter().map(|(_, file)| text(file)).collect();
    let lines = ask("predict", &join(&[&["--json"], &names])).succeeded().json_lines();
    assert_eq!(lines.len(), files.len());
    let mut right = 0;
    for (line, (class, file)) in lines.iter().zip(&files) {
        assert_eq!(line["file"], text(file));
        right += usize::from(line["label"].as_str() == Some(&class.to_string()));
        for key in ["top", "a", "b"] {
            let list = line[key].as_array().unwrap();
            let probabilities: Vec<f64> = list.iter().map(|entry| entry["probability"].as_f64().unwrap()).collect();
            assert!(list.len() == 3 && probabilities.is_sorted_by(|one, other| one >= other) && probabilities[0] <= 1.0);
        }
        assert_eq!((&line["label"], &line["probability"]), (&line["top"][0]["label"], &line["top"][0]["probability"]));
    }
    assert!(right >= 36, "{right} of 40 right");
    // How a digit is shown makes no difference, but for rounding.
    for group in lines.chunks(4) {
        assert!(group.iter().all(|line| line["label"] == group[0]["label"]), "{group:?}");
    }
    // For people: the file, and a line for each answer.
    let ran = ask("predict", &names[..2]).succeeded();
    assert_eq!(ran.lines().len(), 9);
    assert!(ran.lines()[8].contains("as digits of MNIST"), "{}", ran.stdout);
    assert!(ran.lines()[0].ends_with("0 dark.png") && ran.lines()[1].starts_with("    A+B"), "{}", ran.stdout);
    // Without any preparation a picture of the model's size is the image itself, and its negative is not.
    let raw = ask("predict", &join(&[&["--json", "--raw"], &names[..2]])).succeeded().json_lines();
    assert_eq!(raw[0]["label"], "0");
    assert_ne!(raw[0]["probability"], raw[1]["probability"]);
}

#[test]
fn pictures_that_cannot_be_read_are_reported_and_the_others_answered() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let good = path("good.png");
    gray(&image_of(7), |ink| ink).save(&good).unwrap();
    let whole = fs::read(&good).unwrap();
    fs::write(path("half.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(path("text.png"), "no picture").unwrap();
    fs::write(path("nothing.png"), "").unwrap();
    GrayImage::from_pixel(40, 30, Luma([200])).save(path("empty.png")).unwrap();
    fs::write(path("bomb.pgm"), "P5 30000 30000 255\n").unwrap();
    fs::create_dir(path("folder")).unwrap();
    let bad = ["half.png", "text.png", "nothing.png", "empty.png", "bomb.pgm", "missing.png", "folder"].map(path);
    let bad: Vec<&str> = bad.iter().map(|path| text(path)).collect();
    let ran = ask("predict", &join(&[&["--json"], &bad[..3], &[text(&good)], &bad[3..]]));
    assert_eq!((ran.code, ran.lines().len()), (Some(1), 1), "{}", ran.stderr);
    assert_eq!(ran.json_lines()[0]["file"], text(&good));
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), bad.len(), "{}", ran.stderr);
    for (error, hint) in errors.iter().zip([
        "cannot be decoded",
        "not a picture",
        "is empty",
        "shows nothing",
        "30000",
        "cannot read",
        "is a folder without pictures",
    ]) {
        assert!(error.contains(hint), "{error}");
    }
    let ran = ask("predict", &bad);
    assert_eq!((ran.code, &ran.stdout[..]), (Some(1), ""));
    // With --raw a picture of one shade has an answer.
    let ran = ask("predict", &["--raw", "--json", text(&path("empty.png"))]).succeeded();
    assert!(ran.json_lines()[0]["probability"].as_f64().unwrap() > 0.0);
    check_refused(&ask("predict", &[]), Refusal::Parser, &["IMAGE"]).unwrap();
}

#[cfg(unix)]
#[test]
fn a_picture_comes_from_standard_input() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("digit.png");
    gray(&image_of(4), |ink| 255 - ink).save(&file).unwrap();
    let call = |script: &str| {
        let script = format!(r#"{script} | "$0" "$@""#);
        let arguments = ["predict", model(), "--device", "cpu", "--json", "-"];
        crate::support::run_in_shell(&script, &arguments, std::time::Duration::from_secs(60))
    };
    let line = &call(&format!("cat '{}'", text(&file))).succeeded().json_lines()[0];
    let named = &ask("predict", &["--json", text(&file)]).succeeded().json_lines()[0];
    assert_eq!((&line["file"], &line["top"], &line["a"]), (&"-".into(), &named["top"], &named["a"]));
    check_refused(&call("true"), Refusal::Line(1), &["standard input is empty"]).unwrap();
}

/// A page with digits of the test set, 140 pixels large, side by side.
fn digits_on_paper(classes: &[u8]) -> GrayImage {
    let inks: Vec<Vec<u8>> = classes.iter().map(|&class| image_of(class)).collect();
    GrayImage::from_fn(200 * classes.len() as u32, 300, |x, y| {
        let (x_in, y_in) = (x % 200, y.wrapping_sub(60));
        let inked = (20..160).contains(&x_in) && y_in < 140;
        let ink = if inked { inks[(x / 200) as usize][(28 * (y_in / 5) + (x_in - 20) / 5) as usize] } else { 0 };
        Luma([235 - (u32::from(ink) * 190 / 255) as u8])
    })
}

#[test]
fn several_digits_are_answered_one_by_one() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("two.png");
    digits_on_paper(&[4, 7]).save(&file).unwrap();
    let drawn = folder.path().join("drawn.svg");
    let line = ask("predict", &["--json", text(&file), "--annotate", text(&drawn)]).succeeded().json_lines().remove(0);
    let digits = line["digits"].as_array().unwrap();
    assert_eq!((digits.len(), &line["label"]), (2, &"47".into()), "{line}");
    for (index, digit) in digits.iter().enumerate() {
        let number = |key: &str| digit["box"][key].as_u64().unwrap();
        let (left, top) = (number("left"), number("top"));
        assert!(left >= 200 * index as u64 && left + number("width") <= 200 * (index as u64 + 1), "{digit}");
        assert!(top >= 55 && top + number("height") <= 205 && digit["top"].as_array().unwrap().len() == 3, "{digit}");
    }
    // The page, and on it a box and an answer for each digit.
    let drawn = std::fs::read_to_string(&drawn).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("viewBox=\"0 0 400 300\"") && drawn.contains("base64,iVBOR"), "{drawn}");
    assert!(drawn.matches("<rect").count() == 2 && drawn.contains(">4</text>") && drawn.contains(">7</text>"), "{drawn}");
    let ran = ask("predict", &[text(&file)]).succeeded();
    assert_eq!((ran.lines().len(), ran.stdout.matches("  digit ").count()), (10, 2), "{}", ran.stdout);
    let refused = |arguments: &[&str], hint: &str| check_refused(&ask("predict", arguments), Refusal::Line(2), &[hint]).unwrap();
    refused(&[text(&file), text(&file), "--annotate", "x.svg"], "one picture");
    refused(&[text(&file), "--annotate", "x.png"], ".svg");
}

#[test]
fn a_picture_without_a_digit_is_said_to_have_none() {
    let folder = TempDir::new().unwrap();
    let (noise, good) = (folder.path().join("a noise.png"), folder.path().join("b digit.png"));
    let mut state = 1u32;
    let noisy = GrayImage::from_fn(400, 300, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Luma([100 + (state >> 24) as u8 / 5])
    });
    noisy.save(&noise).unwrap();
    digits_on_paper(&[7]).save(&good).unwrap();
    fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    // By the folder that both are in.
    let ran = ask("predict", &["--json", text(folder.path())]);
    let lines = ran.json_lines();
    assert_eq!((ran.code, lines.len()), (Some(1), 2), "{}", ran.stderr);
    assert!(lines[0]["label"].is_null() && lines[0]["digits"].as_array().unwrap().is_empty());
    assert_eq!((&lines[1]["label"], &lines[1]["file"]), (&"7".into(), &text(&good).into()));
    assert!(ran.stderr.contains("a noise.png shows no digit"), "{}", ran.stderr);
    let ran = ask("predict", &[text(&noise)]);
    assert!(ran.code == Some(1) && ran.stdout.contains("no digit found"), "{}", ran.stdout);
    assert!(ask("predict", &["--raw", "--json", text(&noise)]).succeeded().json_lines()[0]["label"].is_string());
}
