//! What an audit prints.

use super::super::terminal::print_line;
use ffcl_gpu::audit::Findings;
use ffcl_gpu::config::{TrainingConfig, Trust};
use ffcl_gpu::engine::{DeviceDescription, Job};
use ffcl_gpu::error::Result;

/// Suspects that the terminal names.
const NAMED: usize = 10;

/// Before the training.
pub fn head(job: Job, device: &DeviceDescription) -> Result<()> {
    let Job { config, dataset } = job;
    print_line(&format!("device   {device}"))?;
    print_line(&format!("data     {}: {:?}", dataset.name, dataset.train))?;
    dataset.said().iter().try_for_each(|line| print_line(line))?;
    print_line(&format!("networks {}", networks(config)))
}

fn networks(config: &TrainingConfig) -> String {
    let who = match config.trust.trust {
        Trust::None => "",
        Trust::Own => ", trust by own losses",
        Trust::Partner => ", trust by the partner's losses",
        Trust::Exchange => ", trust by exchange",
        Trust::Output => ", trust by the output's losses",
        Trust::CoTeaching => ", trust by the partner's output",
    };
    format!("{} × {}, {} epochs{who}", 2 * config.replicas, config.architecture.summary(), config.epochs)
}

/// How the suspects were found.
pub fn how(config: &TrainingConfig, folds: usize, device: &DeviceDescription) -> String {
    format!(
        "Labels that fit worst what {}, seed {}, learned from other images: each was judged by networks that left its fold of {folds} out; on {device}.",
        networks(config),
        config.seed
    )
}

/// What was found.
pub fn summary(findings: &Findings) -> Result<()> {
    findings.summary().iter().try_for_each(|line| print_line(line))?;
    let count = findings.verdicts.suspects().count();
    if count > 0 {
        print_line("")?;
        print_line("   index  wrong  agree  given → proposed")?;
    }
    for suspect in findings.verdicts.suspects().take(NAMED) {
        let row = findings.row(suspect);
        let (index, wrong, agreement) = (row.index, 100.0 * row.probability, 100.0 * row.agreement);
        print_line(&format!("{index:>8} {wrong:>4.0} % {agreement:>4.0} %  {} → {}  {}", row.given, row.proposed, row.file))?;
    }
    if count > NAMED { print_line(&format!("     and {} more", count - NAMED)) } else { Ok(()) }
}
