//! `coldcut matrix`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use coldcut_core::matrix::{Disk, Mode, modes};
use coldcut_core::scenario::FsType;
use coldcut_core::shard::Shard;

use super::batch::Batch;
use super::machines::{MachineArgs, TrustArgs};
use super::reports::ReportArgs;
use super::run::read_all;
use super::{ResultsArg, USAGE};
use crate::report::{JsonLines, Progress, Reporter, render_run};
use crate::scenario_file::ScenarioFile;

#[derive(Debug, clap::Args)]
pub(super) struct MatrixArgs {
    /// Scenario files; their variants that hold are run, those that declare a hazard are not
    #[arg(required_unless_present = "list", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Kernels of the store: series, release, name or the beginning of a digest; all are run
    #[arg(
        short,
        long,
        required_unless_present = "list",
        value_delimiter = ',',
        value_name = "KERNEL"
    )]
    kernel: Vec<String>,
    /// Whose modes
    #[arg(long, value_enum)]
    mounts: Filesystem,
    /// Only these modes
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    mode: Vec<String>,
    /// List the modes, what each promises and where that is documented; run nothing
    #[arg(long)]
    list: bool,
    /// Print the events as JSON lines instead of progress and table
    #[arg(long)]
    json: bool,
    /// Seed of everything that is sampled
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only part I of N of the cells
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Run each cell so many times
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

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Filesystem {
    /// Mount options and mkfs features of ext4
    Ext4,
}

pub(super) async fn run(args: MatrixArgs) -> anyhow::Result<ExitCode> {
    let Filesystem::Ext4 = args.mounts;
    let known = modes(FsType::Ext4);
    if let Some(unknown) = args
        .mode
        .iter()
        .find(|name| known.iter().all(|mode| mode.name != **name))
    {
        let names: Vec<&str> = known.iter().map(|mode| mode.name).collect();
        bail!("there is no mode `{unknown}`; there are {}", names.join(", "));
    }
    let wanted: Vec<&Mode> = known
        .iter()
        .filter(|mode| args.mode.is_empty() || args.mode.iter().any(|name| name == mode.name))
        .collect();
    if args.list {
        for mode in &wanted {
            list(mode);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(files) = read_all(&args.files) else {
        return Ok(ExitCode::from(USAGE));
    };
    let mut expanded = Vec::new();
    for file in files {
        if file
            .scenario
            .variants()
            .iter()
            .any(|v| v.filesystem.fstype != FsType::Ext4)
        {
            bail!("{} is not about ext4", file.path.display());
        }
        let (scenario, left_out) = file.scenario.in_modes(wanted.iter().copied());
        for left in left_out.iter().filter(|left| !left.is_hazard()) {
            eprintln!(
                "not run: {}.{}@{}: {}",
                scenario.name, left.variant, left.mode, left.why
            );
        }
        expanded.push(Arc::new(ScenarioFile {
            path: file.path.clone(),
            text: file.text.clone(),
            scenario,
        }));
    }
    if expanded.iter().all(|file| file.scenario.variants().is_empty()) {
        bail!("no variant of these scenarios holds in any of these modes");
    }
    let store = crate::kernel::Store::open_default()?;
    let kernels = args
        .kernel
        .iter()
        .map(|spec| Ok((spec.clone(), Arc::new(store.find(spec)?))))
        .collect::<anyhow::Result<_>>()?;
    let mut screen: Vec<Box<dyn Reporter>> = if args.json {
        vec![Box::new(JsonLines::new(std::io::stdout()))]
    } else {
        vec![Box::new(Progress::new())]
    };
    screen.extend(args.reports.reporters()?);
    let batch = Batch {
        files: expanded,
        kernels,
        variants: &[],
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
    if ran.result.cells.is_empty() && args.shard.is_some() {
        eprintln!("no cell is in this part");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(ran.result.totals.exit_code()))
}

fn list(mode: &Mode) {
    let mut how: Vec<String> = Vec::new();
    if !mode.mkfs.is_empty() {
        how.push(format!("mkfs {}", mode.mkfs.join(" ")));
    }
    if !mode.mount.is_empty() {
        how.push(format!("mount {}", mode.mount));
    }
    if mode.disk == Disk::Battery {
        how.push("on a disk without a volatile cache".to_owned());
    }
    let how = if how.is_empty() {
        "as it is".to_owned()
    } else {
        how.join(", ")
    };
    println!("{}: {how}", mode.name);
    println!("    covers {}: {}", covers(mode), mode.guarantee.says);
    println!("    {}", mode.guarantee.source);
}

fn covers(mode: &Mode) -> &'static str {
    use coldcut_core::matrix::Covers::{All, NotFreshBlocks, Nothing};
    match mode.guarantee.covers {
        All => "everything",
        NotFreshBlocks => "what was made durable",
        Nothing => "nothing, and is observed",
    }
}
