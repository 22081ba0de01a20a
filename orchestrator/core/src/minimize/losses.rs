//! Which writes a crash state lost, and states that lost fewer.

use num_bigint::BigUint;

use crate::crash::state::{CrashState, PlanKind, Set, StateError};
use crate::recording::log::{RequestId, WriteLog};

/// The volatile writes that a state lost, in the one global order.
///
/// # Errors
/// [`StateError`] where the log has no such state.
pub fn losses(log: &WriteLog, state: &CrashState) -> Result<Vec<RequestId>, StateError> {
    let chosen: Vec<RequestId> = log.select(state)?.requests(log).collect();
    let volatile = log.volatile(state.cut).unwrap_or_default();
    Ok(volatile
        .into_iter()
        .filter(|request| !chosen.contains(request))
        .collect())
}

/// The state of the same cut that lost these of its volatile writes and no others. What is torn stays torn, where it is not
/// lost.
pub fn losing(log: &WriteLog, state: &CrashState, lost: &[RequestId]) -> CrashState {
    let volatile = log.volatile(state.cut).unwrap_or_default();
    let mut mask = BigUint::ZERO;
    for (bit, request) in (0u64..).zip(&volatile) {
        mask.set_bit(bit, !lost.contains(request));
    }
    let mut less = CrashState::new(PlanKind::All, state.cut, Set::Subset(mask));
    less.discard = state.discard;
    less.tears = state
        .tears
        .iter()
        .filter(|tear| !lost.contains(&tear.request))
        .copied()
        .collect();
    less
}
