//! Cells as work: what is to be recorded and recovered, and what became of it.

pub mod cell;
mod own_mode;
pub(crate) mod panics;
pub mod scenario_file;
