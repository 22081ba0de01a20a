//! `coldcut stories`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::USAGE;
use super::cells::CellArgs;
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::{Kernel, Store};
use crate::report::render_grid;
use crate::report::stdout::errln;

#[derive(Debug, clap::Args)]
pub(super) struct StoriesArgs {
    /// Numbers of the stories [default: all]
    #[arg(value_name = "N")]
    numbers: Vec<u32>,
    /// Kernels of the store: series, release, name or the beginning of a digest [default: every kernel of the store]
    #[arg(short, long, value_delimiter = ',', value_name = "KERNEL")]
    kernel: Vec<String>,
    /// Only these variants
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    variant: Vec<String>,
    /// Directory of the stories' scenarios
    #[arg(long, value_name = "DIR", default_value = "scenarios/stories")]
    dir: PathBuf,
    #[command(flatten)]
    cells: CellArgs,
}

pub(super) async fn run(args: StoriesArgs) -> anyhow::Result<ExitCode> {
    let Some(mut files) = read_stories(&args.dir)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let known: Vec<u32> = files.iter().filter_map(|f| f.scenario.story).collect();
    if let Some(unknown) = args.numbers.iter().find(|n| !known.contains(n)) {
        let known: Vec<String> = known.iter().map(u32::to_string).collect();
        bail!("there is no story {unknown}; there are {}", known.join(", "));
    }
    files.retain(|f| args.numbers.is_empty() || f.scenario.story.is_some_and(|n| args.numbers.contains(&n)));
    let kernels = if args.kernel.is_empty() {
        every_kernel(&Store::open_default()?)?
    } else {
        args.kernel
    };
    let cells = &args.cells;
    let files = cells.judged(files)?;
    let result = cells.run(files, &args.variant, &kernels, render_grid).await?;
    Ok(args.cells.exit_code(&result))
}

/// Every story in a directory, by number; `None` when one is wrong, which was said.
fn read_stories(dir: &Path) -> anyhow::Result<Option<Vec<Arc<ScenarioFile>>>> {
    let listed = std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut paths = Vec::new();
    for entry in listed {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut files = Vec::new();
    let mut bad = false;
    for path in &paths {
        match ScenarioFile::read(path) {
            Ok(file) if file.scenario.story.is_some() => files.push(Arc::new(file)),
            Ok(_) => {}
            Err(error) => {
                errln!("{error}");
                bad = true;
            }
        }
    }
    if files.is_empty() && !bad {
        bail!("no scenario in {} has a `story`", dir.display());
    }
    files.sort_by_key(|f| f.scenario.story);
    Ok((!bad).then_some(files))
}

/// The names of what the store has, the oldest version first.
pub(super) fn every_kernel(store: &Store) -> anyhow::Result<Vec<String>> {
    let mut all = store.list()?;
    if all.is_empty() {
        bail!("the store has no kernels: `coldcut kernel pull lts` gets some");
    }
    all.sort_by_key(Kernel::version);
    Ok(all.iter().map(|kernel| kernel.name().to_owned()).collect())
}
