//! A sequence of steps with the tasks that it starts: one future that drives them all.
//!
//! The host runs a task's steps one after the other in the task's own lane, through the same code as the main line, so
//! the marks of both are logged alike: BEGIN before a step is sent, MARK after its answer came. The marks of different
//! lanes interleave as it happens.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use coldcut_core::outcome::recovery::CallError;
use coldcut_core::outcome::unknown::Unknown;
use coldcut_core::scenario::{Action, Step, Task};
use rustix::io::Errno;

use crate::record::steps::Steps;

type Work<'a> = Pin<Box<dyn Future<Output = Result<(), Unknown>> + Send + 'a>>;

/// Steps under way. Dropping it forgets the tasks that still run; the guest still finishes its current request.
pub(crate) struct Line<'a> {
    steps: Steps<'a>,
    tasks: Vec<Background<'a>>,
}

struct Background<'a> {
    name: &'a str,
    /// `None` once all of its steps are done.
    work: Option<Work<'a>>,
    /// Whether the recording may end while it still runs.
    left: bool,
}

impl<'a> Line<'a> {
    /// Nothing was started yet.
    pub(crate) fn new(steps: Steps<'a>) -> Self {
        Self {
            steps,
            tasks: Vec::new(),
        }
    }

    /// Runs a step of the main line to its end, with what runs beside it.
    ///
    /// # Errors
    /// Why this step, or one of a task, did not run as written.
    pub(crate) async fn run(&mut self, step: &'a Step) -> Result<(), Unknown> {
        let steps = self.steps;
        match &step.action {
            Action::Start(task) => {
                steps.marked(step, async { Ok(Ok(())) }).await?;
                self.start(task);
                Ok(())
            }
            Action::Join { task, within_ms } => {
                let within = Duration::from_millis(*within_ms);
                let joined = self.joined(task, within);
                steps.marked(step, joined).await
            }
            Action::Leave { task } => {
                for known in self.tasks.iter_mut().filter(|t| t.name == task) {
                    known.left = true;
                }
                steps.marked(step, async { Ok(Ok(())) }).await
            }
            Action::Op(_) | Action::Exec { .. } | Action::Mark | Action::Device(_) => {
                self.beside(steps.run(step)).await
            }
        }
    }

    /// Starts a task. From now on, every wait drives it too.
    fn start(&mut self, task: &'a Task) {
        let steps = Steps {
            client: self.steps.client.in_lane(task.lane),
            ..self.steps
        };
        let work = async move {
            for step in &task.steps {
                steps.run(step).await.map_err(|unknown| {
                    unknown.in_words(|why| format!("in the task `{}`: {why}", task.name))
                })?;
            }
            Ok(())
        };
        self.tasks.push(Background {
            name: &task.name,
            work: Some(Box::pin(work)),
            left: false,
        });
    }

    /// Waits for a task to end. A timeout is the step's own ETIMEDOUT, which the scenario may expect.
    async fn joined(&mut self, task: &str, within: Duration) -> Result<Result<(), CallError>, Unknown> {
        let end = poll_fn(|context| {
            if let Poll::Ready(failed) = self.poll(context) {
                return Poll::Ready(Err(failed));
            }
            let runs = self.tasks.iter().any(|t| t.name == task && t.work.is_some());
            if runs { Poll::Pending } else { Poll::Ready(Ok(())) }
        });
        match tokio::time::timeout(within, end).await {
            Ok(ended) => ended.map(Ok),
            Err(_) => Ok(Err(CallError {
                errno: Some(Errno::TIMEDOUT.raw_os_error()),
                what: format!("the task `{task}` was not done within {} ms", within.as_millis()),
            })),
        }
    }

    /// Does something while the tasks go on.
    ///
    /// # Errors
    /// Its own, or a task's.
    pub(crate) async fn beside<T>(
        &mut self,
        work: impl Future<Output = Result<T, Unknown>>,
    ) -> Result<T, Unknown> {
        let mut work = pin!(work);
        poll_fn(|context| {
            // The tasks first: what was started last is sent before what follows it.
            if let Poll::Ready(failed) = self.poll(context) {
                return Poll::Ready(Err(failed));
            }
            work.as_mut().poll(context)
        })
        .await
    }

    /// Drives every task; ready when one failed.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Unknown> {
        for task in &mut self.tasks {
            let Some(work) = &mut task.work else { continue };
            match work.as_mut().poll(context) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => task.work = None,
                Poll::Ready(Err(unknown)) => {
                    task.work = None;
                    return Poll::Ready(unknown);
                }
            }
        }
        Poll::Pending
    }

    /// Checks that every task was waited for, except those that may be left running.
    ///
    /// # Errors
    /// A task still runs, and was not to be left running.
    pub(crate) fn finished(&self) -> Result<(), Unknown> {
        match self.tasks.iter().find(|t| t.work.is_some() && !t.left) {
            None => Ok(()),
            Some(task) => Err(Unknown::new(format!(
                "the task `{}` was still running at the end, and nobody had waited for it",
                task.name
            ))),
        }
    }
}
