//! `coldcut replay`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use coldcut_core::crash::state::{CrashState, StateId};
use coldcut_core::oracle::cell::Strategy;
use coldcut_core::oracle::{self, Histories, History};
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::outcome::result::{Place, Totals};

use super::ResultsArg;
use super::cells::Oracle;
use super::machines::MachineArgs;
use crate::job::cell::{ResolvedCell, ResolvedJob, run_cell};
use crate::job::kept::{KeptCell, stored_kernel};
use crate::kernel::{Kernel, Store};
use crate::record::loaded::LoadedRecording;
use crate::recover::recoverer::{Machines, RecoverJob, Recoverer as _};
use crate::report::stdout::{errln, out, outln};
use crate::report::{EventSink, LiveProgress, mark_text, render_cell, render_recovery};
use crate::results::{CellDir, RunInfo, find_run, load_run, state_path};
use crate::vm::pool::Pool;

#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// The crash state, as the result table prints it
    #[arg(value_name = "RUN/CELL/STATE")]
    state: String,
    /// Recover it on another kernel of the store
    #[arg(short, long, value_name = "KERNEL")]
    kernel: Option<String>,
    /// Who judges besides the scenario's own expectations
    #[arg(long, value_enum, value_name = "WHO")]
    oracle: Option<Oracle>,
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
    let mut kept = KeptCell::find(&dir, &info, cell_id)?;
    if let Some(Oracle::Auto) = args.oracle {
        kept = kept.with_oracle()?;
    }
    let store = Store::open_default()?;
    let cell = &kept.cell;
    let kernel = match &args.kernel {
        Some(wanted) => Arc::new(store.find(wanted)?),
        None => stored_kernel(&store, &info, cell.recovered_on.as_ref().unwrap_or(&cell.kernel))?,
    };
    if Place::from(state_id.to_owned()) == Place::WithoutCrash {
        // The workload ran on the kernel that recorded.
        let recorded = match (&args.kernel, &cell.recovered_on) {
            (None, Some(_)) => stored_kernel(&store, &info, &cell.kernel)?,
            _ => Arc::clone(&kernel),
        };
        return Box::pin(run_live(&args, kept, recorded, kernel)).await;
    }
    let cell_dir = kept.dir()?;
    let recording = LoadedRecording::load(&cell_dir)?;
    for warning in &recording.warnings {
        errln!("note: {}: {warning}", cell_dir.log().display());
    }
    let state = state_id.parse::<StateId>()?.state();
    say_what(&info, &kept, &recording, &state, &kernel)?;
    if let Some(path) = &args.raw {
        export(&recording, &state, path).await?;
    }
    let history = Histories::new(&recording.log).at(state.cut);
    let events = EventSink::new(vec![Box::new(LiveProgress::new())]);
    let pool = Pool::open(args.machines.settings(), events, &kernel).await?;
    let job = RecoverJob {
        image: Arc::new(recording.image(&state)?),
        disks: recording.log.disks().clone(),
        noted: None,
        kernel,
        mount: recording.mount(&kept.variant),
        patterns: Arc::new(kept.variant.patterns()),
        console: cell_dir.console(&format!("replay-{state_id}")),
        fsck: true,
        programs: kept.programs(&info).await?,
        asked: history.asked(&kept.variant),
    };
    let recovery = Machines.recover(&pool, &job, Trust::Cold).await?;
    judge(&kept, &history, &recovery)
}

/// Says which state of which recording is recovered, by whom, and what had happened until the cut.
fn say_what(
    info: &RunInfo,
    kept: &KeptCell,
    recording: &LoadedRecording,
    state: &CrashState,
    kernel: &Kernel,
) -> anyhow::Result<()> {
    outln!("cell      {}", kept.cell.id)?;
    let end = recording.log.end();
    outln!("state     {}: cut {} of {end} events", state.id(), state.cut)?;
    let recorded = info.kernels.iter().find(|k| k.name == kept.cell.kernel);
    let release = kernel.release();
    match recorded.filter(|recorded| recorded.digest != kernel.digest()) {
        Some(other) => outln!("kernel    {release}, of what {} recorded", other.release)?,
        None => outln!("kernel    {release}")?,
    }
    let marks = recording.log.marks_until(state.cut);
    outln!("history   {} marks until the cut, the last of them:", marks.len())?;
    for placed in marks.iter().rev().take(6).rev() {
        outln!("            {}", mark_text(&placed.mark))?;
    }
    Ok(())
}

/// Writes the disk as it was after the cut.
async fn export(recording: &LoadedRecording, state: &CrashState, path: &Path) -> anyhow::Result<()> {
    let (image, target) = (recording.image(state)?, path.to_owned());
    tokio::task::spawn_blocking(move || crate::disk::export_sparse(&image, &target))
        .await?
        .with_context(|| format!("cannot write {}", path.display()))?;
    outln!("raw disk  {}", path.display())?;
    Ok(())
}

/// Shows a recovery and what it breaks.
fn judge(kept: &KeptCell, history: &History, recovery: &Recovery) -> anyhow::Result<ExitCode> {
    out!("{}", render_recovery(recovery))?;
    let judgement = oracle::judge(&kept.variant, history, recovery);
    outln!("judged    {} expectations", judgement.judged.len())?;
    for finding in &judgement.findings {
        outln!("  {}: {}", finding.kind, finding.evidence)?;
    }
    for doubt in &judgement.doubts {
        outln!("  not known: {doubt}")?;
    }
    if judgement.findings.is_empty() && judgement.doubts.is_empty() {
        outln!("  all held")?;
    }
    Ok(ExitCode::from(u8::from(!judgement.findings.is_empty())))
}

/// What was seen while the workload ran cannot be rebuilt from a log: the cell runs again.
async fn run_live(
    args: &ReplayArgs,
    kept: KeptCell,
    kernel: Arc<Kernel>,
    recovers: Arc<Kernel>,
) -> anyhow::Result<ExitCode> {
    if args.raw.is_some() {
        bail!("what was seen while the workload ran has no disk image; name a crash state for --raw");
    }
    let events = EventSink::new(vec![Box::new(LiveProgress::new())]);
    let pool = Arc::new(Pool::open(args.machines.settings(), events, &kernel).await?);
    let dir = tempfile::tempdir()?;
    let cell = ResolvedCell {
        cell: kept.cell,
        kernel: recovers,
        dir: CellDir::open(dir.path())?,
    };
    let job = ResolvedJob {
        file: kept.file,
        variant: kept.variant,
        kernel,
        strategy: Strategy::Cold,
        resume: None,
        cells: vec![cell],
    };
    let result = run_cell(pool, Arc::new(Machines), job).await?;
    out!("{}", render_cell("(this run is not kept)", &result))?;
    Ok(ExitCode::from(Totals::of([result.standing]).exit_code()))
}
