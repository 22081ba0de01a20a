//! Steps with their modifiers.

use super::NotWritten;
use super::fields::quoted;
use super::op::op;
use crate::scenario::model::{Action, Step};
use crate::scenario::yaml::units::errno_name;

/// A step as the entry of a list, its modifiers on lines of their own, without indentation.
///
/// # Errors
/// [`NotWritten`] for what is no part of a history of files.
pub fn step(step: &Step) -> Result<String, NotWritten> {
    let mut lines = vec![match &step.action {
        Action::Op(action) => op(action)?,
        Action::Mark => return Ok(format!("mark: {}", quoted(&step.name.name))),
        Action::Exec { .. }
        | Action::Start(_)
        | Action::Join { .. }
        | Action::Device(_)
        | Action::Leave { .. } => {
            return Err(NotWritten(step.name.name.clone()));
        }
    }];
    if step.labelled {
        lines.push(format!("label: {}", quoted(&step.name.name)));
    }
    if step.any_errno {
        lines.push("errno: any".to_owned());
    } else if let Some(errno) = step.expected_errno {
        let name = errno_name(errno).ok_or_else(|| NotWritten(step.name.name.clone()))?;
        lines.push(format!("errno: {name}"));
    }
    Ok(lines.join("\n"))
}
