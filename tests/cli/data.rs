//! Data: folders of images, CIFAR-10, `data fetch`, `data list` and `data verify`. The only server is one of our own.

use crate::support::{Idx, Ran, Refusal, check_refused, join, names_in, run, run_with, text};
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;

const CLASSES: [&str; 3] = ["blue", "green", "red"];

/// Pictures of 8×6 in three colours that a network can tell apart.
fn pictures(folder: &Path, each: u32) {
    for (class, name) in CLASSES.iter().enumerate() {
        fs::create_dir_all(folder.join(name)).unwrap();
        for index in 0..each {
            let picture = RgbImage::from_fn(8, 6, |x, y| {
                let mut colour = [(x * 9 + y * 5 + index) as u8 % 60; 3];
                colour[2 - class] = 200;
                Rgb(colour)
            });
            picture.save(folder.join(name).join(format!("{index}.png"))).unwrap();
        }
    }
}

fn spoiled_pictures(folder: &Path) {
    pictures(&folder.join("train"), 40);
    pictures(&folder.join("test"), 10);
    let whole = fs::read(folder.join("train/red/0.png")).unwrap();
    for index in 0..11 {
        fs::write(folder.join(format!("train/red/cut{index}.png")), &whole[..10 + 7 * index]).unwrap();
    }
    fs::write(folder.join("test/blue/notes.txt"), "no image").unwrap();
}

#[test]
fn a_folder_of_images_trains_end_to_end_without_the_corrupt_ones() {
    let folder = TempDir::new().unwrap();
    spoiled_pictures(folder.path());
    let out = folder.path().join("run");
    let options = ["train", "--device", "cpu", "--epochs", "20", "--batch-size", "30", "--dataset", text(folder.path())];
    let ran = run(&join(&[&options, &["--out", text(&out), "--learning-rate", "1e-2"]])).succeeded();
    assert!(ran.stdout.contains("120 images of 6×8×3 to learn, 30 images of 6×8×3 to test"), "{}", ran.stdout);
    assert!(ran.stdout.contains("144-64-64-3"), "{}", ran.stdout);
    let warnings: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("warning: ") && !line.contains("epoch")).collect();
    assert_eq!((warnings.len(), *warnings.last().unwrap()), (11, "warning: and 2 more"), "{}", ran.stderr);
    assert!(warnings[..10].iter().all(|line| line.contains(" is left out: ")), "{warnings:?}");
    let config: Value = serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
    let written = &config["options"];
    assert_eq!((written["dataset"].as_str(), config["train_images"].as_u64()), (folder.path().to_str(), Some(120)));
    assert_eq!((&written["grayscale"], &written["layers"][0]), (&Value::from(false), &Value::from(144)));
    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    // Guessing has 0.33.
    assert!(last["test_accuracy_ensemble"].as_f64().unwrap() > 0.9, "{last}");
    assert_eq!(run(&join(&[&options, &["--quiet"]])).succeeded().stderr, "");

    // What the run says of itself repeats it.
    let repeated = run(&["train", "--config", text(&out.join("config.json")), "--no-out"]).succeeded();
    let results = |ran: &Ran| {
        let line = ran.lines().into_iter().find(|line| line.contains("Test accuracy")).map(str::to_owned).unwrap_or_default();
        line.split_once(". ").map(|(_, results)| results.to_owned())
    };
    assert!(results(&ran).is_some());
    assert_eq!(results(&repeated), results(&ran));
}

