//! The crash states of one cut as choices.

use num_bigint::BigUint;

use super::{Region, Space};
use crate::crash::index::{BlockIndex, coverage};
use crate::crash::state::{CrashState, DiscardAs, PlanKind, Rule, Selection, Set};
use crate::recording::log::{Cut, Durability, RequestId};

/// More overlapping writes in flight than this have too many orders.
const MOST_OVERLAPPING: usize = 12;

/// Why a cut's states cannot be enumerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// The log is shorter.
    #[error("cut {cut} is past the end of the log, which has {end} events")]
    Cut {
        /// What was asked for.
        cut: Cut,
        /// The log's last.
        end: Cut,
    },
    /// There are too many orders.
    #[error(
        "{overlapping} overlapping writes are in flight at cut {cut}; at most {MOST_OVERLAPPING} can be tried in every order"
    )]
    Overlapping {
        /// The cut.
        cut: Cut,
        /// How many overlap each other.
        overlapping: usize,
    },
}

/// Every state that a cut can leave: a choice for each volatile write, whether it made it to the disk (0: it did not,
/// 1: it did), and after those one for each group of writes in flight that overlap each other, in which order they were
/// applied (a rank among the permutations; 0: as they were submitted).
///
/// Assignments that differ only in the order of writes of which fewer than two are there are the same state; they are
/// counted as often as there are orders.
#[derive(Clone, Debug)]
pub struct LogSpace<'a> {
    index: &'a BlockIndex,
    cut: Cut,
    moment: Durability,
    /// In the order in which they are applied: completed, then in flight as submitted.
    volatile: Vec<RequestId>,
    /// How many of `volatile` had completed.
    completed: usize,
    /// Groups of overlapping writes in flight, by index in `volatile`.
    groups: Vec<Vec<usize>>,
    alternatives: Vec<u32>,
}

impl<'a> LogSpace<'a> {
    /// The states of `cut`.
    ///
    /// # Errors
    /// [`SpaceError`].
    pub fn new(index: &'a BlockIndex, cut: Cut) -> Result<Self, SpaceError> {
        let log = index.log();
        let moment = log
            .durability(cut)
            .ok_or(SpaceError::Cut { cut, end: log.end() })?;
        let mut volatile = log.completed_volatile(&moment);
        let completed = volatile.len();
        let pending = log.choosable(&moment.in_flight);
        let groups = groups(index, &pending, completed);
        volatile.extend(pending);
        let mut alternatives = vec![2; volatile.len()];
        let overlapping = groups.iter().map(Vec::len).sum();
        if overlapping > MOST_OVERLAPPING {
            return Err(SpaceError::Overlapping { cut, overlapping });
        }
        let orders = groups.iter().map(|group| (1..=group.len() as u32).product());
        alternatives.extend(orders.collect::<Vec<u32>>());
        Ok(Self {
            index,
            cut,
            moment,
            volatile,
            completed,
            groups,
            alternatives,
        })
    }

    /// The volatile writes, in the order of their choices.
    pub fn volatile(&self) -> &[RequestId] {
        &self.volatile
    }

    /// The state that is a region's first assignment.
    pub fn selection(&self, region: &Region) -> Selection {
        let kept = |choice: &usize| region.alternative(*choice) == 1;
        let members = (0..self.completed).filter(kept);
        let members = members.map(|choice| self.volatile[choice].0).collect();
        let order = self.applied(&mut |choice| region.alternative(choice));
        let in_flight = order.into_iter().filter(kept).map(|choice| self.volatile[choice]);
        Selection {
            floor: self.moment.flushed,
            completed: self.moment.completed,
            rule: Rule::Members(members),
            in_flight: in_flight.collect(),
            tear: None,
            discard: DiscardAs::Zeros,
        }
    }

