//! `coldcut minimize`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use coldcut_core::crash::state::{CrashState, StateId};
use coldcut_core::minimize::{Entry, History, Reducer, fstests_case, losing, losses};
use coldcut_core::oracle::cell::Strategy;
use coldcut_core::oracle::{self, Histories};
use coldcut_core::outcome::recovery::Trust;
use coldcut_core::outcome::result::{CellRef, Place, Violation};

use super::ResultsArg;
use super::machines::MachineArgs;
use crate::job::cell::{ResolvedCell, ResolvedJob, run_cell};
use crate::job::kept::{KeptCell, stored_kernel};
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::{Kernel, Store};
use crate::record::loaded::LoadedRecording;
use crate::recover::recoverer::{Machines, RecoverJob, Recoverer as _};
use crate::report::EventSink;
use crate::report::stdout::{errln, outln};
use crate::results::{CellDir, find_run, load_result, load_run, state_path};
use crate::vm::pool::Pool;

/// Make the history of a finding smaller for as long as it still violates, and print it
///
/// Steps are left out, then made simpler; each candidate is recorded and judged in every state of every cut, and counts only
/// where a booted kernel shows the same kind of violation, by the same rule. Then the crash state loses fewer writes. Prints a
/// scenario, and with `--script` writes a case for fstests.
#[derive(Debug, clap::Args)]
pub(super) struct MinimizeArgs {
    /// The crash state that violates, as `coldcut findings` prints it
    #[arg(value_name = "RUN/CELL/STATE")]
    state: String,
    /// Write the scenario to this file, in place of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a script that needs nothing of coldcut, in the style of an fstests case
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    results: ResultsArg,
}

pub(super) async fn run(args: MinimizeArgs) -> anyhow::Result<ExitCode> {
    let (run, cell_id, state) = state_path(&args.state)?;
    let dir = find_run(&args.results.results, run)?;
    let info = load_run(&dir)?;
    let kept = KeptCell::find(&dir, &info, cell_id)?;
    let wanted = violation(&dir, &kept.cell, state)?;
    let store = Store::open_default()?;
    let kernel = stored_kernel(&store, &info, &kept.cell.kernel)?;
    let recovers = match &kept.cell.recovered_on {
        Some(other) => stored_kernel(&store, &info, other)?,
        None => Arc::clone(&kernel),
    };
    let history = History::new(&kept.variant)?;
    let pool = Pool::open(args.machines.settings(), EventSink::new(Vec::new()), &kernel).await?;
    let mut trial = Trial {
        pool: Arc::new(pool.with_cached_templates()?),
        kept,
        kernel,
        recovers,
        wanted,
        work: tempfile::tempdir()?,
        tried: 0,
        last: None,
    };
    let all = history.entries.clone();
    if !trial.violates(&history, &all).await? {
        bail!(
            "recorded again, no state violates {} so that a booted kernel shows it",
            trial.wanted.kind
        );
    }
    let (history, entries) = Box::pin(reduced(&mut trial, history)).await?;
    let Some(last) = trial.last.take() else {
        bail!("nothing is left that violates");
    };
    let lost = trial.fewest_losses(&last).await?;
    say(&args, &trial, &history, &entries, &last, &lost)?;
    Ok(ExitCode::SUCCESS)
}

/// The violation that a run found in a state.
fn violation(dir: &Path, cell: &CellRef, state: &str) -> anyhow::Result<Violation> {
    let result = load_result(dir)?;
    let Some(found) = result.cells.into_iter().find(|result| result.cell == *cell) else {
        bail!("cell {} was not finished", cell.id);
    };
    if Place::from(state.to_owned()) == Place::WithoutCrash {
        bail!("what was seen while the workload ran is no crash state; only those are minimised");
    }
    let states: Vec<String> = found.violations.iter().map(|v| v.state.to_string()).collect();
    let wanted = found.violations.into_iter().find(|v| v.state.as_str() == state);
    wanted.with_context(|| {
        format!(
            "{} found nothing in state {state}; it did in {}",
            cell.id,
            states.join(", ")
        )
    })
}

