//! A cell from recording to verdict.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use coldcut_core::event::{Event, Phase};
use coldcut_core::index::{Digest, DigestCursor};
use coldcut_core::live::{Judged, judge};
use coldcut_core::oracle::{History, Judge, Tally};
use coldcut_core::recovery::{Recovery, Trust};
use coldcut_core::result::{CellRef, CellResult, KernelRef, LIVE, StateCounts, Violation};
use coldcut_core::scenario::Variant;
use coldcut_core::state::CrashState;
use coldcut_core::verdict::{Finding, Standing, Verdict};
use tokio::task::JoinSet;

use super::lab::Lab;
use super::live;
use super::record::{RecordJob, mount_of, record};
use super::recorded::LoadedRecording;
use super::recover::{RecoverJob, Recoverer};
use super::timings::Timings;
use super::{OrUnknown as _, Unknown};
use crate::kernel::Kernel;
use crate::results::CellDir;
use crate::scenario_file::ScenarioFile;

/// How often a content is tried before it counts as inconclusive.
const TRIES: u32 = 2;

/// A cell to run.
#[derive(Debug)]
pub struct CellJob {
    /// Its name.
    pub cell: CellRef,
    /// The scenario.
    pub file: Arc<ScenarioFile>,
    /// Which of its variants.
    pub variant: Variant,
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// Where everything is kept.
    pub dir: CellDir,
}

/// What is known so far.
#[derive(Debug, Default)]
struct Seen {
    states: StateCounts,
    obligations: u64,
    broken: u64,
    violations: Vec<Violation>,
    measured: Vec<String>,
    notes: Vec<String>,
    doubts: Vec<String>,
}

/// Records, cuts, recovers and judges a cell. Never fails: what goes wrong makes it Inconclusive.
pub async fn run_cell<R: Recoverer + 'static>(lab: Arc<Lab>, recoverer: Arc<R>, job: CellJob) -> CellResult {
    let timings = Arc::new(Timings::default());
    let mut seen = Seen::default();
    let verdict = match attempt(&lab, recoverer, &job, &timings, &mut seen).await {
        Ok(verdict) => verdict,
        Err(Unknown(cause)) => Verdict::Inconclusive { cause },
    };
    // A kernel for which nothing is declared keeps the whole declaration, by which nothing can be said.
    let declared = job
        .variant
        .outcome
        .on(job.kernel.release())
        .unwrap_or(&job.variant.outcome);
    let standing = match declared.standing(&verdict) {
        // What happened as declared may not be all that happened.
        Standing::AsDeclared if seen.states.inconclusive > 0 || !seen.doubts.is_empty() => {
            Standing::Inconclusive
        }
        standing => standing,
    };
    let mount = mount_of(&job.variant);
    let options: Vec<String> = mount
        .flags
        .into_iter()
        .chain((!mount.data.is_empty()).then_some(mount.data))
        .collect();
    let result = CellResult {
        kernel: KernelRef {
            name: job.cell.kernel.clone(),
            release: job.kernel.release().to_owned(),
            digest: job.kernel.digest().to_owned(),
        },
        cell: job.cell,
        filesystem: mount.fstype,
        mount: options.join(","),
        declared: declared.clone(),
        verdict,
        standing,
        states: seen.states,
        obligations: seen.obligations,
        broken: seen.broken,
        violations: seen.violations,
        measured: seen.measured,
        notes: seen.notes.into_iter().chain(seen.doubts).collect(),
        millis: timings.millis(),
    };
    lab.events.send(Event::CellFinished {
        result: Box::new(result.clone()),
    });
    result
}

