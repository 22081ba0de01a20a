//! A checker of the user's, run over every crash state of a write log: what `coldcut log check` does.

mod command;
mod queue;

pub use command::{CheckAnswer, CheckCommand, Happened, Said, Via};
pub use queue::{Checked, Checks, Failed};