#[test]
fn a_folder_without_a_test_set_is_split_and_reshaped() {
    let folder = TempDir::new().unwrap();
    pictures(folder.path(), 20);
    let options = ["train", "--device", "cpu", "--epochs", "1", "--batch-size", "10", "--dataset", text(folder.path())];
    let shape = ["--test-fraction=0.25", "--image-size=4x5", "--grayscale=true", "--shift=1", "--hidden=7"];
    let ran = run(&join(&[&options, &shape])).succeeded();
    assert!(ran.stdout.contains("45 images of 4×5 to learn, 15 images of 4×5 to test"), "{}", ran.stdout);
    assert!(ran.stdout.contains("20-7-3"), "{}", ran.stdout);
    RgbImage::new(9, 9).save(folder.path().join("red/0.png")).unwrap();
    check_refused(&run(&options), Refusal::Line(2), &["--image-size"]).unwrap();
    fs::remove_dir_all(folder.path().join("red")).unwrap();
    fs::remove_dir_all(folder.path().join("green")).unwrap();
    check_refused(&run(&options), Refusal::Line(1), &["one class folder"]).unwrap();
}

#[test]
fn a_folder_is_not_the_set_whose_name_it_has() {
    let parent = TempDir::new().unwrap();
    let (folder, out) = (parent.path().join("digits"), parent.path().join("run"));
    pictures(&folder, 20);
    let train = ["train", "--device=cpu", "--epochs=2", "--batch-size=9", "--dataset", text(&folder), "--out", text(&out)];
    run(&join(&[&train, &["--grayscale", "--image-size=28", "--test-fraction=0.1", "--quiet"]])).succeeded();
    let evaluate = ["evaluate", text(&out), "--device=cpu"];
    check_refused(&run(&evaluate), Refusal::Line(2), &["a folder 'digits'", "--dataset DIR"]).unwrap();
    // A folder's pictures are not brought into MNIST's shape, in which one of a single shade has nothing to show.
    let flat = parent.path().join("flat.png");
    RgbImage::from_pixel(9, 9, Rgb([200; 3])).save(&flat).unwrap();
    run(&["predict", text(&out), text(&flat), "--device=cpu"]).succeeded();

    // What the run was measured on, and no image that it learnt.
    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    let measure = |dataset: &Path| {
        let mut found = run(&join(&[&evaluate, &["--json", "--dataset", text(dataset)]])).succeeded().json_lines();
        let found = found.remove(0);
        let rows: Vec<Vec<u64>> = serde_json::from_value(found["confusion"].clone()).unwrap();
        (found, rows.iter().flatten().sum::<u64>())
    };
    let (found, images) = measure(&folder);
    assert_eq!((&found["accuracy"], images), (&last["test_accuracy_ensemble"], 6));
    assert_eq!((&found["accuracy_a"], &found["accuracy_b"]), (&last["test_accuracy_a"], &last["test_accuracy_b"]));
    // A folder with a test set of its own needs no share.
    let split = parent.path().join("split");
    pictures(&split.join("train"), 2);
    pictures(&split.join("test"), 3);
    assert_eq!(measure(&split).1, 9);
}

#[test]
fn cifar_takes_its_widths_from_the_data() {
    let folder = TempDir::new().unwrap();
    let records = |count: u32| (0..count * 3073).map(|at| if at % 3073 == 0 { (at / 3073 % 10) as u8 } else { (at % 251) as u8 });
    for batch in 1..=5 {
        fs::write(folder.path().join(format!("data_batch_{batch}.bin")), records(20).collect::<Vec<_>>()).unwrap();
    }
    fs::write(folder.path().join("test_batch.bin"), records(10).collect::<Vec<_>>()).unwrap();
    let options = ["train", "--device=cpu", "--epochs=1", "--batch-size=50", "--rotation=10", "--layers=auto,16,auto"];
    let ran = run(&join(&[&options, &["--dataset=cifar10", "--data-dir", text(folder.path())]])).succeeded();
    assert!(ran.stdout.contains("cifar10: 100 images of 32×32×3 to learn"), "{}", ran.stdout);
    assert!(ran.stdout.contains("3072-16-10"), "{}", ran.stdout);
}

