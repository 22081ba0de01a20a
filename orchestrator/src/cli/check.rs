//! `coldcut check`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::USAGE;
use crate::job::scenario_file::ScenarioFile;

#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let mut bad = 0;
    for path in &args.files {
        match ScenarioFile::read(path) {
            Ok(file) => {
                let variants = file.scenario.variants();
                let steps: usize = variants.iter().map(|v| v.steps().count()).sum();
                println!(
                    "{}: ok, {} ({} variants, {steps} steps)",
                    path.display(),
                    file.scenario.name,
                    variants.len()
                );
            }
            Err(error) => {
                bad += 1;
                eprintln!("{error}");
            }
        }
    }
    if bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(USAGE)
    }
}
