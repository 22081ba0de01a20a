//! What every step has: its key and its modifiers.

use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::names::Label;
use crate::scenario::yaml::units::Ending;

/// A step's key and its modifiers.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) key: At<String>,
    pub(super) label: Option<At<Label>>,
    pub(super) errno: Option<At<Ending>>,
}

impl Head {
    /// Refuses an `errno`, which a step without a system call cannot have.
    pub(super) fn no_errno(&self) -> Lowered<()> {
        let Some(errno) = &self.errno else { return Ok(()) };
        let message = format!("`{}` makes no system call that could fail", self.key.value);
        Err(Problem::new(&errno.span, message).into())
    }
}
