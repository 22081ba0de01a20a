//! Pipes, sockets, and the calls that move bytes through them without copying.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_wire::pattern::Content;
use coldcut_wire::{Failure, PatternName, TransferCall};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::pipe::{IoSliceRaw, PipeFlags, SpliceFlags};

use super::Target;
use super::burst::is_stream;
use super::write::MAX_CALL;
use crate::alarm::Alarm;
use crate::bytes::AlignedBytes;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::found::Found;
use crate::session::Session;

/// Most bytes that one step moves.
const MAX_LEN: u64 = 1 << 40;

fn keep(session: &Session, ends: [(String, OwnedFd); 2]) -> Result<(), Failure> {
    let mut handles = session.handles();
    if let Some((name, _)) = ends.iter().find(|(name, _)| handles.contains_key(name)) {
        return Err(refuse(format!("handle `{name}` is open already")));
    }
    for (name, fd) in ends {
        handles.insert(name, Arc::new(fd));
    }
    Ok(())
}

/// Makes a pipe; returns its capacity.
pub(super) fn pipe(session: &Session, name: &str, capacity: u32, found: &mut Found) -> Result<i64, Failure> {
    let (read, write) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).tried(|| format!("make the pipe {name}"))?;
    if capacity > 0 {
        rustix::pipe::fcntl_setpipe_size(&write, capacity as usize)
            .tried(|| format!("give the pipe {name} {capacity} bytes"))?;
    }
    let capacity =
        rustix::pipe::fcntl_getpipe_size(&write).tried(|| format!("ask for the capacity of {name}"))? as i64;
    keep(
        session,
        [(format!("{name}.r"), read), (format!("{name}.w"), write)],
    )?;
    found.figure("capacity", capacity);
    Ok(capacity)
}

/// Makes a pair of connected sockets.
pub(super) fn socket(
    session: &Session,
    name: &str,
    sndbuf: u32,
    rcvbuf: u32,
    found: &mut Found,
) -> Result<i64, Failure> {
    let (a, b) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .tried(|| format!("make the sockets {name}"))?;
    for end in [&a, &b] {
        if sndbuf > 0 {
            sockopt::set_socket_send_buffer_size(end, sndbuf as usize)
                .tried(|| format!("set SO_SNDBUF of {name}"))?;
        }
        if rcvbuf > 0 {
            sockopt::set_socket_recv_buffer_size(end, rcvbuf as usize)
                .tried(|| format!("set SO_RCVBUF of {name}"))?;
        }
    }
    let size = sockopt::socket_send_buffer_size(&a).tried(|| format!("ask for SO_SNDBUF of {name}"))?;
    found.figure("sndbuf", size as i64);
    let size = sockopt::socket_recv_buffer_size(&b).tried(|| format!("ask for SO_RCVBUF of {name}"))?;
    found.figure("rcvbuf", size as i64);
    keep(session, [(format!("{name}.a"), a), (format!("{name}.b"), b)])?;
    Ok(0)
}

/// What to move, and how.
pub(super) struct Moving<'a> {
    pub(super) how: TransferCall,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) chunk: u32,
    pub(super) nonblock: bool,
    pub(super) within_ms: u64,
}

/// Moves bytes; returns how many.
pub(super) fn transfer<'a>(
    target: &Target<'a>,
    moving: &Moving<'a>,
    watch: &mut Stopwatch,
    found: &mut Found,
) -> Result<i64, Failure> {
    let what = || format!("{:?} {} to {}", moving.how, moving.from, moving.to).to_lowercase();
    let alarm = Alarm::new(moving.within_ms)?;
    let from = target.open(moving.from, OFlags::RDONLY, watch)?;
    let to = target.open(moving.to, OFlags::WRONLY | OFlags::CREATE, watch)?;
    let stream = is_stream(from.as_fd(), moving.from)?;
    let flags = if moving.nonblock {
        SpliceFlags::NONBLOCK
    } else {
        SpliceFlags::empty()
    };
    found.series("calls");
    let mut moved = 0;
    while moved < moving.len.min(MAX_LEN) {
        let left = moving.len - moved;
        let count = match moving.chunk {
            0 => left,
            chunk => left.min(chunk.into()),
        } as usize;
        let at = moving.offset + moved;
        let start = Instant::now();
        let call = || {
            let mut offset = at;
            let from_offset = (!stream).then_some(&mut offset);
            match moving.how {
                TransferCall::Splice => {
                    rustix::pipe::splice(from.as_fd(), from_offset, to.as_fd(), None, count, flags)
                }
                TransferCall::Tee => rustix::pipe::tee(from.as_fd(), to.as_fd(), count, flags),
                TransferCall::Sendfile => rustix::fs::sendfile(to.as_fd(), from.as_fd(), from_offset, count),
            }
        };
        let ended = watch.time(|| alarm.call(what, call))?;
        match ended {
            Err(Errno::AGAIN) if moving.nonblock => break,
            ended => {
                let count = ended.tried(what)? as u64;
                found.took("calls", start.elapsed())?;
                moved += count;
                // tee(2) consumes nothing: a second call would give the same bytes again.
                if count == 0 || moving.how == TransferCall::Tee {
                    break;
                }
            }
        }
    }
    found.figure("bytes", moved as i64);
    Ok(moved as i64)
}

