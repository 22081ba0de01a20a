//! Cells from recording to verdict: one recording, and a cell for each kernel that recovers it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use coldcut_core::oracle::measured;
use coldcut_core::outcome::event::{Event, Phase};
use coldcut_core::outcome::recovery::{Recovery, Trust, words};
use coldcut_core::outcome::result::{CellRef, CellResult, KernelRef};
use coldcut_core::outcome::verdict::{Standing, Verdict};
use coldcut_core::scenario::Variant;

use crate::job::own_mode;
use crate::job::panics::{self, Panicked};
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::Kernel;
use crate::record::loaded::LoadedRecording;
use crate::record::recorder::{RecordJob, mount_of, record};
use crate::record::refused::Refused;
use crate::record::timings::Timings;
use crate::record::witness;
use crate::recover::contents::{Planned, Recovering};
use crate::recover::judge::{Seen, StateJudge, confirm, confirmed_only, count_trust, judge_all, keep_live};
use crate::recover::recoverer::{RecoverJob, Recoverer};
use crate::recover::strategy::{Strategy, recover_all};
use crate::results::{CellDir, share_recording};
use crate::vm::pool::Pool;
use crate::vm::{OrUnknown as _, RECOVERING_REFUSES, Unknown};

/// A recording to make, and the cells that are made of it: a [`CellsJob`](crate::job::data::CellsJob) with all that it
/// names at hand.
#[derive(Debug)]
pub struct ResolvedJob {
    /// The scenario.
    pub file: Arc<ScenarioFile>,
    /// Which of its variants.
    pub variant: Variant,
    /// The kernel that records.
    pub kernel: Arc<Kernel>,
    /// Who recovers what.
    pub strategy: Strategy,
    /// The cells. The first keeps the recording, and each of the others has it too.
    pub cells: Vec<ResolvedCell>,
}

/// A cell of a recording.
#[derive(Debug)]
pub struct ResolvedCell {
    /// Its name.
    pub cell: CellRef,
    /// The kernel that recovers.
    pub kernel: Arc<Kernel>,
    /// Where everything is kept.
    pub dir: CellDir,
}

/// What the workload left: the same for every cell.
struct Made {
    live: measured::Judged,
    notes: Vec<String>,
    /// `None` without a crash.
    recorded: Option<(LoadedRecording, Planned)>,
}

/// Why there is no recording.
enum NotMade {
    /// The kernel panicked while the workload ran: what is to be said of it.
    Panicked(String),
    /// Anything else.
    Unknown(Unknown),
}

/// Records once, and for each cell cuts, recovers and judges; `done` gets each cell's result as soon as it is there.
/// Never fails: what goes wrong makes cells Inconclusive.
pub async fn run_cells<R: Recoverer<Job = RecoverJob>>(
    pool: Arc<Pool>,
    recoverer: Arc<R>,
    job: ResolvedJob,
    done: impl Fn(CellResult) + Send + Sync,
) {
    let Some(first) = job.cells.first() else {
        return;
    };
    let mut timings = Arc::new(Timings::default());
    let (step, panicked) = (Refused::new(), Panicked::new());
    let mut refused = false;
    let id = &first.cell.id;
    let made = match make(&pool, &job, first, &timings, &step, &panicked).await {
        Ok(made) => Ok(made),
        Err(failed) if panicked.get().is_some() => {
            let again = panics::again(&pool, &job, id, &timings, &failed).await;
            Err(again.map_or_else(NotMade::Unknown, NotMade::Panicked))
        }
        Err(failed) => {
            let (unknown, not_here) = own_mode::judge(&pool, &job, id, &timings, failed, &step).await;
            refused = not_here;
            Err(NotMade::Unknown(unknown))
        }
    };
    for (place, cell) in job.cells.iter().enumerate() {
        let mut seen = Seen::default();
        let outcome = match &made {
            Ok(made) => {
                if place > 0 {
                    timings = Arc::default();
                }
                let shared = if place == 0 {
                    Ok(())
                } else {
                    share_recording(&first.dir, &cell.dir).or_unknown("sharing the recording")
                };
                match shared {
                    Ok(()) => attempt(&pool, &recoverer, &job, cell, made, &timings, &mut seen).await,
                    Err(unknown) => Err(unknown),
                }
            }
            Err(NotMade::Panicked(evidence)) => Ok(panics::verdict(&mut seen, evidence)),
            Err(NotMade::Unknown(unknown)) => Err(unknown.clone()),
        };
        let result = conclude(&job, cell, outcome, refused, seen, &timings);
        pool.events.send(Event::CellFinished {
            result: Box::new(result.clone()),
        });
        done(result);
    }
}

