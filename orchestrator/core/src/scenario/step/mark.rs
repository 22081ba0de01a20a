//! Steps that are nothing but a name.

use super::head::Head;
use crate::scenario::model::Action;
use crate::scenario::yaml::error::{Lowered, Problem};

pub(super) fn mark(head: &Head) -> Lowered<Action> {
    match &head.errno {
        Some(errno) => Err(Problem::new(&errno.span, "a mark cannot fail").into()),
        None => Ok(Action::Mark),
    }
}
