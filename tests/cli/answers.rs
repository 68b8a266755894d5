//! What trained models answer: `evaluate`, `predict` and `export`.

use crate::support::{Idx, Ran, Refusal, check_refused, join, json_lines, names_in, run, text};
use ffcl_gpu::dataset::digits;
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

/// A run on the first digits, made once for all tests, that is right about most of them.
static RUN: LazyLock<TempDir> = LazyLock::new(|| {
    // Statics are never dropped: it stays until `cargo clean`.
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let size = ["--limit-train", "10000", "--epochs", "8", "--quiet"];
    run(&join(&[&["train", "--device", "cpu", "--out", text(folder.path())], &size])).succeeded();
    folder
});

fn model() -> &'static str {
    text(RUN.path())
}

fn ask(command: &str, arguments: &[&str]) -> Ran {
    run(&join(&[&[command, model(), "--device", "cpu"], arguments]))
}

fn last_metrics(folder: &Path) -> Value {
    json_lines(&fs::read_to_string(folder.join("metrics.jsonl")).unwrap()).pop().unwrap()
}

#[test]
fn evaluate_agrees_with_the_run() {
    let expected = last_metrics(RUN.path());
    let ran = ask("evaluate", &["--json"]).succeeded();
    let found = &ran.json_lines()[0];
    assert_eq!(ran.lines().len(), 1);
    assert_eq!(found["accuracy_a"], expected["test_accuracy_a"]);
    assert_eq!(found["accuracy_b"], expected["test_accuracy_b"]);
    assert_eq!(found["accuracy"], expected["test_accuracy_ensemble"]);
    let rows: Vec<Vec<u64>> = serde_json::from_value(found["confusion"].clone()).unwrap();
    assert_eq!((rows.len(), rows.iter().flatten().sum::<u64>()), (10, 10_000));
    let right: u64 = (0..10).map(|class| rows[class][class]).sum();
    assert_eq!(right as f64 / 10_000.0, found["accuracy"].as_f64().unwrap());
    for (class, row) in rows.iter().enumerate() {
        let score = &found["classes"][class];
        let support = row.iter().sum::<u64>();
        assert_eq!((&score["name"], &score["support"]), (&class.to_string().into(), &support.into()));
        assert_eq!(score["recall"].as_f64().unwrap(), row[class] as f64 / support as f64);
    }
    assert!(found["loss"].as_f64().unwrap() > 0.0 && found["mistakes"][0]["probability"].as_f64().unwrap() > 0.3);
    // The same for people, from the file instead of the folder.
    let file = RUN.path().join("model.safetensors");
    let ran = run(&["evaluate", text(&file), "--device", "cpu"]).succeeded();
    assert!(ran.stdout.contains(&format!("{:.2}", 100.0 * found["accuracy"].as_f64().unwrap())), "{}", ran.stdout);
    assert!(ran.stdout.contains("precision %") && ran.stdout.contains("true"));
}

#[test]
fn one_pair_of_several_can_be_asked() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let size = ["--limit-train", "512", "--epochs", "1", "--replicas", "2", "--quiet"];
    run(&join(&[&["train", "--device", "cpu", "--out", text(&out)], &size])).succeeded();
    let evaluate = |pair: &[&str]| run(&join(&[&["evaluate", text(&out), "--device", "cpu", "--json"], pair]));
    let second = evaluate(&["--replica", "1"]).succeeded().json_lines().remove(0);
    let expected = last_metrics(&out);
    assert_eq!((&expected["replica"], &second["replicas"]), (&1.into(), &1.into()));
    assert_eq!(second["accuracy"], expected["test_accuracy_ensemble"]);
    assert_eq!(evaluate(&[]).succeeded().json_lines()[0]["replicas"], 2);
    check_refused(&evaluate(&["--replica", "2"]), Refusal::Line(2), &["--replica 2", "0 to 1"]).unwrap();
}

/// A file of a network that this program did not write.
fn foreign(path: &Path, layers: &[usize]) {
    let bytes = vec![0; 4 * 784 * 784];
    let zeros = |shape: Vec<usize>| {
        let length = 4 * shape.iter().product::<usize>();
        TensorView::new(Dtype::F32, shape, &bytes[..length]).unwrap()
    };
    let tensors = ["a", "b"].into_iter().flat_map(|letter| {
        layers.windows(2).enumerate().flat_map(move |(layer, pair)| {
            let name = format!("r0.{letter}.layers.{layer}");
            [(format!("{name}.weight"), zeros(vec![pair[1], pair[0]])), (format!("{name}.bias"), zeros(vec![pair[1]]))]
        })
    });
    fs::write(path, safetensors::serialize(tensors.collect::<Vec<_>>(), None).unwrap()).unwrap();
}

