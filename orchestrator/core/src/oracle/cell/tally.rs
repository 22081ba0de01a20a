//! What is found in a cell, and what of it stands.

use std::collections::BTreeSet;

use super::round::Round;
use super::{CellJudge, Recoveries};
use crate::crash::state::CrashState;
use crate::oracle::measured;
use crate::outcome::recovery::Trust;
use crate::outcome::result::{Place, StateCounts, Violation};
use crate::outcome::verdict::{Finding, Judgement, Verdict, ViolationKind};
use crate::recording::log::Cut;

/// What is found in a cell so far.
#[derive(Clone, Debug, Default)]
pub struct CellTally {
    /// Crash states, and how they were looked at.
    pub states: StateCounts,
    /// Expectations judged, over all crash states.
    pub obligations: u64,
    /// Broken promises in all.
    pub broken: u64,
    /// What was measured, one line each.
    pub measured: Vec<String>,
    /// Anything else that a reader should know.
    pub notes: Vec<String>,
    /// Why what was found may be incomplete or wrong.
    pub doubts: Vec<String>,
    found: Vec<Found>,
}

/// A violation, and where to look for it again.
#[derive(Clone, Debug)]
struct Found {
    violation: Violation,
    /// The cut and the image; `None`: without a crash.
    at: Option<(Cut, usize)>,
}

impl Found {
    /// Whether it is to be reported as seen. What was seen while the workload ran is no crash state's: the kernel that
    /// showed it is the one that is asked about.
    fn stands(&self) -> bool {
        self.at.is_none() || self.violation.confirmed == Some(true)
    }
}

impl CellTally {
    /// Adds what was found while the workload ran: it belongs to no crash state.
    pub fn add_measured(&mut self, judged: &measured::Judged) {
        self.measured.clone_from(&judged.lines);
        for finding in &judged.judgement.findings {
            self.add_without_crash(finding.clone());
        }
        self.doubts.extend(judged.judgement.doubts.iter().cloned());
    }

    /// Adds that the kernel panicked while the workload ran, by this evidence. Nothing else is known then.
    pub fn add_panic(&mut self, evidence: &str) -> Verdict {
        self.add_without_crash(Finding {
            kind: ViolationKind::Panic,
            expectation: None,
            evidence: evidence.to_owned(),
        });
        Verdict::Violation {
            kinds: vec![ViolationKind::Panic],
        }
    }

    fn add_without_crash(&mut self, finding: Finding) {
        self.broken += 1;
        let violation = Violation {
            kind: finding.kind,
            state: Place::WithoutCrash,
            expectation: finding.expectation,
            evidence: finding.evidence,
            confirmed: Some(true),
        };
        self.found.push(Found { violation, at: None });
    }

    /// Adds what judging a crash state gave: counts all findings, and keeps the first of each kind and expectation.
    pub(super) fn add(&mut self, state: &CrashState, image: usize, judgement: Judgement) {
        for finding in judgement.findings {
            self.broken += 1;
            let known = self.found.iter().any(|found| same(&finding, &found.violation));
            if !known {
                let violation = Violation {
                    kind: finding.kind,
                    state: Place::CrashState(state.id().to_string()),
                    expectation: finding.expectation,
                    evidence: format!("cut {}: {}", state.cut, finding.evidence),
                    confirmed: None,
                };
                let at = Some((state.cut, image));
                self.found.push(Found { violation, at });
            }
        }
        if let Some(doubt) = judgement.doubts.into_iter().next()
            && self.doubts.is_empty()
        {
            self.doubts.push(format!("cut {}: {doubt}", state.cut));
        }
    }

    /// The images for which a kernel is to be booted: those of every violation that is to be reported and that no booted
    /// kernel has shown yet.
    pub fn to_confirm(&self, recoveries: &Recoveries) -> Option<Round> {
        let warm = |image: &usize| recoveries.outcome(*image).is_ok() && !recoveries.is_cold(*image);
        let images: BTreeSet<usize> = self
            .found
            .iter()
            .filter_map(|found| found.at.map(|(_, image)| image))
            .filter(warm)
            .collect();
        Round::of(Trust::Cold, images)
    }

    /// The verdict, once what could be confirmed is. A violation that a booted kernel does not show is not reported as
    /// seen, but as a doubt.
    pub fn conclude(&mut self, judge: &CellJudge<'_>, recoveries: &Recoveries, verdict: Verdict) -> Verdict {
        recoveries.count(&mut self.states);
        for Found { violation, at } in &mut self.found {
            let Some((cut, image)) = *at else { continue };
            violation.confirmed = match recoveries.outcome(image) {
                Ok(recovery) if recoveries.is_cold(image) => {
                    let again = judge.at(cut, recovery);
                    Some(again.findings.iter().any(|finding| same(finding, violation)))
                }
                _ => None,
            };
        }
        let Verdict::Violation { mut kinds } = verdict else {
            return verdict;
        };
        for Found { violation, .. } in self.found.iter().filter(|found| !found.stands()) {
            let why = match violation.confirmed {
                Some(false) => "a kernel booted for this state shows nothing of it",
                _ => "no kernel could be booted to confirm it",
            };
            self.doubts.push(format!(
                "NOT CONFIRMED: {} in state {} was seen by a clone only; {why}",
                violation.kind, violation.state
            ));
        }
        kinds.retain(|kind| self.found.iter().any(|f| f.violation.kind == *kind && f.stands()));
        if kinds.is_empty() {
            return Verdict::Inconclusive {
                cause: "what clones saw was not confirmed by a kernel booted for it".into(),
            };
        }
        Verdict::Violation { kinds }
    }

    /// Broken promises, of each kind and expectation the first, the earliest cut first.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.found.iter().map(|found| &found.violation)
    }
}

/// Whether a finding is a violation of the same promise, in the same way.
fn same(finding: &Finding, violation: &Violation) -> bool {
    (finding.kind, finding.expectation) == (violation.kind, violation.expectation)
}