async fn attempt<R: Recoverer + 'static>(
    lab: &Arc<Lab>,
    recoverer: Arc<R>,
    job: &CellJob,
    timings: &Arc<Timings>,
    seen: &mut Seen,
) -> Result<Verdict, Unknown> {
    let cell = &job.cell.id;
    let phase = |phase| lab.events.phase(cell, phase);
    let to_record = RecordJob {
        cell,
        variant: &job.variant,
        kernel: &job.kernel,
        home: job.file.home(),
        dir: &job.dir,
    };
    let (found, notes) = record(lab, &to_record, timings).await?;
    seen.notes.extend(notes);
    let judged = judge(&job.variant, &found);
    seen.measured.clone_from(&judged.lines);
    keep_live(seen, &judged);
    if job.variant.is_live() {
        let (verdict, obligations) = live::verdict(&job.variant, &judged);
        seen.obligations = obligations;
        return Ok(verdict);
    }

    phase(Phase::Plan);
    let start = Instant::now();
    let recording = LoadedRecording::load(&job.dir)?;
    seen.notes.extend(recording.warnings.iter().cloned());
    let (states, contents) = enumerate(&recording, &job.variant, seen)?;
    timings.add(Phase::Plan, start);
    lab.events.send(Event::Planned {
        cell: cell.clone(),
        cuts: seen.states.cuts,
        states: seen.states.total,
        distinct: seen.states.distinct,
    });

    phase(Phase::Recover);
    let recoveries = recover_all(lab, recoverer, job, &recording, &contents, timings).await;

    phase(Phase::Judge);
    let start = Instant::now();
    let verdict = judge_all(job, &recording, &states, &recoveries, &judged, seen);
    timings.add(Phase::Judge, start);
    Ok(verdict)
}

/// A crash state and which of the contents it has.
type Placed = (CrashState, usize);

/// A content and the first crash state that has it.
type Content = (Digest, CrashState);

/// All crash states, and one representative of each different content.
fn enumerate(
    recording: &LoadedRecording,
    variant: &Variant,
    seen: &mut Seen,
) -> Result<(Vec<Placed>, Vec<Content>), Unknown> {
    let mut cursor = DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())
        .or_unknown("reading the recording")?;
    let planned = variant
        .crash
        .states(&recording.log)
        .or_unknown("the crash plan")?;
    seen.states.left_out = planned.left_out();
    let mut places: HashMap<Digest, usize> = HashMap::new();
    let (mut states, mut contents) = (Vec::new(), Vec::new());
    let mut cuts = BTreeSet::new();
    for state in planned {
        let digest = cursor.digest(&state).or_unknown("reading the recording")?;
        let place = *places.entry(digest).or_insert_with(|| {
            contents.push((digest, state));
            contents.len() - 1
        });
        cuts.insert(state.cut);
        states.push((state, place));
    }
    seen.states.cuts = cuts.len() as u64;
    seen.states.total = states.len() as u64;
    seen.states.distinct = contents.len() as u64;
    Ok((states, contents))
}

/// Recovers every content, several at once, each tried again if nothing came of it.
async fn recover_all<R: Recoverer + 'static>(
    lab: &Arc<Lab>,
    recoverer: Arc<R>,
    job: &CellJob,
    recording: &LoadedRecording,
    contents: &[Content],
    timings: &Arc<Timings>,
) -> Vec<Result<Recovery, Unknown>> {
    let done = Arc::new(AtomicU64::new(0));
    let of = contents.len() as u64;
    let known = Arc::new(job.variant.contents());
    let mut tasks = JoinSet::new();
    for (place, (digest, state)) in contents.iter().enumerate() {
        let (lab, recoverer, done, timings) = (
            Arc::clone(lab),
            Arc::clone(&recoverer),
            Arc::clone(&done),
            Arc::clone(timings),
        );
        let (recording, known, kernel) = (recording.clone(), Arc::clone(&known), Arc::clone(&job.kernel));
        let (cell, dir, mount) = (job.cell.id.clone(), job.dir.clone(), mount_of(&job.variant));
        let (digest, state) = (digest.to_string(), *state);
        tasks.spawn(async move {
            let mut outcome = Err(Unknown("not tried".into()));
            let mut millis = 0;
            for attempt in 1..=TRIES {
                let Ok(_permit) = lab.machines.acquire().await else {
                    break;
                };
                let start = Instant::now();
                let name = if attempt == 1 {
                    state.id().to_string()
                } else {
                    format!("{}.{attempt}", state.id())
                };
                outcome = async {
                    let job = RecoverJob {
                        image: Arc::new(recording.image(&state)?),
                        kernel: Arc::clone(&kernel),
                        mount: mount.clone(),
                        contents: Arc::clone(&known),
                        console: dir.console(&name),
                    };
                    recoverer.recover(&lab, &job).await
                }
                .await;
                timings.add(Phase::Recover, start);
                millis = start.elapsed().as_millis() as u64;
                if outcome.is_ok() {
                    break;
                }
            }
            if let Ok(recovery) = &outcome {
                keep(&dir, &digest, recovery, &lab, &cell);
            }
            lab.events.send(Event::Recovered {
                cell,
                state: state.id().to_string(),
                done: done.fetch_add(1, Ordering::Relaxed) + 1,
                of,
                millis,
                inconclusive: outcome.as_ref().err().map(|u| u.0.clone()),
            });
            (place, outcome)
        });
    }
    let mut outcomes: Vec<_> = contents
        .iter()
        .map(|_| Err(Unknown("its task ended".into())))
        .collect();
    while let Some(ended) = tasks.join_next().await {
        if let Ok((place, outcome)) = ended {
            outcomes[place] = outcome;
        }
    }
    outcomes
}

