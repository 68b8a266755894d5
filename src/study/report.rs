//! A study for people: `report.md`, its pictures beside it, and `results.csv` with a row for each seed.

use super::manifest::Manifest;
use super::plots::{self, Picture};
use super::request::joined;
use super::results::{SeedResult, read_all};
use super::summary::{ENSEMBLE, Group, Measure, SINGLE, Summary};
use crate::error::{Error, Result};
use crate::output::whole_file::write_whole;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A alone: what counts where its partner learns nothing.
const A: Measure = |result| result.test_accuracy_a;

/// What a report was made of.
#[derive(Clone, Debug)]
pub struct Written {
    /// The report.
    pub path: PathBuf,
    /// Cells whose every seed is in it.
    pub finished: usize,
    /// All cells of the study.
    pub cells: usize,
}

/// Writes the report on the study in `folder` to `out`, as far as the study got.
pub fn write(folder: &Path, out: &Path) -> Result<Written> {
    let manifest = Manifest::read(folder)?;
    let results = read_all(folder)?;
    let summary = Summary::new(&manifest, &results);
    if summary.groups.is_empty() {
        return Err(Error::Configuration(format!(
            "{} holds no results of '{}' yet; run `ffcl-gpu study` until a cell is done",
            folder.display(),
            manifest.title
        )));
    }
    let pictures = plots::all(&summary).map_err(|problem| Error::Format {
        path: out.to_owned(),
        problem: format!("gets no pictures: {problem}"),
        remedy: "report this as a bug; results.jsonl holds the numbers".into(),
    })?;
    let fail = |error| Error::file("create the folder", out, error, "give --out a folder that can be written");
    std::fs::create_dir_all(out).map_err(fail)?;
    for picture in &pictures {
        write_whole(&out.join(&picture.name), picture.svg.as_bytes())?;
    }
    write_whole(&out.join("results.csv"), table(&summary).as_bytes())?;
    let path = out.join("report.md");
    write_whole(&path, markdown(&summary, &pictures).as_bytes())?;
    Ok(Written { path, finished: manifest.cells.len() - summary.unfinished.len(), cells: manifest.cells.len() })
}

fn markdown(summary: &Summary, pictures: &[Picture]) -> String {
    let mut text = format!("# {}\n\n{}\n", escaped(&summary.manifest.title), origin(summary));
    for dataset in summary.datasets() {
        let groups: Vec<_> = summary.groups_of(dataset).collect();
        text += &format!("\n## {}\n\n{}", escaped(dataset), accuracies(&groups));
        if let Some(baseline) = summary.manifest.baseline.as_deref() {
            text += &differences(&groups, baseline);
        }
    }
    text += "\n## Pictures\n";
    for picture in pictures {
        text += &format!("\n![{}]({})\n", escaped(&picture.title), picture.name);
    }
    if !summary.unfinished.is_empty() {
        text += "\n## Not finished\n\n";
        summary.unfinished.iter().for_each(|cell| text += &format!("- {}\n", escaped(&cell.to_string())));
    }
    text
}

/// Where the numbers come from, and how to read them.
fn origin(summary: &Summary) -> String {
    let manifest = summary.manifest;
    let results = || summary.groups.iter().flat_map(|group| &group.rows).flat_map(|row| &row.results);
    let set = |of: fn(&SeedResult) -> &str| {
        results().map(|result| of(result)).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("; ")
    };
    let measured = match manifest.hold_out {
        Some(count) => format!("the last {count} training images, which were not trained on"),
        None => "the test set".into(),
    };
    format!(
        "{} of {} cells finished; seeds {} to {}. Accuracies in per cent on {measured}, after the last epoch: mean ± sample standard \
         deviation over n seeds. *Single* is the mean of networks A and B, *ensemble* the mean of both softmax outputs. *Best* is \
         single in each seed's best epoch, chosen by the very images that it is measured on: too good by construction.\n\n\
         ffcl-gpu {} on {}.",
        manifest.cells.len() - summary.unfinished.len(),
        manifest.cells.len(),
        manifest.first_seed,
        manifest.first_seed + (manifest.seeds as u64 - 1),
        set(|result| &result.version),
        set(|result| &result.device),
    )
}

