//! Tasks: steps that run in the background, and what must be known of them before a scenario runs.

use std::collections::BTreeMap;

use coldcut_wire::LANES;

use super::model::{Action, Task};
use super::step_doc::{JoinDoc, LeaveDoc, StartDoc};
use super::step_entry::StepEntry;
use super::steps::{Lowering, bounded};
use super::yaml::at::At;
use super::yaml::error::{Problem, Sink, Span, line_of};
use super::yaml::names::Label;

/// How long a `join` waits unless it says otherwise.
const WITHIN_MS: u64 = 120_000;

/// The tasks of one sequence of steps.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    all: BTreeMap<String, Started>,
    /// Whether the steps being lowered are a task's own.
    inside: bool,
}

#[derive(Debug)]
struct Started {
    span: Span,
    lane: u8,
    state: State,
    /// Handles that its steps open and leave open.
    opened: BTreeMap<String, String>,
    /// Handles that its steps close.
    closed: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Joined,
    Left,
}

/// ETIMEDOUT on Linux (asm-generic/errno.h).
const TIMED_OUT: i32 = 110;

type Lowered = Result<Action, Box<Problem>>;

impl Tasks {
    /// A lane that no running task has. One that was left may run for ever.
    fn free_lane(&self) -> Option<u8> {
        let used = |lane: u8| {
            self.all
                .values()
                .any(|t| t.lane == lane && t.state != State::Joined)
        };
        (1..LANES).find(|lane| !used(*lane))
    }

    /// Complains about tasks that nobody waits for.
    pub(super) fn at_the_end(&self, sink: &Sink) {
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
    pub(super) fn lane(&self, task: &At<Label>) -> Result<u8, Box<Problem>> {
        self.running(task).map(|started| started.lane)
    }

    fn running(&self, task: &At<Label>) -> Result<&Started, Box<Problem>> {
        let name = &task.value.0;
        match self.all.get(name) {
            Some(started) if started.state == State::Running => Ok(started),
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
}

impl Lowering<'_> {
    fn outside(&self, entry: &StepEntry) -> Result<(), Box<Problem>> {
        if let Some(errno) = &entry.errno {
            let message = format!("`{}` makes no system call that could fail", entry.key.value);
            return Err(Problem::new(&errno.span, message).into());
        }
        self.not_inside(entry)
    }

    fn not_inside(&self, entry: &StepEntry) -> Result<(), Box<Problem>> {
        if self.tasks.inside {
            let message = format!("a task's steps cannot `{}` tasks", entry.key.value);
            return Err(Problem::new(&entry.key.span, message).into());
        }
        Ok(())
    }

    pub(super) fn start(&mut self, doc: &StartDoc, entry: &StepEntry) -> Lowered {
        self.outside(entry)?;
        let name = &doc.task.value.0;
        if let Some(first) = self.tasks.all.get(name) {
            let line = line_of(self.text, first.span.start);
            let message = format!("the task `{name}` is started twice");
            return Err(Problem::new(&doc.task.span, message)
                .label(format!("first started in line {line}"))
                .into());
        }
        let Some(lane) = self.tasks.free_lane() else {
            let message = format!("more than {} tasks would run at once", LANES - 1);
            return Err(Problem::new(&doc.task.span, message).into());
        };
        // Its steps see the handles that are open now. Those that it opens are everybody's once it was joined.
        let before = self.handles.clone();
        self.tasks.inside = true;
        let steps = self.list(&entry.steps);
        self.tasks.inside = false;
        let after = std::mem::replace(&mut self.handles, before);
        let opened = after
            .iter()
            .filter(|(handle, _)| !self.handles.contains_key(*handle))
            .map(|(handle, file)| (handle.clone(), file.clone()))
            .collect();
        let closed = self
            .handles
            .keys()
            .filter(|handle| !after.contains_key(*handle))
            .cloned()
            .collect();
        let started = Started {
            span: doc.task.span.clone(),
            lane,
            state: State::Running,
            opened,
            closed,
        };
        self.tasks.all.insert(name.clone(), started);
        Ok(Action::Start(Task {
            name: name.clone(),
            lane,
            steps,
        }))
    }

    pub(super) fn join(&mut self, doc: &JoinDoc, entry: &StepEntry) -> Lowered {
        if let Some(errno) = &entry.errno {
            self.not_inside(entry)?;
            // The task is still under way after it.
            if errno.value.0.is_none_or(|e| e.0 != TIMED_OUT) {
                let message = "`join` can only fail with ETIMEDOUT: the task still runs";
                return Err(Problem::new(&errno.span, message).into());
            }
            let Some(within) = &doc.within else {
                let message = "say how long the task must still run: `join: {task: …, within: 5s}`";
                return Err(Problem::new(&doc.task.span, message).into());
            };
            self.tasks.running(&doc.task)?;
            return Ok(Action::Join {
                task: doc.task.value.0.clone(),
                within_ms: bounded(within)?,
            });
        }
        self.outside(entry)?;
        let within_ms = doc.within.as_ref().map_or(Ok(WITHIN_MS), bounded)?;
        let task = self.end(&doc.task, State::Joined)?;
        Ok(Action::Join { task, within_ms })
    }

    pub(super) fn leave(&mut self, doc: &LeaveDoc, entry: &StepEntry) -> Lowered {
        self.outside(entry)?;
        if !self.recorded {
            let message = "the setup ends with an unmount, which must wait for every task";
            let help = format!("write `join: {}`", doc.task.value.0);
            return Err(Problem::new(&doc.task.span, message).help(help).into());
        }
        let task = self.end(&doc.task, State::Left)?;
        Ok(Action::Leave { task })
    }

    fn end(&mut self, task: &At<Label>, state: State) -> Result<String, Box<Problem>> {
        self.tasks.running(task)?;
        if let Some(started) = self.tasks.all.get_mut(&task.value.0) {
            started.state = state;
            if state == State::Joined {
                self.handles.extend(std::mem::take(&mut started.opened));
                self.handles.retain(|handle, _| !started.closed.contains(handle));
            }
        }
        Ok(task.value.0.clone())
    }
}
