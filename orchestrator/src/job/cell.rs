//! Cells from recording to verdict: one recording, and a cell for each kernel that recovers it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use coldcut_core::oracle::cell::{CellJudge, CellTally, Recoveries, Strategy};
use coldcut_core::oracle::{Histories, measured};
use coldcut_core::outcome::completeness::Count;
use coldcut_core::outcome::event::{Event, Phase};
use coldcut_core::outcome::recovery::{Trust, complaints};
use coldcut_core::outcome::result::{CellRef, CellResult, KernelRef};
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::outcome::verdict::{Declared, Standing, Verdict};
use coldcut_core::recording::io::IoKind;
use coldcut_core::scenario::Variant;

use crate::job::scenario_file::ScenarioFile;
use crate::job::unrecorded::{Again, Unrecorded};
use crate::kernel::Kernel;
use crate::record::job::{RecordJob, mount_of, programs_of};
use crate::record::loaded::LoadedRecording;
use crate::record::recorder::{Recorded, record};
use crate::record::timings::Timings;
use crate::record::witness;
use crate::recover::again::CutAgain;
use crate::recover::explore::explore;
use crate::recover::images::{Covered, Planned, Recovering};
use crate::recover::programs::Programs;
use crate::recover::recoverer::{RecoverJob, Recoverer};
use crate::recover::rounds::{recover_all, recover_round};
use crate::results::{CellDir, share_recording};
use crate::vm::pool::Pool;
use crate::vm::programs::GuestPrograms;

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
    /// The directory of a cell that keeps a recording to go on with, in place of making one.
    pub resume: Option<PathBuf>,
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
    measured: measured::Judged,
    notes: Vec<String>,
    /// `None` without a crash.
    recorded: Option<(LoadedRecording, Planned)>,
}

/// What became of a cell.
enum Ending {
    /// It was judged.
    Judged(Verdict),
    /// What it is about is not there in its mode: there is nothing to know.
    NotApplicable(Unknown),
    /// Nothing is known.
    Unknown(Unknown),
}

