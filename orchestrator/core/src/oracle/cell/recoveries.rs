//! What is known of a cell's images.

use std::collections::BTreeSet;

use super::round::Round;
use crate::outcome::recovery::{Recovery, Trust};
use crate::outcome::result::StateCounts;
use crate::outcome::unknown::Unknown;

/// The recoveries of a cell's images so far.
#[derive(Clone, Debug)]
pub struct Recoveries {
    images: Vec<Known>,
    disagreed: usize,
}

/// What is known of an image.
#[derive(Clone, Debug)]
struct Known {
    /// By whom its recovery was asked for last.
    asked: Option<Trust>,
    /// The image whose recovery answers for it, as long as it was not recovered itself.
    from: Option<usize>,
    outcome: Result<Recovery, Unknown>,
}

impl Recoveries {
    /// Nothing is known of so many images.
    pub fn new(images: usize) -> Self {
        let untried = || Known {
            asked: None,
            from: None,
            outcome: Err(Unknown::new("it was not tried")),
        };
        Self {
            images: (0..images).map(|_| untried()).collect(),
            disagreed: 0,
        }
    }

    /// Another image's recovery answers for this one: the two agree in all that it read.
    pub fn infer(&mut self, image: usize, from: usize) {
        self.images[image].from = Some(from);
    }

    /// The image whose recovery answers for this one; `None` for one that was recovered itself, or is to be.
    pub fn inferred_from(&self, image: usize) -> Option<usize> {
        self.images[image].from
    }

    /// Whether a kernel that was booted for this very image recovered it.
    pub(super) fn is_cold(&self, image: usize) -> bool {
        let cold = |recovery: &Recovery| recovery.trust == Trust::Cold;
        self.images[image].from.is_none() && self.outcome(image).as_ref().is_ok_and(cold)
    }

    /// Notes that a recovery differed from another that read the same: from now on only fresh kernels are believed.
    pub fn distrust(&mut self) {
        self.disagreed += 1;
    }

    /// Adds what came of a round: the outcome of each image that was recovered. An image that was asked for and has no
    /// outcome stays as it was. A fresh kernel's outcome replaces a screening guest's, even by a failure. If no kernel
    /// could be booted to confirm an outcome, that outcome stays.
    pub fn learn(&mut self, round: &Round, outcomes: Vec<(usize, Result<Recovery, Unknown>)>) {
        for image in &round.images {
            self.images[*image].asked = Some(round.trust);
        }
        for (image, outcome) in outcomes {
            match (self.outcome(image), &outcome) {
                (Ok(_), Err(_)) if round.trust == Trust::Cold => continue,
                (Ok(before), Ok(now)) if round.trust == Trust::Fresh && !before.same_as(now) => {
                    self.disagreed += 1;
                }
                _ => {}
            }
            let known = &mut self.images[image];
            known.from = None;
            known.outcome = outcome;
        }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// What is known of an image.
    pub fn outcome(&self, image: usize) -> &Result<Recovery, Unknown> {
        let known = &self.images[image];
        &known.from.map_or(known, |from| &self.images[from]).outcome
    }

    /// What is known of each image that was recovered itself, or is to be.
    pub fn outcomes(&self) -> impl Iterator<Item = &Result<Recovery, Unknown>> {
        self.own().map(|(_, known)| &known.outcome)
    }

    fn own(&self) -> impl Iterator<Item = (usize, &Known)> {
        let all = self.images.iter().enumerate();
        all.filter(|(_, known)| known.from.is_none())
    }

    /// Images for which others' recoveries answer.
    pub(super) fn inferred(&self) -> impl Iterator<Item = (usize, usize)> {
        let all = self.images.iter().enumerate();
        all.filter_map(|(image, known)| Some((image, known.from?)))
    }

    /// Images that a fresh kernel recovered otherwise than the screening guest.
    pub fn disagreed(&self) -> usize {
        self.disagreed
    }

    /// Whether something is known, and no kernel mounted anything of it.
    pub fn none_mounts(&self) -> bool {
        let mut known = self.outcomes().flatten().peekable();
        known.peek().is_some() && known.all(|recovery| recovery.mount_error.is_some())
    }

    /// Adds up images by who recovered them last.
    pub fn count(&self, states: &mut StateCounts) {
        for outcome in self.outcomes() {
            let counter = match outcome.as_ref().map(|recovery| recovery.trust) {
                Ok(Trust::Cold) => &mut states.cold,
                Ok(Trust::Fresh) => &mut states.fresh,
                Ok(Trust::Screened) => &mut states.screened,
                Err(_) => &mut states.inconclusive,
            };
            *counter += 1;
        }
        states.inferred += self.inferred().count() as u64;
    }

    /// The images whose recovery was asked for by this last.
    pub(super) fn asked_of(&self, asked: Option<Trust>) -> BTreeSet<usize> {
        self.own()
            .filter(|(_, known)| known.asked == asked)
            .map(|(image, _)| image)
            .collect()
    }

    /// One image of each distinct recovered tree: the first.
    pub(super) fn representatives(&self) -> BTreeSet<usize> {
        let mut trees = BTreeSet::new();
        let first = |(image, known): (usize, &Known)| {
            let fingerprint = known.outcome.as_ref().ok()?.fingerprint();
            trees.insert(fingerprint).then_some(image)
        };
        self.own().filter_map(first).collect()
    }
}