/// The columns that tell groups apart, as far as they differ: titles, and a function for a group's cells.
fn axes(groups: &[&Group]) -> (String, impl Fn(&Group) -> String + use<>) {
    let layers = groups.iter().any(|group| group.layers != groups[0].layers);
    let images = groups.iter().any(|group| group.train_images != groups[0].train_images);
    let title = format!("|{}{}", if layers { " layers |" } else { "" }, if images { " training images |" } else { "" });
    let cells = move |group: &Group| {
        let layers = if layers { format!(" {} |", joined(group.layers)) } else { String::new() };
        format!("|{layers}{}", if images { format!(" {} |", group.train_images) } else { String::new() })
    };
    (title, cells)
}

/// A Markdown table: the title, a rule, and rows.
fn ruled(title: &str) -> String {
    format!("{title}\n|{}\n", "---|".repeat(title.matches('|').count() - 1))
}

fn accuracies(groups: &[&Group]) -> String {
    let (title, cells) = axes(groups);
    let mut text = ruled(&format!("{title} variant | n | train | A | B | single | ensemble | best |"));
    for group in groups {
        for row in &group.rows {
            let percent = |measure| percent(row.of(measure), row.results.len());
            let columns = [
                percent(|result| result.train_accuracy),
                percent(A),
                percent(|result| result.test_accuracy_b),
                percent(SINGLE),
                percent(ENSEMBLE),
                percent(|result| result.best_test_accuracy_single),
            ];
            let name = escaped(&row.cell.variant);
            text += &format!("{} {name} | {} | {} |\n", cells(group), row.results.len(), columns.join(" | "));
        }
    }
    text
}

fn differences(groups: &[&Group], baseline: &str) -> String {
    let (title, cells) = axes(groups);
    let mut text = format!(
        "\nDifferences to *{}* in percentage points, seed by seed: mean [95 % confidence interval by Student's t].\n\n",
        escaped(baseline)
    );
    text += &ruled(&format!("{title} variant | n | A | single | ensemble |"));
    let mut any = false;
    for group in groups {
        let Some(base) = group.row(baseline) else { continue };
        for row in group.rows.iter().filter(|row| row.cell.variant != baseline) {
            let columns = [A, SINGLE, ENSEMBLE].map(|measure| match row.minus(base, measure).1 {
                Some((mean, half)) => {
                    format!("{:+.2} [{:+.2}, {:+.2}]", 100.0 * mean, 100.0 * (mean - half), 100.0 * (mean + half))
                }
                None => "needs two seeds".into(),
            });
            let count = row.minus(base, SINGLE).0;
            text += &format!("{} {} | {count} | {} |\n", cells(group), escaped(&row.cell.variant), columns.join(" | "));
            any = true;
        }
    }
    if any { text } else { String::new() }
}

fn percent((mean, deviation): (f64, f64), count: usize) -> String {
    if count > 1 { format!("{:.2} ± {:.2}", 100.0 * mean, 100.0 * deviation) } else { format!("{:.2}", 100.0 * mean) }
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|letter| r"\`*_[]<>|#".contains(letter).then_some('\\').into_iter().chain([letter])).collect()
}

