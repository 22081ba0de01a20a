//! Running a program: its lines are streamed, its time is bounded, its process group ends with it.

mod command;
mod init;
mod output;
mod terminal;
mod verify;

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use coldcut_wire::{Done, ExecSpec, Failure, RequestId};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions};

use crate::failure::{Tried, refuse};
use crate::link::Sender;
use crate::state::{Role, State};

pub(crate) use init::run as init_of_programs;
pub(crate) use verify::verify;

/// Runs the program of `spec` to its end.
pub(crate) fn exec(state: &State, id: RequestId, spec: &ExecSpec, sender: &Sender) -> Result<Done, Failure> {
    let name = name_of(spec)?;
    let command = command::prepare(state, spec, name)?;
    run(state, id, spec, (command, None), u64::MAX, sender)
}

/// The same, with a terminal as the program's standard output.
pub(crate) fn exec_on_terminal(
    state: &State,
    id: RequestId,
    spec: &ExecSpec,
    sender: &Sender,
) -> Result<Done, Failure> {
    let name = name_of(spec)?;
    let mut command = command::prepare(state, spec, name)?;
    let terminal = terminal::as_output(&mut command)?;
    run(state, id, spec, (command, Some(terminal)), u64::MAX, sender)
}

/// The program of `spec`, by the name that it gives it.
fn name_of(spec: &ExecSpec) -> Result<&str, Failure> {
    let name = spec.argv.first();
    Ok(name.ok_or_else(|| refuse("exec: argv is empty"))?)
}

/// Runs a command to its end, of which at most so many bytes of output are heard.
fn run(
    state: &State,
    id: RequestId,
    spec: &ExecSpec,
    (mut command, terminal): (Command, Option<OwnedFd>),
    most_output: u64,
    sender: &Sender,
) -> Result<Done, Failure> {
    let name = name_of(spec)?;
    let start = Instant::now();
    let deadline = start.checked_add(Duration::from_millis(spec.timeout_ms));
    let _child = state.with_child();
    let mut child = command::spawn(state, &mut command)?.tried(|| format!("exec {name}"))?;
    // Its end of a terminal must be open nowhere else.
    drop(command);
    let group = Pid::from_child(&child);
    let result = output::follow(&mut child, terminal, id, (deadline, most_output), sender);
    if state.role == Role::Init && !matches!(result, Ok(Some(_))) {
        // What is left of the killed group; other orphans are collected when no lane has a child.
        while let Ok(Some(_)) = rustix::process::waitpgid(group, WaitOptions::NOHANG) {}
    }
    match result? {
        Some(status) => Ok(Done::Exec { code: code(status) }),
        None => Err(refuse(format!(
            "exec {name}: killed after {} ms",
            spec.timeout_ms
        ))),
    }
}

/// Returns the exit code, or 128 and the signal, as a shell does.
fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// Collects children that others left to PID 1. No lane may have a child of its own.
pub(crate) fn reap_orphans() {
    while let Ok(Some(_)) =
        rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_no_success() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }
}
