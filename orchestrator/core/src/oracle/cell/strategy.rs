//! Who recovers which image: a strategy, given what is known so far, says what is to be recovered next.
//!
//! Screening is cheap: one guest recovers image after image. It decides nothing by itself. A fresh kernel verifies every
//! image that looked wrong in screening (or about which screening said nothing), and one image of every distinct
//! recovered tree. If a fresh kernel sees another tree than the screening guest did, screening is not to be trusted
//! here, and every image of the cell is verified.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::recoveries::Recoveries;
use super::round::Round;
use crate::outcome::recovery::{Recovery, Trust};

/// How far images are recovered by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Screened; what matters is verified on fresh clones.
    #[default]
    Tiered,
    /// Screened, and what could not be screened is tried on a fresh clone.
    Screen,
    /// Each on a fresh clone.
    Fresh,
    /// Each on a kernel booted for it.
    Cold,
}

impl Strategy {
    /// What to recover next; `None` once enough is known. `suspicious` says whether a recovery of an image would break
    /// a promise or raise a doubt.
    pub fn next(self, known: &Recoveries, suspicious: impl Fn(usize, &Recovery) -> bool) -> Option<Round> {
        let untried = known.asked_of(None);
        if !untried.is_empty() {
            return Round::of(self.first(), untried);
        }
        let screened = known.asked_of(Some(Trust::Screened));
        if known.disagreed() > 0 {
            // Neither screening nor what follows from it is to be trusted.
            let inferred = known.inferred().map(|(image, _)| image);
            return Round::of(self.verifier(), screened.into_iter().chain(inferred).collect());
        }
        if screened.len() < known.outcomes().count() {
            // Verified before. What is left was screened only, and is believed.
            return None;
        }
        let doubtful = |image: &usize| match known.outcome(*image) {
            Err(_) => true,
            Ok(recovery) => self == Self::Tiered && suspicious(*image, recovery),
        };
        let mut wanted: BTreeSet<usize> = screened.into_iter().filter(doubtful).collect();
        if self == Self::Tiered {
            wanted.extend(known.representatives());
            wanted.extend(known.inferred().filter_map(|(image, from)| {
                let looks_wrong = known
                    .outcome(image)
                    .as_ref()
                    .is_ok_and(|found| suspicious(image, found));
                looks_wrong.then_some(from)
            }));
        }
        Round::of(Trust::Fresh, wanted)
    }

    /// Who verifies what was screened or inferred.
    fn verifier(self) -> Trust {
        match self {
            Self::Tiered | Self::Screen | Self::Fresh => Trust::Fresh,
            Self::Cold => Trust::Cold,
        }
    }

    /// Who recovers an image first.
    pub fn first(self) -> Trust {
        match self {
            Self::Tiered | Self::Screen => Trust::Screened,
            Self::Fresh => Trust::Fresh,
            Self::Cold => Trust::Cold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::recovery::CallError;
    use crate::outcome::unknown::Unknown;

    /// A recovery to one of many trees.
    fn recovery(tree: i32, trust: Trust) -> Recovery {
        Recovery {
            mount_error: Some(CallError {
                errno: Some(tree),
                what: String::new(),
            }),
            panic: None,
            ..Recovery::panicked(trust, String::new())
        }
    }

    fn tree(recovery: &Recovery) -> i32 {
        recovery.mount_error.as_ref().and_then(|e| e.errno).unwrap_or(-1)
    }

    /// Follows a strategy to its end; `recovers` gives each image's tree by who recovers it, `None` where it fails.
    fn follow(
        strategy: Strategy,
        images: usize,
        recovers: impl Fn(Trust, usize) -> Option<i32>,
        bad: &[i32],
    ) -> (Vec<(Trust, Vec<usize>)>, Recoveries) {
        let mut known = Recoveries::new(images);
        let mut rounds = Vec::new();
        while let Some(round) = strategy.next(&known, |_, recovery| bad.contains(&tree(recovery))) {
            assert!(rounds.len() < 4, "it ends: {rounds:?}");
            rounds.push((round.trust, round.images.iter().copied().collect()));
            let one = |image: &usize| {
                let outcome = recovers(round.trust, *image).map(|tree| recovery(tree, round.trust));
                (*image, outcome.ok_or_else(|| Unknown::new("it does not come up")))
            };
            let outcomes = round.images.iter().map(one).collect();
            known.learn(&round, outcomes);
        }
        (rounds, known)
    }

    #[test]
    fn fresh_and_cold_ask_once() {
        for (strategy, trust) in [(Strategy::Fresh, Trust::Fresh), (Strategy::Cold, Trust::Cold)] {
            // A failure is not asked for again: whoever recovers has tried more than once.
            let (rounds, known) = follow(strategy, 3, |_, image| (image != 1).then_some(0), &[0]);
            assert_eq!(rounds, [(trust, vec![0, 1, 2])]);
            assert!(known.outcome(1).is_err());
        }
    }

    #[test]
    fn what_looks_wrong_and_one_of_each_tree_are_verified() {
        let (rounds, known) = follow(Strategy::Tiered, 8, |_, image| Some(image as i32 % 3), &[2]);
        let verified = (Trust::Fresh, vec![0, 1, 2, 5]);
        assert_eq!(rounds, [(Trust::Screened, (0..8).collect()), verified]);
        assert_eq!(known.disagreed(), 0);
    }

    #[test]
    fn what_was_not_screened_is_verified() {
        for strategy in [Strategy::Tiered, Strategy::Screen] {
            let fails = |trust, image| (trust != Trust::Screened || image != 3).then_some(7);
            let (rounds, known) = follow(strategy, 5, fails, &[]);
            let first = if strategy == Strategy::Tiered {
                vec![0, 3]
            } else {
                vec![3]
            };
            assert_eq!(rounds[1], (Trust::Fresh, first));
            assert!(known.outcomes().all(Result::is_ok));
        }
    }

    #[test]
    fn one_wrong_screening_has_all_verified() {
        // Screening shows one tree for all; the truth of image 0, which stands for them, is another.
        let leaks = |trust, image| Some(if trust == Trust::Screened { 1 } else { image as i32 });
        let (rounds, known) = follow(Strategy::Tiered, 4, leaks, &[]);
        let expected = [
            (Trust::Screened, vec![0, 1, 2, 3]),
            (Trust::Fresh, vec![0]),
            (Trust::Fresh, vec![1, 2, 3]),
        ];
        assert_eq!(rounds, expected);
        assert_eq!(known.disagreed(), 3, "image 1 was right by chance");
        // Screening alone does not notice.
        let (rounds, _) = follow(Strategy::Screen, 4, leaks, &[]);
        assert_eq!(rounds.len(), 1);
    }

    #[test]
    fn a_lost_answer_is_not_waited_for() {
        let mut known = Recoveries::new(2);
        let round = Strategy::Fresh.next(&known, |_, _| false).unwrap();
        known.learn(&round, Vec::new());
        assert_eq!(Strategy::Fresh.next(&known, |_, _| false), None);
        assert!(known.outcomes().all(Result::is_err), "unknown, and never a pass");
    }

    #[test]
    fn nothing_is_asked_of_no_images() {
        for strategy in [
            Strategy::Tiered,
            Strategy::Screen,
            Strategy::Fresh,
            Strategy::Cold,
        ] {
            assert_eq!(strategy.next(&Recoveries::new(0), |_, _| true), None);
        }
    }
}
