//! What is known of the steps before one: open handles, tasks, traces and faults.

mod faults;
mod handles;
mod tasks;
mod traces;

pub(crate) use faults::Faults;
pub(super) use handles::Handles;
pub(super) use tasks::Tasks;
pub(super) use traces::Traces;
