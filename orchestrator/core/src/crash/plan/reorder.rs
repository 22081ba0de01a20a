//! Subsets of what is volatile: all of them where they are few, otherwise the telling ones and samples.

use super::spec::CrashSpec;
use crate::crash::state::{CrashState, PlanKind, Set};
use crate::recording::log::{Cut, Durability, RequestId, WriteLog};

/// More overlapping writes in flight than this are tried in two orders only: theirs, and the reverse.
const MAX_PERMUTED: usize = 4;

/// How many states there are at a cut: those that are made, and those that there could be.
pub(super) fn count(log: &WriteLog, spec: &CrashSpec, moment: &Durability, completed: u64) -> (u64, u64) {
    let pending = log.choosable(&moment.in_flight);
    let possible = subsets(log, &pending, completed, None);
    if possible <= u64::from(spec.per_cut) {
        return (possible, possible);
    }
    (u64::from(spec.per_cut), possible)
}

/// Subsets of the volatile writes, counted with the orders of those that overlap in flight; saturates. With `member`,
/// one of `pending`, only those that contain it.
pub(super) fn subsets(
    log: &WriteLog,
    pending: &[RequestId],
    completed: u64,
    member: Option<RequestId>,
) -> u64 {
    let overlapping = log.overlapping(pending);
    let members: Vec<RequestId> = overlapping.iter().map(|index| pending[*index]).collect();
    let at = member.and_then(|member| members.iter().position(|other| *other == member));
    // A member that overlaps nothing is one that there is no choice about.
    let fixed = u64::from(member.is_some() && at.is_none());
    let free = completed + (pending.len() - members.len()) as u64 - fixed;
    if free >= 64 || members.len() > 16 {
        return u64::MAX;
    }
    let mut orders = 0_u64;
    for mask in 0..1_u32 << members.len() {
        if at.is_none_or(|at| mask >> at & 1 == 1) {
            orders = orders.saturating_add(orders_of(log, &chosen(&members, u64::from(mask))));
        }
    }
    orders.saturating_mul(1 << free)
}

/// How many orders the overlapping ones among chosen writes in flight have.
pub(super) fn orders_of(log: &WriteLog, chosen: &[RequestId]) -> u64 {
    factorial(log.overlapping(chosen).len())
}

fn factorial(count: usize) -> u64 {
    (1..=count as u64).fold(1, u64::saturating_mul)
}

pub(super) fn chosen(members: &[RequestId], mask: u64) -> Vec<RequestId> {
    members
        .iter()
        .enumerate()
        .filter(|(index, _)| mask >> index & 1 == 1)
        .map(|(_, request)| *request)
        .collect()
}

/// The states at a cut, in the order of [`count`].
pub(super) fn make(log: &WriteLog, spec: &CrashSpec, cut: Cut, moment: &Durability) -> Vec<CrashState> {
    let completed = log.completed_volatile(moment);
    let pending = log.choosable(&moment.in_flight);
    let limit = spec.per_cut as usize;
    let state = |set, order| CrashState {
        order,
        ..CrashState::new(PlanKind::Reorder, cut, set)
    };
    let possible = subsets(log, &pending, completed.len() as u64, None);
    if possible <= limit as u64 {
        let volatile = completed.len() + pending.len();
        return (0..1_u64 << volatile)
            .flat_map(|mask| {
                let orders = orders_of(log, &chosen(&pending, mask >> completed.len()));
                (0..orders as u32).map(move |order| state(Set::Subset(mask.into()), order))
            })
            .collect();
    }
    let volatile: Vec<RequestId> = completed.iter().chain(&pending).copied().collect();
    let overlapping = log.overlapping(&pending).len();
    let permutations = match overlapping {
        0..=MAX_PERMUTED => (1..factorial(overlapping) as u32).collect(),
        5..=12 => vec![reversed(overlapping)],
        _ => Vec::new(),
    };
    // Dropping and keeping one alone take turns, from the newest write on: the last ones are those that a barrier failed
    // to cover.
    let one_by_one = volatile
        .iter()
        .rev()
        .flat_map(|request| [Set::Without(*request), Set::Only(*request)]);
    // Samples fill what is left, and have a share of it when the systematic ones are too many.
    let samples = (0..).map(|number| Set::Sample {
        seed: spec.seed,
        number,
    });
    let first = [state(Set::Durable, 0), state(Set::All, 0)]
        .into_iter()
        .chain(permutations.into_iter().map(|order| state(Set::All, order)))
        .take(limit);
    let mut made: Vec<CrashState> = first.collect();
    let room = limit - made.len();
    let systematic = (2 * volatile.len()).min(room - room / 4);
    made.extend(one_by_one.take(systematic).map(|set| state(set, 0)));
    made.extend(samples.map(|set| state(set, 0)).take(limit - made.len()));
    made
}

/// The rank of the reverse order: at each index the last of those that are left.
fn reversed(count: usize) -> u32 {
    let (mut rank, mut weight) = (0, 1);
    for ways in (1..=count as u32).rev() {
        rank += (ways - 1) * weight;
        weight = weight.wrapping_mul(ways);
    }
    rank
}