#[test]
fn models_that_are_none_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text.safetensors"), "no weights").unwrap();
    fs::write(path("nothing.safetensors"), "").unwrap();
    fs::create_dir(path("empty")).unwrap();
    foreign(&path("small.safetensors"), &[49, 10]);
    foreign(&path("few.safetensors"), &[784, 3]);
    let picture = path("digit.png");
    gray(&image_of(3), |ink| ink).save(&picture).unwrap();
    let cases: [(&str, i32, &[&str]); 4] = [
        ("missing", 1, &["cannot read"]),
        ("text.safetensors", 1, &["no whole safetensors"]),
        ("nothing.safetensors", 1, &["no whole safetensors"]),
        ("empty", 1, &["neither model.safetensors nor checkpoint.safetensors"]),
    ];
    for (name, code, hints) in cases {
        for (command, rest) in [("evaluate", None), ("predict", Some(&picture)), ("export", Some(&path("x.onnx")))] {
            let model = path(name);
            let rest: Vec<&str> = rest.into_iter().map(|file| text(file)).collect();
            let arguments = join(&[&[command, text(&model)], &rest]);
            check_refused(&run(&arguments), Refusal::Line(code), hints)
                .unwrap_or_else(|problem| panic!("{command} {name}: {problem}"));
        }
    }
    assert!(!path("x.onnx").exists());
    let evaluate =
        |name: &str, rest: &[&str]| run(&join(&[&["evaluate", text(&path(name)), "--plain", "--device", "cpu"], rest]));
    check_refused(&evaluate("few.safetensors", &[]), Refusal::Line(2), &["unknown", "--dataset"]).unwrap();
    let digits = ["--dataset", "digits"];
    check_refused(&evaluate("small.safetensors", &digits), Refusal::Line(2), &["28×28", "7×7"]).unwrap();
    check_refused(&evaluate("few.safetensors", &digits), Refusal::Line(2), &["3 classes"]).unwrap();
    // A foreign file that fits is taken, if the user says that it is a plain network.
    foreign(&path("fits.safetensors"), &[784, 10]);
    let ran = evaluate("fits.safetensors", &digits).succeeded();
    assert!(ran.stdout.contains("compared by number"), "{}", ran.stdout);
    let fits = path("fits.safetensors");
    for arguments in [&["evaluate", text(&fits)][..], &["predict", text(&fits), text(&picture)]] {
        check_refused(&run(arguments), Refusal::Line(1), &["lacks both its metadata and the tensor", "--plain"]).unwrap();
    }
    // What is no safetensors file is called by its name.
    check_refused(&run(&["predict", text(&picture), text(&picture)]), Refusal::Line(1), &["it is a picture"]).unwrap();
    Idx::small().write(folder.path());
    check_refused(&ask("evaluate", &["--dataset", "mnist"]), Refusal::Line(2), &["--data-dir"]).unwrap();
    ask("evaluate", &["--dataset", "mnist", "--data-dir", text(folder.path())]).succeeded();
}

/// The first test image of a class.
fn image_of(class: u8) -> Vec<u8> {
    let test = digits::generate_with_counts(digits::SEED, 1, 200).test;
    let index = test.labels.iter().position(|&label| label == class).unwrap();
    test.image(index).to_vec()
}

fn gray(ink: &[u8], shade: impl Fn(u8) -> u8) -> DynamicImage {
    GrayImage::from_fn(28, 28, |x, y| Luma([shade(ink[(28 * y + x) as usize])])).into()
}

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
        "no picture",
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

