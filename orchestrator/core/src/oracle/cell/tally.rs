//! What is found in a cell, and what of it stands.

use std::collections::{BTreeSet, VecDeque};

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
    /// The rules that were seen broken where nobody promises them: the first time is told.
    observed: BTreeSet<Option<String>>,
    /// Images for which a kernel was to be booted.
    asked: BTreeSet<usize>,
    /// What no booted kernel showed, though another state took its place.
    unconfirmed: Vec<Violation>,
}

/// States that are kept besides the first in which a promise is broken, should no booted kernel show that one.
const OTHERS: usize = 3;

/// A violation, and where to look for it again.
#[derive(Clone, Debug)]
struct Found {
    violation: Violation,
    /// The cut and the image; `None`: without a crash.
    at: Option<(Cut, usize)>,
    /// The same in later states, which have other images.
    others: VecDeque<(Violation, (Cut, usize))>,
}

impl Found {
    /// Whether it is to be reported as seen. What was seen while the workload ran is no crash state's: the kernel that
    /// showed it is the one that is asked about.
    fn stands(&self) -> bool {
        self.at.is_none() || self.violation.confirmed == Some(true)
    }

    /// The same in another state.
    fn also(&mut self, at: (Cut, usize), violation: impl FnOnce() -> Violation) {
        let images = self.others.iter().map(|(_, at)| *at).chain(self.at);
        let known = images.into_iter().any(|(_, image)| image == at.1);
        if !known && self.others.len() < OTHERS {
            self.others.push_back((violation(), at));
        }
    }

    /// Whether the kernel that was booted for the state showed it; `None` where none could be.
    fn shown(&self, judge: &CellJudge<'_>, recoveries: &Recoveries) -> Option<bool> {
        let (cut, image) = self.at?;
        let recovery = recoveries.outcome(image).as_ref().ok()?;
        let again = || judge.at(cut, recovery).findings;
        let shows = || again().iter().any(|finding| same(finding, &self.violation));
        recoveries.is_cold(image).then(shows)
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
            rule: None,
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
            rule: finding.rule,
            evidence: finding.evidence,
            confirmed: Some(true),
        };
        self.found.push(Found {
            violation,
            at: None,
            others: VecDeque::new(),
        });
    }

    /// Adds what judging a crash state gave: counts all findings, and keeps the first of each kind and expectation.
    pub(super) fn add(&mut self, state: &CrashState, image: usize, judgement: Judgement) {
        for seen in judgement.observed {
            if self.observed.insert(seen.rule) {
                self.notes.push(format!(
                    "observed in state {}: cut {}: {}",
                    state.id(),
                    state.cut,
                    seen.evidence
                ));
            }
        }
        for finding in judgement.findings {
            self.broken += 1;
            let at = (state.cut, image);
            let violation = || Violation {
                kind: finding.kind,
                state: Place::CrashState(state.id().to_string()),
                expectation: finding.expectation,
                rule: finding.rule.clone(),
                evidence: format!("cut {}: {}", state.cut, finding.evidence),
                confirmed: None,
            };
            match self
                .found
                .iter_mut()
                .find(|found| same(&finding, &found.violation))
            {
                Some(found) => found.also(at, violation),
                None => self.found.push(Found {
                    violation: violation(),
                    at: Some(at),
                    others: VecDeque::new(),
                }),
            }
        }
        if let Some(doubt) = judgement.doubts.into_iter().next()
            && self.doubts.is_empty()
        {
            self.doubts.push(format!("cut {}: {doubt}", state.cut));
        }
    }

    /// The images for which a kernel is to be booted: those of every violation that is to be reported and that no booted
    /// kernel has shown yet. Where one was booted in vain, the next state with the same violation takes its turn. To be asked
    /// until there are none.
    pub fn to_confirm(&mut self, judge: &CellJudge<'_>, recoveries: &Recoveries) -> Option<Round> {
        let mut images = BTreeSet::new();
        for found in &mut self.found {
            while let Some((_, image)) = found.at {
                let tried = self.asked.contains(&image) || recoveries.is_cold(image);
                if !tried {
                    images.extend(recoveries.outcome(image).is_ok().then_some(image));
                    break;
                }
                found.violation.confirmed = found.shown(judge, recoveries);
                if found.violation.confirmed == Some(true) {
                    break;
                }
                let Some((violation, at)) = found.others.pop_front() else {
                    break;
                };
                self.unconfirmed
                    .push(std::mem::replace(&mut found.violation, violation));
                found.at = Some(at);
            }
        }
        self.asked.extend(&images);
        Round::of(Trust::Cold, images)
    }

    /// The verdict, once what could be confirmed is. A violation that a booted kernel does not show is not reported as
    /// seen, but as a doubt.
    pub fn conclude(&mut self, judge: &CellJudge<'_>, recoveries: &Recoveries, verdict: Verdict) -> Verdict {
        recoveries.count(&mut self.states);
        for found in self.found.iter_mut().filter(|found| found.at.is_some()) {
            found.violation.confirmed = found.shown(judge, recoveries);
        }
        let Verdict::Violation { mut kinds } = verdict else {
            return verdict;
        };
        let fallen = self.found.iter().filter(|found| !found.stands());
        for violation in self
            .unconfirmed
            .iter()
            .chain(fallen.map(|found| &found.violation))
        {
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
    (finding.kind, finding.expectation, &finding.rule)
        == (violation.kind, violation.expectation, &violation.rule)
}
