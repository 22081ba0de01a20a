//! Tasks that were started.

use std::collections::BTreeMap;

use coldcut_wire::LANES;

use super::handles::{Changes, Handles};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem, Sink, Span, line_of};
use crate::scenario::yaml::names::Label;

/// The tasks of one sequence of steps.
#[derive(Debug, Default)]
pub(in crate::scenario::step) struct Tasks {
    all: BTreeMap<String, Started>,
    /// Whether the steps being lowered are a task's own.
    pub(in crate::scenario::step) inside: bool,
}

#[derive(Debug)]
struct Started {
    span: Span,
    lane: u8,
    state: State,
    /// What its steps leave of handles.
    handles: Changes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Joined,
    Left,
}

impl Tasks {
    /// A lane for a new task.
    pub(in crate::scenario::step) fn lane_for(&self, task: &At<Label>, text: &str) -> Lowered<u8> {
        let name = &task.value.0;
        if let Some(first) = self.all.get(name) {
            let line = line_of(text, first.span.start);
            let message = format!("the task `{name}` is started twice");
            return Err(Problem::new(&task.span, message)
                .label(format!("first started in line {line}"))
                .into());
        }
        self.free_lane().ok_or_else(|| {
            let message = format!("more than {} tasks would run at once", LANES - 1);
            Problem::new(&task.span, message).into()
        })
    }

    /// A lane that no running task has. One that was left may run for ever.
    fn free_lane(&self) -> Option<u8> {
        let used = |lane: u8| {
            self.all
                .values()
                .any(|t| t.lane == lane && t.state != State::Joined)
        };
        (1..LANES).find(|lane| !used(*lane))
    }

    /// Notes a task whose steps made `after` of the handles `before` it.
    pub(in crate::scenario::step) fn start(
        &mut self,
        task: &At<Label>,
        lane: u8,
        before: &Handles,
        after: &Handles,
    ) {
        let started = Started {
            span: task.span.clone(),
            lane,
            state: State::Running,
            handles: before.changes(after),
        };
        self.all.insert(task.value.0.clone(), started);
    }

    /// Complains about tasks that nobody waits for.
    pub(in crate::scenario::step) fn at_the_end(&self, sink: &Sink) {
        for (name, task) in &self.all {
            if task.state == State::Running {
                let message =
                    format!("nobody waits for the task `{name}`, so how it ends would not be known");
                let help = format!(
                    "add `- join: {name}`, or `- leave: {name}` if the power is to be cut while it runs"
                );
                sink.push(Problem::new(&task.span, message).help(help));
            }
        }
    }

    /// The lane of a task that runs.
    pub(in crate::scenario::step) fn lane(&self, task: &At<Label>) -> Lowered<u8> {
        let name = &task.value.0;
        match self.all.get(name) {
            Some(started) if started.state == State::Running => Ok(started.lane),
            Some(started) => {
                let how = if started.state == State::Joined {
                    "joined"
                } else {
                    "left"
                };
                Err(Problem::new(&task.span, format!("the task `{name}` was {how} already")).into())
            }
            None => {
                let problem = Problem::new(&task.span, format!("no task `{name}` was started"));
                Err(problem.nearest(name, self.all.keys().map(String::as_str)).into())
            }
        }
    }

    /// Waits for a task that runs; what it did to handles is known from now on.
    pub(in crate::scenario::step) fn join(
        &mut self,
        task: &At<Label>,
        handles: &mut Handles,
    ) -> Lowered<String> {
        let started = self.end(task, State::Joined)?;
        handles.apply(&mut started.handles);
        Ok(task.value.0.clone())
    }

    /// Leaves a task that runs to itself.
    pub(in crate::scenario::step) fn leave(&mut self, task: &At<Label>) -> Lowered<String> {
        self.end(task, State::Left)?;
        Ok(task.value.0.clone())
    }

    fn end(&mut self, task: &At<Label>, state: State) -> Lowered<&mut Started> {
        self.lane(task)?;
        let known = self.all.get_mut(&task.value.0);
        let started = known.ok_or_else(|| Problem::new(&task.span, "no such task was started"))?;
        started.state = state;
        Ok(started)
    }
}
