//! `coldcut programs`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::USAGE;
use super::cells::CellArgs;
use super::stories::every_kernel;
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::Store;
use crate::report::render_grid;
use crate::report::stdout::errln;

#[derive(Debug, clap::Args)]
pub(super) struct ProgramsArgs {
    /// Names of programs, as their scenarios have them [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Kernels of the store: series, release, name or the beginning of a digest [default: every kernel of the store]
    #[arg(short, long, value_delimiter = ',', value_name = "KERNEL")]
    kernel: Vec<String>,
    /// Only these variants
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    variant: Vec<String>,
    /// Directory of the programs' scenarios
    #[arg(long, value_name = "DIR", default_value = "scenarios/programs")]
    dir: PathBuf,
    #[command(flatten)]
    cells: CellArgs,
}

pub(super) async fn run(args: ProgramsArgs) -> anyhow::Result<ExitCode> {
    let Some(mut files) = read(&args.dir)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let known = |name: &String| files.iter().any(|file| file.scenario.name == *name);
    if let Some(unknown) = args.names.iter().find(|name| !known(name)) {
        let known: Vec<&str> = files.iter().map(|file| file.scenario.name.as_str()).collect();
        bail!("there is no program {unknown}; there are {}", known.join(", "));
    }
    files.retain(|file| args.names.is_empty() || args.names.contains(&file.scenario.name));
    let kernels = if args.kernel.is_empty() {
        every_kernel(&Store::open_default()?)?
    } else {
        args.kernel
    };
    let cells = &args.cells;
    let result = cells.run(files, &args.variant, &kernels, render_grid).await?;
    Ok(args.cells.exit_code(&result))
}

/// Every scenario in a directory, by name; `None` when one is wrong, which was said.
fn read(dir: &PathBuf) -> anyhow::Result<Option<Vec<Arc<ScenarioFile>>>> {
    let listed = std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut files = Vec::new();
    let mut bad = false;
    for entry in listed {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        match ScenarioFile::read(&path) {
            Ok(file) => files.push(Arc::new(file)),
            Err(error) => {
                errln!("{error}");
                bad = true;
            }
        }
    }
    if files.is_empty() && !bad {
        bail!("there is no scenario in {}", dir.display());
    }
    files.sort_by(|one, other| one.scenario.name.cmp(&other.scenario.name));
    Ok((!bad).then_some(files))
}
