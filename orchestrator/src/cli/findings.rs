//! `coldcut findings`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use coldcut_core::explore::shape;
use coldcut_core::outcome::groups::{Found, found, groups};
use coldcut_core::outcome::result::CellResult;

use super::ResultsArg;
use crate::job::kept::KeptCell;
use crate::report::render_groups;
use crate::report::stdout::{errln, out, outln};
use crate::results::{find_run, load_result, load_run};

#[derive(Debug, clap::Args)]
pub(super) struct FindingsArgs {
    /// The run: its id, the beginning of it, or its directory
    #[arg(default_value = "latest", value_name = "RUN")]
    run: String,
    #[command(flatten)]
    results: ResultsArg,
}

pub(super) fn run(args: &FindingsArgs) -> anyhow::Result<ExitCode> {
    let dir = find_run(&args.results.results, &args.run)?;
    let info = load_run(&dir)?;
    let result = load_result(&dir)?;
    let all: Vec<Found> = result.cells.iter().flat_map(|cell| of_cell(&dir, cell)).collect();
    let groups = groups(all);
    outln!(
        "run {}: {} cells, {} groups of findings",
        info.run,
        result.cells.len(),
        groups.len()
    )?;
    out!("{}", render_groups(&info.run, &groups))?;
    Ok(ExitCode::from(u8::from(!groups.is_empty())))
}

/// What a cell found; where its scenario is not kept any more, nothing is known of the history's shape.
pub(super) fn of_cell(run: &Path, cell: &CellResult) -> Vec<Found> {
    let (shape, steps) = match KeptCell::load(run, &cell.cell) {
        Ok(kept) => (shape(&kept.variant), kept.variant.steps().count()),
        Err(error) => {
            errln!("note: {}: {error}", cell.cell.id);
            (BTreeSet::new(), 0)
        }
    };
    found(cell, &shape, steps)
}