impl From<Result<Verdict, Unknown>> for Ending {
    fn from(outcome: Result<Verdict, Unknown>) -> Self {
        match outcome {
            Ok(verdict) => Self::Judged(verdict),
            // Where another kernel was asked for, it is no defect of the scenario that it knows no such filesystem.
            Err(unknown) if unknown.is_incompatible() => Self::NotApplicable(unknown),
            Err(unknown) => Self::Unknown(unknown),
        }
    }
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
    let made = make(&pool, &job, first, &timings).await;
    for (index, cell) in job.cells.iter().enumerate() {
        if index > 0 && made.is_ok() {
            timings = Arc::default();
        }
        let mut tally = CellTally::default();
        let ending = match &made {
            Ok(made) => {
                let shared = if index == 0 {
                    Ok(())
                } else {
                    share_recording(&first.dir, &cell.dir).or_unknown("sharing the recording")
                };
                let way = Way {
                    pool: &pool,
                    recoverer: &recoverer,
                    job: &job,
                    cell,
                    timings: &timings,
                };
                match shared {
                    Ok(()) => way.judged(made, &mut tally).await.into(),
                    Err(unknown) => Ending::Unknown(unknown),
                }
            }
            Err(Unrecorded::Panicked(evidence)) => Ending::Judged(tally.add_panic(evidence)),
            Err(Unrecorded::NotApplicable(unknown)) => Ending::NotApplicable(unknown.clone()),
            Err(Unrecorded::Unknown(unknown)) => Ending::Unknown(unknown.clone()),
        };
        let result = conclude(&job, cell, &ending, tally, &timings);
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
    last.ok_or_else(|| Unknown::new("there is no cell to run"))
}

/// How a cell compares with what is declared of it, and what that is.
fn standing(
    job: &ResolvedJob,
    cell: &ResolvedCell,
    ending: &Ending,
    verdict: &Verdict,
    tally: &CellTally,
) -> (Declared, Standing) {
    // A kernel for which nothing is declared keeps the whole declaration, by which nothing can be said.
    let declared = job
        .variant
        .outcome
        .on(job.kernel.release(), cell.kernel.release())
        .unwrap_or(&job.variant.outcome);
    let standing = match declared.standing(verdict) {
        // What happened as declared may not be all that happened.
        Standing::AsDeclared | Standing::Observed
            if tally.states.inconclusive > 0 || !tally.doubts.is_empty() =>
        {
            Standing::Inconclusive
        }
        Standing::Inconclusive if matches!(ending, Ending::NotApplicable(_)) => Standing::NotApplicable,
        standing => standing,
    };
    (declared.clone(), standing)
}

/// What to do about a time-out.
const GIVEN_UP: &str = "a wait was given up at its deadline, which proves nothing: on a busy host, run fewer machines at once \
                        (`-j 1`)";

/// A cell's result, from what is known of it.
fn conclude(
    job: &ResolvedJob,
    cell: &ResolvedCell,
    ending: &Ending,
    tally: CellTally,
    timings: &Timings,
) -> CellResult {
    let verdict = match ending {
        Ending::Judged(verdict) => verdict.clone(),
        Ending::NotApplicable(unknown) | Ending::Unknown(unknown) => Verdict::Inconclusive {
            cause: unknown.to_string(),
        },
    };
    let (declared, standing) = standing(job, cell, ending, &verdict, &tally);
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
    let given_up = match ending {
        Ending::NotApplicable(unknown) | Ending::Unknown(unknown) if unknown.is_time_out() => {
            Some(GIVEN_UP.to_owned())
        }
        _ => None,
    };
    CellResult {
        cell: cell.cell.clone(),
        kernel: kernel(&cell.cell.kernel, &job.kernel),
        recovered_on: other.map(|name| kernel(name, &cell.kernel)),
        filesystem: mount.fstype,
        mount: options.join(","),
        declared,
        verdict,
        standing,
        violations: tally.violations().cloned().collect(),
        states: tally.states,
        obligations: tally.obligations,
        broken: tally.broken,
        measured: tally.measured,
        doubted: !tally.doubts.is_empty(),
        notes: tally
            .notes
            .into_iter()
            .chain(given_up)
            .chain(tally.doubts)
            .collect(),
        millis: timings.millis(),
    }
}

/// Makes the recording and plans its crash states.
///
/// # Errors
/// What is known where there is none.
async fn make(
    pool: &Arc<Pool>,
    job: &ResolvedJob,
    first: &ResolvedCell,
    timings: &Timings,
) -> Result<Made, Unrecorded> {
    let cell = &first.cell.id;
    if let Some(earlier) = &job.resume {
        let recorded = resume(pool, job, first, earlier).map_err(Unrecorded::Unknown)?;
        return plan(pool, job, first, recorded, timings).map_err(Unrecorded::Unknown);
    }
    let to_record = RecordJob {
        cell,
        variant: &job.variant,
        kernel: &job.kernel,
        home: job.file.home(),
        dir: &first.dir,
        cold: job.strategy == Strategy::Cold,
    };
    match record(pool, &to_record, timings).await {
        Ok(recorded) => plan(pool, job, first, recorded, timings).map_err(Unrecorded::Unknown),
        Err(failure) => {
            let again = Again {
                pool,
                file: &job.file,
                variant: &job.variant,
                kernel: &job.kernel,
                cell,
                timings,
            };
            Err(again.explain(failure).await)
        }
    }
}

/// Takes over the recording of an earlier run's cell.
fn resume(pool: &Pool, job: &ResolvedJob, first: &ResolvedCell, earlier: &Path) -> Result<Recorded, Unknown> {
    let taking = format!("taking the recording of {}", earlier.display());
    let from = CellDir::open(earlier).or_unknown(&taking)?;
    share_recording(&from, &first.dir).or_unknown(&taking)?;
    let found = witness::kept(&job.variant, &from)?;
    let log = LoadedRecording::load(&first.dir)?.log;
    let count = |kinds: &dyn Fn(IoKind) -> bool| {
        log.requests().filter(|request| kinds(request.io.kind)).count() as u64
    };
    pool.events.send(Event::Recorded {
        cell: first.cell.id.to_string(),
        writes: count(&|kind| kind != IoKind::Flush),
        flushes: count(&|kind| kind == IoKind::Flush),
        marks: log.marks().len() as u64,
    });
    Ok(Recorded {
        found,
        notes: vec![format!("the recording is that of {}", earlier.display())],
    })
}

/// Judges what was measured, and plans the crash states.
fn plan(
    pool: &Pool,
    job: &ResolvedJob,
    first: &ResolvedCell,
    recorded: Recorded,
    timings: &Timings,
) -> Result<Made, Unknown> {
    let mut made = Made {
        measured: measured::judge(&job.variant, &recorded.found),
        notes: recorded.notes,
        recorded: None,
    };
    if job.variant.has_crash() {
        pool.events.phase(&first.cell.id, Phase::Plan);
        let start = Instant::now();
        let recording = LoadedRecording::load(&first.dir)?;
        made.notes.extend(recording.warnings.iter().cloned());
        let planned = Planned::new(&recording, &job.variant)?;
        timings.add(Phase::Plan, start);
        made.recorded = Some((recording, planned));
    }
    Ok(made)
}

/// The way of one cell from its recording to its verdict.
struct Way<'a, R> {
    pool: &'a Arc<Pool>,
    recoverer: &'a Arc<R>,
    job: &'a ResolvedJob,
    cell: &'a ResolvedCell,
    timings: &'a Arc<Timings>,
}

