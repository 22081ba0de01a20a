//! Sets of assignments, and the choices on which what was read depended.

use std::collections::HashMap;

use super::{Place, Space};

/// A choice and its alternative.
pub(super) type Decision = (usize, u32);

/// A set of assignments: all that agree with some decisions. Where nothing is decided an assignment takes
/// alternative 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    decisions: Vec<Decision>,
}

impl Region {
    /// Those assignments that agree with these decisions: choices, each once, with their alternatives.
    pub fn of(decisions: Vec<(usize, u32)>) -> Self {
        Self { decisions }
    }

    /// The alternative of a choice in the region's first assignment.
    pub fn alternative(&self, choice: usize) -> u32 {
        let decided = self.decisions.iter().find(|(known, _)| *known == choice);
        decided.map_or(0, |(_, alternative)| *alternative)
    }

    /// What is decided, in the order of decision.
    pub fn decisions(&self) -> &[(usize, u32)] {
        &self.decisions
    }

    /// Those of these decisions on choices that are not decided here.
    pub(super) fn undecided(&self, trace: Vec<Decision>) -> Vec<Decision> {
        let known: HashMap<usize, u32> = self.decisions.iter().copied().collect();
        let open = trace
            .into_iter()
            .filter(|(choice, _)| !known.contains_key(choice));
        open.collect()
    }

    /// The region in which these are decided too.
    pub(super) fn with(&self, more: &[Decision]) -> Self {
        let mut decisions = self.decisions.clone();
        decisions.extend_from_slice(more);
        Self { decisions }
    }

    /// For each of these decisions, in order, the lists in which it is otherwise and those before it are the same; what was
    /// decided first is turned around last, so that whoever takes from the end takes it first.
    pub(super) fn turned<'a>(
        decisions: &'a [Decision],
        alternatives: &'a [u32],
    ) -> impl Iterator<Item = Vec<Decision>> + 'a {
        (0..decisions.len()).rev().flat_map(move |last| {
            let (choice, taken) = decisions[last];
            let others = (0..alternatives[choice]).filter(move |other| *other != taken);
            others.map(move |other| {
                let mut turned = decisions[..last].to_vec();
                turned.push((choice, other));
                turned
            })
        })
    }
}

/// Follows what blocks depend on in a region's first assignment.
pub(super) struct Tracer<'a, S> {
    space: &'a S,
    decided: HashMap<usize, u32>,
}

impl<'a, S: Space> Tracer<'a, S> {
    pub(super) fn new(space: &'a S, region: &Region) -> Self {
        Self {
            space,
            decided: region.decisions.iter().copied().collect(),
        }
    }

    /// The choices on which these places depend, in the order in which they are asked for.
    pub(super) fn trace(&self, places: impl IntoIterator<Item = Place>) -> Vec<Decision> {
        let mut asked = HashMap::new();
        let mut trace = Vec::new();
        for place in places {
            self.space.depends(place, &mut |choice| {
                *asked.entry(choice).or_insert_with(|| {
                    let alternative = self.decided.get(&choice).copied().unwrap_or(0);
                    trace.push((choice, alternative));
                    alternative
                })
            });
        }
        trace
    }
}
