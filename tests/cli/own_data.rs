//! People's own data: what answers depend on stands in the model, what has two meanings is refused, and runs of before go on.

use crate::support::{Refusal, check_refused, join, run, text};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Two classes by the first of three columns; the order of the columns is as given.
fn table(path: &Path, order: [usize; 4], rows: u32) {
    let names = ["ill", "dose", "age", "y"];
    let row = |index: u32| {
        [
            f64::from(index % 2),
            20.0 * f64::from(index % 2) + f64::from(index % 7) + 0.5,
            f64::from(index % 11),
            f64::from(index % 13),
        ]
    };
    let line = |cells: [String; 4]| {
        order.iter().filter(|&&place| place < 4).map(|&place| cells[place].clone()).collect::<Vec<_>>().join(",") + "\n"
    };
    let body: String = (0..rows).map(|index| line(row(index).map(|number| number.to_string()))).collect();
    fs::write(path, line(names.map(str::to_owned)) + &body).unwrap();
}

fn labels(model: &Path, file: &Path, rest: &[&str]) -> Vec<String> {
    let lines = run(&join(&[&["predict", text(model), text(file), "--device=cpu", "--json"], rest])).succeeded().json_lines();
    lines.iter().map(|line| line["label"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn columns_go_by_name_and_scales_are_the_models() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    table(&path("t.csv"), [0, 1, 2, 3], 200);
    let (model, data) = (path("m"), path("t.csv"));
    let train = ["train", "--device=cpu", "--batch-size=16", "--epochs=10", "--hidden=8", "--no-report", "--label-column=ill"];
    let ran = run(&join(&[&train, &["--dataset", text(&data), "--out", text(&model)]])).succeeded();
    for part in ["labels   the column ill, of 4", "classes  2: 0 80, 1 80", "numbers  features, numbers from 0"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let right: Vec<String> = (0..50).map(|index| (index % 2).to_string()).collect();
    // With the labels, without them, and in another order; `y` is a feature.
    for order in [[0, 1, 2, 3], [1, 2, 3, 9], [3, 2, 1, 9], [3, 0, 2, 1]] {
        table(&path("new.csv"), order, 50);
        assert_eq!(labels(&model, &path("new.csv"), &[]), right, "{order:?}");
    }
    table(&path("other.csv"), [3, 2, 0, 1], 200);
    let evaluate =
        |file: &str| run(&["evaluate", text(&model), "--device=cpu", "--dataset", text(&path(file)), "--json"]).succeeded();
    let (own, other) = (evaluate("t.csv").json_lines().remove(0), evaluate("other.csv").json_lines().remove(0));
    assert_eq!((&own["accuracy"], &own["images"], &own["learned_from"]), (&other["accuracy"], &40.into(), &0.into()));
    fs::write(path("new.csv"), "dose,age,height\n1,2,3\n").unwrap();
    let ran = run(&["predict", text(&model), text(&path("new.csv")), "--device=cpu"]);
    check_refused(&ran, Refusal::Line(1), &["lacks the columns 'y'"]).unwrap();

    // Pixels of 256 shades, and fractions.
    let images = |scale: f64| {
        (0..40)
            .map(|index| (0..4).map(|pixel| if pixel % 2 == index % 2 { 255.0 * scale } else { 51.0 * scale }).collect())
            .collect::<Vec<Vec<f64>>>()
    };
    let write = |name: &str, scale: f64, with_labels: bool| {
        let line = |(index, row): (usize, &Vec<f64>)| {
            let cells = row.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
            if with_labels { format!("{},{cells}\n", index % 2) } else { format!("{cells}\n") }
        };
        let head = format!("{}pixel0,pixel1,pixel2,pixel3\n", if with_labels { "label," } else { "" });
        fs::write(path(name), head + &images(scale).iter().enumerate().map(line).collect::<String>()).unwrap();
    };
    write("px.csv", 1.0, true);
    let model = path("px");
    // Two pictures, many times: copies stay together, and so there are others, too.
    let mut more = fs::read_to_string(path("px.csv")).unwrap();
    (0..40).for_each(|index| {
        more += &format!(
            "{},{}\n",
            index % 2,
            (0..4).map(|pixel| (if pixel % 2 == index % 2 { 215 } else { 20 } + index).to_string()).collect::<Vec<_>>().join(",")
        )
    });
    fs::write(path("px.csv"), more).unwrap();
    let ran = run(&[
        "train",
        "--device=cpu",
        "--batch-size=8",
        "--epochs=20",
        "--hidden=8",
        "--no-report",
        "--dataset",
        text(&path("px.csv")),
        "--out",
        text(&model),
    ]);
    assert!(ran.succeeded().stdout.contains("numbers  pixels, 0 is black and 255 is white"));
    write("new.csv", 1.0, false);
    let whole = labels(&model, &path("new.csv"), &[]);
    write("new.csv", 1.0 / 255.0, false);
    assert_eq!(labels(&model, &path("new.csv"), &[]), whole);
    fs::write(path("new.csv"), "pixel0,pixel1,pixel2,pixel3\n0,1,0,1\n").unwrap();
    let ask = ["predict", text(&model), text(&path("new.csv")), "--device=cpu"].map(str::to_owned);
    let ask: Vec<&str> = ask.iter().map(String::as_str).collect();
    check_refused(&run(&ask), Refusal::Line(1), &["0 and 1", "--white 1", "--white 255"]).unwrap();
    run(&join(&[&ask, &["--white=255"]])).succeeded();
}

#[test]
fn what_has_two_meanings_is_refused_with_the_option_that_decides() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("it.csv");
    let train =
        ["train", "--device=cpu", "--batch-size=8", "--epochs=1", "--no-out", "--dataset", text(&file)].map(str::to_owned);
    let train: Vec<&str> = train.iter().map(String::as_str).collect();
    let rows = |of: &dyn Fn(i32) -> String| (0..60).map(|index| of(index) + "\n").collect::<String>();
    let cases: [(String, &str, &[&str], &str); 4] = [
        (
            "label,a\n".to_owned() + &rows(&|row| format!("{},{row}.5", 2 * (row % 2) - 1)),
            "--no-label never",
            &["--no-label=never"],
            "classes  2: -1 24, 1 24",
        ),
        (
            rows(&|row| format!("{},{row}.5,{}", row % 3, row % 2)),
            "--label-column last",
            &["--label-column=last"],
            "classes  2: 0 24, 1 24",
        ),
        (
            "x,y,kind\n".to_owned() + &rows(&|row| format!("{row}.5,{},{}", row % 3, row % 2)),
            "--label-column y",
            &["--label-column=kind"],
            "the column kind, of 3",
        ),
        (
            "0,1,2\n".to_owned() + &rows(&|row| format!("{},{row}.5,{row}.25", row % 2)),
            "--header",
            &["--header", "--label-column=first"],
            "classes  2: 0 24, 1 24",
        ),
    ];
    for (content, option, decides, said) in cases {
        fs::write(&file, content).unwrap();
        check_refused(&run(&train), Refusal::Line(1), &[option]).unwrap();
        let ran = run(&join(&[&train, decides])).succeeded();
        assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
    }
    fs::write(&file, "label,a\n".to_owned() + &rows(&|row| format!("3,{row}.5"))).unwrap();
    check_refused(&run(&train), Refusal::Line(1), &["one class"]).unwrap();
}

#[test]
fn runs_of_before_there_were_rules_go_on_by_the_first() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    table(&path("t.csv"), [0, 1, 2, 3], 120);
    let of = |out: &Path, rest: &[&str]| {
        let train = [
            "train",
            "--device=cpu",
            "--batch-size=16",
            "--epochs=4",
            "--hidden=8",
            "--no-report",
            "--label-column=ill",
            "--out",
            text(out),
        ]
        .map(str::to_owned);
        let train: Vec<&str> = train.iter().map(String::as_str).collect();
        run(&join(&[&train, &["--dataset", text(&path("t.csv"))], rest])).succeeded()
    };
    of(&path("whole"), &["--reading=1"]);
    of(&path("new"), &[]);
    of(&path("cut"), &["--reading=1", "--max-steps=9"]);
    let config = path("cut/config.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    assert_eq!(record["options"].as_object_mut().unwrap().remove("reading"), Some("1".into()));
    fs::write(&config, record.to_string()).unwrap();
    run(&["train", "--resume", text(&path("cut")), "--max-steps=1000"]).succeeded();
    let model = |name: &str| fs::read(path(name).join("model.safetensors")).unwrap();
    assert!(model("cut") == model("whole") && model("whole") != model("new"));
    // It is measured on what it was held back from.
    let measured: Value = serde_json::from_slice(&fs::read(path("whole/evaluation.json")).unwrap()).unwrap();
    let evaluate =
        ["evaluate", text(&path("whole")), "--device=cpu", "--json", "--label-column=ill", "--dataset", text(&path("t.csv"))]
            .map(str::to_owned);
    let evaluate: Vec<&str> = evaluate.iter().map(String::as_str).collect();
    let found = run(&evaluate).succeeded().json_lines().remove(0);
    assert_eq!((&found["loss"], &found["learned_from"]), (&measured["evaluation"]["loss"], &0.into()));
}

#[test]
fn text_from_outside_commands_no_terminal_and_leads_nowhere() {
    let folder = TempDir::new().unwrap();
    for (class, shade) in [("a", 9u8), ("b", 200)] {
        fs::create_dir_all(folder.path().join(class)).unwrap();
        for picture in 0..12u8 {
            let head = b"P5 2 2 255\n".to_vec();
            fs::write(folder.path().join(class).join(format!("{picture}.pgm")), [head, vec![shade, picture, shade, 1]].concat())
                .unwrap();
        }
    }
    fs::write(folder.path().join("a/x\u{1b}[2J\u{7}\n.png"), "no picture").unwrap();
    let train = ["train", "--device=cpu", "--epochs=1", "--batch-size=4", "--no-out", "--dataset", text(folder.path())]
        .map(str::to_owned);
    let ran = run(&train.iter().map(String::as_str).collect::<Vec<_>>()).succeeded();
    let warning = ran.stderr.lines().find(|line| line.contains("is left out")).unwrap();
    assert!(warning.contains("x\\u001b[2J\\u0007\\u000a.png") && !ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
}
