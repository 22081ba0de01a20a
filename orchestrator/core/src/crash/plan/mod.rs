//! Crash plans: which of the many crash states of a recording to visit.
//!
//! [`CrashSpec`] is what a scenario asks for, [`States`] the lazy list of [`crate::crash::state::CrashState`]s that it gives
//! for a log. Every plan's states depend on the log, that plan's own options and the seed alone: adding a plan never
//! changes another's states.

mod combinations;
mod complete;
mod cuts;
mod error;
mod reorder;
mod spec;
mod states;
mod torn;

pub use complete::Complete;
pub use error::PlanError;
pub use spec::{At, CrashSpec, DiscardModel};
pub use states::{PlanCount, States};
pub(in crate::crash) use torn::parts_of;