/// A server that sends this content to each request, but no more than so many bytes; its address, and the first bytes asked for.
fn serve(content: Vec<u8>, most: usize, requests: usize) -> (String, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(&stream).lines().map_while(|line| line.ok().filter(|line| !line.is_empty()));
            let lines: Vec<_> = lines.map(|line| line.to_lowercase()).collect();
            let range = lines.iter().find_map(|line| line.strip_prefix("range: bytes=")?.trim_end_matches('-').parse().ok());
            let first: usize = range.unwrap_or_default();
            sender.send(first).unwrap();
            let (status, left) = (if range.is_some() { "206 Partial Content" } else { "200 OK" }, &content[first..]);
            let length = left.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Range: bytes {first}-0/0\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&left[..most.min(length)]));
        }
    });
    (address, receiver)
}

const TRAIN_IMAGES: usize = 9_912_422;

#[test]
fn an_offline_fetch_is_one_clear_line_and_leaves_nothing() {
    let cache = TempDir::new().unwrap();
    let nobody = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let ran = run_with(&["data", "fetch", "mnist", "--mirror", &nobody], &[("FFCL_CACHE_DIR", text(cache.path()))]);
    let folder = cache.path().join("mnist");
    let address = format!("{nobody}/train-images-idx3-ubyte.gz");
    check_refused(&ran, Refusal::Line(1), &[&address, text(&folder), "t10k-labels-idx1-ubyte", "--mirror"]).unwrap();
    assert!(names_in(cache.path()).is_empty());
}

#[test]
fn what_is_here_is_not_fetched_though_its_checksum_is_unknown() {
    let folder = TempDir::new().unwrap();
    let kmnist = folder.path().join("kmnist");
    Idx::small().write(&kmnist);
    let nobody = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let fetch = || run(&["data", "fetch", "kmnist", "--data-dir", text(folder.path()), "--mirror", &nobody]);
    assert!(fetch().succeeded().stdout.contains("already in"));
    fs::write(kmnist.join(Idx::FILES[2]), "damaged").unwrap();
    check_refused(&fetch(), Refusal::Line(1), &[&nobody]).unwrap();
}

#[test]
fn a_wrong_checksum_is_refused_and_leaves_nothing() {
    let cache = TempDir::new().unwrap();
    let variable = [("FFCL_CACHE_DIR", text(cache.path()))];
    let (address, _requests) = serve(vec![7; TRAIN_IMAGES], usize::MAX, 1);
    let ran = run_with(&["data", "fetch", "mnist", "--mirror", &address], &variable);
    check_refused(&ran, Refusal::Line(1), &["wrong checksum", &address]).unwrap();
    assert!(names_in(cache.path()).is_empty());
}

#[test]
fn an_interrupted_fetch_goes_on_where_it_broke_off() {
    let folder = TempDir::new().unwrap();
    // The first answer breaks off, and nobody gives a second one.
    let (address, _requests) = serve(vec![7; TRAIN_IMAGES], 100_000, 1);
    let arguments = ["data", "fetch", "mnist", "--data-dir", text(folder.path()), "--mirror"];
    let ran = run(&join(&[&arguments, &[&address]]));
    check_refused(&ran, Refusal::Line(1), &["same command again", &address]).unwrap();
    let part = folder.path().join("mnist/train-images-idx3-ubyte.gz.part");
    assert_eq!(fs::metadata(&part).unwrap().len(), 100_000);
    // The part is no data.
    let ran = run(&["train", "--dataset", "mnist", "--data-dir", text(folder.path())]);
    check_refused(&ran, Refusal::Line(1), &["no file found", "data fetch mnist"]).unwrap();
    let (address, requests) = serve(vec![7; TRAIN_IMAGES], 200_000, 1);
    check_refused(&run(&join(&[&arguments, &[&address]])), Refusal::Line(1), &["same command again"]).unwrap();
    assert_eq!((requests.recv().unwrap(), fs::metadata(&part).unwrap().len()), (100_000, 300_000));
}

