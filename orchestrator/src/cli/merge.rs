//! `coldcut merge`.

use std::process::ExitCode;

use anyhow::Context as _;
use coldcut_core::outcome::event::Event;
use coldcut_core::outcome::result::CellResult;

use super::ResultsArg;
use super::reports::ReportArgs;
use crate::report::{EventSink, JsonLines, Summary, render_run};
use crate::results::{Part, RunDir, RunInfo, copy_cell, find_run, merge};

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
        .map(|(cell, ..)| cell.id.clone())
        .collect();
    if !unfinished.is_empty() && !args.unfinished {
        anyhow::bail!(
            "{} cells were not finished, the first of them {}; run them again, or merge without them (--unfinished)",
            unfinished.len(),
            unfinished[0]
        );
    }

    let mut dir = RunDir::create(&args.results.results)
        .with_context(|| format!("cannot make a run in {}", args.results.results.display()))?;
    let events = EventSink::new(vec![Box::new(JsonLines::new(dir.events()?))]);
    let info = RunInfo {
        run: dir.id().to_owned(),
        command_line: std::env::args().collect(),
        ..merged.info.clone()
    };
    for scenario in &info.scenarios {
        let name = format!("{}.yaml", scenario.name);
        let texts = parts.iter().map(|part| part.dir.join("scenarios").join(&name));
        let path = texts.into_iter().find(|path| path.exists());
        let path = path.with_context(|| format!("no run has the text of scenario {}", scenario.name))?;
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        dir.keep_scenario(&scenario.name, &text)?;
    }
    for (cell, from, _) in &merged.cells {
        let source = parts[*from].dir.join("cells").join(&cell.id);
        copy_cell(&source, &dir.path().join("cells").join(&cell.id))
            .with_context(|| format!("cannot copy {}", source.display()))?;
    }
    dir.begin(&info)
        .with_context(|| format!("cannot write to {}", dir.path().display()))?;
    events.send(Event::RunStarted {
        run: info.run.clone(),
        cells: info.cells.clone(),
        jobs: 0,
        accel: info.accel.clone(),
    });
    let cells: Vec<CellResult> = merged.cells.into_iter().filter_map(|(.., cell)| cell).collect();
    for cell in &cells {
        events.send(Event::CellFinished {
            result: Box::new(cell.clone()),
        });
    }
    for cell in cells {
        dir.finish_cell(cell).context("cannot write result.json")?;
    }
    let result = dir.finish().context("cannot write result.json")?;
    events.send(Event::RunFinished {
        totals: result.totals,
        seconds: events.seconds(),
    });
    args.reports
        .write(&Summary::new(&info.run, &info.cells, result.cells.clone()))?;
    print!("{}", render_run(&result));
    println!("results: {}", dir.path().display());
    let code = result.totals.exit_code();
    Ok(ExitCode::from(if unfinished.is_empty() || code == 1 {
        code
    } else {
        3
    }))
}
