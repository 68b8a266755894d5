//! `audit`: wrong labels that are known are found, copies are clean, originals stay, nonsense is refused.

#[cfg(unix)]
use crate::support::{Idx, join, runs::start};
use crate::support::{Refusal, check_refused, names_in, report, run, text};
use ffcl_gpu::dataset::digits;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::{process::Command, time::Instant};
use tempfile::TempDir;

const SMALL: [&str; 5] = ["--device", "cpu", "--folds", "2", "--quiet"];

fn audit(data: &str, more: &[&str]) -> crate::support::Ran {
    run(&[&["audit", data], more].concat())
}

#[test]
fn planted_labels_are_the_worst_suspects() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let planted = ["--limit-train", "1500", "--label-noise", "pair:0.1", "--device", "cpu", "--json"];
    let ran = audit("digits", &[&planted[..], &["--out", text(&out)]].concat()).succeeded();
    let suspects = ran.json_lines();
    let truth = digits::generate(digits::SEED).train.labels;
    let index = |suspect: &serde_json::Value| suspect["index"].as_u64().unwrap() as usize;
    let true_name = |suspect: &serde_json::Value| Some(truth[index(suspect)].to_string());
    let named = |name: &serde_json::Value| name.as_str().map(str::to_owned);
    let is_wrong = |suspect: &&serde_json::Value| named(&suspect["given"]) != true_name(suspect);
    // A tenth of 1500 labels is wrong: of the worst hundred hardly any may be right, and what is proposed is mostly the truth.
    assert!(suspects.len() >= 110, "{}", suspects.len());
    let worst = &suspects[..100];
    assert!(worst.iter().filter(is_wrong).count() >= 90, "{}", worst.iter().filter(is_wrong).count());
    let is_right = |suspect: &&serde_json::Value| named(&suspect["proposed"]) == true_name(suspect);
    assert!(worst.iter().filter(is_right).count() >= 85);
    let scores: Vec<f64> = suspects.iter().map(|suspect| suspect["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|one, other| one >= other));
    assert_eq!(names_in(&out), ["audit.json", "scores.csv", "suspects.csv", "suspects.html"]);
    let table = fs::read_to_string(out.join("suspects.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + suspects.len());
    assert!(table.starts_with("index,file,given,proposed,score,agreement,kind,judges,probability,content\n"));
    let scores = fs::read_to_string(out.join("scores.csv")).unwrap();
    assert!(scores.starts_with(&table) && scores.lines().count() == 1501);
    let page = fs::read_to_string(out.join("suspects.html")).unwrap();
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), suspects.len());
    for outside in ["http://", "https://", "<script", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let record: serde_json::Value = serde_json::from_slice(&fs::read(out.join("audit.json")).unwrap()).unwrap();
    assert_eq!((&record["suspects"], &record["images"]), (&suspects.len().into(), &1500.into()));
    // How many are wrong is said beforehand.
    let planted =
        truth[..1500].iter().zip(scores_by_index(&scores)).filter(|(truth, given)| truth.to_string() != *given).count() as f64;
    let said = |name: &str| record["wrong"][name].as_f64().unwrap();
    assert!(said("low") <= planted && planted <= said("high") && said("about") > 0.6 * planted, "{planted}: {}", record["wrong"]);
    check_refused(&audit("digits", &["--out", text(&out)]), Refusal::Line(2), &["already holds an audit"]).unwrap();
}

/// The labels of a table of all images, in the order of the images.
fn scores_by_index(table: &str) -> Vec<String> {
    let mut rows: Vec<(usize, String)> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|fields| (fields[0].parse().unwrap(), fields[2].to_owned()))
        .collect();
    rows.sort();
    rows.into_iter().map(|(_, given)| given).collect()
}

/// Pictures of two classes, bright at the left and bright at the right, of which a few stand in the wrong folder.
fn photos(root: &Path) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    for number in 0..120u32 {
        let is_left = number % 2 == 0;
        let is_wrong = number % 20 == 3;
        let class = if is_left == is_wrong { "right" } else { "left" };
        fs::create_dir_all(root.join(class)).unwrap();
        let picture = image::GrayImage::from_fn(12, 12, |x, y| {
            let noise = (number * 7919 + x * 131 + y * 31) % 60;
            image::Luma([if (x < 6) == is_left { 180 + noise as u8 } else { noise as u8 }])
        });
        let name = format!("{number}.png");
        picture.save(root.join(class).join(&name)).unwrap();
        if is_wrong {
            wrong.insert(name);
        }
    }
    wrong
}

