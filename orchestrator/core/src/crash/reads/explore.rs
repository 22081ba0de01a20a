//! Covering every assignment of a space by few recoveries.

use std::collections::{HashMap, VecDeque};

use num_bigint::BigUint;

use super::Space;

/// A choice and its alternative.
type Decision = (usize, u32);

/// A set of assignments: all that agree with some decisions. Where nothing is decided an assignment takes
/// alternative 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    decisions: Vec<Decision>,
}

/// The choices on which a recovery's reads depended, in the order in which they mattered, with their alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace(Vec<Decision>);

/// How many assignments are covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// All there are.
    pub states: BigUint,
    /// Those for which a recovery answers.
    pub covered: BigUint,
    /// Into how many classes these fall.
    pub classes: u64,
}

/// The regions of one space that are not covered yet.
///
/// It starts with one region, the whole space. A region's first assignment is recovered, or an earlier recovery is found
/// that answers for it; the choices on which its reads depended cut the region: the class in which all of them are as they
/// were is covered, and for each of them, in order, the region in which it is otherwise and those before it are the same is
/// left to do. These parts are disjoint and are all of the region, whatever the reads were, so that coverage is
/// counted exactly; that a class recovers alike is what [`super`] argues.
#[derive(Clone, Debug)]
pub struct Explorer {
    alternatives: Vec<u32>,
    todo: VecDeque<Region>,
    covered: BigUint,
    classes: u64,
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

    /// The first assignment's choices on which these blocks depend, in the order in which they are asked for.
    pub fn trace(&self, space: &impl Space, blocks: impl IntoIterator<Item = u64>) -> Trace {
        let decided: HashMap<usize, u32> = self.decisions.iter().copied().collect();
        let mut asked = HashMap::new();
        let mut trace = Vec::new();
        for block in blocks {
            space.depends(block, &mut |choice| {
                *asked.entry(choice).or_insert_with(|| {
                    let alternative = decided.get(&choice).copied().unwrap_or(0);
                    trace.push((choice, alternative));
                    alternative
                })
            });
        }
        Trace(trace)
    }

    fn with(&self, more: &[Decision], last: Decision) -> Self {
        let mut decisions = self.decisions.clone();
        decisions.extend_from_slice(more);
        decisions.push(last);
        Self { decisions }
    }
}

impl Explorer {
    /// Nothing of this space is covered.
    pub fn new(space: &impl Space) -> Self {
        Self {
            alternatives: space.alternatives().to_vec(),
            todo: VecDeque::from([Region::default()]),
            covered: BigUint::ZERO,
            classes: 0,
        }
    }

    /// The next region, whose first assignment is to be recovered; `None` when all is covered. It must be given back,
    /// by [`Self::cover`] or [`Self::put_back`].
    pub fn next_region(&mut self) -> Option<Region> {
        // The newest first: depth first, so that few regions are held.
        self.todo.pop_back()
    }

    /// A recovery of the region's first assignment, or one that answers for it, read what depends on these choices.
    /// Gives the class for which it answers.
    pub fn cover(&mut self, region: &Region, trace: &Trace) -> Region {
        let fresh: Vec<Decision> = trace
            .0
            .iter()
            .copied()
            .filter(|(choice, _)| region.decisions.iter().all(|(known, _)| known != choice))
            .collect();
        // Pushed in reverse: what was read first is turned around first.
        for (at, (choice, taken)) in fresh.iter().enumerate().rev() {
            let others = (0..self.alternatives[*choice]).filter(|other| other != taken);
            let turned = others.map(|other| region.with(&fresh[..at], (*choice, other)));
            self.todo.extend(turned);
        }
        let mut class = region.clone();
        class.decisions.extend(fresh);
        self.covered += self.size(&class);
        self.classes += 1;
        class
    }

    /// Takes a region back of which nothing became known.
    pub fn put_back(&mut self, region: Region) {
        self.todo.push_front(region);
    }

    /// How far it has come.
    pub fn coverage(&self) -> Coverage {
        Coverage {
            states: self.size(&Region::default()),
            covered: self.covered.clone(),
            classes: self.classes,
        }
    }

    /// How many assignments a region has.
    pub fn size(&self, region: &Region) -> BigUint {
        let mut free = self.alternatives.clone();
        for (choice, _) in &region.decisions {
            free[*choice] = 1;
        }
        free.into_iter().map(BigUint::from).product()
    }
}
