//! `coldcut show`.

use std::process::ExitCode;

use super::ResultsArg;
use super::reports::ReportArgs;
use crate::report::stdout::{out, outln};
use crate::report::{EventSink, ScreenReport, render_cell, render_run};
use crate::results::{ResultsError, events_of, find_run, load_result, load_run};

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The run: its id, the beginning of it, or its directory
    #[arg(default_value = "latest", value_name = "RUN")]
    run: String,
    /// Show only this cell, and all of it
    #[arg(value_name = "CELL")]
    cell: Option<String>,
    /// Print result.json
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reports: ReportArgs,
    #[command(flatten)]
    results: ResultsArg,
}

pub(super) fn run(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let dir = find_run(&args.results.results, &args.run)?;
    let info = load_run(&dir)?;
    let result = match load_result(&dir) {
        Err(ResultsError::NothingFinished(_)) => anyhow::bail!(
            "run {} was interrupted before its first cell was done; its events are in {}",
            info.run,
            dir.join("events.jsonl").display()
        ),
        result => result?,
    };
    let mut reporters = args.reports.reporters()?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&result)?)?;
    } else if let Some(wanted) = &args.cell {
        let cell = result.cells.iter().find(|c| c.cell.id == wanted.as_str());
        let Some(cell) = cell else {
            let cells: Vec<&str> = result.cells.iter().map(|c| c.cell.id.as_str()).collect();
            anyhow::bail!(
                "run {} has no cell `{wanted}`; it has {}",
                info.run,
                cells.join(", ")
            );
        };
        out!("{}", render_cell(&info.run, cell))?;
    } else {
        reporters.push(Box::new(ScreenReport::new("", render_run)));
    }
    let events = EventSink::new(reporters);
    events_of(&dir, &info, &result).for_each(|event| events.send(event));
    events.end();
    Ok(ExitCode::from(if result.cells.len() < info.cells.len() {
        3
    } else {
        result.totals.exit_code()
    }))
}
