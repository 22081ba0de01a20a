//! Crash states: what a power cut can leave on the device.
//!
//! The model. At a cut `t`,
//!
//! - *durable(t)* = the writes with FUA completed by `t`, and the writes completed before the submission of a flush that
//!   completed by `t`;
//! - *volatile(t)* = the writes submitted by `t` and not in durable(t), completed or in flight;
//! - a crash state holds durable(t) and any subset of volatile(t), the chosen set applied in one global order: that of
//!   completion, with what is in flight at `t` last (overlapping ones among those in any order).
//!
//! "Write" stands for writes, write-zeroes and discards alike. A write may be torn at the device's atomic unit.
//!
//! [`CrashState`] is the recipe of one state, [`StateId`] its name, [`Selection`] what it chooses from a log.

mod choice;
mod id;
mod selection;

pub use choice::{CrashState, CutModel, DiscardAs, PlanKind, Set, Tear, TornPart};
pub use id::{ParseStateIdError, StateId};
pub(crate) use selection::{Rule, child, torn_units};
pub use selection::{Selection, StateError};
