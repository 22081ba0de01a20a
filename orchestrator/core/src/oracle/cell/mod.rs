//! Judges a cell: every crash state, with what was acknowledged until its cut, against its image's recovery.
//!
//! The way of a crash state: a [`Strategy`] asks for recoveries of images until it knows enough; [`CellJudge::judge`]
//! judges every state into a [`CellTally`]; the tally asks for one more round ([`CellTally::to_confirm`]), in which a
//! kernel is booted for each violation that is to be reported; [`CellTally::conclude`] gives the verdict. None of this
//! needs a machine: the caller carries the rounds out.

mod recoveries;
mod round;
mod strategy;
mod tally;

pub use recoveries::Recoveries;
pub use round::Round;
pub use strategy::Strategy;
pub use tally::CellTally;

use super::measured;
use super::{Histories, Judge, Tally};
use crate::crash::state::CrashState;
use crate::outcome::recovery::Recovery;
use crate::outcome::unknown::Unknown;
use crate::outcome::verdict::{Judgement, Verdict};
use crate::recording::log::Cut;
use crate::scenario::Variant;

/// A crash state, and the index of the image that it has among the cell's.
pub type StateOf = (CrashState, usize);

/// Judges the crash states of one recording.
#[derive(Clone, Debug)]
pub struct CellJudge<'a> {
    variant: &'a Variant,
    judge: Judge<'a>,
    histories: Histories,
    states: &'a [StateOf],
    /// Where the states of each image are cut.
    cuts: Vec<Vec<Cut>>,
}

impl<'a> CellJudge<'a> {
    /// A judge of these states, which have so many different images.
    pub fn new(variant: &'a Variant, histories: Histories, states: &'a [StateOf], images: usize) -> Self {
        let mut cuts = vec![Vec::new(); images];
        for (state, image) in states {
            cuts[*image].push(state.cut);
        }
        Self {
            variant,
            judge: Judge::new(variant),
            histories,
            states,
            cuts,
        }
    }

    /// Judges what an image recovered to with what was acknowledged until a cut.
    fn at(&self, cut: Cut, recovery: &Recovery) -> Judgement {
        self.judge.judge(&self.histories.at(cut), recovery)
    }

    /// The same of a recovery that is another image's: the checker's answer is not this one's, for it reads more than the
    /// recovery did.
    fn inferred(&self, cut: Cut, recovery: &Recovery) -> Judgement {
        self.judge.unchecked(&self.histories.at(cut), recovery)
    }

    /// Whether any state with this image would break a promise, or raise a doubt.
    pub fn suspicious(&self, image: usize, recovery: &Recovery) -> bool {
        self.cuts[image]
            .iter()
            .map(|cut| self.at(*cut, recovery))
            .any(|judged| !judged.findings.is_empty() || !judged.doubts.is_empty())
    }

    /// Judges every crash state, and adds what is found to the tally. The verdict is on what is known so far, before
    /// anything is confirmed.
    pub fn judge(
        &self,
        recoveries: &Recoveries,
        measured: &measured::Judged,
        cell: &mut CellTally,
    ) -> Verdict {
        if recoveries.disagreed() > 0 {
            cell.notes.push(format!(
                "screening was wrong about {} contents, so a fresh kernel recovered all of them",
                recoveries.disagreed()
            ));
        }
        let unclean = |recovery: &&Recovery| recovery.fsck.as_ref().is_some_and(|fsck| !fsck.clean);
        let unclean = recoveries.outcomes().flatten().filter(unclean).count();
        if unclean > 0 && !self.variant.wants_fsck() {
            cell.notes.push(format!(
                "the checker is not content with {unclean} recovered images (not judged: no `fsck`)"
            ));
        }
        let inferred = recoveries.inferred().count();
        if inferred > 0 && self.variant.wants_fsck() {
            cell.notes.push(format!(
                "`fsck` was judged of the {} images that were recovered, not of the {inferred} whose recovery was \
                 inferred: a checker reads more than the kernel did",
                recoveries.len() - inferred
            ));
        }
        let mut tally = Tally::new(self.variant);
        tally.add(&measured.judgement);
        let unknown: Vec<&Unknown> = recoveries.outcomes().filter_map(|o| o.as_ref().err()).collect();
        if let Some(first) = unknown.first() {
            tally.inconclusive(&format!(
                "{} of {} contents could not be recovered; the first: {first}",
                unknown.len(),
                recoveries.len()
            ));
        }
        for (state, image) in self.states {
            if let Ok(recovery) = recoveries.outcome(*image) {
                let judgement = if recoveries.inferred_from(*image).is_some() {
                    self.inferred(state.cut, recovery)
                } else {
                    self.at(state.cut, recovery)
                };
                tally.add(&judgement);
                cell.add(state, *image, judgement);
            }
        }
        for untested in tally.untested() {
            cell.notes.push(format!(
                "the expectation in line {} was not put to the test in any crash state",
                self.variant.expect[untested].line
            ));
        }
        cell.obligations = tally.obligations();
        tally.verdict()
    }
}
