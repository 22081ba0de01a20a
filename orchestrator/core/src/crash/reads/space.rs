//! The crash states of one cut as choices.

use std::collections::HashSet;
use std::sync::Arc;

use num_bigint::BigUint;

use super::{Place, Region, Space};
use crate::crash::index::{BlockIndex, coverage};
use crate::crash::plan::parts_of;
use crate::crash::state::{
    CrashState, CutModel, DiscardAs, PlanKind, Rule, Selection, Set, Tear, TornPart, torn_units,
};
use crate::recording::io::IoKind;
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

/// Every state that a cut can leave: a choice for each volatile write (0: it did not make it to the disk, 1: it did, from 2
/// on: one of the parts of it that `parts_of` lists did), and after those one for each group of writes in flight that
/// overlap each other, in which order they were applied (a rank among the permutations; 0: as they were submitted).
///
/// Assignments that differ only in the order of writes of which fewer than two are there are the same state; they are
/// counted as often as there are orders.
#[derive(Clone, Debug)]
pub struct LogSpace {
    index: Arc<BlockIndex>,
    cut: Cut,
    model: CutModel,
    moment: Durability,
    /// In the order in which they are applied: completed, then in flight as submitted.
    volatile: Vec<RequestId>,
    /// The ways in which each of them may be torn.
    parts: Vec<Vec<TornPart>>,
    /// How many of `volatile` had completed.
    completed: usize,
    /// Groups of overlapping writes in flight, by index in `volatile`.
    groups: Vec<Vec<usize>>,
    alternatives: Vec<u32>,
}

impl LogSpace {
    /// The states of `cut`.
    ///
    /// # Errors
    /// [`SpaceError`].
    pub fn new(index: &Arc<BlockIndex>, cut: Cut, model: CutModel) -> Result<Self, SpaceError> {
        let log = index.log();
        let moment = log
            .durability(cut)
            .ok_or(SpaceError::Cut { cut, end: log.end() })?;
        let mut volatile = log.completed_volatile(&moment);
        let completed = volatile.len();
        let pending = log.choosable(&moment.in_flight);
        let groups = groups(index, &pending, completed);
        volatile.extend(pending);
        let overlapping = groups.iter().map(Vec::len).sum();
        if overlapping > MOST_OVERLAPPING {
            return Err(SpaceError::Overlapping { cut, overlapping });
        }
        let parts: Vec<Vec<TornPart>> = volatile
            .iter()
            .map(|request| match (log.request(*request), model.tearing) {
                (Some(request), Some(unit)) => parts_of(torn_units(&request, unit)),
                _ => Vec::new(),
            })
            .collect();
        let ways = parts.iter().map(|parts| 2 + parts.len() as u32);
        let orders = groups.iter().map(|group| (1..=group.len() as u32).product());
        let alternatives = ways.chain(orders).collect();
        Ok(Self {
            index: Arc::clone(index),
            cut,
            model,
            moment,
            volatile,
            parts,
            completed,
            groups,
            alternatives,
        })
    }

    /// Where the power is cut.
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// The volatile writes, in the order of their choices.
    pub fn volatile(&self) -> &[RequestId] {
        &self.volatile
    }

    /// The state that is a region's first assignment.
    pub fn selection(&self, region: &Region) -> Selection {
        let chosen = self.assignment(region);
        let kept = |choice: &usize| chosen[*choice] != 0;
        let members = (0..self.completed).filter(kept);
        let members = members.map(|choice| self.volatile[choice].0).collect();
        let order = self.applied(&chosen).into_iter().filter(kept);
        let mut in_flight: Vec<RequestId> = order.map(|choice| self.volatile[choice]).collect();
        if self.model.discard == DiscardAs::Kept {
            in_flight.retain(|request| !self.is_discard(*request));
        }
        Selection {
            floor: self.moment.flushed,
            completed: self.moment.completed,
            rule: Rule::Members(members),
            in_flight,
            tears: self.tears(&chosen),
            discard: self.model.discard,
        }
    }

    /// The same state as a recipe with a name.
    pub fn state(&self, region: &Region, plan: PlanKind) -> CrashState {
        let chosen = self.assignment(region);
        let mut mask = BigUint::ZERO;
        for choice in (0..self.volatile.len()).filter(|choice| chosen[*choice] != 0) {
            mask.set_bit(choice as u64, true);
        }
        CrashState {
            order: self.rank(&chosen),
            tears: self.tears(&chosen),
            discard: self.model.discard,
            ..CrashState::new(plan, self.cut, Set::Subset(mask))
        }
    }

    /// An assignment of a region: `roll` decides what the region does not, given the number of alternatives.
    pub fn member(&self, region: &Region, mut roll: impl FnMut(u32) -> u32) -> Region {
        let mut decisions = region.decisions().to_vec();
        let decided: HashSet<usize> = decisions.iter().map(|(choice, _)| *choice).collect();
        for (choice, ways) in self.alternatives.iter().enumerate() {
            if !decided.contains(&choice) {
                decisions.push((choice, roll(*ways)));
            }
        }
        Region::of(decisions)
    }

