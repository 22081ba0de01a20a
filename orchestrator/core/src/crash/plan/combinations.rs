//! Subsets of what is volatile, with one of the chosen writes torn.

use super::reorder::{chosen, orders_of, subsets};
use super::spec::CrashSpec;
use super::torn::{parts_of, possible_parts, torn};
use crate::crash::state::{CrashState, PlanKind, Set, Tear, TornPart, child};
use crate::recording::log::{Cut, Moment, RequestId, WriteLog};

/// How many states there are at a cut: those that are made, and those that there could be.
///
/// Possible is every subset, with every order of overlapping writes in flight, with every part (see
/// [`possible_parts`]) of every write that it contains.
pub(super) fn count(
    log: &WriteLog,
    spec: &CrashSpec,
    unit: u32,
    moment: &Moment,
    completed: u64,
) -> (u64, u64) {
    let (offered, possible) = sizes(log, unit, moment, completed);
    (offered.min(u64::from(spec.per_cut)), possible)
}

/// The states with parts that are tried, and all.
fn sizes(log: &WriteLog, unit: u32, moment: &Moment, completed: u64) -> (u64, u64) {
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
    moment: &Moment,
) -> Vec<CrashState> {
    let completed = log.completed_volatile(moment);
    let pending = log.choosable(&moment.in_flight);
    let volatile: Vec<RequestId> = completed.iter().chain(&pending).copied().collect();
    let tearable: Vec<(RequestId, Vec<TornPart>)> = torn(log, unit, moment)
        .map(|(request, units)| (request, parts_of(units)))
        .collect();
    let state = |set, order, request, part| CrashState {
        order,
        tear: Some(Tear { request, unit, part }),
        ..CrashState::new(PlanKind::Combinations, cut, set)
    };
    let limit = spec.per_cut as usize;
    let (offered, _) = sizes(log, unit, moment, completed.len() as u64);
    if offered <= limit as u64 {
        let bit = |request| volatile.iter().position(|other| *other == request);
        let tears: Vec<(usize, RequestId, TornPart)> = tearable
            .iter()
            .filter_map(|(request, parts)| Some((bit(*request)?, *request, parts)))
            .flat_map(|(bit, request, parts)| parts.iter().map(move |part| (bit, request, *part)))
            .collect();
        if tears.is_empty() {
            return Vec::new();
        }
        return (1..1_u64 << volatile.len())
            .flat_map(|mask| {
                let orders = orders_of(log, &chosen(&pending, mask >> completed.len())) as u32;
                let tears = tears.iter().filter(move |(bit, ..)| mask >> bit & 1 == 1);
                tears.flat_map(move |(_, request, part)| {
                    (0..orders).map(move |order| state(Set::Subset(mask.into()), order, *request, *part))
                })
            })
            .collect();
    }
    let rounds = tearable.iter().map(|(_, parts)| parts.len()).max().unwrap_or(0);
    let pairs = (0..rounds).flat_map(|round| {
        tearable
            .iter()
            .filter_map(move |(request, parts)| Some((*request, *nth_part(parts, round)?)))
            .flat_map(|(request, part)| {
                let others = volatile.iter().rev().filter(move |other| **other != request);
                others.map(move |other| state(Set::Without(*other), 0, request, part))
            })
    });
    let mut made: Vec<CrashState> = pairs.take(limit - limit / 4).collect();
    // A sample without a write that can be torn is passed over.
    let samples = (0_u32..=u32::MAX).filter_map(|number| {
        let set = Set::Sample {
            seed: spec.seed,
            number,
        };
        let selection = log
            .select(&CrashState::new(PlanKind::Combinations, cut, set.clone()))
            .ok()?;
        let kept: Vec<&(RequestId, Vec<TornPart>)> = tearable
            .iter()
            .filter(|(request, _)| selection.chooses(log, *request))
            .collect();
        let node = child(
            child(child(COMBINATIONS, spec.seed), u64::from(cut.0)),
            u64::from(number),
        );
        let (request, parts) = kept.get(pick(node, kept.len())?)?;
        let part = parts.get(pick(child(node, 0), parts.len())?)?;
        Some(state(set, 0, *request, *part))
    });
    made.extend(samples.take(limit - made.len()));
    made
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
