//! From judgements to a cell's verdict.

use std::collections::BTreeSet;

use crate::outcome::verdict::{Judgement, Verdict, ViolationKind};
use crate::scenario::{Check, Expectation, Moment, Variant};

/// Counts a cell's judgements. A cell passes only when
///
/// - no promise was broken in any state,
/// - every state was judged, without doubts,
/// - every expectation on a path was judged in at least one state: a promise that was never put to the test (its
///   `after` was never acknowledged, its file never existed) is not kept, only unbroken. This is stricter than asking
///   for one obligation in the whole cell.
///
/// A broken promise is proof, whatever else is not known: it outweighs doubts.
#[derive(Clone, Debug)]
pub struct Tally<'a> {
    variant: &'a Variant,
    judged: Vec<bool>,
    kinds: BTreeSet<ViolationKind>,
    states: u64,
    obligations: u64,
    doubt: Option<String>,
}

impl<'a> Tally<'a> {
    /// Nothing judged yet.
    pub fn new(variant: &'a Variant) -> Self {
        Self {
            variant,
            judged: vec![false; variant.expect.len()],
            kinds: BTreeSet::new(),
            states: 0,
            obligations: 0,
            doubt: None,
        }
    }

    /// Adds one judgement.
    pub fn add(&mut self, judgement: &Judgement) {
        self.states += 1;
        self.obligations += u64::from(judgement.obligations);
        self.kinds.extend(judgement.findings.iter().map(|f| f.kind));
        for index in &judgement.judged {
            if let Some(judged) = self.judged.get_mut(*index) {
                *judged = true;
            }
        }
        if let Some(doubt) = judgement.doubts.first() {
            self.inconclusive(doubt);
        }
    }

    /// Notes that something is not known: a state that could not be judged, a step that ended otherwise than it must.
    pub fn inconclusive(&mut self, cause: &str) {
        self.doubt.get_or_insert_with(|| cause.to_owned());
    }

    /// Judgements added.
    pub fn states(&self) -> u64 {
        self.states
    }

    /// Obligations judged, over all states.
    pub fn obligations(&self) -> u64 {
        self.obligations
    }

    /// Indices of the expectations on paths that no state put to the test.
    pub fn untested(&self) -> Vec<usize> {
        let all = self.variant.expect.iter().zip(&self.judged).enumerate();
        // What the command line added may have nothing to say of a scenario.
        let added = |e: &Expectation| matches!(e.check, Check::Auto { .. }) && e.line == 0;
        all.filter(|(_, (e, judged))| e.check.on_path() && !**judged && !added(e))
            .map(|(i, _)| i)
            .collect()
    }

    /// The verdict on what was added.
    pub fn verdict(&self) -> Verdict {
        if !self.kinds.is_empty() {
            return Verdict::Violation {
                kinds: self.kinds.iter().copied().collect(),
            };
        }
        if let Some(cause) = &self.doubt {
            return Verdict::Inconclusive { cause: cause.clone() };
        }
        if self.obligations == 0 {
            let cause = format!(
                "none of {} judged states put a promise on a path to the test",
                self.states
            );
            return Verdict::Inconclusive { cause };
        }
        if let Some(expectation) = self.untested().first().and_then(|i| self.variant.expect.get(*i)) {
            return Verdict::Inconclusive {
                cause: never(expectation),
            };
        }
        Verdict::Pass
    }
}

fn never(expectation: &Expectation) -> String {
    let line = expectation.line;
    match (&expectation.after, &expectation.before) {
        (Some(Moment::Step(step)), None) => {
            format!(
                "the expectation in line {line} was never put to the test: was `{step}` ever acknowledged?"
            )
        }
        (Some(Moment::Line(text)), None) => {
            format!("the expectation in line {line} was never put to the test: no program printed `{text}`")
        }
        _ => format!("the expectation in line {line} was never put to the test"),
    }
}

/// The verdict on a cell of which these are all judgements.
pub fn verdict<'a>(variant: &Variant, judgements: impl IntoIterator<Item = &'a Judgement>) -> Verdict {
    let mut tally = Tally::new(variant);
    for judgement in judgements {
        tally.add(judgement);
    }
    tally.verdict()
}