/// Leaves out steps, makes them simpler, and tries the simplest mode.
async fn reduced(trial: &mut Trial, mut history: History) -> anyhow::Result<(History, Vec<Entry>)> {
    let mut reducer = Reducer::new(history.entries.clone());
    while let Some(candidate) = reducer.candidate() {
        let violates = trial.violates(&history, &candidate).await?;
        reducer.tell(violates);
        errln!(
            "{} of {} steps left, {} recordings tried",
            reducer.kept().len(),
            history.entries.len(),
            trial.tried
        );
    }
    let mut entries = reducer.kept().to_vec();
    if let Some(simplest) = history.in_simplest_mode()
        && trial.violates(&simplest, &entries).await?
    {
        history = simplest;
    }
    // Each success makes some number smaller or drops a flag, so this ends.
    'simpler: loop {
        for candidate in History::simpler(&entries) {
            if trial.violates(&history, &candidate).await? {
                entries = candidate;
                continue 'simpler;
            }
        }
        return Ok((history, entries));
    }
}

/// A history that violated, and where it is kept.
struct Shown {
    file: Arc<ScenarioFile>,
    dir: PathBuf,
    state: String,
    evidence: String,
}

/// Records and judges candidates.
struct Trial {
    pool: Arc<Pool>,
    kept: KeptCell,
    kernel: Arc<Kernel>,
    recovers: Arc<Kernel>,
    wanted: Violation,
    work: tempfile::TempDir,
    tried: u32,
    /// The last candidate that violated.
    last: Option<Shown>,
}

impl Trial {
    /// Whether a candidate still violates. What is no valid scenario does not, nor does what could not be judged.
    async fn violates(&mut self, history: &History, entries: &[Entry]) -> anyhow::Result<bool> {
        if !entries.iter().any(|entry| entry.recorded) {
            return Ok(false);
        }
        let name = &self.kept.cell.scenario;
        let text = history.document(name, entries)?.to_string();
        let Ok(file) = ScenarioFile::parse(Path::new(&format!("{name}.yaml")), &text) else {
            return Ok(false);
        };
        let Some(variant) = file.scenario.variants().first().cloned() else {
            return Ok(false);
        };
        self.tried += 1;
        let (file, dir) = (Arc::new(file), self.work.path().join(self.tried.to_string()));
        let cell = ResolvedCell {
            cell: self.kept.cell.clone(),
            kernel: Arc::clone(&self.recovers),
            dir: CellDir::open(&dir)?,
        };
        let job = ResolvedJob {
            file: Arc::clone(&file),
            variant,
            kernel: Arc::clone(&self.kernel),
            strategy: Strategy::Screen,
            resume: None,
            cells: vec![cell],
        };
        let result = run_cell(Arc::clone(&self.pool), Arc::new(Machines), job).await?;
        let same = |v: &&Violation| {
            (v.kind, &v.rule, v.confirmed) == (self.wanted.kind, &self.wanted.rule, Some(true))
        };
        let shown = result.violations.iter().find(same).map(|v| Shown {
            file,
            dir: dir.clone(),
            state: v.state.to_string(),
            evidence: v.evidence.clone(),
        });
        let violates = shown.is_some();
        let gone = if violates {
            std::mem::replace(&mut self.last, shown).map(|last| last.dir)
        } else {
            Some(dir)
        };
        // What no longer matters may take much room.
        if let Some(gone) = gone {
            let _ = std::fs::remove_dir_all(gone);
        }
        Ok(violates)
    }

