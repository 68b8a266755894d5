//! README, book and the other pages: every link leads somewhere, every command line can be typed, every option exists and is listed in
//! the reference. What the book shows in Python runs where Python has the packages: `tests/external/book_logits.py`.

use crate::support::run;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pages beside the book.
const PAGES: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "BENCHMARKS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "fuzz/README.md",
    "tests/external/README.md",
    "docs/SUMMARY.md",
];

/// Commands with commands of their own.
const NESTED: [&str; 2] = ["data", "study"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The chapters that the book's table of contents names.
fn chapters() -> Vec<PathBuf> {
    let summary = std::fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    links(&prose(&summary)).iter().map(|link| root().join("docs").join(link)).collect()
}

fn pages() -> Vec<PathBuf> {
    let optional = ["python/README.md", "web/README.md"].map(|page| root().join(page)).into_iter().filter(|page| page.exists());
    PAGES.iter().map(|page| root().join(page)).chain(optional).chain(chapters()).collect()
}

/// A page's text without blocks of code.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// The lines of code of a page, fenced or indented.
fn code(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            lines.push(line.trim().to_owned());
        }
    }
    lines
}

/// What stands between backticks in a line of prose.
fn spans(text: &str) -> Vec<String> {
    text.replace('\n', " ").split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The targets of links and pictures.
fn links(prose: &str) -> Vec<String> {
    let without_code: String = prose.split('`').step_by(2).collect();
    let targets = without_code.split("](").skip(1);
    targets.map(|rest| rest.split(')').next().unwrap().replace('\n', "")).collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text);
    let titles = headings.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    titles.map(anchor).collect()
}

fn anchor(title: &str) -> String {
    let kept = title.to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
}

/// The program's words in a line of code: behind its name, which variables may precede, or behind `cargo run`. Comments, pipes and
/// redirections end them.
fn command_line(line: &str) -> Option<Vec<String>> {
    let words = words(line);
    let named = |word: &String| word == "ffcl-gpu" || word.ends_with("/ffcl-gpu");
    let start = match words.iter().position(named) {
        Some(name) if words[..name].iter().all(|word| word.contains('=')) => name,
        None if line.starts_with("cargo run ") => words.iter().position(|word| word == "--")?,
        _ => return None,
    };
    let end = |word: &String| ["#", "|", ">", ">>", "<", "&&", ";", "&"].contains(&word.as_str());
    Some(words[start + 1..].iter().take_while(|word| !end(word)).cloned().collect())
}

/// Words of a shell, with plain quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in line.chars() {
        match quote {
            Some(end) if letter == end => quote = None,
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None if letter.is_whitespace() => words.push(String::new()),
            _ => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The long options of a command, by its help.
fn options(command: &[&str]) -> BTreeSet<String> {
    let ran = run(&[command, &["--help"]].concat()).succeeded();
    let named = ran.stdout.lines().filter_map(|line| {
        let line = line.trim_start();
        // What begins with a dash and a space is a value.
        if line.starts_with('-') && !line.starts_with("- ") { line.split("--").nth(1) } else { None }
    });
    named.map(|rest| rest.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '-').collect()).collect()
}

/// The commands that the program's help lists.
fn commands(of: &[&str]) -> Vec<String> {
    let ran = run(&[of, &["-h"]].concat()).succeeded();
    let listed = ran.stdout.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Every command, nested ones too, with its options.
fn all_options() -> Vec<(String, BTreeSet<String>)> {
    let mut all = Vec::new();
    for command in commands(&[]) {
        all.push((command.clone(), options(&[&command])));
        if NESTED.contains(&command.as_str()) {
            all.extend(commands(&[&command]).iter().map(|nested| (format!("{command} {nested}"), options(&[&command, nested]))));
        }
    }
    all
}

#[test]
fn every_link_and_anchor_exists() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        for link in links(&prose(&text)) {
            if link.starts_with("http") || link.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let anchored =
                || fragment.is_empty() || std::fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(fragment));
            if !target.exists() || !anchored() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_page_of_the_book_is_in_its_table_of_contents() {
    let chapters: BTreeSet<PathBuf> = chapters().into_iter().collect();
    for folder in ["docs", "docs/guide", "docs/reference", "docs/explanation", "docs/experiments"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let page = path.extension().is_some_and(|extension| extension == "md") && !path.ends_with("SUMMARY.md");
            assert!(!page || chapters.contains(&path), "{} is missing from docs/SUMMARY.md", path.display());
        }
    }
}

