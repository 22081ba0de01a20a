//! `coldcut explore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use coldcut_core::explore::{Bounds, Workload, Workloads, sample};
use coldcut_core::filesystem::{FsType, Mode};
use coldcut_core::generate::generate;
use coldcut_core::outcome::groups::groups;
use coldcut_core::scenario::parse_millis;

use super::cells::CellArgs;
use super::findings::of_cell;
use crate::job::scenario_file::ScenarioFile;
use crate::report::stdout::outln;
use crate::report::{ExploreProgress, Reporter, render_groups};

/// Workloads of a run at most: results, reports and the run's plan are made of all of them.
const MOST: usize = 20_000;
/// Workloads of a run where it is not said how many, and there are more.
const USUAL: usize = 1000;

/// Try workloads by the thousand, each in every state that a cut can leave
///
/// What is found is said as it is found. A run that is interrupted keeps what it has.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(super) struct ExploreArgs {
    /// Every workload of so many changes, within bounds
    #[arg(long, value_name = "N", group = "which", value_parser = clap::value_parser!(u8).range(1..=5))]
    seq: Option<u8>,
    /// Random histories with what their syncs promise: those of this `--seed` and the seeds after it
    #[arg(long, group = "which")]
    random: bool,
    /// The scenarios of a directory
    #[arg(value_name = "DIR", group = "which")]
    dir: Option<PathBuf>,
    /// Bounds of `--seq` as YAML: files, directories, operations, persist
    #[arg(long, value_name = "FILE", requires = "seq")]
    bounds: Option<PathBuf>,
    /// Workloads at most [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST as i64))]
    count: Option<u32>,
    /// Leave out the first N of `--seq`
    #[arg(long, value_name = "N", default_value_t = 0, requires = "seq")]
    skip: usize,
    /// Draw the workloads of `--seq` at random, by `--seed`, in place of taking them in order
    #[arg(long, requires = "seq", conflicts_with = "skip")]
    sample: bool,
    /// Steps of a random history
    #[arg(long, value_name = "N", default_value_t = 12, requires = "random", value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: u16,
    /// The filesystem under test
    #[arg(long, default_value = "ext4", value_parser = super::fstype)]
    fs: FsType,
    /// The mode it is made and mounted in; `coldcut matrix --mounts TYPE --list` lists them
    #[arg(long, value_name = "NAME")]
    mode: Option<String>,
    /// Begin no more workloads after so long, such as 90s or 10min
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Print the names of the workloads, and run nothing
    #[arg(long)]
    list: bool,
    /// Write the workloads to a directory as scenarios, and run nothing
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Kernels of the store: series, release, name or the beginning of a digest; all are run
    #[arg(short, long, value_delimiter = ',', value_name = "KERNEL", required_unless_present_any = ["list", "output"])]
    kernel: Vec<String>,
    #[command(flatten)]
    cells: CellArgs,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_millis(text).map(Duration::from_millis)
}

