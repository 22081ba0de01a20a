//! `coldcut run`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use coldcut_core::outcome::result::RunResult;
use coldcut_core::search::{Behaviour, Quality};

use super::bisect::Word;
use super::cells::CellArgs;
use super::{ABORT, USAGE};
use crate::job::scenario_file::ScenarioFile;
use crate::report::render_run;
use crate::report::stdout::errln;

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
    /// For `git bisect run`: exit with 0 when every cell is good, 1 when one is bad, else 125 (untestable); with 255,
    /// which ends the search, when nothing could be run. Good is `holds` and bad `violates`, or with `declared`, good is
    /// as declared and bad is not
    #[arg(long, value_enum, value_name = "BY", num_args = 0..=1, require_equals = true,
          default_missing_value = "verdict")]
    bisect: Option<Word>,
    #[command(flatten)]
    cells: CellArgs,
}

pub(super) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let Some(by) = args.bisect else {
        return attempt(&args).await.map(|ran| match ran {
            Some(result) => args.cells.exit_code(&result),
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
            errln!("coldcut: {error:#}");
            ExitCode::from(ABORT)
        }
    })
}

/// Runs what is asked for; `None` when a scenario is wrong, which was said.
async fn attempt(args: &RunArgs) -> anyhow::Result<Option<RunResult>> {
    let Some(files) = read_all(&args.files) else {
        return Ok(None);
    };
    let files = args.cells.judged(files)?;
    let ran = args
        .cells
        .run(files, &args.variant, &args.kernel, render_run)
        .await?;
    Ok(Some(ran))
}

/// Reads every file; complains about all that are wrong.
pub(super) fn read_all(paths: &[PathBuf]) -> Option<Vec<Arc<ScenarioFile>>> {
    let mut files = Vec::new();
    let mut bad = false;
    for path in paths {
        match ScenarioFile::read(path) {
            Ok(file) => files.push(Arc::new(file)),
            Err(error) => {
                errln!("{error}");
                bad = true;
            }
        }
    }
    (!bad).then_some(files)
}
