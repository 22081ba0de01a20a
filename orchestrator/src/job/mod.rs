//! Cells as work: what is to be recorded and recovered, and what became of it.
//!
//! The way of a run: [`plan`] says which recordings and cells it consists of, [`data`] makes each of them data and work
//! of that, [`schedule`] has them run in turn by [`cell`], and [`run`] keeps what came of it.

pub mod cell;
pub mod compare;
pub mod data;
pub mod earlier;
pub mod kept;
pub mod merge;
pub mod plan;
pub mod recorded;
pub mod run;
pub(crate) mod runnable;
pub mod scenario_file;
pub mod schedule;
mod unrecorded;
