//! Subsets of what is volatile, with one of the chosen writes torn.

use super::reorder::{chosen, orders_of, subsets};
use super::spec::CrashSpec;
use super::torn::{parts_of, possible_parts, torn};
use crate::crash::state::{CrashState, PlanKind, Set, Tear, TornPart, child};
use crate::recording::log::{Cut, Durability, RequestId, WriteLog};

/// How many states there are at a cut: those that are made, and those that there could be.
///
/// Possible is every subset, with every order of overlapping writes in flight, with every part (see
/// [`possible_parts`]) of every write that it contains.
pub(super) fn count(
    log: &WriteLog,
    spec: &CrashSpec,
    unit: u32,
    moment: &Durability,
    completed: u64,
) -> (u64, u64) {
    let (offered, possible) = sizes(log, unit, moment, completed);
    (offered.min(u64::from(spec.per_cut)), possible)
}

/// The states with parts that are tried, and all.
fn sizes(log: &WriteLog, unit: u32, moment: &Durability, completed: u64) -> (u64, u64) {
    let pending = log.choosable(&moment.in_flight);
    let (mut offered, mut possible) = (0_u64, 0_u64);
    for (request, units) in torn(log, unit, moment) {
        let sets = if request.0 < moment.completed {
            subsets(log, &pending, completed - 1, None)
        } else {
            subsets(log, &pending, completed, Some(request))
        };
        offered = offered.saturating_add(sets.saturating_mul(parts_of(units).len() as u64));
        possible = possible.saturating_add(sets.saturating_mul(possible_parts(units)));
        if offered == u64::MAX {
            return (u64::MAX, u64::MAX);
        }
    }
    (offered, possible)
}

/// The states at a cut, as many as [`count`] says: all of them while they are few. Otherwise one write torn and
/// another left out, from the newest pair on, the first and last unit before other parts; and samples, which have a
/// quarter of the places at least.
pub(super) fn make(
    log: &WriteLog,
    spec: &CrashSpec,
    unit: u32,
    cut: Cut,
    moment: &Durability,
) -> Vec<CrashState> {
    let completed = log.completed_volatile(moment);
    let pending = log.choosable(&moment.in_flight);
    let at = Place {
        log,
        cut,
        unit,
        volatile: completed.iter().chain(&pending).copied().collect(),
        completed: completed.len(),
        pending,
        tearable: torn(log, unit, moment)
            .map(|(request, units)| (request, parts_of(units)))
            .collect(),
    };
    let limit = spec.per_cut as usize;
    let (offered, _) = sizes(log, unit, moment, completed.len() as u64);
    if offered <= limit as u64 {
        return at.all();
    }
    let mut made: Vec<CrashState> = at.pairs().take(limit - limit / 4).collect();
    made.extend(at.samples(spec.seed).take(limit - made.len()));
    made
}

/// A cut, and what can be chosen and torn there.
struct Place<'a> {
    log: &'a WriteLog,
    cut: Cut,
    unit: u32,
    volatile: Vec<RequestId>,
    /// How many of the volatile writes had completed; the others are `pending`.
    completed: usize,
    pending: Vec<RequestId>,
    /// The parts of each volatile write that can be torn.
    tearable: Vec<(RequestId, Vec<TornPart>)>,
}

impl Place<'_> {
    fn state(&self, set: Set, order: u32, request: RequestId, part: TornPart) -> CrashState {
        let unit = self.unit;
        CrashState {
            order,
            tears: vec![Tear { request, unit, part }],
            ..CrashState::new(PlanKind::Combinations, self.cut, set)
        }
    }

    /// Every subset in every order with every part of every write in it.
    fn all(&self) -> Vec<CrashState> {
        let bit = |request| self.volatile.iter().position(|other| *other == request);
        let tears: Vec<(usize, RequestId, TornPart)> = self
            .tearable
            .iter()
            .filter_map(|(request, parts)| Some((bit(*request)?, *request, parts)))
            .flat_map(|(bit, request, parts)| parts.iter().map(move |part| (bit, request, *part)))
            .collect();
        if tears.is_empty() {
            return Vec::new();
        }
        (1..1_u64 << self.volatile.len())
            .flat_map(|mask| {
                let in_flight = chosen(&self.pending, mask >> self.completed);
                let orders = orders_of(self.log, &in_flight) as u32;
                let tears = tears.iter().filter(move |(bit, ..)| mask >> bit & 1 == 1);
                tears.flat_map(move |(_, request, part)| {
                    (0..orders).map(move |order| self.state(Set::Subset(mask.into()), order, *request, *part))
                })
            })
            .collect()
    }

    /// One write torn and another left out.
    fn pairs(&self) -> impl Iterator<Item = CrashState> + '_ {
        let rounds = self.tearable.iter().map(|(_, parts)| parts.len());
        (0..rounds.max().unwrap_or(0)).flat_map(move |round| {
            self.tearable
                .iter()
                .filter_map(move |(request, parts)| Some((*request, *nth_part(parts, round)?)))
                .flat_map(move |(request, part)| {
                    let others = self.volatile.iter().rev();
                    others
                        .filter(move |other| **other != request)
                        .map(move |other| self.state(Set::Without(*other), 0, request, part))
                })
        })
    }

    /// Samples with a write torn that is among the chosen; a sample without any is passed over.
    fn samples(&self, seed: u64) -> impl Iterator<Item = CrashState> + '_ {
        (0_u32..=u32::MAX).filter_map(move |number| {
            let set = Set::Sample { seed, number };
            let sample = CrashState::new(PlanKind::Combinations, self.cut, set.clone());
            let selection = self.log.select(&sample).ok()?;
            let kept: Vec<&(RequestId, Vec<TornPart>)> = self
                .tearable
                .iter()
                .filter(|(request, _)| selection.chooses(self.log, *request))
                .collect();
            let node = child(
                child(child(COMBINATIONS, seed), u64::from(self.cut.0)),
                u64::from(number),
            );
            let (request, parts) = kept.get(pick(node, kept.len())?)?;
            let part = parts.get(pick(child(node, 0), parts.len())?)?;
            Some(self.state(set, 0, *request, *part))
        })
    }
}

/// The node of the generator's tree below which this plan draws.
const COMBINATIONS: u64 = 2;

/// One of so many, by the generator's node; `None` of none.
fn pick(node: u64, of: usize) -> Option<usize> {
    let of = u64::try_from(of).ok().filter(|of| *of > 0)?;
    Some((node % of) as usize)
}

/// A write's parts in another order: the first unit, the last unit, then the others.
fn nth_part(parts: &[TornPart], round: usize) -> Option<&TornPart> {
    let last = parts.iter().position(|part| *part == TornPart::Last(1))?;
    parts.get(match round {
        0 => 0,
        1 => last,
        later if later <= last => later - 1,
        later => later,
    })
}
