//! Judging a cell's recoveries: what was promised until each cut against what was found, and booting a kernel for every
//! violation that is to be reported.

use std::collections::BTreeSet;
use std::sync::Arc;

use coldcut_core::crash::state::CrashState;
use coldcut_core::oracle::measured;
use coldcut_core::oracle::{History, Judge, Tally};
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::outcome::result::{Place, StateCounts, Violation};
use coldcut_core::outcome::verdict::{Finding, Judgement, Verdict};
use coldcut_core::scenario::Variant;

use crate::record::loaded::LoadedRecording;
use crate::recover::contents::{Placed, Planned};
use crate::recover::recoverer::{RecoverJob, Recoverer};
use crate::recover::strategy::{Recovered, Work, on_fresh};
use crate::vm::Unknown;
use crate::vm::pool::Pool;

/// What is known of a cell so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) states: StateCounts,
    pub(crate) obligations: u64,
    pub(crate) broken: u64,
    pub(crate) violations: Vec<Kept>,
    pub(crate) measured: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) doubts: Vec<String>,
}

/// A violation, and where it was found.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) violation: Violation,
    /// `None`: while the workload ran.
    place: Option<Placed>,
}

impl Kept {
    /// One of while the workload ran.
    pub(crate) fn live(violation: Violation) -> Self {
        Self {
            violation,
            place: None,
        }
    }
}

/// What judging takes.
pub(crate) struct StateJudge<'a> {
    judge: Judge<'a>,
    recording: &'a LoadedRecording,
    states: &'a [Placed],
    /// The states of each content.
    by_content: Vec<Vec<CrashState>>,
}

impl<'a> StateJudge<'a> {
    /// A judge of these states.
    pub(crate) fn new(variant: &'a Variant, recording: &'a LoadedRecording, planned: &'a Planned) -> Self {
        let mut by_content = vec![Vec::new(); planned.contents.len()];
        for (state, place) in &planned.states {
            by_content[*place].push(state.clone());
        }
        Self {
            judge: Judge::new(variant),
            recording,
            states: &planned.states,
            by_content,
        }
    }

    /// Judges a state with what was acknowledged until its cut.
    fn judge(&self, state: &CrashState, recovery: &Recovery) -> Judgement {
        let marks = self.recording.log.marks_until(state.cut);
        let history = History::from_marks(marks.iter().map(|placed| &placed.mark));
        self.judge.judge(&history, recovery)
    }

    /// Whether any state with this content would break a promise, or raise a doubt.
    pub(crate) fn suspicious(&self, place: usize, recovery: &Recovery) -> bool {
        self.by_content[place]
            .iter()
            .map(|state| self.judge(state, recovery))
            .any(|j| !j.findings.is_empty() || !j.doubts.is_empty())
    }
}

/// Judges every crash state with what was acknowledged until then.
pub(crate) fn judge_all(
    variant: &Variant,
    judged: &StateJudge<'_>,
    recoveries: &[Result<Recovery, Unknown>],
    live: &measured::Judged,
    seen: &mut Seen,
) -> Verdict {
    let unclean = recoveries
        .iter()
        .flatten()
        .filter(|r| r.fsck.as_ref().is_some_and(|f| !f.clean))
        .count();
    if unclean > 0 && !variant.wants_fsck() {
        seen.notes.push(format!(
            "the checker is not content with {unclean} recovered images (not judged: no `fsck`)"
        ));
    }
    let mut tally = Tally::new(variant);
    tally.add(&live.judgement);
    if let Some(Unknown(cause)) = recoveries.iter().find_map(|r| r.as_ref().err()) {
        let of = recoveries.len();
        tally.inconclusive(&format!(
            "{} of {of} contents could not be recovered; the first: {cause}",
            recoveries.iter().filter(|r| r.is_err()).count()
        ));
    }
    for placed in judged.states {
        let (state, place) = placed;
        let Ok(recovery) = &recoveries[*place] else {
            continue;
        };
        let judgement = judged.judge(state, recovery);
        tally.add(&judgement);
        keep_findings(seen, placed, judgement.findings);
        if let Some(doubt) = judgement.doubts.into_iter().next()
            && seen.doubts.is_empty()
        {
            seen.doubts.push(format!("cut {}: {doubt}", state.cut));
        }
    }
    for untested in tally.untested() {
        let expectation = &variant.expect[untested];
        seen.notes.push(format!(
            "the expectation in line {} was not put to the test in any crash state",
            expectation.line
        ));
    }
    seen.obligations = tally.obligations();
    tally.verdict()
}

