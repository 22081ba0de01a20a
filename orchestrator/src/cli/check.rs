//! `coldcut check`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::USAGE;
use crate::job::runnable;
use crate::job::scenario_file::ScenarioFile;
use crate::report::stdout::{errln, outln};

#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut bad = 0;
    for path in &args.files {
        match ScenarioFile::read(path) {
            Ok(file) => {
                let variants = file.scenario.variants();
                let problems = runnable::problems(variants, file.home());
                if !problems.is_empty() {
                    bad += 1;
                    for problem in problems {
                        errln!("{}: {problem}", path.display());
                    }
                    continue;
                }
                let steps: usize = variants.iter().map(|v| v.steps().count()).sum();
                outln!(
                    "{}: ok, {} ({} variants, {steps} steps)",
                    path.display(),
                    file.scenario.name,
                    variants.len()
                )?;
            }
            Err(error) => {
                bad += 1;
                errln!("{error}");
            }
        }
    }
    Ok(if bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(USAGE)
    })
}