/// Keeps a recovery beside its recording, for whoever wants to look.
fn keep(dir: &CellDir, digest: &str, recovery: &Recovery, lab: &Lab, cell: &str) {
    let written = serde_json::to_vec(recovery)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(dir.recovery(digest), text));
    if let Err(error) = written {
        lab.events.notice(
            Some(cell),
            format!("the recovery of content {digest} cannot be kept: {error}"),
        );
    }
}

/// Judges every crash state with what was acknowledged until then.
fn judge_all(
    job: &CellJob,
    recording: &LoadedRecording,
    states: &[Placed],
    recoveries: &[Result<Recovery, Unknown>],
    live: &Judged,
    seen: &mut Seen,
) -> Verdict {
    for recovery in recoveries {
        match recovery {
            Ok(Recovery {
                trust: Trust::Cold, ..
            }) => seen.states.cold += 1,
            Ok(_) => seen.states.fresh += 1,
            Err(_) => seen.states.inconclusive += 1,
        }
    }
    let unclean = recoveries
        .iter()
        .flatten()
        .filter(|r| r.fsck.as_ref().is_some_and(|f| !f.clean))
        .count();
    if unclean > 0 && !job.variant.wants_fsck() {
        seen.notes.push(format!(
            "the checker is not content with {unclean} recovered images (not judged: no `fsck`)"
        ));
    }
    let judge = Judge::new(&job.variant);
    let mut tally = Tally::new(&job.variant);
    tally.add(&live.judgement);
    if let Some(Unknown(cause)) = recoveries.iter().find_map(|r| r.as_ref().err()) {
        let of = recoveries.len();
        tally.inconclusive(&format!(
            "{} of {of} contents could not be recovered; the first: {cause}",
            seen.states.inconclusive
        ));
    }
    for (state, place) in states {
        let Ok(recovery) = &recoveries[*place] else {
            continue;
        };
        let marks = recording.log.marks_until(state.cut);
        let history = History::from_marks(marks.iter().map(|placed| &placed.mark));
        let judgement = judge.judge(&history, recovery);
        tally.add(&judgement);
        keep_findings(seen, state, judgement.findings);
        if let Some(doubt) = judgement.doubts.into_iter().next()
            && seen.doubts.is_empty()
        {
            seen.doubts.push(format!("cut {}: {doubt}", state.cut));
        }
    }
    for untested in tally.untested() {
        let line = job.variant.expect[untested].line;
        seen.notes.push(format!(
            "the expectation in line {line} was not put to the test in any crash state"
        ));
    }
    seen.obligations = tally.obligations();
    tally.verdict()
}

/// Keeps what was found while the workload ran: it belongs to no crash state.
fn keep_live(seen: &mut Seen, judged: &Judged) {
    for finding in &judged.judgement.findings {
        seen.broken += 1;
        seen.violations.push(Violation {
            kind: finding.kind,
            state: LIVE.to_owned(),
            expectation: finding.expectation,
            evidence: finding.evidence.clone(),
        });
    }
    seen.doubts.extend(judged.judgement.doubts.iter().cloned());
}

/// Keeps the first finding of each kind and expectation, and counts all.
fn keep_findings(seen: &mut Seen, state: &CrashState, findings: Vec<Finding>) {
    for finding in findings {
        seen.broken += 1;
        let known = seen
            .violations
            .iter()
            .any(|v| v.kind == finding.kind && v.expectation == finding.expectation);
        if !known {
            seen.violations.push(Violation {
                kind: finding.kind,
                state: state.id().to_string(),
                expectation: finding.expectation,
                evidence: format!("cut {}: {}", state.cut, finding.evidence),
            });
        }
    }
}
