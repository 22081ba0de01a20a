//! Pipes and sockets: making them, draining them, looking at what they hold.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use coldcut_wire::{Failure, op};
use rustix::fs::OFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::pipe::PipeFlags;

use super::target::Target;
use super::write::MAX_CALL;
use crate::alarm::Alarm;
use crate::bytes::AlignedBytes;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::measurements::Measurements;
use crate::state::State;

/// Makes a pipe; returns its capacity.
pub(super) fn pipe(target: &Target<'_>, op: &op::Pipe, measured: &mut Measurements) -> Result<i64, Failure> {
    let name = &op.handle;
    let (read, write) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).tried(|| format!("make the pipe {name}"))?;
    if op.capacity > 0 {
        rustix::pipe::fcntl_setpipe_size(&write, op.capacity as usize)
            .tried(|| format!("give the pipe {name} {} bytes", op.capacity))?;
    }
    let capacity =
        rustix::pipe::fcntl_getpipe_size(&write).tried(|| format!("ask for the capacity of {name}"))? as i64;
    keep(
        target.state,
        [(format!("{name}.r"), read), (format!("{name}.w"), write)],
    )?;
    measured.figure("capacity", capacity);
    Ok(capacity)
}

/// Makes a pair of connected sockets.
pub(super) fn socket(
    target: &Target<'_>,
    op: &op::Socket,
    measured: &mut Measurements,
) -> Result<(), Failure> {
    let name = &op.handle;
    let (a, b) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .tried(|| format!("make the sockets {name}"))?;
    for end in [&a, &b] {
        if op.sndbuf > 0 {
            sockopt::set_socket_send_buffer_size(end, op.sndbuf as usize)
                .tried(|| format!("set SO_SNDBUF of {name}"))?;
        }
        if op.rcvbuf > 0 {
            sockopt::set_socket_recv_buffer_size(end, op.rcvbuf as usize)
                .tried(|| format!("set SO_RCVBUF of {name}"))?;
        }
    }
    let size = sockopt::socket_send_buffer_size(&a).tried(|| format!("ask for SO_SNDBUF of {name}"))?;
    measured.figure("sndbuf", size as i64);
    let size = sockopt::socket_recv_buffer_size(&b).tried(|| format!("ask for SO_RCVBUF of {name}"))?;
    measured.figure("rcvbuf", size as i64);
    keep(target.state, [(format!("{name}.a"), a), (format!("{name}.b"), b)])?;
    Ok(())
}

/// Keeps both ends as handles.
fn keep(state: &State, ends: [(String, OwnedFd); 2]) -> Result<(), Failure> {
    let mut handles = state.handles();
    if let Some((name, _)) = ends.iter().find(|(name, _)| handles.contains_key(name)) {
        return Err(refuse(format!("handle `{name}` is open already")));
    }
    for (name, fd) in ends {
        handles.insert(name, Arc::new(fd));
    }
    Ok(())
}

/// Reads at a rate and throws away what it reads; returns the bytes.
pub(super) fn consume(
    target: &Target<'_>,
    op: &op::Consume,
    watch: &mut Stopwatch,
    measured: &mut Measurements,
) -> Result<i64, Failure> {
    let op::Consume { from, len, rate, .. } = op;
    let (len, rate) = (*len, *rate);
    if rate == 0 || u64::from(rate) > MAX_CALL {
        return Err(refuse(format!(
            "consume {from}: 1 to {MAX_CALL} bytes at a time, not {rate}"
        )));
    }
    let alarm = Alarm::new(op.within_ms)?;
    let file = target.open(from, OFlags::RDONLY, watch)?;
    let mut buffer = AlignedBytes::new(rate as usize)?;
    let what = || format!("consume {from}");
    let mut taken = 0;
    'all: while taken < len {
        let wanted = len.min(taken + u64::from(rate));
        while taken < wanted {
            let room = &mut buffer.as_mut()[..(wanted - taken) as usize];
            let call = || rustix::io::read(file.as_fd(), &mut *room);
            match watch.time(|| alarm.call(what, call))?.tried(what)? {
                0 => break 'all,
                count => taken += count as u64,
            }
        }
        if op.every_ms > 0 && taken < len {
            alarm.sleep(Duration::from_millis(op.every_ms.into()));
        }
    }
    measured.figure("bytes", taken as i64);
    Ok(taken as i64)
}

/// Returns how many bytes a pipe or socket holds for its reader (`FIONREAD`).
pub(super) fn pending(
    target: &Target<'_>,
    op: &op::Pending,
    watch: &mut Stopwatch,
    measured: &mut Measurements,
) -> Result<i64, Failure> {
    let path = &op.path;
    let file = target.open(path, OFlags::RDONLY, watch)?;
    let bytes = watch
        .time(|| rustix::io::ioctl_fionread(file.as_fd()))
        .tried(|| format!("FIONREAD {path}"))?;
    measured.figure("bytes", bytes as i64);
    Ok(bytes as i64)
}