/// With `--help` at its end, a command line is parsed and nothing else is done.
#[test]
fn every_command_line_can_be_typed() {
    let (mut seen, mut refused) = (BTreeSet::new(), Vec::new());
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let in_prose = spans(&prose(&text)).into_iter().filter(|span| span.starts_with("ffcl-gpu ") && !span.contains('…'));
        for line in code(&text).into_iter().chain(in_prose) {
            let Some(words) = command_line(&line) else { continue };
            if !seen.insert(words.clone()) {
                continue;
            }
            let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
            arguments.push("--help");
            let ran = run(&arguments);
            if ran.code != Some(0) {
                refused.push(format!("{}: {line}\n{}", page.display(), ran.stderr));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(seen.len() > 30, "only {} command lines were found", seen.len());
}

#[test]
fn every_option_that_the_docs_name_exists() {
    let known: BTreeSet<String> = all_options().into_iter().flat_map(|(_, options)| options).collect();
    // The commands of other programs name their own options; what changed may name options that are gone.
    let of_others = |page: &Path| page.ends_with("CHANGELOG.md") || page.ends_with("CONTRIBUTING.md");
    for page in pages().iter().filter(|page| !of_others(page)) {
        for span in spans(&prose(&std::fs::read_to_string(page).unwrap())) {
            let Some(rest) = span.strip_prefix("--") else { continue };
            let name: String = rest.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '-').collect();
            assert!(known.contains(&name), "{}: there is no option {span}", page.display());
        }
    }
}

#[test]
fn the_reference_lists_every_command_and_option() {
    let text = std::fs::read_to_string(root().join("docs/reference/options.md")).unwrap();
    let listed: BTreeSet<String> = spans(&text).into_iter().collect();
    for (command, options) in all_options() {
        let first = command.split(' ').next().unwrap();
        assert!(listed.contains(first), "docs/reference/options.md does not list the command {command}");
        for option in options.iter().filter(|option| *option != "help") {
            let option = format!("--{option}");
            assert!(listed.contains(&option), "docs/reference/options.md does not list {option} of {command}");
        }
    }
}

/// Of every crate of the workspace but `python/unified`, which has no code; crates of our own need none.
#[test]
fn each_dependency_has_its_reason() {
    let manifest = |folder: &str| -> toml::Table {
        std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap().parse().unwrap()
    };
    let members = manifest("")["workspace"]["members"].as_array().unwrap().clone();
    let folders = members.iter().map(|member| member.as_str().unwrap()).filter(|member| *member != "python/unified").chain([""]);
    let mut used = BTreeSet::new();
    for manifest in folders.map(manifest) {
        let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(|targets| targets.values());
        let tables = targets.filter_map(toml::Value::as_table).chain([&manifest]);
        let listed = tables.flat_map(|table| ["dependencies", "dev-dependencies"].map(|kind| table.get(kind)));
        for (name, dependency) in listed.flatten().filter_map(toml::Value::as_table).flatten() {
            if dependency.get("path").is_none() {
                used.insert(name.clone());
            }
        }
    }
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = text.split("\n## ").find_map(|section| section.strip_prefix("Dependencies\n")).unwrap();
    let reasons: BTreeSet<String> = section.lines().filter_map(|row| row.split('|').nth(2)).flat_map(spans).collect();
    assert_eq!(reasons, used, "the dependencies with a reason in ARCHITECTURE.md, and those of the manifests");
}

#[test]
fn the_helpers_read_pages_right() {
    let page = "# A title: `x`\n\nSee [this](a.md#b) and `[not](this)`.\n\n    ffcl-gpu train --seed 1 # once\n\n```\nX=1 target/ffcl-gpu 'a b' | c\n```\n";
    assert_eq!(links(&prose(page)), ["a.md#b"]);
    assert_eq!(anchors(page), BTreeSet::from(["a-title-x".to_owned()]));
    let lines: Vec<_> = code(page).iter().filter_map(|line| command_line(line)).collect();
    assert_eq!(lines, [vec!["train", "--seed", "1"], vec!["a b"]]);
}

#[test]
fn the_lines_of_python_give_the_programs_logits() {
    let named = std::env::var("FFCL_PYTHON").ok();
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let has_packages = Command::new(&python).args(["-c", "import numpy, PIL, safetensors"]).output();
    if !has_packages.is_ok_and(|output| output.status.success()) {
        assert!(named.is_none(), "{python} lacks numpy, pillow or safetensors");
        eprintln!("left out: {python} lacks numpy, pillow or safetensors (FFCL_PYTHON names another one)");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/external/book_logits.py");
    let ran = Command::new(&python).args([script, env!("CARGO_BIN_EXE_ffcl-gpu")]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}