#[test]
fn list_and_verify_say_what_is_here() {
    let folder = TempDir::new().unwrap();
    let command = |name| ["data", name, "--data-dir", text(folder.path())];
    let lines = run(&join(&[&command("list"), &["--json"]])).succeeded().json_lines();
    assert_eq!((lines.len(), &lines[1]["name"], &lines[1]["folder"]), (8, &Value::from("mnist"), &Value::Null));
    assert!(run(&command("verify")).succeeded().stdout.contains("no data set is here"));
    Idx::small().write(&folder.path().join("mnist"));
    let mnist = folder.path().join("mnist");
    assert_eq!(run(&join(&[&command("list"), &["--json"]])).succeeded().json_lines()[1]["folder"].as_str(), mnist.to_str());
    assert!(
        run(&command("list")).succeeded().lines().iter().any(|line| line.starts_with("mnist ") && line.ends_with(text(&mnist)))
    );
    let ran = run(&command("verify"));
    assert_eq!((ran.code, ran.lines().iter().filter(|line| line.contains("WRONG")).count()), (Some(1), 4), "{}", ran.stdout);
    let ran = run(&join(&[&command("verify"), &["kmnist"]]));
    check_refused(&ran, Refusal::Line(1), &["kmnist is not here", "data fetch kmnist"]).unwrap();
    check_refused(&run(&["data", "fetch", "minst"]), Refusal::Parser, &["mnist"]).unwrap();
}

#[test]
fn folders_are_found_by_the_names_that_people_give_them() {
    let train = ["train", "--device=cpu", "--epochs=1", "--batch-size=6", "--no-out", "--dataset"];
    for (learn, test) in
        [("training", "testing"), ("Train", "Test"), ("train", "val"), ("wrapped/data/train", "wrapped/data/test")]
    {
        let folder = TempDir::new().unwrap();
        pictures(&folder.path().join(learn), 4);
        pictures(&folder.path().join(test), 2);
        let ran = run(&join(&[&train, &[text(folder.path())]])).succeeded();
        assert!(ran.stdout.contains("12 images of 6×8×3 to learn, 6 images of 6×8×3 to test"), "{learn}: {}", ran.stdout);
    }
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    pictures(&path("train"), 4);
    pictures(&path("test"), 2);
    // One folder too low: the other one is named, and what is no folder of classes says where these are.
    let ran = run(&join(&[&train, &[text(&path("train"))]])).succeeded();
    assert!(ran.stderr.contains("test is left out; --dataset"), "{}", ran.stderr);
    let low = path("train/red");
    check_refused(&run(&join(&[&train, &[text(&low)]])), Refusal::Line(1), &["may be one of them", text(&path("train"))])
        .unwrap();
    pictures(&path("Training"), 1);
    check_refused(&run(&join(&[&train, &[text(folder.path())]])), Refusal::Line(1), &["have the same meaning"]).unwrap();
}

#[test]
fn sizes_that_are_advised_are_possible() {
    let folder = TempDir::new().unwrap();
    for (class, sides) in [("a", [300, 320]), ("b", [300, 310])] {
        fs::create_dir_all(folder.path().join(class)).unwrap();
        for side in sides {
            RgbImage::new(side, 200).save(folder.path().join(class).join(format!("{side}.png"))).unwrap();
        }
    }
    let train = ["train", "--device=cpu", "--epochs=1", "--batch-size=2", "--no-out", "--dataset", text(folder.path())];
    let ran = run(&train);
    // 300 or 310 wide is which image comes first.
    check_refused(&ran, Refusal::Line(2), &["give --image-size 4", "x64"]).unwrap();
    check_refused(&run(&join(&[&train, &["--image-size=200x300"]])), Refusal::Line(2), &["180000 numbers", "--image-size 43x64"])
        .unwrap();
    run(&join(&[&train, &["--image-size=43x64"]])).succeeded();
}

