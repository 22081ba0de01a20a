//! Steps that start tasks and wait for them.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::bounded;
use super::head::Head;
use super::lowering::Lowering;
use crate::scenario::model::{Action, Step, Task};
use crate::scenario::yaml::at::{At, Later};
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::names::Label;
use crate::scenario::yaml::units::Millis;

/// How long a `join` waits unless it says otherwise, in milliseconds.
const JOIN_MS: u64 = 120_000;
/// ETIMEDOUT on Linux (asm-generic/errno.h).
const TIMED_OUT: i32 = 110;

/// Options of `start`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "StartShape"))]
#[serde(deny_unknown_fields, bound = "")]
pub(super) struct StartShape<E> {
    /// The task's name.
    task: At<Label>,
    /// What it does. Its steps can have labels; they cannot start tasks.
    #[serde(rename = "steps")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<E>"))]
    _steps: Later<Vec<E>>,
}

impl<E> StartShape<E> {
    /// `own` lowers the task's steps.
    pub(super) fn lower(
        &self,
        head: &Head,
        cx: &mut Lowering<'_>,
        own: &dyn Fn(&mut Lowering<'_>) -> Vec<Step>,
    ) -> Lowered<Action> {
        head.no_errno()?;
        check_outside(head, cx)?;
        let lane = cx.tasks.lane_for(&self.task, cx.text)?;
        // Its steps see the handles that are open now. Those that it opens are everybody's once it was joined.
        let before = cx.handles.clone();
        cx.tasks.inside = true;
        let steps = own(cx);
        cx.tasks.inside = false;
        let after = std::mem::replace(&mut cx.handles, before);
        cx.tasks.start(&self.task, lane, &cx.handles, &after);
        Ok(Action::Start(Task {
            name: self.task.value.0.clone(),
            lane,
            steps,
        }))
    }
}

/// Options of `join`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_task))]
pub(super) struct JoinShape {
    /// The task.
    task: At<Label>,
    /// How long to wait at most, after which the cell is inconclusive; 2min when not given. With `errno: ETIMEDOUT` the
    /// task must still run then, and be joined again later.
    within: Option<At<Millis>>,
}

impl JoinShape {
    pub(super) fn lower(&self, head: &Head, cx: &mut Lowering<'_>) -> Lowered<Action> {
        check_outside(head, cx)?;
        let Some(errno) = &head.errno else {
            let within_ms = self.within.as_ref().map_or(Ok(JOIN_MS), bounded)?;
            let task = cx.tasks.join(&self.task, &mut cx.handles)?;
            return Ok(Action::Join { task, within_ms });
        };
        // The task is still under way after it.
        if errno.value.0.is_none_or(|e| e.0 != TIMED_OUT) {
            let message = "`join` can only fail with ETIMEDOUT: the task still runs";
            return Err(Problem::new(&errno.span, message).into());
        }
        let Some(within) = &self.within else {
            let message = "say how long the task must still run: `join: {task: …, within: 5s}`";
            return Err(Problem::new(&self.task.span, message).into());
        };
        cx.tasks.lane(&self.task)?;
        Ok(Action::Join {
            task: self.task.value.0.clone(),
            within_ms: bounded(within)?,
        })
    }
}

/// Options of `leave`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_task))]
pub(super) struct LeaveShape {
    /// The task.
    task: At<Label>,
}

impl LeaveShape {
    pub(super) fn lower(&self, head: &Head, cx: &mut Lowering<'_>) -> Lowered<Action> {
        head.no_errno()?;
        check_outside(head, cx)?;
        if !cx.recorded {
            let message = "the setup ends with an unmount, which must wait for every task";
            let help = format!("write `join: {}`", self.task.value.0);
            return Err(Problem::new(&self.task.span, message).help(help).into());
        }
        let task = cx.tasks.leave(&self.task)?;
        Ok(Action::Leave { task })
    }
}

/// Refuses a step that only the main sequence of steps can have.
fn check_outside(head: &Head, cx: &Lowering<'_>) -> Lowered<()> {
    if cx.tasks.inside {
        let message = format!("a task's steps cannot `{}` tasks", head.key.value);
        return Err(Problem::new(&head.key.span, message).into());
    }
    Ok(())
}
