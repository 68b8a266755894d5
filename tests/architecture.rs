//! Modules use each other in one direction: neither the modules of a crate nor the files of a folder form a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

/// The path of a module, such as `["gpu", "context"]`.
type Module = Vec<String>;

/// Which modules each module uses.
type Uses = BTreeMap<Module, BTreeSet<Module>>;

/// Adds what each file of `folder`, which is the module `of`, uses; but not tests, which may use everything.
fn read(folder: &Path, of: &Module, uses: &mut Uses) {
    for entry in read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let inner: Module = of.iter().map(String::as_str).chain([name]).map(str::to_owned).collect();
        match name {
            "tests" | "main" | "lib" => {}
            _ if path.is_dir() => read(&path, &inner, uses),
            "mod" => uses.entry(of.clone()).or_default().extend(used(&read_to_string(path).unwrap(), of)),
            _ => uses.entry(inner.clone()).or_default().extend(used(&read_to_string(path).unwrap(), &inner)),
        }
    }
}

/// What the code of the module `own` names by `crate::` and `super::`.
fn used(code: &str, own: &Module) -> BTreeSet<Module> {
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    // Every path is split off what is around it.
    let words = lines.flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':'));
    let path = |word: &str| -> Option<Module> {
        let mut module = if word.starts_with("crate::") { Vec::new() } else { own.clone() };
        let mut names = word.strip_prefix("crate::").or(word.starts_with("super::").then_some(word))?.split("::").peekable();
        while names.next_if_eq(&"super").is_some() {
            module.pop();
        }
        module.extend(names.map(str::to_owned));
        Some(module)
    };
    words.filter_map(path).collect()
}

/// The uses between the children of each module: of `gpu::context` by `gpu::buffers` for `gpu`, of `error` by `gpu` for the crate.
fn folders(uses: &Uses) -> BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> {
    let mut folders: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (own, other) in uses.iter().flat_map(|(own, others)| others.iter().map(move |other| (own, other))) {
        let shared = own.iter().zip(other).take_while(|(one, other)| one == other).count();
        if let (Some(from), Some(to)) = (own.get(shared), other.get(shared)) {
            folders.entry(own[..shared].to_vec()).or_default().entry(from.clone()).or_default().insert(to.clone());
        }
    }
    folders
}

/// The shortest way from `start` back to itself.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>, start: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = std::collections::VecDeque::from([vec![start.to_owned()]]);
    while let Some(way) = ways.pop_front() {
        for next in uses.get(way.last()?).into_iter().flatten() {
            let longer = [&way[..], std::slice::from_ref(next)].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

#[test]
fn modules_form_no_circle() {
    let mut circles = Vec::new();
    for root in ["src", "photographs/src", "python/src", "web/src"] {
        let mut uses = Uses::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root), &Vec::new(), &mut uses);
        assert!(uses.len() > 3, "{root} has {} modules", uses.len());
        for (folder, uses) in folders(&uses) {
            let mut known = BTreeSet::new();
            for way in uses.keys().filter_map(|start| circle(&uses, start)) {
                // Once, and not from each of its modules.
                if known.insert(way.iter().cloned().collect::<BTreeSet<_>>()) {
                    circles.push(format!("{root}/{}: {}", folder.join("/"), way.join(" → ")));
                }
            }
        }
    }
    assert!(circles.is_empty(), "these modules use each other:\n{}", circles.join("\n"));
}
