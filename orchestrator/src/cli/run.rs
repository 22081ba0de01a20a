//! `coldcut run`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use coldcut_core::bisect::{Behaviour, Quality};
use coldcut_core::result::RunResult;
use coldcut_core::shard::Shard;

use super::batch::Batch;
use super::bisect::Word;
use super::machines::{MachineArgs, TrustArgs};
use super::reports::ReportArgs;
use super::{ABORT, ResultsArg, USAGE};
use crate::report::{JsonLines, Progress, Reporter, render_run};
use crate::scenario_file::ScenarioFile;

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Kernels of the store: series, release, name or the beginning of a digest; all are run
    #[arg(short, long, required = true, value_delimiter = ',', value_name = "KERNEL")]
    kernel: Vec<String>,
    /// Only these variants
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    variant: Vec<String>,
    /// Print the events as JSON lines instead of progress and table
    #[arg(long)]
    json: bool,
    /// Seed of everything that is sampled
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// For `git bisect run`: exit with 0 when every cell is good, 1 when one is bad, else 125 (untestable); with 255,
    /// which ends the search, when nothing could be run. Good is `holds` and bad `violates`, or with `declared`, good is
    /// as declared and bad is not
    #[arg(long, value_enum, value_name = "BY", num_args = 0..=1, require_equals = true,
          default_missing_value = "verdict")]
    bisect: Option<Word>,
    /// Only part I of N of the cells, for machines that share the work; `coldcut merge` puts the parts together
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Run each cell so many times; a verdict that is not always the same counts as not as declared
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    #[command(flatten)]
    reports: ReportArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    results: ResultsArg,
}

pub(super) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let Some(by) = args.bisect else {
        return attempt(&args).await.map(|ran| match ran {
            Some(result) if result.cells.is_empty() && args.shard.is_some() => {
                // Another part has them.
                eprintln!("no cell is in this part");
                ExitCode::SUCCESS
            }
            Some(result) => ExitCode::from(result.totals.exit_code()),
            None => ExitCode::from(USAGE),
        });
    };
    // Whatever kept us from running says nothing about the kernel: it must not steer a search, but end it.
    Ok(match attempt(&args).await {
        Ok(Some(result)) => {
            let quality = |cell| Behaviour::of(cell, None).quality(by.into());
            ExitCode::from(Quality::worst(result.cells.iter().map(quality)).exit_code())
        }
        Ok(None) => ExitCode::from(ABORT),
        Err(error) => {
            eprintln!("coldcut: {error:#}");
            ExitCode::from(ABORT)
        }
    })
}

/// Runs what is asked for; `None` when a scenario is wrong, which was said.
async fn attempt(args: &RunArgs) -> anyhow::Result<Option<RunResult>> {
    let Some(files) = read_all(&args.files) else {
        return Ok(None);
    };
    let store = crate::kernel::Store::open_default()?;
    let kernels = args
        .kernel
        .iter()
        .map(|spec| Ok((spec.clone(), Arc::new(store.find(spec)?))))
        .collect::<anyhow::Result<_>>()?;
    let screen: Box<dyn Reporter> = if args.json {
        Box::new(JsonLines::new(std::io::stdout()))
    } else {
        Box::new(Progress::new())
    };
    let mut screen = vec![screen];
    screen.extend(args.reports.reporters()?);
    let batch = Batch {
        files,
        kernels,
        variants: &args.variant,
        seed: args.seed,
        policy: args.trust.policy(),
        machines: &args.machines,
        results: &args.results.results,
        screen,
        shard: args.shard,
        repeat: args.repeat,
    };
    let ran = batch.run().await?;
    if !args.json {
        println!();
        print!("{}", render_run(&ran.result));
        println!("results: {}", ran.dir.display());
    }
    Ok(Some(ran.result))
}

/// Reads every file; complains about all that are wrong.
pub(super) fn read_all(paths: &[PathBuf]) -> Option<Vec<Arc<ScenarioFile>>> {
    let mut files = Vec::new();
    let mut bad = false;
    for path in paths {
        match ScenarioFile::read(path) {
            Ok(file) => files.push(Arc::new(file)),
            Err(error) => {
                eprintln!("{error}");
                bad = true;
            }
        }
    }
    (!bad).then_some(files)
}