fn table(summary: &Summary) -> String {
    let mut text = "dataset,layers,train_images,variant,seed,epochs,steps,train_accuracy,test_accuracy_a,test_accuracy_b,\
                    test_accuracy_single,test_accuracy_ensemble,best_test_accuracy_single,best_epoch,seconds,side_by_side,\
                    fingerprint,device,version\n"
        .to_owned();
    for result in summary.groups.iter().flat_map(|group| &group.rows).flat_map(|row| &row.results) {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let columns = [
            if result.cell.dataset.contains([',', '"']) { quoted(&result.cell.dataset) } else { result.cell.dataset.clone() },
            joined(&result.cell.layers),
            result.cell.train_images.to_string(),
            quoted(&result.cell.variant),
            result.seed.to_string(),
            result.curve.test_accuracy_single.len().to_string(),
            result.steps.to_string(),
            result.train_accuracy.to_string(),
            result.test_accuracy_a.to_string(),
            result.test_accuracy_b.to_string(),
            result.test_accuracy_single.to_string(),
            result.test_accuracy_ensemble.to_string(),
            result.best_test_accuracy_single.to_string(),
            result.best_epoch.to_string(),
            format!("{:.3}", result.seconds),
            result.side_by_side.to_string(),
            result.cell.fingerprint.clone(),
            quoted(&result.device),
            quoted(&result.version),
        ];
        text += &format!("{}\n", columns.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Recipe;
    use crate::study::grid::Cell;
    use crate::study::results::tests::result;

    fn manifest(results: &[SeedResult]) -> Manifest {
        let mut cells: Vec<Cell> = Vec::new();
        for result in results {
            if cells.iter().all(|cell| cell.key != result.cell) {
                cells.push(Cell { key: result.cell.clone(), steps: 2, training: Recipe::default().config() });
            }
        }
        let title = "A | study".into();
        Manifest { title, baseline: Some("b".into()), hold_out: None, first_seed: 1, seeds: 2, cells }
    }

    #[test]
    fn tables_show_means_deviations_and_paired_intervals() {
        let results = [
            result("b", 10, 1, 0.5),
            result("b", 10, 2, 0.7),
            result("c", 10, 2, 0.8),
            result("c", 10, 1, 0.7),
            result("b", 100, 1, 0.9),
        ];
        let mut manifest = manifest(&results);
        // A result of another state of the file, and of a seed that is no longer asked for.
        manifest.cells.retain(|cell| cell.key.variant != "old");
        let summary = Summary::new(&manifest, &results);
        let pictures = plots::all(&summary).unwrap();
        let names: Vec<_> = pictures.iter().map(|picture| picture.name.as_str()).collect();
        assert_eq!(names, ["train-images-digits-784-10.svg", "epochs-digits-784-10-10.svg", "epochs-digits-784-10-100.svg"]);
        assert!(pictures.iter().all(|picture| picture.svg.starts_with("<svg") && picture.svg.contains("test accuracy")));
        let text = markdown(&summary, &pictures);
        for part in [
            "# A \\| study",
            "2 of 3 cells finished",
            "| training images | variant | n | train | A | B | single | ensemble | best |\n|---|---|---|---|---|---|---|---|---|\n",
            "| 10 | b | 2 | 60.00 ± 14.14 | 60.00 ± 14.14 |",
            "| 100 | b | 1 | 90.00 | 90.00 |",
            // Differences 0.2 and 0.1: half the width is 12.706 · 0.0707 / √2.
            "| 10 | c | 2 | +15.00 [-48.53, +78.53] |",
            "- digits 784-10, 100 images, b",
            "](epochs-digits-784-10-10.svg)",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let table = table(&summary);
        assert_eq!(table.lines().count(), 6);
        let columns: BTreeSet<_> = table.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns.len(), 1, "{table}");
    }

    #[test]
    fn results_that_belong_to_no_cell_are_left_out() {
        let results = [result("b", 10, 1, 0.5), result("b", 10, 3, 0.5), result("old", 10, 1, 0.5)];
        let manifest = Manifest { seeds: 1, ..manifest(&results[..1]) };
        let summary = Summary::new(&manifest, &results);
        assert_eq!(table(&summary).lines().count(), 2);
        assert!(summary.unfinished.is_empty());
    }
}