/// [`run_cells`] for one cell.
///
/// # Errors
/// [`Unknown`] when the job has no cells.
pub async fn run_cell<R: Recoverer<Job = RecoverJob>>(
    pool: Arc<Pool>,
    recoverer: Arc<R>,
    job: ResolvedJob,
) -> Result<CellResult, Unknown> {
    let last = Mutex::new(None);
    let keep = |result| *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    run_cells(pool, recoverer, job, keep).await;
    let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
    last.ok_or_else(|| Unknown("there is no cell to run".into()))
}

/// A cell's result, from what is known of it; `refused` says that what it is about is not there in its mode.
fn conclude(
    job: &ResolvedJob,
    cell: &ResolvedCell,
    outcome: Result<Verdict, Unknown>,
    mut refused: bool,
    seen: Seen,
    timings: &Timings,
) -> CellResult {
    let verdict = outcome.unwrap_or_else(|unknown| {
        // Where another kernel was asked for, it is no defect of the scenario that it knows no such filesystem.
        refused |= unknown.is_incompatible();
        Verdict::Inconclusive { cause: unknown.0 }
    });
    // A kernel for which nothing is declared keeps the whole declaration, by which nothing can be said.
    let declared = job
        .variant
        .outcome
        .on(job.kernel.release(), cell.kernel.release())
        .unwrap_or(&job.variant.outcome);
    let standing = match declared.standing(&verdict) {
        // What happened as declared may not be all that happened.
        Standing::AsDeclared | Standing::Observed
            if seen.states.inconclusive > 0 || !seen.doubts.is_empty() =>
        {
            Standing::Inconclusive
        }
        Standing::Inconclusive if refused => Standing::NotApplicable,
        standing => standing,
    };
    let mount = mount_of(&job.variant);
    let options: Vec<String> = mount
        .flags
        .into_iter()
        .chain((!mount.data.is_empty()).then_some(mount.data))
        .collect();
    let kernel = |name: &str, kernel: &Kernel| KernelRef {
        name: name.to_owned(),
        release: kernel.release().to_owned(),
        digest: kernel.digest().to_owned(),
    };
    let other = cell.cell.recovered_on.as_deref();
    CellResult {
        cell: cell.cell.clone(),
        kernel: kernel(&cell.cell.kernel, &job.kernel),
        recovered_on: other.map(|name| kernel(name, &cell.kernel)),
        filesystem: mount.fstype,
        mount: options.join(","),
        declared: declared.clone(),
        verdict,
        standing,
        states: seen.states,
        obligations: seen.obligations,
        broken: seen.broken,
        violations: seen.violations.into_iter().map(|kept| kept.violation).collect(),
        measured: seen.measured,
        doubted: !seen.doubts.is_empty(),
        notes: seen.notes.into_iter().chain(seen.doubts).collect(),
        millis: timings.millis(),
    }
}

/// Makes the recording and plans its crash states.
async fn make(
    pool: &Arc<Pool>,
    job: &ResolvedJob,
    first: &ResolvedCell,
    timings: &Timings,
    refused: &Refused,
    panicked: &Panicked,
) -> Result<Made, Unknown> {
    let cell = &first.cell.id;
    let to_record = RecordJob {
        cell,
        variant: &job.variant,
        kernel: &job.kernel,
        home: job.file.home(),
        dir: &first.dir,
        refused,
        panicked,
        cold: job.strategy == Strategy::Cold,
    };
    let (found, mut notes) = record(pool, &to_record, timings).await?;
    let live = measured::judge(&job.variant, &found);
    let mut recorded = None;
    if job.variant.has_crash() {
        pool.events.phase(cell, Phase::Plan);
        let start = Instant::now();
        let recording = LoadedRecording::load(&first.dir)?;
        notes.extend(recording.warnings.iter().cloned());
        let planned = Planned::new(&recording, &job.variant)?;
        timings.add(Phase::Plan, start);
        recorded = Some((recording, planned));
    }
    Ok(Made {
        live,
        notes,
        recorded,
    })
}