#[test]
fn folders_are_cleaned_and_the_original_stays() {
    let folder = TempDir::new().unwrap();
    let (data, path) = (folder.path().join("photos"), folder.path());
    let wrong = photos(&data);
    let all = |root: &Path| names_in(root).iter().map(|class| (class.clone(), names_in(&root.join(class)))).collect::<Vec<_>>();
    let before = all(&data);
    let (out, clean) = (path.join("out"), path.join("clean"));
    let written = ["--out", text(&out), "--write-clean", text(&clean)];
    assert_eq!(audit(text(&data), &[&SMALL[..], &written].concat()).succeeded().stdout, "");
    let table = fs::read_to_string(out.join("suspects.csv")).unwrap();
    let named: BTreeSet<String> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(1).unwrap().rsplit(['/', '\\']).next().unwrap().to_owned())
        .collect();
    // The worst are those that are wrong; a suspect is one that is so beyond doubt.
    assert!(named.len() > 1 && named.is_subset(&wrong), "{named:?}");
    let scores = fs::read_to_string(out.join("scores.csv")).unwrap();
    let worst = |line: &str| line.split(',').nth(1).unwrap().rsplit(['/', '\\']).next().unwrap().to_owned();
    assert_eq!(scores.lines().skip(1).take(wrong.len()).map(worst).collect::<BTreeSet<_>>(), wrong);
    assert_eq!(all(&data), before);
    let kept: Vec<String> = all(&clean).into_iter().flat_map(|(_, names)| names).collect();
    assert_eq!(kept.len(), 120 - named.len());
    assert!(kept.iter().all(|name| !named.contains(name)));
    let changed = path.join("changed");
    let written = ["--out", text(&path.join("again")), "--write-clean", text(&changed), "--relabel"].map(str::to_owned);
    let written: Vec<&str> = written.iter().map(String::as_str).collect();
    audit(text(&data), &[&SMALL[..], &written].concat()).succeeded();
    assert_eq!(all(&changed).iter().map(|(_, names)| names.len()).sum::<usize>(), 120);
    let moved = all(&changed).into_iter().flat_map(|(_, names)| names).filter(|name| name.contains('-'));
    assert_eq!(moved.count(), named.len());
    // What has ended gives its copy without training again, and by what a person made of its table, too.
    let (late, edited) = (path.join("late"), path.join("edited"));
    let of_ended = ["--out", text(&out), "--write-clean", text(&late), "--quiet"];
    audit(text(&data), &of_ended).succeeded();
    assert_eq!(all(&late), all(&clean));
    let decided: Vec<&str> = table.lines().take(2).collect();
    fs::write(path.join("mine.csv"), decided.join("\n")).unwrap();
    let by_table = ["--apply", text(&path.join("mine.csv")), "--write-clean", text(&edited), "--quiet"].map(str::to_owned);
    let by_table: Vec<&str> = by_table.iter().map(String::as_str).collect();
    audit(text(&data), &by_table).succeeded();
    assert_eq!(all(&edited).iter().map(|(_, names)| names.len()).sum::<usize>(), 119);
    // All that is said of other data, and a copy that would lose a tenth, is refused.
    let many = (0..13).map(|index| format!("{index},drop\n")).collect::<String>();
    for (table, hint) in [("index,given\n0,lef\n".to_owned(), "other data"), (format!("index,decision\n{many}"), "add --force")] {
        fs::write(path.join("mine.csv"), table).unwrap();
        let by_table = ["--apply", text(&path.join("mine.csv")), "--write-clean", text(&path.join("never"))].map(str::to_owned);
        let by_table: Vec<&str> = by_table.iter().map(String::as_str).collect();
        let refused = audit(text(&data), &by_table);
        assert!(refused.code != Some(0) && refused.stderr.contains(hint), "{}", refused.stderr);
        assert!(!path.join("never").exists());
    }
    for (more, hint) in [("photos", "not empty"), ("photos/new", "give a folder elsewhere")] {
        let refused = audit(text(&data), &["--device", "cpu", "--write-clean", text(&path.join(more))]);
        check_refused(&refused, Refusal::Line(2), &[hint]).unwrap();
    }
    assert_eq!(all(&data), before);
}