    /// The state of the last violation with as few lost writes as still violate: how many it lost, and the state.
    async fn fewest_losses(&self, shown: &Shown) -> anyhow::Result<Lost> {
        let recording = LoadedRecording::load(&CellDir::open(&shown.dir)?)?;
        let state = shown.state.parse::<StateId>()?.state();
        if !state.again.is_empty() {
            // Its recovery was cut off as well: which writes are lost is said of two logs.
            return Ok(Lost { state, writes: None });
        }
        let first = losses(&recording.log, &state)?;
        let mut reducer = Reducer::new(first.clone());
        while let Some(lost) = reducer.candidate() {
            let less = losing(&recording.log, &state, &lost);
            reducer.tell(self.shows(&recording, shown, &less, Trust::Fresh).await?);
        }
        let less = losing(&recording.log, &state, reducer.kept());
        // Without a booted kernel that shows it, the state stays what it was.
        let fewer =
            reducer.kept().len() < first.len() && self.shows(&recording, shown, &less, Trust::Cold).await?;
        Ok(if fewer {
            Lost {
                state: less,
                writes: Some(reducer.kept().len()),
            }
        } else {
            Lost {
                state,
                writes: Some(first.len()),
            }
        })
    }

    /// Whether a state of the last recording shows the violation.
    async fn shows(
        &self,
        recording: &LoadedRecording,
        shown: &Shown,
        state: &CrashState,
        trust: Trust,
    ) -> anyhow::Result<bool> {
        let Some(variant) = shown.file.scenario.variants().first() else {
            return Ok(false);
        };
        let history = Histories::new(&recording.log).at(state.cut);
        let Ok(image) = recording.image(state) else {
            return Ok(false);
        };
        let job = RecoverJob {
            image: Arc::new(image),
            disks: recording.log.disks().clone(),
            noted: None,
            kernel: Arc::clone(&self.recovers),
            mount: recording.mount(variant),
            patterns: Arc::new(variant.patterns()),
            console: shown.dir.join("console"),
            fsck: variant.wants_fsck(),
            programs: None,
            asked: None,
        };
        let _room = self.pool.room(trust != Trust::Cold).await?;
        let Ok(recovery) = Machines.recover(&self.pool, &job, trust).await else {
            return Ok(false);
        };
        let judged = oracle::judge(variant, &history, &recovery);
        let same = |found: &coldcut_core::outcome::verdict::Finding| {
            (found.kind, &found.rule) == (self.wanted.kind, &self.wanted.rule)
        };
        Ok(judged.findings.iter().any(same))
    }
}

/// A state, and how many volatile writes it lost.
struct Lost {
    state: CrashState,
    writes: Option<usize>,
}

/// Prints what is left.
fn say(
    args: &MinimizeArgs,
    trial: &Trial,
    history: &History,
    entries: &[Entry],
    shown: &Shown,
    lost: &Lost,
) -> anyhow::Result<()> {
    let rule = trial
        .wanted
        .rule
        .as_ref()
        .map_or_else(String::new, |rule| format!(" ({rule})"));
    let writes = match lost.writes {
        Some(1) => "1 volatile write is lost".to_owned(),
        Some(writes) => format!("{writes} volatile writes are lost"),
        None => "the recovery is cut off too".to_owned(),
    };
    let found = [
        format!(
            "Violates {}{rule} on {}: {}",
            trial.wanted.kind,
            trial.recovers.release(),
            shown.evidence
        ),
        format!(
            "In state {}: {writes}. Made smaller in {} recordings.",
            lost.state.id(),
            trial.tried
        ),
    ];
    let mut document = history.document(&trial.kept.cell.scenario, entries)?;
    document.comments = found.to_vec();
    match &args.output {
        Some(path) => {
            std::fs::write(path, document.to_string())
                .with_context(|| format!("cannot write {}", path.display()))?;
            outln!("scenario: {}", path.display())?;
        }
        None => outln!("{}", document.to_string().trim_end())?,
    }
    if let Some(path) = &args.script {
        let made = document.filesystem.lines().map(str::to_owned);
        let told: Vec<String> = found.into_iter().chain(made).collect();
        std::fs::write(path, fstests_case(entries, &told))
            .with_context(|| format!("cannot write {}", path.display()))?;
        outln!("script: {}", path.display())?;
    }
    Ok(())
}
