//! Steps: what a scenario file may say, and beside it what that is lowered to. A file is a family of steps.
//!
//! A new step is a shape with its `lower` in the file of its family, a variant of [`shape::StepShape`], and an arm there.

mod attributes;
mod bounds;
mod data;
mod device;
mod entry;
mod exec;
mod flags;
mod head;
mod known;
mod lowering;
mod mapped;
mod mark;
mod names;
mod open;
mod pipes;
mod shape;
mod sync;
mod system;
mod target;
mod task;
mod timed;
mod watch;

pub(crate) use bounds::bounded;
#[cfg(test)]
pub(crate) use entry::step_names;
pub(crate) use entry::{StepEntry, lower};
pub(crate) use known::Faults;
pub(crate) use lowering::Lowering;