#[test]
fn tables_have_rows_and_no_pictures() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("measured.csv");
    let row = |number: usize| {
        let class = number % 2;
        let given = if number % 40 == 33 { 1 - class } else { class };
        let (a, b) = (class as f64 * 4.0 + (number * 37 % 100) as f64 / 60.0, (number * 53 % 100) as f64 / 100.0);
        format!("{given},{a:.3},{b:.3}\n")
    };
    fs::write(&data, format!("label,a,b\n{}", (0..400).map(row).collect::<String>())).unwrap();
    let (out, clean) = (folder.path().join("out"), folder.path().join("clean"));
    let written = ["--out", text(&out), "--write-clean", text(&clean)];
    audit(text(&data), &[&SMALL[..], &written].concat()).succeeded();
    let table = fs::read_to_string(out.join("scores.csv")).unwrap();
    let worst: BTreeSet<&str> = table.lines().skip(1).take(10).map(|line| line.split(',').next().unwrap()).collect();
    assert!(worst.iter().all(|index| index.parse::<usize>().unwrap() % 40 == 33), "{worst:?}");
    // No row is held back.
    assert_eq!(table.lines().count(), 401);
    let page = fs::read_to_string(out.join("suspects.html")).unwrap();
    let suspect = fs::read_to_string(out.join("suspects.csv")).unwrap();
    let suspect = suspect.lines().nth(1).unwrap().split(',').next().unwrap();
    assert!(page.contains(&format!("<td>#{suspect}</td>")) && !page.contains("<img"));
    let list = fs::read_to_string(clean.join("clean.csv")).unwrap();
    assert!(!list.contains(&format!("\n{suspect},")) && list.contains("\n32,0\n"), "{list}");
}

/// Ctrl-C at any moment, and again: the suspects are those of an audit that was never stopped.
#[cfg(unix)]
#[test]
fn a_stopped_audit_goes_on_to_the_same_suspects() {
    let folder = TempDir::new().unwrap();
    Idx::small().write(folder.path());
    let (straight, stopped) = (folder.path().join("straight"), folder.path().join("stopped"));
    let planted = ["--data-dir", text(folder.path()), "--label-noise", "pair:0.1", "--epochs", "60"];
    let arguments = |out| join(&[&["audit", "mnist"], &SMALL, &planted, &["--out", out]]);
    let begin = Instant::now();
    run(&arguments(text(&straight))).succeeded();
    // However fast the machine is, some of the starts below are stopped.
    let mut patience = begin.elapsed() / 3;
    let mut stops = 0;
    for _ in 0..40 {
        let child = start(&arguments(text(&stopped)));
        std::thread::sleep(patience);
        let asked = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => break,
            // Before it listens.
            None => patience *= 2,
            code => {
                stops += 1;
                assert!(asked.success() && code == Some(130), "{code:?}: {stderr}");
                let hint = format!("the same command with --out {} goes on", text(&stopped));
                assert!(stderr.contains(&hint), "{stderr}");
                assert_eq!(names_in(&stopped), ["audit.json", "audit.safetensors"]);
                let other = join(&[&arguments(text(&stopped)), &["--dropout", "0.1"]]);
                check_refused(&run(&other), Refusal::Line(2), &["--dropout 0.0", "another folder"]).unwrap();
                let limited = join(&[&arguments(text(&stopped)), &["--limit-train", "100"]]);
                check_refused(&run(&limited), Refusal::Line(1), &["other data"]).unwrap();
            }
        }
    }
    assert!(stops > 0);
    let files = ["audit.json", "scores.csv", "suspects.csv", "suspects.html"];
    assert_eq!(names_in(&stopped), files);
    for name in files {
        assert!(fs::read(straight.join(name)).unwrap() == fs::read(stopped.join(name)).unwrap(), "{name} after {stops} stops");
    }
}

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let cases: [(&[&str], Refusal, &str); 11] = [
        (&[], Refusal::Parser, "<NAME|DIR|FILE>"),
        (&["no-such-folder"], Refusal::Line(2), "neither a folder nor a known name"),
        (&["digits", "--folds", "1"], Refusal::Line(2), "2 folds or more"),
        (&["digits", "--replicas", "4"], Refusal::Line(2), "a multiple"),
        (&["digits", "--recipe", "paper"], Refusal::Line(2), "--recipe contrastive"),
        (&["digits", "--test-fraction", "0.2"], Refusal::Line(2), "remove it"),
        (&["digits", "--replicas", "0"], Refusal::Line(2), "--replicas"),
        (&["digits", "--relabel"], Refusal::Parser, "--write-clean"),
        (&["digits", "--apply", "x.csv"], Refusal::Parser, "--write-clean"),
        (&["digits", "--limit-train", "9", "--write-clean", "x"], Refusal::Parser, "--limit-train"),
        (&["digits", "--trust-rate", "1"], Refusal::Line(2), "less than 1"),
    ];
    report(cases.map(|(arguments, refusal, hint)| {
        check_refused(&run(&[&["audit"], arguments].concat()), refusal, &[hint])
            .map_err(|error| format!("{arguments:?}: {error}"))
    }));
}

