//! Running a program: its lines are streamed, its time is bounded, its process group ends with it.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use coldcut_wire::{Done, ExecSpec, Failure, Output, RequestId, Stream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, pidfd_open};

use crate::failure::{Tried, refuse};
use crate::lines::Lines;
use crate::link::Sender;
use crate::state::{MOUNT_POINT, Role, State, relative};

/// Where the scenario's programs are.
const PROGRAMS: &str = "/programs";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/programs";
/// After the program's end, others may still hold its output (a daemon that it left): listen until they are
/// silent for so long.
const SILENCE: Duration = Duration::from_millis(200);
/// How often a wait looks around.
const TICK: Duration = Duration::from_millis(50);

/// Runs the program of `spec` to its end.
pub(crate) fn exec(state: &State, id: RequestId, spec: &ExecSpec, sender: &Sender) -> Result<Done, Failure> {
    let name = spec.argv.first().ok_or_else(|| refuse("exec: argv is empty"))?;
    let mut command = prepare(state, spec, name)?;
    let start = Instant::now();
    let deadline = start.checked_add(Duration::from_millis(spec.timeout_ms));
    let _child = state.with_child();
    let mut child = command.spawn().tried(|| format!("exec {name}"))?;
    let group = Pid::from_child(&child);
    let result = follow(&mut child, id, deadline, sender);
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

fn prepare(state: &State, spec: &ExecSpec, name: &str) -> Result<Command, Failure> {
    let program = if name.starts_with('/') {
        name.to_owned()
    } else {
        format!("{PROGRAMS}/{}", relative(name)?)
    };
    let cwd = relative(&spec.cwd)?.to_owned();
    let mut command = Command::new(program);
    command
        .args(&spec.argv[1..])
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    for (name, value) in &spec.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(refuse(format!(
                "exec: `{name}` is no name of an environment variable, or its value holds NUL"
            )));
        }
        command.env(name, value);
    }
    let mounted = state.mounted()?;
    let root = state.root_copy()?;
    let real = mounted.real;
    let chroot = spec.root.clone();
    if let (Some(root), true) = (&chroot, real) {
        mounted.bind(root)?;
    }
    let chroot = chroot
        .map(std::ffi::CString::new)
        .transpose()
        .map_err(|_| refuse("exec: root holds a NUL byte"))?;
    let inside = std::ffi::CString::new(format!("{MOUNT_POINT}/{cwd}"))
        .map_err(|_| refuse("exec: cwd holds a NUL byte"))?;
    let below = std::ffi::CString::new(cwd).map_err(|_| refuse("exec: cwd holds a NUL byte"))?;
    // SAFETY: the closure makes system calls only; it neither allocates nor takes locks.
    unsafe {
        command.pre_exec(move || {
            rustix::process::fchdir(&root)?;
            if let Some(chroot) = &chroot {
                rustix::process::chroot(chroot.as_c_str())?;
                if real {
                    return Ok(rustix::process::chdir(inside.as_c_str())?);
                }
            }
            Ok(rustix::process::chdir(below.as_c_str())?)
        });
    }
    Ok(command)
}

/// Streams the output until the program has ended (`Some`) or time is up (`None`, and its group is killed).
fn follow(
    child: &mut Child,
    id: RequestId,
    deadline: Option<Instant>,
    sender: &Sender,
) -> Result<Option<ExitStatus>, Failure> {
    let group = Pid::from_child(child);
    // Wakes the wait when the program ends; without it the wait looks at every tick.
    let pidfd = pidfd_open(group, PidfdFlags::empty()).ok();
    let mut pipes = [
        Pipe::new(child.stdout.take().map(OwnedFd::from), Stream::Stdout),
        Pipe::new(child.stderr.take().map(OwnedFd::from), Stream::Stderr),
    ];
    let mut status = None;
    let mut heard = Instant::now();
    let mut buffer = vec![0; 64 << 10];
    let result = loop {
        match listen(
            &mut pipes,
            status.is_none().then_some(pidfd.as_ref()).flatten(),
            &mut buffer,
            id,
            sender,
        ) {
            Ok(true) => heard = Instant::now(),
            Ok(false) => {}
            Err(failure) => break Err(failure),
        }
        if status.is_none() {
            match child.try_wait() {
                Ok(None) => {}
                Ok(found) => {
                    status = found;
                    heard = Instant::now();
                }
                Err(error) => break Err(error).tried(|| "wait for the program".to_owned()),
            }
        }
        let open = pipes.iter().any(|pipe| pipe.fd.is_some());
        if status.is_some() && (!open || heard.elapsed() >= SILENCE) {
            break Ok(status);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            break Ok(None);
        }
    };
    if !matches!(result, Ok(Some(_))) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        let _ = child.wait();
    }
    for pipe in &mut pipes {
        if let Some(line) = pipe.lines.finish() {
            sender.output(
                id,
                Output::Line {
                    stream: pipe.stream,
                    text: line,
                },
            )?;
        }
    }
    result
}

struct Pipe {
    fd: Option<OwnedFd>,
    stream: Stream,
    lines: Lines,
}

impl Pipe {
    fn new(fd: Option<OwnedFd>, stream: Stream) -> Self {
        if let Some(fd) = &fd {
            let _ = rustix::fs::fcntl_setfl(fd, OFlags::NONBLOCK);
        }
        Self {
            fd,
            stream,
            lines: Lines::default(),
        }
    }

    /// Reads once and passes whole lines on; whether there was anything.
    fn read(&mut self, buffer: &mut [u8], id: RequestId, sender: &Sender) -> Result<bool, Failure> {
        let Some(fd) = &self.fd else { return Ok(false) };
        match rustix::io::read(fd, &mut *buffer) {
            Ok(0) => {
                self.fd = None;
                Ok(false)
            }
            Ok(len) => {
                let stream = self.stream;
                self.lines.push(&buffer[..len], |text| {
                    sender.output(id, Output::Line { stream, text })
                })?;
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno).tried(|| "read the program's output".to_owned()),
        }
    }
}

/// Waits a tick for output or the program's end, and passes output on.
fn listen(
    pipes: &mut [Pipe; 2],
    pidfd: Option<&OwnedFd>,
    buffer: &mut [u8],
    id: RequestId,
    sender: &Sender,
) -> Result<bool, Failure> {
    let fds = pipes.iter().filter_map(|pipe| pipe.fd.as_ref()).chain(pidfd);
    let mut fds: Vec<PollFd<'_>> = fds
        .map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN))
        .collect();
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: TICK.subsec_nanos().into(),
    };
    match poll(&mut fds, Some(&tick)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno).tried(|| "wait for output".to_owned()),
    }
    drop(fds);
    let [out, err] = pipes;
    let heard = out.read(buffer, id, sender)?;
    Ok(err.read(buffer, id, sender)? | heard)
}

/// The exit code, or 128 and the signal, as a shell has it.
fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// As PID 1, collects children that others left behind. No lane may have a child of its own.
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