pub(super) async fn run(args: ExploreArgs) -> anyhow::Result<ExitCode> {
    let mode = mode(args.fs, args.mode.as_deref())?;
    let files = match (args.seq, &args.dir) {
        (Some(changes), _) => bounded(&args, changes.into())?,
        (None, Some(dir)) => scenarios(dir)?,
        (None, None) => random(&args)?,
    };
    if args.list {
        for file in &files {
            outln!("{}", file.scenario.name)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(dir) = &args.output {
        written(dir, &files)?;
        return Ok(ExitCode::SUCCESS);
    }
    let files = match mode {
        Some(mode) => files
            .into_iter()
            .map(|file| in_mode(file, args.fs, mode))
            .collect::<Result<_, _>>()?,
        None => files,
    };
    let files = files.into_iter().map(Arc::new).collect();
    // What is past the end of time never comes.
    let until = args.time.and_then(|time| Instant::now().checked_add(time));
    let screen: Vec<Box<dyn Reporter>> = vec![Box::new(ExploreProgress::new())];
    let ran = args
        .cells
        .run_shown(files, &[], &args.kernel, screen, until)
        .await?;
    if !args.cells.json() {
        let dir = args.cells.results_of(&ran);
        let found = ran.cells.iter().flat_map(|cell| of_cell(&dir, cell)).collect();
        outln!("{}", render_groups(&ran.run, &groups(found)).trim_end())?;
    }
    Ok(args.cells.exit_code(&ran))
}

/// The mode that is meant.
fn mode(fstype: FsType, wanted: Option<&str>) -> anyhow::Result<Option<&'static Mode>> {
    let Some(wanted) = wanted else { return Ok(None) };
    let Some(mode) = fstype.modes.iter().find(|mode| mode.name == wanted) else {
        let names: Vec<&str> = fstype.modes.iter().map(|mode| mode.name).collect();
        bail!("{fstype} has no mode `{wanted}`; it has {}", names.join(", "));
    };
    Ok(Some(mode))
}

fn in_mode(file: ScenarioFile, fstype: FsType, mode: &Mode) -> anyhow::Result<ScenarioFile> {
    let (scenario, left_out) = file.scenario.in_modes(fstype, [mode]);
    if let Some(left) = left_out.first() {
        bail!("{} is not run in mode {}: {}", scenario.name, mode.name, left.why);
    }
    Ok(ScenarioFile { scenario, ..file })
}

/// Workloads within bounds.
fn bounded(args: &ExploreArgs, changes: usize) -> anyhow::Result<Vec<ScenarioFile>> {
    let bounds = match &args.bounds {
        None => Bounds::default(),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Bounds::parse(&path.display().to_string(), &text)?
        }
    };
    let most = args.count.map_or(USUAL, |count| count as usize);
    let workloads: Vec<Workload> = if args.sample {
        sample(&bounds, changes, most, args.cells.seed)
    } else {
        Workloads::new(&bounds, changes)
            .skip(args.skip)
            .take(most)
            .collect()
    };
    if workloads.is_empty() {
        bail!("there is no workload of {changes} changes within these bounds, or all are left out");
    }
    workloads
        .iter()
        .map(|workload| explored(workload, args.fs))
        .collect()
}

fn explored(workload: &Workload, fstype: FsType) -> anyhow::Result<ScenarioFile> {
    let document = workload.document(fstype)?;
    parsed(&format!("{}.yaml", document.name), &document.to_string())
}

fn random(args: &ExploreArgs) -> anyhow::Result<Vec<ScenarioFile>> {
    let count = args.count.map_or(100, u64::from);
    let one = |number: u64| {
        let seed = args.cells.seed.wrapping_add(number);
        let mut text = generate(seed, args.steps.into());
        text.push_str("crash: all\n");
        parsed(&format!("random-{seed}.yaml"), &text)
    };
    (0..count).map(one).collect()
}

fn parsed(name: &str, text: &str) -> anyhow::Result<ScenarioFile> {
    Ok(ScenarioFile::parse(Path::new(name), text)?)
}

/// The scenarios of a directory, in the order of their names.
fn scenarios(dir: &Path) -> anyhow::Result<Vec<ScenarioFile>> {
    let reading = || format!("cannot read {}", dir.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        bail!("{} has no scenarios: files that end in .yaml", dir.display());
    }
    if paths.len() > MOST {
        bail!(
            "{} has {} scenarios; a run takes at most {MOST}",
            dir.display(),
            paths.len()
        );
    }
    paths.sort();
    paths.iter().map(|path| Ok(ScenarioFile::read(path)?)).collect()
}

/// Writes the scenarios, each as NAME.yaml.
fn written(dir: &Path, files: &[ScenarioFile]) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for file in files {
        let path = dir.join(format!("{}.yaml", file.scenario.name));
        std::fs::write(&path, &file.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    outln!("{} scenarios in {}", files.len(), dir.display())?;
    Ok(())
}