impl<R: Recoverer<Job = RecoverJob>> Way<'_, R> {
    /// Recovers and judges the cell.
    async fn judged(&self, made: &Made, tally: &mut CellTally) -> Result<Verdict, Unknown> {
        tally.notes.clone_from(&made.notes);
        tally.add_measured(&made.measured);
        if let Some(why) = made.measured.unmet.first() {
            return Err(Unknown::new(format!(
                "what the scenario is about did not come to pass: {why}"
            )));
        }
        let Some((recording, planned)) = &made.recorded else {
            let (verdict, obligations) = witness::verdict(&self.job.variant, &made.measured);
            tally.obligations = obligations;
            return Ok(verdict);
        };
        tally.states = planned.counts.clone();
        let guest = programs_of(&self.job.variant, self.job.file.home()).await?;
        if let Some(GuestPrograms::Disk(root)) = &guest {
            let versions = root.versions.join(" ");
            tally
                .notes
                .push(format!("programs are of these packages: {versions}"));
        }
        let recovering = Recovering {
            cell: &self.cell.cell.id,
            variant: &self.job.variant,
            kernel: &self.cell.kernel,
            dir: &self.cell.dir,
            timings: self.timings,
            programs: Programs::of(&self.job.variant, guest),
            asking: planned.asking.clone(),
        };
        let covered = self.covered(&recovering, recording, planned, tally).await?;
        self.recovered(&made.measured, recording, &recovering, covered, tally)
            .await
    }

    /// Explores what complete plans ask for.
    async fn covered(
        &self,
        recovering: &Recovering<'_>,
        recording: &LoadedRecording,
        planned: &Planned,
        tally: &mut CellTally,
    ) -> Result<Covered, Unknown> {
        let Self {
            pool, recoverer, job, ..
        } = *self;
        let exploration = planned.exploration(recording, &job.variant.crash);
        let more = exploration
            .as_ref()
            .map_or(0, |exploration| Count(exploration.coverage().states).saturated());
        let cuts = exploration
            .as_ref()
            .map_or(0, |exploration| exploration.cuts().0 as u64);
        pool.events.send(Event::Planned {
            cell: self.cell.cell.id.to_string(),
            cuts: tally.states.cuts,
            states: tally.states.total.saturating_add(more),
            distinct: tally.states.distinct + cuts,
        });
        let Some(exploration) = exploration else {
            return Ok(planned.listed());
        };
        pool.events.phase(&self.cell.cell.id, Phase::Recover);
        let remembered = recovering.remembered(pool, recording, job.strategy).await;
        let start = Instant::now();
        let exploring = recovering.exploring(pool, recording, job.strategy, None, remembered.clone());
        let explored = explore(pool, recoverer, exploring, exploration).await?;
        tally
            .notes
            .extend(explored.notes.iter().chain(&explored.differing).cloned());
        let mut done = explored.completeness.clone();
        let mut gathered = planned.gather();
        gathered.add(recording, None, explored)?;
        let again = CutAgain {
            pool,
            recoverer,
            recovering,
            recording,
            strategy: job.strategy,
            remembered: remembered.clone(),
            start,
        };
        again.add(&mut gathered, &mut done, tally).await?;
        drop(again);
        if done.differing > 0
            && let Some(remembered) = remembered.and_then(Arc::into_inner)
        {
            remembered.forget();
        }
        tally.states.add(&done);
        let covered = gathered.covered(job.strategy.first());
        recovering.keep(pool, &covered);
        tally.states.distinct = covered.images.len() as u64;
        Ok(covered)
    }

    /// Recovers images as the strategy asks for them, judges every crash state, and has what is found confirmed.
    async fn recovered(
        &self,
        measured: &measured::Judged,
        recording: &LoadedRecording,
        recovering: &Recovering<'_>,
        covered: Covered,
        tally: &mut CellTally,
    ) -> Result<Verdict, Unknown> {
        let Covered {
            states,
            images,
            mut known,
        } = covered;
        let Self {
            pool, recoverer, job, ..
        } = *self;
        let id = &self.cell.cell.id;
        pool.events.phase(id, Phase::Recover);
        let work = recovering.work(pool, recording, &images);
        let judge = CellJudge::new(&job.variant, Histories::new(&recording.log), &states, known.len());
        let next = |known: &Recoveries| {
            job.strategy
                .next(known, |image, found| judge.suspicious(image, found))
        };
        recover_all(pool, recoverer, &work, &mut known, next).await;
        if self.cell.kernel.digest() != job.kernel.digest() && known.none_mounts() {
            self.compatible(recording).await?;
        }

        pool.events.phase(id, Phase::Judge);
        let start = Instant::now();
        let verdict = judge.judge(&known, measured, tally);
        self.timings.add(Phase::Judge, start);
        if tally.violations().next().is_some() {
            pool.events.phase(id, Phase::Recover);
        }
        while let Some(round) = tally.to_confirm(&judge, &known) {
            recover_round(pool, recoverer, &work, &mut known, &round).await;
        }
        Ok(tally.conclude(&judge, &known, verdict))
    }

    /// Makes sure that a kernel that mounts nothing of what another recorded could mount it at all. If it refuses the
    /// disk also as it was before the recording, whole and unmounted, its refusal says nothing about a crash.
    async fn compatible(&self, recording: &LoadedRecording) -> Result<(), Unknown> {
        let mount = recording.mount(&self.job.variant);
        let fstype = mount.fstype.clone();
        let before = RecoverJob {
            image: Arc::clone(&recording.sources.base),
            disks: recording.log.disks().clone(),
            noted: None,
            kernel: Arc::clone(&self.cell.kernel),
            mount,
            patterns: Arc::new(Vec::new()),
            console: self.cell.dir.console("before"),
            fsck: false,
            programs: None,
            asked: None,
        };
        let _room = self.pool.room(false).await?;
        let recovery = self.recoverer.recover(self.pool, &before, Trust::Cold).await?;
        match &recovery.mount_error {
            None => Ok(()),
            Some(error) => {
                let said = complaints(&recovery.dmesg, &fstype).unwrap_or_else(|| error.to_string());
                Err(Unknown::recovering_kernel_refuses(said))
            }
        }
    }
}