#[test]
fn export_writes_a_file_or_nothing() {
    let folder = TempDir::new().unwrap();
    let export = |name: &str, rest: &[&str]| {
        let file = folder.path().join(name);
        run(&join(&[&["export", model(), text(&file)], rest]))
    };
    for (name, refusal, rest, hint) in [
        ("model.safetensors", Refusal::Line(2), &[][..], ".onnx"),
        ("model", Refusal::Line(2), &[], ".onnx"),
        ("missing/model.onnx", Refusal::Line(2), &[], "folder that exists"),
        ("model.onnx", Refusal::Line(2), &["--replica", "1"], "--replica 1"),
        ("model.onnx", Refusal::Parser, &["--network", "c"], "ensemble"),
        ("model.onnx", Refusal::Parser, &["surplus"], "surplus"),
    ] {
        check_refused(&export(name, rest), refusal, &[hint]).unwrap_or_else(|problem| panic!("{name} {rest:?}: {problem}"));
    }
    assert!(names_in(folder.path()).is_empty());
    let size = |network: &str| {
        export("model.onnx", &["--network", network]).succeeded();
        fs::metadata(folder.path().join("model.onnx")).unwrap().len()
    };
    let weights = 4 * (785 * 64 + 65 * 64 + 65 * 10);
    assert!((weights..weights + 5000).contains(&size("a")) && (2 * weights..2 * weights + 10_000).contains(&size("ensemble")));
    assert_eq!(names_in(folder.path()), ["model.onnx"]);
}

/// Pictures of digits in folders of these names, some of each.
fn scans(folder: &Path, classes: &[(u8, &str)]) {
    for &(class, name) in classes {
        fs::create_dir_all(folder.join(name)).unwrap();
        let test = digits::generate_with_counts(digits::SEED, 1, 400).test;
        let own = (0..test.count()).filter(|&index| test.labels[index] == class);
        for index in own.take(20) {
            let file = folder.join(name).join(format!("{index}.png"));
            gray(test.image(index), |ink| 255 - ink).resize(80, 90, image::imageops::FilterType::Triangle).save(file).unwrap();
        }
    }
}

fn evaluation(arguments: &[&str]) -> Value {
    ask("evaluate", &join(&[&["--json"], arguments])).succeeded().json_lines().remove(0)
}

#[test]
fn classes_are_compared_by_name_and_pictures_prepared_as_for_predict() {
    let folder = TempDir::new().unwrap();
    scans(folder.path(), &[(7, "7"), (3, "3")]);
    let dataset = ["--dataset", text(folder.path()), "--split", "all"];
    let found = evaluation(&dataset);
    assert_eq!(
        (&found["classes_matched_by"], &found["preparation"], &found["left_out"]),
        (&"names".into(), &"digit".into(), &0.into())
    );
    assert_eq!((&found["classes"][7]["support"], &found["classes"][3]["support"]), (&20.into(), &20.into()));
    assert!(found["accuracy"].as_f64().unwrap() > 0.8, "{}", found["accuracy"]);
    // `predict` says the same of each picture, and finds them all in the folder.
    let said = ask("predict", &["--json", text(folder.path())]).succeeded().json_lines();
    let right = said.iter().filter(|line| {
        let class = Path::new(line["file"].as_str().unwrap()).parent().unwrap().file_name().unwrap();
        line["label"].as_str() == class.to_str()
    });
    assert_eq!((said.len(), right.count() as f64 / 40.0), (40, found["accuracy"].as_f64().unwrap()));
    assert!(said.iter().all(|line| line["preparation"] == "digit"));
    // Without preparation both are wrong about dark ink on white.
    let raw = evaluation(&join(&[&dataset, &["--raw"]]));
    assert_eq!(raw["preparation"], "resize");
    assert!(raw["accuracy"].as_f64().unwrap() < 0.5, "{}", raw["accuracy"]);
    // A part is tested on unless all is asked for, and what is left out is counted.
    let ran = ask("evaluate", &["--dataset", text(folder.path())]).succeeded();
    assert!(ran.stdout.contains("8 images of 28×28 to test, 32 left out (--split all"), "{}", ran.stdout);
    assert!(ran.stdout.contains("classes  compared by name"), "{}", ran.stdout);
    assert_eq!(evaluation(&["--dataset", text(folder.path()), "--test-fraction", "1"])["accuracy"], found["accuracy"]);
    // One class is enough to measure on; a strange one is named.
    let one = TempDir::new().unwrap();
    scans(one.path(), &[(5, "5")]);
    assert_eq!(evaluation(&["--dataset", text(one.path()), "--split", "all"])["images"], 20);
    scans(one.path(), &[(1, "one")]);
    check_refused(&ask("evaluate", &["--dataset", text(one.path())]), Refusal::Line(2), &["class 'one' is none of the model's"])
        .unwrap();
}

