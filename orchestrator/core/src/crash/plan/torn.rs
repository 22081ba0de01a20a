//! One volatile write torn at the atomic unit.

use super::spec::CrashSpec;
use crate::crash::state::{CrashState, PlanKind, Set, Tear, TornPart, torn_units};
use crate::recording::log::{Cut, Durability, RequestId, WriteLog};

/// Of a write with more units than this, not every number of first units is tried.
const ALL_PARTS: u64 = 8;

/// How many states there are at a cut: those that are made, and those that there could be.
pub(super) fn count(log: &WriteLog, spec: &CrashSpec, unit: u32, moment: &Durability) -> (u64, u64) {
    let (mut offered, mut possible) = (0_u64, 0_u64);
    for (_, units) in torn(log, unit, moment) {
        offered += 2 * parts_of(units).len() as u64;
        possible = possible.saturating_add(2 * possible_parts(units));
    }
    (offered.min(u64::from(spec.per_cut)), possible)
}

/// The states at a cut: from the newest write on, each part of it on top of everything else, and alone.
pub(super) fn make(
    log: &WriteLog,
    spec: &CrashSpec,
    unit: u32,
    cut: Cut,
    moment: &Durability,
) -> Vec<CrashState> {
    torn(log, unit, moment)
        .flat_map(|(request, units)| {
            let others = if request.0 < moment.completed {
                Set::Completed
            } else {
                Set::All
            };
            parts_of(units).into_iter().flat_map(move |part| {
                [others.clone(), Set::Only(request)].map(|set| CrashState {
                    tears: vec![Tear { request, unit, part }],
                    ..CrashState::new(PlanKind::Torn, cut, set)
                })
            })
        })
        .take(spec.per_cut as usize)
        .collect()
}

/// The volatile writes that have more than one unit, the newest first.
pub(super) fn torn<'a>(
    log: &'a WriteLog,
    unit: u32,
    moment: &Durability,
) -> impl Iterator<Item = (RequestId, u64)> + use<'a> {
    let mut volatile = log.completed_volatile(moment);
    volatile.extend(log.choosable(&moment.in_flight));
    volatile.into_iter().rev().filter_map(move |id| {
        let units = torn_units(&log.request(id)?, unit);
        (units > 1).then_some((id, units))
    })
}

/// How many parts a write of so many units has: the first 1, 2, …, the last 1, 2, …, and every other one.
pub(super) fn possible_parts(units: u64) -> u64 {
    match units {
        0 | 1 => 0,
        2 => 2,
        more => 2 * (more - 1) + 2,
    }
}

/// Those of the parts that are tried: all of a small write.
pub(in crate::crash) fn parts_of(units: u64) -> Vec<TornPart> {
    let counts: Vec<u32> = if units <= ALL_PARTS {
        (1..units as u32).collect()
    } else {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        vec![1, units / 2, units - 1]
    };
    let first = counts.iter().map(|count| TornPart::First(*count));
    let last = counts.iter().map(|count| TornPart::Last(*count));
    let mut parts: Vec<TornPart> = first.chain(last).collect();
    if units > 2 {
        parts.extend([TornPart::Even, TornPart::Odd]);
    }
    parts
}