    /// The same state as a recipe with a name.
    pub fn state(&self, region: &Region, plan: PlanKind) -> CrashState {
        let mut mask = BigUint::ZERO;
        for (choice, alternative) in region.decisions() {
            if *choice < self.volatile.len() {
                mask.set_bit(*choice as u64, *alternative == 1);
            }
        }
        let chosen: Vec<usize> = (self.completed..self.volatile.len())
            .filter(|choice| region.alternative(*choice) == 1)
            .collect();
        let requests: Vec<RequestId> = chosen.iter().map(|choice| self.volatile[*choice]).collect();
        let overlapping = self.index.log().overlapping(&requests);
        let mut left: Vec<usize> = overlapping.iter().map(|at| chosen[*at]).collect();
        let applied = self.applied(&mut |choice| region.alternative(choice));
        let (mut order, mut weight) = (0, 1);
        for choice in applied {
            if let Some(digit) = left.iter().position(|other| *other == choice) {
                order += digit as u32 * weight;
                weight = weight.saturating_mul(left.len() as u32);
                left.remove(digit);
            }
        }
        CrashState {
            order,
            ..CrashState::new(plan, self.cut, Set::Subset(mask))
        }
    }

    /// The choices of the writes in flight, in the order in which they are applied.
    fn applied(&self, rank: &mut dyn FnMut(usize) -> u32) -> Vec<usize> {
        let mut order: Vec<usize> = (self.completed..self.volatile.len()).collect();
        for (number, group) in self.groups.iter().enumerate() {
            let permuted = permutation(group, rank(self.volatile.len() + number));
            for (slot, choice) in group.iter().zip(permuted) {
                order[slot - self.completed] = choice;
            }
        }
        order
    }

    /// Takes from `open` what the writes in flight cover of a block, as far as they are there.
    fn in_flight_covers(&self, block: u64, open: &mut u8, ask: &mut dyn FnMut(usize) -> u32) {
        let covers = |choice: usize| coverage(self.index.log().record(self.volatile[choice].0), block, None);
        let kept: Vec<usize> = (self.completed..self.volatile.len())
            .rev()
            .filter(|choice| covers(*choice) != 0 && ask(*choice) == 1)
            .collect();
        for (number, group) in self.groups.iter().enumerate() {
            let here = kept.iter().filter(|choice| group.contains(choice));
            let mut seen = 0;
            let overlap = here.map(|choice| covers(*choice)).any(|mask| {
                let twice = seen & mask != 0;
                seen |= mask;
                twice
            });
            if overlap {
                ask(self.volatile.len() + number);
            }
        }
        for choice in kept {
            *open &= !covers(choice);
        }
    }
}

impl Space for LogSpace<'_> {
    fn alternatives(&self) -> &[u32] {
        &self.alternatives
    }

    fn depends(&self, block: u64, ask: &mut dyn FnMut(usize) -> u32) {
        let mut open = 0xff_u8;
        self.in_flight_covers(block, &mut open, ask);
        let range = self.moment.flushed..self.moment.completed;
        let mut requests: Vec<u32> = self
            .index
            .lists(block)
            .flatten()
            .copied()
            .filter(|id| range.contains(id))
            .collect();
        requests.sort_unstable();
        let log = self.index.log();
        for id in requests.into_iter().rev() {
            let record = log.record(id);
            let covered = coverage(record, block, None) & open;
            if covered == 0 {
                continue;
            }
            // What is not volatile here has FUA: it is on the disk in every state.
            let choice = self.volatile[..self.completed].binary_search(&RequestId(id));
            if choice.is_err() || choice.is_ok_and(|choice| ask(choice) == 1) {
                open &= !covered;
            }
        }
    }
}

/// The writes in flight that overlap each other, directly or by way of others, in groups of at least two.
fn groups(index: &BlockIndex, pending: &[RequestId], first: usize) -> Vec<Vec<usize>> {
    let record = |number: usize| index.log().record(pending[number].0);
    let overlap = |one: usize, other: usize| {
        record(one).offset < record(other).end() && record(other).offset < record(one).end()
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for number in 0..pending.len() {
        let (joined, apart): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|group| group.iter().any(|other| overlap(number, *other)));
        groups = apart;
        groups.push(joined.into_iter().flatten().chain([number]).collect());
    }
    groups.retain(|group| group.len() > 1);
    for group in &mut groups {
        group.sort_unstable();
        for number in group.iter_mut() {
            *number += first;
        }
    }
    groups.sort_unstable();
    groups
}

/// The permutation of a rank: in the factorial number system, the last digit first. 0 is the order given.
fn permutation(group: &[usize], rank: u32) -> Vec<usize> {
    let (mut left, mut rank) = (group.to_vec(), rank as usize);
    let mut permuted = Vec::with_capacity(group.len());
    while !left.is_empty() {
        let ways = left.len();
        permuted.push(left.remove(rank % ways));
        rank /= ways;
    }
    permuted
}