/// Maps a content's first bytes into a pipe; returns how many.
pub(super) fn vmsplice<'a>(
    target: &Target<'a>,
    to: &'a str,
    len: u64,
    content: &PatternName,
    within_ms: u64,
    watch: &mut Stopwatch,
    found: &mut Found,
) -> Result<i64, Failure> {
    if len == 0 || len > MAX_CALL {
        return Err(refuse(format!(
            "vmsplice to {to}: 1 to {MAX_CALL} bytes, not {len}"
        )));
    }
    let alarm = Alarm::new(within_ms)?;
    let pipe = target.open(to, OFlags::WRONLY, watch)?;
    // The pages stay in the pipe when the buffer is unmapped: it holds references of its own.
    let mut buffer = AlignedBytes::new(len as usize)?;
    Content::new(content).fill(0, buffer.as_mut());
    let what = || format!("vmsplice to {to}");
    found.series("calls");
    let mut done = 0;
    while done < len as usize {
        let rest = &mut buffer.as_mut()[done..];
        let start = Instant::now();
        // SAFETY: without SPLICE_F_GIFT the kernel only reads these bytes, which stay as they are.
        let call = || unsafe {
            rustix::pipe::vmsplice(
                pipe.as_fd(),
                &[IoSliceRaw::from_slice(rest)],
                SpliceFlags::empty(),
            )
        };
        let count = watch.time(|| alarm.call(what, call))?.tried(what)?;
        found.took("calls", start.elapsed())?;
        if count == 0 {
            return Err(refuse(format!("{}: it took nothing", what())));
        }
        done += count;
    }
    found.figure("bytes", done as i64);
    Ok(done as i64)
}

/// What to pump, and how.
pub(super) struct Pumping<'a> {
    pub(super) from: &'a str,
    pub(super) through: &'a str,
    pub(super) to: &'a str,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) chunk: u32,
    pub(super) within_ms: u64,
}

/// Pumps a file through a pipe in one thread; returns the bytes.
pub(super) fn pump<'a>(
    target: &Target<'a>,
    pumping: &Pumping<'a>,
    watch: &mut Stopwatch,
    found: &mut Found,
) -> Result<i64, Failure> {
    let alarm = Alarm::new(pumping.within_ms)?;
    let from = target.open(pumping.from, OFlags::RDONLY, watch)?;
    let (read, write) = (
        end(target, pumping.through, "r")?,
        end(target, pumping.through, "w")?,
    );
    let to = target.open(pumping.to, OFlags::WRONLY, watch)?;
    if is_stream(from.as_fd(), pumping.from)? {
        return Err(refuse(format!("pump: {} is no file", pumping.from)));
    }
    found.series("fills");
    found.series("drains");
    let splice = |from: BorrowedFd<'_>, at: Option<u64>, to: BorrowedFd<'_>, count: u64| {
        let what = || format!("pump {} to {}", pumping.from, pumping.to);
        let call = || {
            let mut offset = at.unwrap_or_default();
            let offset = at.is_some().then_some(&mut offset);
            rustix::pipe::splice(from, offset, to, None, count as usize, SpliceFlags::empty())
        };
        alarm.call(what, call)?.tried(what).map(|count| count as u64)
    };
    let mut moved = 0;
    while moved < pumping.len.min(MAX_LEN) {
        let count = (pumping.len - moved).min(pumping.chunk.into());
        let start = Instant::now();
        let filled =
            watch.time(|| splice(from.as_fd(), Some(pumping.offset + moved), write.as_fd(), count))?;
        found.took("fills", start.elapsed())?;
        if filled == 0 {
            break;
        }
        let mut drained = 0;
        while drained < filled {
            let start = Instant::now();
            let count = watch.time(|| splice(read.as_fd(), None, to.as_fd(), filled - drained))?;
            found.took("drains", start.elapsed())?;
            if count == 0 {
                return Err(refuse(format!("pump: the pipe {} ended early", pumping.through)));
            }
            drained += count;
        }
        moved += filled;
    }
    found.figure("bytes", moved as i64);
    Ok(moved as i64)
}

/// One end of a pipe.
fn end(target: &Target<'_>, pipe: &str, end: &str) -> Result<Arc<OwnedFd>, Failure> {
    let name = format!("{pipe}.{end}");
    let handles = target.session.handles();
    handles
        .get(&name)
        .map(Arc::clone)
        .ok_or_else(|| refuse(format!("no handle `{name}` is open")))
}

/// Reads at a rate and throws away what it reads; returns the bytes.
pub(super) fn consume<'a>(
    target: &Target<'a>,
    from: &'a str,
    len: u64,
    (rate, every_ms): (u32, u32),
    within_ms: u64,
    watch: &mut Stopwatch,
    found: &mut Found,
) -> Result<i64, Failure> {
    if rate == 0 || u64::from(rate) > MAX_CALL {
        return Err(refuse(format!(
            "consume {from}: 1 to {MAX_CALL} bytes at a time, not {rate}"
        )));
    }
    let alarm = Alarm::new(within_ms)?;
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
        if every_ms > 0 && taken < len {
            alarm.sleep(Duration::from_millis(every_ms.into()));
        }
    }
    found.figure("bytes", taken as i64);
    Ok(taken as i64)
}

/// `FIONREAD`.
pub(super) fn pending<'a>(
    target: &Target<'a>,
    path: &'a str,
    watch: &mut Stopwatch,
    found: &mut Found,
) -> Result<i64, Failure> {
    let file = target.open(path, OFlags::RDONLY, watch)?;
    let bytes = watch
        .time(|| rustix::io::ioctl_fionread(file.as_fd()))
        .tried(|| format!("FIONREAD {path}"))?;
    found.figure("bytes", bytes as i64);
    Ok(bytes as i64)
}
