//! Running a scenario's steps in a guest.

use std::time::Duration;

use coldcut_core::outcome::recovery::CallError;
use coldcut_core::outcome::unknown::{Cause, OrUnknown as _, RefusedStep, Unknown};
use coldcut_core::recording::mark::Mark;
use coldcut_core::scenario::{Action, Step};
use coldcut_wire::{Done, ExecSpec, Output, PatternName, Request, Stream};
use rustix::io::Errno;

use crate::disk::{DeviceHandle, Faults};
use crate::record::disk;
use crate::record::refused::unsupported;
use crate::record::witness::Witness;
use crate::vm::client::GuestClient;
use crate::vm::initramfs;
use crate::vm::machine::{GuestError, Machine, Next};
use crate::vm::pool::Pool;

/// Runs steps in one lane of one guest.
#[derive(Clone, Copy)]
pub(crate) struct Steps<'a> {
    /// Deadlines.
    pub(crate) pool: &'a Pool,
    /// The guest.
    pub(crate) machine: &'a Machine,
    /// The conversation with it, in the lane of these steps.
    pub(crate) client: GuestClient<'a>,
    /// Whether programs run in a root directory of their own.
    pub(crate) rootfs: bool,
    /// Where marks go; the setup has none.
    pub(crate) device: Option<&'a DeviceHandle>,
    /// What holds, fails and slows requests; the setup has none.
    pub(crate) faults: Option<&'a Faults>,
    /// Every pattern that the scenario writes.
    pub(crate) patterns: &'a [PatternName],
    /// Where measurements go.
    pub(crate) witness: &'a Witness,
}

/// How a step is named in messages.
pub(crate) fn doing(step: &Step) -> String {
    format!("step `{}` (line {})", step.name.name, step.line)
}

impl Steps<'_> {
    fn mark(&self, mark: &Mark) -> Result<(), Unknown> {
        match self.device {
            Some(device) => device.mark(mark).or_unknown("marking the log"),
            None => Ok(()),
        }
    }

    /// Runs a step that neither starts nor joins a task.
    pub(crate) async fn run(&self, step: &Step) -> Result<(), Unknown> {
        self.marked(step, self.act(step)).await
    }

    /// BEGIN is logged before anything of the step is done, MARK after its outcome is known. How it should have ended
    /// is judged here.
    pub(crate) async fn marked(
        &self,
        step: &Step,
        act: impl Future<Output = Result<Result<(), CallError>, Unknown>>,
    ) -> Result<(), Unknown> {
        let doing = doing(step);
        self.mark(&Mark::Begin(step.name.clone()))?;
        let outcome = act.await?;
        match (outcome, step.expected_errno) {
            (Ok(()), None) => self.mark(&Mark::Done(step.name.clone())),
            (Err(error), _) if step.any_errno && error.errno.is_some() => {
                self.mark(&Mark::Failed(step.name.clone(), error.errno.unwrap_or(0)))
            }
            (Err(error), wanted) => {
                self.mark(&Mark::Failed(step.name.clone(), error.errno.unwrap_or(0)))?;
                match wanted {
                    Some(wanted) if error.errno == Some(wanted) => Ok(()),
                    Some(wanted) => {
                        let wanted = Errno::from_raw_os_error(wanted);
                        Err(Unknown::new(format!(
                            "{doing} should have failed with {wanted:?}, and failed: {}",
                            error.what
                        )))
                    }
                    None => {
                        let refused = RefusedStep {
                            name: step.name.name.clone(),
                            errno: error.errno,
                            unsupported: unsupported(&step.action, error.errno),
                        };
                        let words = format!("{doing} failed: {}", error.what);
                        Err(Unknown::of(Cause::StepRefused(refused), words))
                    }
                }
            }
            (Ok(()), Some(wanted)) => {
                self.mark(&Mark::Done(step.name.clone()))?;
                let wanted = Errno::from_raw_os_error(wanted);
                Err(Unknown::new(format!(
                    "{doing} should have failed with {wanted:?}, and succeeded"
                )))
            }
        }
    }

    /// What a step does, and what the guest says of it.
    async fn act(&self, step: &Step) -> Result<Result<(), CallError>, Unknown> {
        let doing = doing(step);
        match &step.action {
            Action::Op(op) => {
                let measured = self.client.measure(&doing, op.clone()).await.or_unknown(&doing)?;
                self.witness.keep(step, &measured)?;
                Ok(measured.result.map(drop))
            }
            Action::Exec {
                spec,
                mark_prefix,
                pty,
            } => {
                let on_line = |text: &str| {
                    self.mark(&Mark::Line {
                        index: step.name.index,
                        text: text.to_owned(),
                    })
                };
                let root = self.rootfs.then(|| initramfs::PROGRAMS.to_owned());
                let spec = ExecSpec { root, ..spec.clone() };
                let timeout_ms = spec.timeout_ms;
                let request = if *pty {
                    Request::ExecOnTerminal(spec)
                } else {
                    Request::Exec(spec)
                };
                let limit = Duration::from_millis(timeout_ms) + self.pool.limits.answer;
                self.exec(&doing, (request, limit), mark_prefix.as_deref(), on_line)
                    .await
            }
            Action::Mark => Ok(Ok(())),
            Action::Device(action) => {
                let faults = self
                    .faults
                    .ok_or_else(|| Unknown::new(format!("{doing}: the setup's disk is not controlled")))?;
                disk::act(faults, action, self.patterns)
                    .await
                    .map_err(|why| why.in_words(|words| format!("{doing}: {words}")))?;
                Ok(Ok(()))
            }
            // A scenario is refused that has these inside a task; elsewhere the line of steps runs them.
            Action::Start(_) | Action::Join { .. } | Action::Leave { .. } => Err(Unknown::new(format!(
                "{doing}: the steps of a task start and join none"
            ))),
        }
    }

    /// Runs a program; what it acknowledges is marked as it comes.
    async fn exec(
        &self,
        doing: &str,
        (request, limit): (Request, Duration),
        prefix: Option<&str>,
        mut on_line: impl FnMut(&str) -> Result<(), Unknown>,
    ) -> Result<Result<(), CallError>, Unknown> {
        let mut reply = self
            .machine
            .guest
            .request_in(self.client.lane(), doing, request, limit)
            .await
            .or_unknown(doing)?;
        let mut last = Vec::new();
        loop {
            match reply.next().await {
                Ok(Next::Output(Output::Line { stream, text })) => {
                    if let (Stream::Stdout, Some(prefix)) = (stream, prefix)
                        && let Some(text) = text.strip_prefix(prefix)
                    {
                        on_line(text)?;
                    } else {
                        if last.len() == 5 {
                            last.remove(0);
                        }
                        last.push(text);
                    }
                }
                Ok(Next::Output(other)) => {
                    return Err(Unknown::new(format!("{doing}: unexpected answer {other:.200?}")));
                }
                Ok(Next::Done(Done::Exec { code: 0 })) => return Ok(Ok(())),
                Ok(Next::Done(Done::Exec { code })) => {
                    let what = format!("it ended with {code}; it last said: {}", last.join(" / "));
                    return Ok(Err(CallError { errno: None, what }));
                }
                Ok(Next::Done(other)) => {
                    return Err(Unknown::new(format!("{doing}: unexpected answer {other:?}")));
                }
                Err(GuestError::Failed(failure)) => {
                    return Ok(Err(CallError {
                        errno: failure.errno,
                        what: failure.what,
                    }));
                }
                Err(error) => return Err(Unknown::while_doing(doing, error)),
            }
        }
    }
}
