//! `coldcut merge`.

use std::process::ExitCode;

use super::ResultsArg;
use super::reports::ReportArgs;
use crate::job::merge::keep;
use crate::report::stdout::outln;
use crate::report::{Reporter, ScreenReport, render_run};
use crate::results::{Part, find_run, merge};

#[derive(Debug, clap::Args)]
pub(super) struct MergeArgs {
    /// Runs: ids, the beginnings of ids, or directories
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
    /// Merge what is there, though cells of it were not finished; they count as unfinished
    #[arg(long)]
    unfinished: bool,
    #[command(flatten)]
    reports: ReportArgs,
    #[command(flatten)]
    results: ResultsArg,
}

pub(super) fn run(args: &MergeArgs) -> anyhow::Result<ExitCode> {
    let mut parts = Vec::new();
    for run in &args.runs {
        parts.push(Part::load(&find_run(&args.results.results, run)?)?);
    }
    let merged = merge(&parts)?;
    let unfinished: Vec<String> = merged
        .cells
        .iter()
        .filter(|(.., result)| result.is_none())
        .map(|(cell, ..)| cell.id.to_string())
        .collect();
    if !unfinished.is_empty() && !args.unfinished {
        anyhow::bail!(
            "{} cells were not finished, the first of them {}; run them again, or merge without them (--unfinished)",
            unfinished.len(),
            unfinished[0]
        );
    }

    let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(ScreenReport::new("", render_run))];
    reporters.extend(args.reports.reporters()?);
    let ran = keep(merged, &parts, &args.results.results, reporters)?;
    // The results are there, whoever reads of it.
    let _ = outln!("results: {}", ran.dir.display());
    let code = ran.result.totals.exit_code();
    Ok(ExitCode::from(if unfinished.is_empty() || code == 1 {
        code
    } else {
        3
    }))
}
