//! `coldcut replay`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use coldcut_core::crash::state::StateId;
use coldcut_core::oracle::{self, History};
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::outcome::result::{CellRef, LIVE, Totals};
use coldcut_core::recording::mark::Mark;
use coldcut_core::scenario::Variant;
use coldcut_wire::{EntryKind, Source, TreeEntry};

use super::ResultsArg;
use super::machines::MachineArgs;
use crate::job::cell::{CellJob, CellsJob, run_cell};
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::Kernel;
use crate::record::loaded::LoadedRecording;
use crate::record::recorder::mount_of;
use crate::recover::recoverer::{Machines, RecoverJob, Recoverer as _};
use crate::recover::strategy::Strategy;
use crate::report::{EventSink, Progress, render_cell};
use crate::results::{CellDir, find_run, load_run, state_path};
use crate::vm::pool::Pool;

#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// The crash state, as the result table prints it
    #[arg(value_name = "RUN/CELL/STATE")]
    state: String,
    /// Recover it on another kernel of the store
    #[arg(short, long, value_name = "KERNEL")]
    kernel: Option<String>,
    /// Write the disk as it was after the cut, before recovery, to this file (raw, sparse)
    #[arg(long, value_name = "FILE")]
    raw: Option<std::path::PathBuf>,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    results: ResultsArg,
}

pub(super) async fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let (run, cell_id, state_id) = state_path(&args.state)?;
    let dir = find_run(&args.results.results, run)?;
    let info = load_run(&dir)?;
    let Some(cell) = info.cells.iter().find(|c| c.id == cell_id) else {
        let cells: Vec<&str> = info.cells.iter().map(|c| c.id.as_str()).collect();
        bail!(
            "run {} has no cell `{cell_id}`; it has {}",
            info.run,
            cells.join(", ")
        );
    };
    let file = ScenarioFile::read(&dir.join("scenarios").join(format!("{}.yaml", cell.scenario)))?;
    let variant = file
        .scenario
        .find_variant(&cell.variant)
        .context("the run's own scenario lacks this variant")?;
    let store = crate::kernel::Store::open_default()?;
    let stored = |name: &str| {
        let known = info.kernels.iter().find(|k| k.name == name);
        store
            .find(known.map_or(name, |k| k.digest.as_str()))
            .map(Arc::new)
    };
    let recovers = cell.recovered_on.as_ref().unwrap_or(&cell.kernel);
    let kernel = match &args.kernel {
        Some(wanted) => Arc::new(store.find(wanted)?),
        None => stored(recovers)?,
    };
    if state_id == LIVE {
        // The workload ran on the kernel that recorded.
        let recorded = match (&args.kernel, &cell.recovered_on) {
            (None, Some(_)) => stored(&cell.kernel)?,
            _ => Arc::clone(&kernel),
        };
        return run_live(args, cell.clone(), file, variant, recorded, kernel).await;
    }
    let cell_dir = CellDir::open(&dir.join("cells").join(cell_id))?;
    let recording = LoadedRecording::load(&cell_dir)?;
    for warning in &recording.warnings {
        eprintln!("note: {}: {warning}", cell_dir.log().display());
    }
    let state = state_id.parse::<StateId>()?.state();
    let image = Arc::new(recording.image(&state)?);

    println!("cell      {cell_id}");
    println!(
        "state     {state_id}: cut {} of {} events",
        state.cut,
        recording.log.end()
    );
    let recorded = info.kernels.iter().find(|k| k.name == cell.kernel);
    match recorded.filter(|recorded| recorded.digest != kernel.digest()) {
        Some(other) => println!(
            "kernel    {}, of what {} recorded",
            kernel.release(),
            other.release
        ),
        None => println!("kernel    {}", kernel.release()),
    }
    let marks = recording.log.marks_until(state.cut);
    println!("history   {} marks until the cut, the last of them:", marks.len());
    for placed in marks.iter().rev().take(6).rev() {
        println!("            {}", explain(&placed.mark));
    }
    if let Some(path) = &args.raw {
        let (image, target) = (Arc::clone(&image), path.clone());
        tokio::task::spawn_blocking(move || crate::disk::export_sparse(&*image, &target))
            .await?
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("raw disk  {}", path.display());
    }

    let events = EventSink::new(vec![Box::new(Progress::new())]);
    let pool = Pool::open(args.machines.settings(), events, &kernel).await?;
    let job = RecoverJob {
        image,
        kernel,
        mount: mount_of(&variant),
        contents: Arc::new(variant.contents()),
        console: cell_dir.console(&format!("replay-{state_id}")),
        fsck: true,
    };
    let recovery = Machines.recover(&pool, &job, Trust::Cold).await?;
    show(&recovery);
    let history = History::from_marks(marks.iter().map(|placed| &placed.mark));
    let judgement = oracle::judge(&variant, &history, &recovery);
    println!("judged    {} expectations", judgement.judged.len());
    for finding in &judgement.findings {
        println!("  {}: {}", finding.kind, finding.evidence);
    }
    if judgement.findings.is_empty() {
        println!("  all held");
    }
    Ok(ExitCode::from(u8::from(!judgement.findings.is_empty())))
}