/// Labels that nobody can know are not judged, and the data is not cleaned of them.
#[test]
fn what_was_not_learned_is_said_and_not_judged() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("noise.csv");
    let row = |number: u32| format!("{},{},{}\n", ((number * 7919) >> 3) % 2, number * 104_729 % 997, number * 15_485_863 % 991);
    fs::write(&data, format!("label,a,b\n{}", (0..300).map(row).collect::<String>())).unwrap();
    let (out, clean) = (folder.path().join("out"), folder.path().join("clean"));
    let ran = audit(text(&data), &["--device", "cpu", "--out", text(&out), "--write-clean", text(&clean)]);
    assert!(
        ran.code != Some(0) && ran.stderr.contains("know too little") && ran.stderr.contains("was not written"),
        "{}",
        ran.stderr
    );
    assert!(!clean.exists());
    assert_eq!(fs::read_to_string(out.join("suspects.csv")).unwrap().lines().count(), 1);
    let record: serde_json::Value = serde_json::from_slice(&fs::read(out.join("audit.json")).unwrap()).unwrap();
    assert!(record["wrong"].is_null() && record["warnings"][0].as_str().unwrap().contains("know too little"));
    assert!(fs::read_to_string(out.join("suspects.html")).unwrap().contains("know too little"));
}

/// A rare class whose labels are right stays, and one that is too rare to be known is named.
#[test]
fn rare_classes_are_kept() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("rare.csv");
    let class = |number: u32| {
        if number < 270 {
            0
        } else if number < 298 {
            1
        } else {
            2
        }
    };
    let row = |number: u32| {
        format!("{},{},{}\n", class(number), 300 * class(number) + number * 104_729 % 211, number * 15_485_863 % 991)
    };
    fs::write(&data, format!("label,a,b\n{}", (0..300).map(row).collect::<String>())).unwrap();
    let (out, clean) = (folder.path().join("out"), folder.path().join("clean"));
    let ran = audit(text(&data), &["--device", "cpu", "--out", text(&out), "--write-clean", text(&clean)]).succeeded();
    assert!(ran.stderr.contains("too little of 2 (2 images)"), "{}", ran.stderr);
    let kept = fs::read_to_string(clean.join("clean.csv")).unwrap();
    let of_class = |class: &str| kept.lines().skip(1).filter(|line| line.ends_with(class)).count();
    assert!(of_class(",1") >= 27 && of_class(",2") == 2, "{} {}", of_class(",1"), of_class(",2"));
}
