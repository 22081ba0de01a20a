//! Following a program: streaming what it prints until it has ended, or its time is up.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use coldcut_wire::{Failure, Output, RequestId, Stream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::failure::{Tried, refuse};
use crate::lines::Lines;
use crate::link::Sender;

/// After the program's end, others may still hold its output (a daemon that it left): listen until they are
/// silent for so long.
const SILENCE: Duration = Duration::from_millis(200);
/// How often a wait looks around.
const TICK: Duration = Duration::from_millis(50);

/// Streams the output until the program has ended (`Some`) or time is up (`None`, and its group is killed). With
/// `terminal`, that is where its standard output arrives. More output than
/// `most` bytes is a failure, and its group is killed.
pub(super) fn follow(
    child: &mut Child,
    terminal: Option<OwnedFd>,
    id: RequestId,
    (deadline, most): (Option<Instant>, u64),
    sender: &Sender,
) -> Result<Option<ExitStatus>, Failure> {
    let group = Pid::from_child(child);
    // Wakes the wait when the program ends; without it the wait looks at every tick.
    let pidfd = pidfd_open(group, PidfdFlags::empty()).ok();
    let mut pipes = [
        Pipe::new(
            terminal.or(child.stdout.take().map(OwnedFd::from)),
            Stream::Stdout,
        ),
        Pipe::new(child.stderr.take().map(OwnedFd::from), Stream::Stderr),
    ];
    let mut status = None;
    let mut printed = 0;
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
            Ok(0) => {}
            Ok(bytes) => {
                heard = Instant::now();
                printed += bytes;
                if printed > most {
                    break Err(refuse(format!("it printed more than {most} bytes")));
                }
            }
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

/// One of the program's outputs.
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

    /// Reads once and passes whole lines on; tells how many bytes there were.
    fn read(&mut self, buffer: &mut [u8], id: RequestId, sender: &Sender) -> Result<u64, Failure> {
        let Some(fd) = &self.fd else { return Ok(0) };
        match rustix::io::read(fd, &mut *buffer) {
            // A terminal whose other end is closed everywhere.
            Ok(0) | Err(Errno::IO) => {
                self.fd = None;
                Ok(0)
            }
            Ok(len) => {
                let stream = self.stream;
                self.lines.push(&buffer[..len], |text| {
                    sender.output(id, Output::Line { stream, text })
                })?;
                Ok(len as u64)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
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
) -> Result<u64, Failure> {
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
    Ok(heard + err.read(buffer, id, sender)?)
}