#[test]
fn tables_and_arrays_are_data() {
    let folder = TempDir::new().unwrap();
    let (table, out) = (folder.path().join("bars.csv"), folder.path().join("run"));
    let row = |index: u32| {
        let pixels: Vec<String> =
            (0..36).map(|pixel| (if pixel / 12 == index % 3 { 250 } else { pixel + index }).to_string()).collect();
        format!("{},{}\n", index % 3, pixels.join(","))
    };
    let names: Vec<String> = (0..36).map(|pixel| format!("pixel{pixel}")).collect();
    let text_of = format!("label,{}\n{}", names.join(","), (0..60).map(row).collect::<String>());
    fs::write(&table, text_of).unwrap();
    let train = ["train", "--device=cpu", "--epochs=20", "--batch-size=12", "--out", text(&out), "--dataset", text(&table)];
    let ran = run(&train).succeeded();
    assert!(ran.stdout.contains("bars: 48 images of 6×6 to learn, 12 images of 6×6 to test"), "{}", ran.stdout);
    let measure = |rest: &[&str]| {
        let evaluate = ["evaluate", text(&out), "--device=cpu", "--json", "--dataset", text(&table)];
        run(&join(&[&evaluate, rest])).succeeded().json_lines().remove(0)
    };
    let found = measure(&[]);
    assert_eq!((&found["accuracy"], &found["images"], &found["left_out"]), (&1.0.into(), &12.into(), &48.into()));
    assert_eq!((&found["classes_matched_by"], &measure(&["--split=all"])["images"]), (&"numbers".into(), &60.into()));
    check_refused(&run(&["evaluate", text(&out)]), Refusal::Line(2), &["trained on a file 'bars'", "--dataset FILE"]).unwrap();
    fs::write(&table, "label,pixel0\n1,red\n").unwrap();
    let wrong = ["train", "--no-out", "--dataset", text(&table)];
    check_refused(&run(&wrong), Refusal::Line(1), &["bars.csv", "\"red\" in row 2"]).unwrap();
}

/// Measurements in units of their own: learnt, gone on with, asked about and exported as images are.
#[test]
fn tables_of_features_are_data() {
    let folder = TempDir::new().unwrap();
    let (table, out) = (folder.path().join("points.csv"), folder.path().join("run"));
    // Two classes apart in the second column, whose numbers are tiny; the first says nothing, and is large.
    let row = |index: u32| format!("{},{},{}\n", 40000 + index * 37 % 1000, 1e-4 * f64::from(index % 2) + 1e-6, index % 2);
    fs::write(&table, format!("weight,dose,ill\n{}", (0..100).map(row).collect::<String>())).unwrap();
    let train = [
        "train",
        "--device=cpu",
        "--batch-size=20",
        "--hidden=8",
        "--learning-rate=1e-2",
        "--label-column=ill",
        "--dataset",
        text(&table),
    ];
    let whole = run(&join(&[&train, &["--epochs=30", "--out", text(&out)]])).succeeded();
    assert!(whole.stdout.contains("points: 80 rows of 2 features to learn, 20 rows of 2 features to test"), "{}", whole.stdout);
    let config: Value = serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["options"]["standardize"], &config["options"]["label-column"]),
        (&Value::from(true), &Value::from("ill"))
    );
    // Without scales of their own the tiny numbers say nothing.
    let raw = folder.path().join("raw");
    run(&join(&[&train, &["--epochs=30", "--standardize=false", "--out", text(&raw)]])).succeeded();
    let accuracy = |run_of: &Path| {
        let evaluate = ["evaluate", text(run_of), "--device=cpu", "--json", "--label-column=ill", "--dataset", text(&table)];
        run(&evaluate).succeeded().json_lines()[0]["accuracy"].as_f64().unwrap()
    };
    assert_eq!(accuracy(&out), 1.0);
    assert!(accuracy(&raw) < 0.8);

    // It goes on to the same bits.
    let cut = folder.path().join("cut");
    run(&join(&[&train, &["--epochs=30", "--max-steps=49", "--out", text(&cut)]])).succeeded();
    run(&["train", "--resume", text(&cut), "--max-steps=120"]).succeeded();
    let model = |of: &Path| fs::read(of.join("model.safetensors")).unwrap();
    assert!(model(&cut) == model(&out));
    let changed = folder.path().join("points.csv");
    let bytes = fs::read_to_string(&changed).unwrap();
    fs::write(&changed, bytes.replacen("40000", "40001", 1)).unwrap();
    check_refused(&run(&["train", "--resume", text(&cut), "--max-steps=140"]), Refusal::Line(1), &["data"]).unwrap();

    // Rows without labels, as text and as JSON.
    let rows = folder.path().join("new.csv");
    fs::write(&rows, "weight,dose\n40500,0.000101\n40500,0.000001\n").unwrap();
    let predict = ["predict", text(&out), text(&rows), "--device=cpu"];
    let answers = run(&join(&[&predict, &["--json"]])).succeeded().json_lines();
    assert_eq!(answers.iter().map(|answer| answer["label"].as_str().unwrap()).collect::<Vec<_>>(), ["1", "0"]);
    assert!(run(&predict).succeeded().stdout.contains("row 1"));
    fs::write(&rows, "weight\n40500\n").unwrap();
    check_refused(&run(&predict), Refusal::Line(1), &["lacks the columns 'dose'"]).unwrap();
    let picture = folder.path().join("it.png");
    RgbImage::new(4, 4).save(&picture).unwrap();
    check_refused(&run(&["predict", text(&out), text(&picture)]), Refusal::Line(2), &["reads features"]).unwrap();
    run(&["export", text(&out), text(&folder.path().join("model.onnx"))]).succeeded();

    check_refused(&run(&join(&[&train, &["--shift=1", "--no-out"]])), Refusal::Line(2), &["features; leave them out"]).unwrap();
    fs::write(&table, "weight,dose,ill\n1,2,0\n,3,1\n").unwrap();
    check_refused(&run(&train), Refusal::Line(1), &["lacks a value in row 3, column 1 (weight)"]).unwrap();
    check_refused(&run(&["train", "--features"]), Refusal::Line(2), &["--features, --label-column"]).unwrap();
}