#[test]
fn a_model_that_lost_its_metadata_answers_to_the_last_bit() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let size = ["--limit-train", "1000", "--epochs", "1", "--standardize", "--quiet"];
    run(&join(&[&["train", "--device", "cpu", "--out", text(&out)], &size])).succeeded();
    let bytes = fs::read(out.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let again = folder.path().join("again.safetensors");
    fs::write(&again, safetensors::serialize(tensors.tensors(), None).unwrap()).unwrap();
    let measure = |model: &Path| {
        let ran = run(&["evaluate", text(model), "--device", "cpu", "--json"]).succeeded();
        let mut found = ran.json_lines().remove(0);
        found["model"] = Value::Null;
        found
    };
    assert_eq!(measure(&out), measure(&again));
    // In half of the digits it says so.
    let converted: Vec<_> = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let halves: Vec<u8> = match view.dtype() {
                Dtype::U8 => view.data().iter().flat_map(|&byte| half::f16::from_f32(f32::from(byte)).to_le_bytes()).collect(),
                _ => {
                    let numbers = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
                    numbers.flat_map(|number| half::f16::from_f32(number).to_le_bytes()).collect()
                }
            };
            (name, view.shape().to_vec(), halves)
        })
        .collect();
    let views = converted.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F16, shape.clone(), bytes).unwrap()));
    fs::write(&again, safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
    let ran = run(&["evaluate", text(&again), "--device", "cpu"]).succeeded();
    assert!(ran.stderr.contains("are F16; they are converted to F32"), "{}", ran.stderr);
    let start = ["train", "--device", "cpu", "--limit-train", "256", "--epochs", "1", "--no-out", "--init-from", text(&again)];
    assert!(run(&start).succeeded().stderr.contains("are F16; they are converted to F32"));
}

#[test]
fn evaluate_knows_what_a_run_held_out() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let size = ["--limit-train", "1000", "--hold-out", "500", "--epochs", "1", "--quiet"];
    run(&join(&[&["train", "--device", "cpu", "--out", text(&out)], &size])).succeeded();
    let measure = |rest: &[&str]| {
        run(&join(&[&["evaluate", text(&out), "--device", "cpu", "--json"], rest])).succeeded().json_lines().remove(0)
    };
    let found = measure(&[]);
    assert_eq!((&found["split"], &found["images"]), (&"held-out".into(), &500.into()));
    assert_eq!(found["accuracy"], last_metrics(&out)["test_accuracy_ensemble"]);
    assert_eq!(measure(&["--split", "test"])["images"], 10_000);
    check_refused(&ask("evaluate", &["--split", "held-out"]), Refusal::Line(2), &["--hold-out"]).unwrap();
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
    let drawn = folder.path().join("drawn.png");
    let line = ask("predict", &["--json", text(&file), "--annotate", text(&drawn)]).succeeded().json_lines().remove(0);
    let digits = line["digits"].as_array().unwrap();
    assert_eq!((digits.len(), &line["label"]), (2, &"47".into()), "{line}");
    for (index, digit) in digits.iter().enumerate() {
        let number = |key: &str| digit["box"][key].as_u64().unwrap();
        let (left, top) = (number("left"), number("top"));
        assert!(left >= 200 * index as u64 && left + number("width") <= 200 * (index as u64 + 1), "{digit}");
        assert!(top >= 55 && top + number("height") <= 205 && digit["top"].as_array().unwrap().len() == 3, "{digit}");
    }
    // The page, with colours on it.
    let drawn = image::open(&drawn).unwrap().to_rgb8();
    assert_eq!(drawn.dimensions(), (400, 300));
    assert!(drawn.pixels().any(|pixel| pixel.0[0] != pixel.0[1]));
    let ran = ask("predict", &[text(&file)]).succeeded();
    assert_eq!((ran.lines().len(), ran.stdout.matches("  digit ").count()), (10, 2), "{}", ran.stdout);
    let refused = |arguments: &[&str], hint: &str| check_refused(&ask("predict", arguments), Refusal::Line(2), &[hint]).unwrap();
    refused(&[text(&file), text(&file), "--annotate", "x.png"], "one picture");
    refused(&[text(&file), "--annotate", "x.jpg"], ".png");
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