/// Keeps what was found while the workload ran: it belongs to no crash state.
pub(crate) fn keep_live(seen: &mut Seen, judged: &measured::Judged) {
    for finding in &judged.judgement.findings {
        seen.broken += 1;
        let violation = Violation {
            kind: finding.kind,
            state: Place::WithoutCrash,
            expectation: finding.expectation,
            evidence: finding.evidence.clone(),
            // The kernel that showed it is the one that is asked about.
            confirmed: Some(true),
        };
        seen.violations.push(Kept::live(violation));
    }
    seen.doubts.extend(judged.judgement.doubts.iter().cloned());
}

/// Keeps the first finding of each kind and expectation, and counts all.
fn keep_findings(seen: &mut Seen, placed: &Placed, findings: Vec<Finding>) {
    let (state, _) = placed;
    for finding in findings {
        seen.broken += 1;
        let known = seen
            .violations
            .iter()
            .map(|kept| &kept.violation)
            .any(|v| v.kind == finding.kind && v.expectation == finding.expectation);
        if !known {
            let violation = Violation {
                kind: finding.kind,
                state: Place::CrashState(state.id().to_string()),
                expectation: finding.expectation,
                evidence: format!("cut {}: {}", state.cut, finding.evidence),
                confirmed: None,
            };
            let place = Some(placed.clone());
            seen.violations.push(Kept { violation, place });
        }
    }
}

/// Boots a kernel for the content of every violation that is to be reported. One that a booted kernel does not show
/// is not reported as seen.
pub(crate) async fn confirm<R: Recoverer<Job = RecoverJob>>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    judged: &StateJudge<'_>,
    results: &mut Recovered,
    work: &Work<RecoverJob>,
    seen: &mut Seen,
) {
    let warm = |place: usize| matches!(&results.outcomes[place], Ok(r) if r.trust != Trust::Cold);
    let places: BTreeSet<usize> = seen
        .violations
        .iter()
        .filter_map(|kept| kept.place.as_ref())
        .map(|(_, place)| *place)
        .filter(|place| warm(*place))
        .collect();
    for (place, cold) in on_fresh(pool, recoverer, work, places, Trust::Cold).await {
        if let Ok(cold) = cold {
            results.outcomes[place] = Ok(cold);
        }
    }
    for Kept { violation, place } in &mut seen.violations {
        let Some((state, place)) = place else { continue };
        violation.confirmed = match &results.outcomes[*place] {
            Ok(recovery) if recovery.trust == Trust::Cold => {
                let again = judged.judge(state, recovery);
                let same = |f: &Finding| f.kind == violation.kind && f.expectation == violation.expectation;
                Some(again.findings.iter().any(same))
            }
            _ => None,
        };
    }
}

/// Takes out of a verdict what no booted kernel confirmed.
pub(crate) fn confirmed_only(verdict: Verdict, seen: &mut Seen) -> Verdict {
    let Verdict::Violation { mut kinds } = verdict else {
        return verdict;
    };
    // What was seen while the workload ran is no crash state's.
    let stands = |v: &Violation| v.confirmed == Some(true) || v.state == Place::WithoutCrash;
    let violations = || seen.violations.iter().map(|kept| &kept.violation);
    for violation in violations().filter(|v| !stands(v)) {
        let why = match violation.confirmed {
            Some(false) => "a kernel booted for this state shows nothing of it",
            _ => "no kernel could be booted to confirm it",
        };
        seen.doubts.push(format!(
            "NOT CONFIRMED: {} in state {} was seen by a clone only; {why}",
            violation.kind, violation.state
        ));
    }
    kinds.retain(|kind| violations().any(|v| v.kind == *kind && stands(v)));
    if kinds.is_empty() {
        return Verdict::Inconclusive {
            cause: "what clones saw was not confirmed by a kernel booted for it".into(),
        };
    }
    Verdict::Violation { kinds }
}

/// Counts contents by who recovered them last.
pub(crate) fn count_trust(recoveries: &[Result<Recovery, Unknown>], states: &mut StateCounts) {
    for recovery in recoveries {
        let counter = match recovery.as_ref().map(|r| r.trust) {
            Ok(Trust::Cold) => &mut states.cold,
            Ok(Trust::Fresh) => &mut states.fresh,
            Ok(Trust::Screened) => &mut states.screened,
            Err(_) => &mut states.inconclusive,
        };
        *counter += 1;
    }
}