#[test]
fn what_stands_behind_a_gzip_stream_is_zeros_or_an_error() {
    use flate2::{Compression, write::GzEncoder};
    let folder = TempDir::new().unwrap();
    let idx = Idx::small();
    idx.write(folder.path());
    let labels = folder.path().join(Idx::FILES[3]);
    fs::remove_file(&labels).unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&idx.test_labels).unwrap();
    let stream = encoder.finish().unwrap();
    let train = ["train", "--device=cpu", "--epochs=1", "--no-out", "--dataset=mnist", "--data-dir", text(folder.path())];
    let with = |behind: &[u8]| {
        fs::write(labels.with_extension("gz"), [&stream, behind].concat()).unwrap();
        run(&train)
    };
    with(&[0; 512]).succeeded();
    check_refused(&with(b"\r\n"), Refusal::Line(1), &["something else behind its gzip stream", "0d 0a"]).unwrap();
}

#[test]
fn files_of_options_may_have_any_encoding_and_a_home() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("options");
    let run_config = |bytes: &[u8]| {
        fs::write(&config, bytes).unwrap();
        run_with(&["train", "--config", text(&config), "--quiet"], &[("HOME", text(folder.path()))])
    };
    let options = "epochs = 1\nlimit-train = 256\ndevice = 'cpu'\n";
    let wide = |text: &str| [vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    run_config(&[b"\xef\xbb\xbf", options.as_bytes()].concat()).succeeded();
    run_config(&wide(options)).succeeded();
    run_config(format!("{options}out = '~/in/file'\n").as_bytes()).succeeded();
    assert!(folder.path().join("in/file/config.json").exists());
    let words = ["train", "--device=cpu", "--epochs=1", "--limit-train=256", "--quiet", "--out=~/typed"];
    run_with(&words, &[("HOME", text(folder.path()))]).succeeded();
    assert!(folder.path().join("typed/config.json").exists());
    check_refused(&run_config(b"\xff\xfe\x00"), Refusal::Line(1), &["is no text"]).unwrap();
}