    /// The alternative of each choice in a region's first assignment.
    fn assignment(&self, region: &Region) -> Vec<u32> {
        let mut chosen = vec![0; self.alternatives.len()];
        for (choice, alternative) in region.decisions() {
            chosen[*choice] = *alternative;
        }
        chosen
    }

    /// How the writes that are torn are torn, by request.
    fn tears(&self, chosen: &[u32]) -> Vec<Tear> {
        let torn = (0..self.volatile.len()).filter_map(|choice| self.tear(choice, chosen[choice]));
        let mut tears: Vec<Tear> = torn.collect();
        tears.sort_by_key(|tear| tear.request.0);
        tears
    }

    fn tear(&self, choice: usize, alternative: u32) -> Option<Tear> {
        let part = self.parts[choice].get((alternative as usize).checked_sub(2)?)?;
        Some(Tear {
            request: self.volatile[choice],
            unit: self.model.tearing?,
            part: *part,
        })
    }

    fn is_discard(&self, request: RequestId) -> bool {
        self.index.log().record(request.0).kind == IoKind::Discard
    }

    /// The sectors of a block that a write of this alternative has.
    fn covers(&self, choice: usize, alternative: u32, block: u64) -> u8 {
        let request = self.volatile[choice];
        if alternative == 0 || self.model.discard == DiscardAs::Kept && self.is_discard(request) {
            return 0;
        }
        let tear = self.tear(choice, alternative);
        coverage(self.index.log().record(request.0), block, tear.as_ref())
    }

    /// The rank of the order of the overlapping writes in flight that are there, as [`CrashState::order`] counts it.
    fn rank(&self, chosen: &[u32]) -> u32 {
        let there: Vec<usize> = (self.completed..self.volatile.len())
            .filter(|choice| chosen[*choice] != 0)
            .collect();
        let requests: Vec<RequestId> = there.iter().map(|choice| self.volatile[*choice]).collect();
        let overlapping = self.index.log().overlapping(&requests);
        let mut left: Vec<usize> = overlapping.iter().map(|index| there[*index]).collect();
        let (mut order, mut weight) = (0, 1);
        for choice in self.applied(chosen) {
            if let Some(digit) = left.iter().position(|other| *other == choice) {
                order += digit as u32 * weight;
                weight = weight.saturating_mul(left.len() as u32);
                left.remove(digit);
            }
        }
        order
    }

    /// The choices of the writes in flight, in the order in which they are applied.
    fn applied(&self, chosen: &[u32]) -> Vec<usize> {
        let mut order: Vec<usize> = (self.completed..self.volatile.len()).collect();
        for (number, group) in self.groups.iter().enumerate() {
            let permuted = permutation(group, chosen[self.volatile.len() + number]);
            for (slot, choice) in group.iter().zip(permuted) {
                order[slot - self.completed] = choice;
            }
        }
        order
    }

    /// Takes from `open`, sectors of a block, what the writes in flight cover of them, as far as they are there.
    fn in_flight_covers(&self, block: u64, open: &mut u8, ask: &mut dyn FnMut(usize) -> u32) {
        let mut kept = Vec::new();
        let wanted = *open;
        for choice in (self.completed..self.volatile.len()).rev() {
            if self.covers(choice, 1, block) & wanted != 0 {
                kept.push((choice, self.covers(choice, ask(choice), block) & wanted));
            }
        }
        for (number, group) in self.groups.iter().enumerate() {
            let here = kept.iter().filter(|(choice, _)| group.contains(choice));
            let mut seen = 0;
            let overlap = here.map(|(_, covered)| covered).any(|mask| {
                let twice = seen & mask != 0;
                seen |= mask;
                twice
            });
            if overlap {
                ask(self.volatile.len() + number);
            }
        }
        for (_, covered) in kept {
            *open &= !covered;
        }
    }
}

impl Space for LogSpace {
    fn alternatives(&self) -> &[u32] {
        &self.alternatives
    }

    fn depends(&self, place: Place, ask: &mut dyn FnMut(usize) -> u32) {
        let Place {
            block,
            sectors: mut open,
        } = place;
        self.in_flight_covers(block, &mut open, ask);
        let range = self.moment.flushed.least()..self.moment.completed;
        let mut requests: Vec<u32> = self
            .index
            .lists(block)
            .flatten()
            .copied()
            .filter(|id| range.contains(id))
            .collect();
        requests.sort_unstable();
        for id in requests.into_iter().rev() {
            let whole = match self.volatile[..self.completed].binary_search(&RequestId(id)) {
                Ok(choice) if self.covers(choice, 1, block) & open != 0 => {
                    self.covers(choice, ask(choice), block)
                }
                Ok(_) => 0,
                // What is not volatile here has FUA or was flushed: it is on the disk in every state.
                Err(_) if self.model.discard == DiscardAs::Kept && self.is_discard(RequestId(id)) => 0,
                Err(_) => coverage(self.index.log().record(id), block, None),
            };
            open &= !whole;
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