/// Recovers and judges one cell.
async fn attempt<R: Recoverer<Job = RecoverJob>>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    job: &ResolvedJob,
    cell: &ResolvedCell,
    made: &Made,
    timings: &Arc<Timings>,
    seen: &mut Seen,
) -> Result<Verdict, Unknown> {
    let id = &cell.cell.id;
    seen.notes.clone_from(&made.notes);
    seen.measured.clone_from(&made.live.lines);
    keep_live(seen, &made.live);
    if let Some(why) = made.live.unmet.first() {
        return Err(Unknown(format!(
            "what the scenario is about did not come to pass: {why}"
        )));
    }
    let Some((recording, planned)) = &made.recorded else {
        let (verdict, obligations) = witness::verdict(&job.variant, &made.live);
        seen.obligations = obligations;
        return Ok(verdict);
    };
    seen.states = planned.counts.clone();
    pool.events.send(Event::Planned {
        cell: id.clone(),
        cuts: seen.states.cuts,
        states: seen.states.total,
        distinct: seen.states.distinct,
    });

    pool.events.phase(id, Phase::Recover);
    let recovering = Recovering {
        cell: id,
        variant: &job.variant,
        kernel: &cell.kernel,
        dir: &cell.dir,
        timings,
    };
    let work = recovering.work(pool, recording, &planned.contents);
    let judged = StateJudge::new(&job.variant, recording, planned);
    let suspicious = |place: usize, recovery: &Recovery| judged.suspicious(place, recovery);
    let mut results = recover_all(pool, recoverer, &work, job.strategy, suspicious).await;
    if results.disagreed > 0 {
        seen.notes.push(format!(
            "screening was wrong about {} contents, so a fresh kernel recovered all of them",
            results.disagreed
        ));
    }
    if cell.kernel.digest() != job.kernel.digest() {
        compatible(pool, &**recoverer, job, cell, recording, &results.outcomes).await?;
    }

    pool.events.phase(id, Phase::Judge);
    let start = Instant::now();
    let verdict = judge_all(&job.variant, &judged, &results.outcomes, &made.live, seen);
    timings.add(Phase::Judge, start);
    if !seen.violations.is_empty() {
        pool.events.phase(id, Phase::Recover);
        confirm(pool, recoverer, &judged, &mut results, &work, seen).await;
    }
    count_trust(&results.outcomes, &mut seen.states);
    Ok(confirmed_only(verdict, seen))
}

/// Makes sure that a kernel that mounts nothing of what another recorded could mount it at all. If it refuses the disk
/// also as it was before the recording, whole and unmounted, its refusal says nothing about a crash.
async fn compatible<R: Recoverer<Job = RecoverJob>>(
    pool: &Arc<Pool>,
    recoverer: &R,
    job: &ResolvedJob,
    cell: &ResolvedCell,
    recording: &LoadedRecording,
    outcomes: &[Result<Recovery, Unknown>],
) -> Result<(), Unknown> {
    let mut known = outcomes.iter().flatten().peekable();
    if known.peek().is_none() || known.any(|recovery| recovery.mount_error.is_none()) {
        return Ok(());
    }
    let mount = mount_of(&job.variant);
    let fstype = mount.fstype.clone();
    let before = RecoverJob {
        image: Arc::clone(&recording.sources.base),
        kernel: Arc::clone(&cell.kernel),
        mount,
        contents: Arc::new(Vec::new()),
        console: cell.dir.console("before"),
        fsck: false,
    };
    let _room = pool.room(false).await?;
    let recovery = recoverer.recover(pool, &before, Trust::Cold).await?;
    match &recovery.mount_error {
        None => Ok(()),
        Some(error) => Err(Unknown::while_doing(
            RECOVERING_REFUSES,
            words(&recovery.dmesg, &fstype).unwrap_or_else(|| error.to_string()),
        )),
    }
}
