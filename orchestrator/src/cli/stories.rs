//! `coldcut stories`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use coldcut_core::grid::Grid;
use coldcut_core::result::RunResult;

use super::batch::Batch;
use super::machines::{MachineArgs, TrustArgs};
use super::{ResultsArg, USAGE};
use crate::kernel::{Kernel, Store};
use crate::report::{Progress, Reporter, render_grid};
use crate::scenario_file::ScenarioFile;

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
    /// Run everything so often; a cell that does not always give the same verdict is flaky, and not as declared
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Directory of the stories' scenarios
    #[arg(long, value_name = "DIR", default_value = "scenarios/stories")]
    dir: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    results: ResultsArg,
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
    let store = Store::open_default()?;
    let kernels = kernels(&store, &args.kernel)?;
    let mut runs: Vec<RunResult> = Vec::new();
    for round in 1..=args.repeat {
        if args.repeat > 1 {
            println!("round {round} of {}", args.repeat);
        }
        let screen: Vec<Box<dyn Reporter>> = vec![Box::new(Progress::new())];
        let batch = Batch {
            files: files.clone(),
            kernels: kernels.clone(),
            variants: &args.variant,
            recover_on: None,
            store: &store,
            seed: 0,
            policy: args.trust.policy(),
            machines: &args.machines,
            results: &args.results.results,
            screen,
            shard: None,
            repeat: 1,
        };
        let ran = batch.run().await?;
        println!("results: {}", ran.dir.display());
        runs.push(ran.result);
    }
    let grid = Grid::new(&runs);
    println!();
    print!("{}", render_grid(&grid));
    Ok(ExitCode::from(grid.totals().exit_code()))
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
                eprintln!("{error}");
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

fn kernels(store: &Store, wanted: &[String]) -> anyhow::Result<Vec<(String, Arc<Kernel>)>> {
    if wanted.is_empty() {
        let mut all = store.list()?;
        all.sort_by_key(Kernel::version);
        if all.is_empty() {
            bail!("the store has no kernels: `coldcut kernel pull lts` gets some");
        }
        return Ok(all
            .into_iter()
            .map(|k| (k.name().to_owned(), Arc::new(k)))
            .collect());
    }
    wanted
        .iter()
        .map(|spec| Ok((spec.clone(), Arc::new(store.find(spec)?))))
        .collect()
}
