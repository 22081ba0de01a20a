//! A cell from recording to verdict.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use coldcut_core::event::{Event, Phase};
use coldcut_core::index::{Digest, DigestCursor};
use coldcut_core::live;
use coldcut_core::oracle::{History, Judge, Tally};
use coldcut_core::recovery::{Recovery, Trust};
use coldcut_core::result::{CellRef, CellResult, KernelRef, LIVE, StateCounts, Violation};
use coldcut_core::scenario::Variant;
use coldcut_core::state::CrashState;
use coldcut_core::verdict::{Finding, Judgement, Standing, Verdict};

use super::lab::Lab;
use super::live as witnesses;
use super::record::{RecordJob, mount_of, record};
use super::recorded::LoadedRecording;
use super::recover::{RecoverJob, Recoverer};
use super::refused::Refused;
use super::tiers::{Policy, Recovered, SCREEN, Work, count_trust, on_fresh, recover_all};
use super::timings::Timings;
use super::{OrUnknown as _, Unknown, own_mode};
use crate::kernel::Kernel;
use crate::results::CellDir;
use crate::scenario_file::ScenarioFile;

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
    /// Who recovers what.
    pub policy: Policy,
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
pub async fn run_cell<R: Recoverer<Job = RecoverJob>>(
    lab: Arc<Lab>,
    recoverer: Arc<R>,
    job: CellJob,
) -> CellResult {
    let timings = Arc::new(Timings::default());
    let mut seen = Seen::default();
    let (step, mut refused) = (Refused::new(), false);
    let verdict = match attempt(&lab, recoverer, &job, &timings, &step, &mut seen).await {
        Ok(verdict) => verdict,
        Err(failed) => {
            let (unknown, not_here) = own_mode::judge(&lab, &job, &timings, failed, &step).await;
            refused = not_here;
            Verdict::Inconclusive { cause: unknown.0 }
        }
    };
    // A kernel for which nothing is declared keeps the whole declaration, by which nothing can be said.
    let declared = job
        .variant
        .outcome
        .on(job.kernel.release())
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

async fn attempt<R: Recoverer<Job = RecoverJob>>(
    lab: &Arc<Lab>,
    recoverer: Arc<R>,
    job: &CellJob,
    timings: &Arc<Timings>,
    refused: &Refused,
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
        refused,
    };
    let (found, notes) = record(lab, &to_record, timings).await?;
    seen.notes.extend(notes);
    let live = live::judge(&job.variant, &found);
    seen.measured.clone_from(&live.lines);
    keep_live(seen, &live);
    if let Some(why) = live.unmet.first() {
        return Err(Unknown(format!(
            "what the scenario is about did not come to pass: {why}"
        )));
    }
    if job.variant.is_live() {
        let (verdict, obligations) = witnesses::verdict(&job.variant, &live);
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
    let contents = Arc::new(contents);
    let work = work_of(lab, job, &recording, &contents, timings);
    let mut by_content = vec![Vec::new(); contents.len()];
    for (state, place) in &states {
        by_content[*place].push(*state);
    }
    let judged = StateJudge {
        judge: Judge::new(&job.variant),
        recording: &recording,
        states: &states,
        by_content,
    };
    let suspicious = |place: usize, recovery: &Recovery| judged.suspicious(place, recovery);
    let mut results = recover_all(lab, &recoverer, &work, job.policy, suspicious).await;
    if results.disagreed > 0 {
        seen.notes.push(format!(
            "screening was wrong about {} contents, so a fresh kernel recovered all of them",
            results.disagreed
        ));
    }

    phase(Phase::Judge);
    let start = Instant::now();
    let verdict = judge_all(job, &judged, &results.outcomes, &live, seen);
    timings.add(Phase::Judge, start);
    if !seen.violations.is_empty() {
        phase(Phase::Recover);
        confirm(lab, &recoverer, &judged, &mut results, &work, seen).await;
    }
    count_trust(&results.outcomes, &mut seen.states);
    Ok(confirmed_only(verdict, seen))
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

/// The contents of a cell as work for machines.
fn work_of(
    lab: &Arc<Lab>,
    job: &CellJob,
    recording: &LoadedRecording,
    contents: &Arc<Vec<Content>>,
    timings: &Arc<Timings>,
) -> Work<RecoverJob> {
    let known = Arc::new(job.variant.contents());
    let (kernel, mount, wants_fsck) = (
        Arc::clone(&job.kernel),
        mount_of(&job.variant),
        job.variant.wants_fsck(),
    );
    let (recording, dir, all) = (recording.clone(), job.dir.clone(), Arc::clone(contents));
    let make = move |place: usize, purpose: &str| {
        let state = &all[place].1;
        let screening = purpose == SCREEN;
        Ok(RecoverJob {
            image: Arc::new(recording.image(state)?),
            kernel: Arc::clone(&kernel),
            mount: mount.clone(),
            contents: Arc::clone(&known),
            console: dir.console(&format!("{}.{purpose}", state.id())),
            // Screening looks at every content: there the checker runs only where it decides something.
            fsck: wants_fsck || !screening,
        })
    };
    let (lab, cell, dir) = (Arc::clone(lab), job.cell.id.clone(), job.dir.clone());
    let (all, timings) = (Arc::clone(contents), Arc::clone(timings));
    let done = Mutex::new(BTreeSet::new());
    let on_done = move |place: usize, outcome: &Result<Recovery, Unknown>, millis: u64| {
        let (digest, state) = &all[place];
        timings.add_millis(Phase::Recover, millis);
        if let Ok(recovery) = outcome {
            keep(&dir, &digest.to_string(), recovery, &lab, &cell);
        }
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(place);
        lab.events.send(Event::Recovered {
            cell: cell.clone(),
            state: state.id().to_string(),
            trust: outcome.as_ref().ok().map(|recovery| recovery.trust),
            done: done.len() as u64,
            of: all.len() as u64,
            millis,
            inconclusive: outcome.as_ref().err().map(|u| u.0.clone()),
        });
    };
    Work {
        count: contents.len(),
        job: Arc::new(make),
        done: Arc::new(on_done),
    }
}

/// Boots a kernel for the content of every violation that is to be reported. One that a booted kernel does not show
/// is not reported as seen.
async fn confirm<R: Recoverer<Job = RecoverJob>>(
    lab: &Arc<Lab>,
    recoverer: &Arc<R>,
    judged: &StateJudge<'_>,
    results: &mut Recovered,
    work: &Work<RecoverJob>,
    seen: &mut Seen,
) {
    let place_of = |state: &str| {
        let found = judged.states.iter().find(|(s, _)| s.id().to_string() == state);
        found.map(|(state, place)| (*state, *place))
    };
    let warm = |place: usize| matches!(&results.outcomes[place], Ok(r) if r.trust != Trust::Cold);
    let places: BTreeSet<usize> = seen
        .violations
        .iter()
        .filter_map(|v| place_of(&v.state))
        .map(|(_, place)| place)
        .filter(|place| warm(*place))
        .collect();
    for (place, cold) in on_fresh(lab, recoverer, work, places, Trust::Cold).await {
        if let Ok(cold) = cold {
            results.outcomes[place] = Ok(cold);
        }
    }
    for violation in &mut seen.violations {
        let Some((state, place)) = place_of(&violation.state) else {
            continue;
        };
        violation.confirmed = match &results.outcomes[place] {
            Ok(recovery) if recovery.trust == Trust::Cold => {
                let again = judged.judge(&state, recovery);
                let same = |f: &Finding| f.kind == violation.kind && f.expectation == violation.expectation;
                Some(again.findings.iter().any(same))
            }
            _ => None,
        };
    }
}

/// Takes out of a verdict what no booted kernel confirmed.
fn confirmed_only(verdict: Verdict, seen: &mut Seen) -> Verdict {
    let Verdict::Violation { mut kinds } = verdict else {
        return verdict;
    };
    // What was seen while the workload ran is no crash state's.
    let stands = |v: &Violation| v.confirmed == Some(true) || v.state == LIVE;
    for violation in seen.violations.iter().filter(|v| !stands(v)) {
        let why = match violation.confirmed {
            Some(false) => "a kernel booted for this state shows nothing of it",
            _ => "no kernel could be booted to confirm it",
        };
        seen.doubts.push(format!(
            "NOT CONFIRMED: {} in state {} was seen by a clone only; {why}",
            violation.kind, violation.state
        ));
    }
    kinds.retain(|kind| seen.violations.iter().any(|v| v.kind == *kind && stands(v)));
    if kinds.is_empty() {
        return Verdict::Inconclusive {
            cause: "what clones saw was not confirmed by a kernel booted for it".into(),
        };
    }
    Verdict::Violation { kinds }
}

/// What judging takes.
struct StateJudge<'a> {
    judge: Judge<'a>,
    recording: &'a LoadedRecording,
    states: &'a [Placed],
    /// The states of each content.
    by_content: Vec<Vec<CrashState>>,
}

impl StateJudge<'_> {
    /// Judges a state with what was acknowledged until its cut.
    fn judge(&self, state: &CrashState, recovery: &Recovery) -> Judgement {
        let marks = self.recording.log.marks_until(state.cut);
        let history = History::from_marks(marks.iter().map(|placed| &placed.mark));
        self.judge.judge(&history, recovery)
    }

    /// Whether any state with this content would break a promise, or raise a doubt.
    fn suspicious(&self, place: usize, recovery: &Recovery) -> bool {
        self.by_content[place]
            .iter()
            .map(|state| self.judge(state, recovery))
            .any(|j| !j.findings.is_empty() || !j.doubts.is_empty())
    }
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
    judged: &StateJudge<'_>,
    recoveries: &[Result<Recovery, Unknown>],
    live: &live::Judged,
    seen: &mut Seen,
) -> Verdict {
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
    let mut tally = Tally::new(&job.variant);
    tally.add(&live.judgement);
    if let Some(Unknown(cause)) = recoveries.iter().find_map(|r| r.as_ref().err()) {
        let of = recoveries.len();
        tally.inconclusive(&format!(
            "{} of {of} contents could not be recovered; the first: {cause}",
            recoveries.iter().filter(|r| r.is_err()).count()
        ));
    }
    for (state, place) in judged.states {
        let Ok(recovery) = &recoveries[*place] else {
            continue;
        };
        let judgement = judged.judge(state, recovery);
        tally.add(&judgement);
        keep_findings(seen, state, judgement.findings);
        if let Some(doubt) = judgement.doubts.into_iter().next()
            && seen.doubts.is_empty()
        {
            seen.doubts.push(format!("cut {}: {doubt}", state.cut));
        }
    }
    for untested in tally.untested() {
        let expectation = &job.variant.expect[untested];
        seen.notes.push(format!(
            "the expectation in line {} was not put to the test in any crash state",
            expectation.line
        ));
    }
    seen.obligations = tally.obligations();
    tally.verdict()
}

/// Keeps what was found while the workload ran: it belongs to no crash state.
fn keep_live(seen: &mut Seen, judged: &live::Judged) {
    for finding in &judged.judgement.findings {
        seen.broken += 1;
        seen.violations.push(Violation {
            kind: finding.kind,
            state: LIVE.to_owned(),
            expectation: finding.expectation,
            evidence: finding.evidence.clone(),
            // The kernel that showed it is the one that is asked about.
            confirmed: Some(true),
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
                confirmed: None,
            });
        }
    }
}