/// What was seen while the workload ran cannot be rebuilt from a log: the cell runs again.
async fn run_live(
    args: ReplayArgs,
    cell: CellRef,
    file: ScenarioFile,
    variant: Variant,
    kernel: Arc<Kernel>,
    recovers: Arc<Kernel>,
) -> anyhow::Result<ExitCode> {
    if args.raw.is_some() {
        bail!("what was seen while the workload ran has no disk image; name a crash state for --raw");
    }
    let events = EventSink::new(vec![Box::new(Progress::new())]);
    let pool = Arc::new(Pool::open(args.machines.settings(), events, &kernel).await?);
    let dir = tempfile::tempdir()?;
    let cell = CellJob {
        cell,
        kernel: recovers,
        dir: CellDir::open(dir.path())?,
    };
    let job = CellsJob {
        file: Arc::new(file),
        variant,
        kernel,
        strategy: Strategy::Cold,
        cells: vec![cell],
    };
    let result = run_cell(pool, Arc::new(Machines), job).await?;
    print!("{}", render_cell("(this run is not kept)", &result));
    Ok(ExitCode::from(Totals::of([result.standing]).exit_code()))
}

fn explain(mark: &Mark) -> String {
    match mark {
        Mark::Begin(step) => format!("`{}` was begun", step.name),
        Mark::Done(step) => format!("`{}` was acknowledged", step.name),
        Mark::Failed(step, errno) => format!("`{}` failed with errno {errno}", step.name),
        Mark::Line { text, .. } => format!("a program acknowledged `{text}`"),
        Mark::End => "the recording ended".into(),
        Mark::Other(text) => text.clone(),
    }
}

fn show(recovery: &Recovery) {
    if let Some(fsck) = &recovery.repaired {
        println!(
            "repair    {} ({}, code {})",
            if fsck.clean { "nothing to do" } else { "REPAIRED" },
            fsck.command,
            fsck.code
        );
        if !fsck.clean {
            println!("  {}", fsck.output.trim().replace('\n', "\n  "));
        }
    }
    if let Some(oops) = &recovery.panic {
        println!("kernel    PANICS: {oops}");
        return;
    }
    match &recovery.mount_error {
        Some(error) => println!("mount     failed: {}", error.what),
        None => println!("mount     succeeded"),
    }
    if !recovery.dmesg.is_empty() {
        println!("dmesg");
        for line in &recovery.dmesg {
            println!("  [{:12.6}] {}", line.micros as f64 / 1e6, line.text);
        }
    }
    println!("tree");
    for entry in &recovery.tree {
        show_entry(entry);
    }
    if let Some(error) = &recovery.unmount_error {
        println!("unmount   failed: {}", error.what);
    }
    if let Some(fsck) = &recovery.fsck {
        println!(
            "fsck      {} ({}, code {})",
            if fsck.clean { "clean" } else { "NOT CLEAN" },
            fsck.command,
            fsck.code
        );
        if !fsck.clean {
            println!("  {}", fsck.output.trim().replace('\n', "\n  "));
        }
    }
}

fn show_entry(entry: &TreeEntry) {
    let name = String::from_utf8_lossy(&entry.path);
    let name = if name.is_empty() { "/" } else { &*name };
    println!(
        "  {:?} {name}  mode {:o}, size {}, links {}",
        entry.kind, entry.mode, entry.size, entry.nlink
    );
    if entry.kind == EntryKind::File {
        for extent in &entry.extents {
            println!(
                "      {:>8}+{:<8} {}",
                extent.offset,
                extent.len,
                source(&extent.source, extent.offset)
            );
        }
    }
    for problem in &entry.problems {
        println!("      problem: {problem}");
    }
}

fn source(source: &Source, offset: u64) -> String {
    match source {
        Source::Zeros => "zeros".into(),
        Source::Content { at, label, .. } if *at == offset => label.clone(),
        Source::Content { at, label, .. } => format!("{label}, but its bytes from {at} on"),
        Source::Garbage => "bytes that nobody wrote".into(),
        Source::Unreadable { errno } => format!("unreadable, errno {errno}"),
    }
}
