//! The calls that move bytes without copying them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use coldcut_wire::pattern::Pattern;
use coldcut_wire::{Failure, TransferCall, op};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::{IoSliceRaw, SpliceFlags};

use super::target::{Opened, Target, is_stream};
use super::write::MAX_CALL;
use crate::alarm::Alarm;
use crate::bytes::AlignedBytes;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::measurements::Measurements;

/// Most bytes that one step moves.
const MAX_LEN: u64 = 1 << 40;

/// Moves bytes by one call again and again; returns how many.
pub(super) fn transfer(
    target: &Target<'_>,
    op: &op::Transfer,
    watch: &mut Stopwatch,
    measured: &mut Measurements,
) -> Result<i64, Failure> {
    let what = || format!("{:?} {} to {}", op.how, op.from, op.to).to_lowercase();
    let alarm = Alarm::new(op.within_ms)?;
    let from = target.open(&op.from, OFlags::RDONLY, watch)?;
    let to = target.open(&op.to, OFlags::WRONLY | OFlags::CREATE, watch)?;
    let has_offsets = !is_stream(from.as_fd(), &op.from)?;
    measured.series("calls");
    let mut moved = 0;
    while moved < op.len.min(MAX_LEN) {
        let left = op.len - moved;
        let count = match op.chunk {
            0 => left,
            chunk => left.min(chunk.into()),
        } as usize;
        let at = has_offsets.then_some(op.offset + moved);
        let start = Instant::now();
        let ended = watch.time(|| alarm.call(what, || transfer_once(op, (&from, at), &to, count)))?;
        match ended {
            Err(Errno::AGAIN) if op.nonblock => break,
            ended => {
                let count = ended.tried(what)? as u64;
                measured.took("calls", start.elapsed())?;
                moved += count;
                // tee(2) consumes nothing: a second call would give the same bytes again.
                if count == 0 || op.how == TransferCall::Tee {
                    break;
                }
            }
        }
    }
    measured.figure("bytes", moved as i64);
    Ok(moved as i64)
}

/// Makes the call once, from the offset if the file has any.
fn transfer_once(
    op: &op::Transfer,
    (from, at): (&Opened, Option<u64>),
    to: &Opened,
    count: usize,
) -> rustix::io::Result<usize> {
    let mut offset = at.unwrap_or_default();
    let offset = at.is_some().then_some(&mut offset);
    let flags = if op.nonblock {
        SpliceFlags::NONBLOCK
    } else {
        SpliceFlags::empty()
    };
    match op.how {
        TransferCall::Splice => rustix::pipe::splice(from, offset, to, None, count, flags),
        TransferCall::Tee => rustix::pipe::tee(from, to, count, flags),
        TransferCall::Sendfile => rustix::fs::sendfile(to, from, offset, count),
    }
}

/// Maps a pattern's first bytes into a pipe; returns how many.
pub(super) fn vmsplice(
    target: &Target<'_>,
    op: &op::Vmsplice,
    watch: &mut Stopwatch,
    measured: &mut Measurements,
) -> Result<i64, Failure> {
    let op::Vmsplice { to, len, .. } = op;
    let len = *len;
    if len == 0 || len > MAX_CALL {
        return Err(refuse(format!(
            "vmsplice to {to}: 1 to {MAX_CALL} bytes, not {len}"
        )));
    }
    let alarm = Alarm::new(op.within_ms)?;
    let pipe = target.open(to, OFlags::WRONLY, watch)?;
    // The pages stay in the pipe when the buffer is unmapped: it holds references of its own.
    let mut buffer = AlignedBytes::new(len as usize)?;
    Pattern::new(&op.pattern).fill(0, buffer.as_mut());
    let what = || format!("vmsplice to {to}");
    measured.series("calls");
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
        measured.took("calls", start.elapsed())?;
        if count == 0 {
            return Err(refuse(format!("{}: it took nothing", what())));
        }
        done += count;
    }
    measured.figure("bytes", done as i64);
    Ok(done as i64)
}

/// Pumps a file through a pipe in one thread; returns the bytes.
pub(super) fn pump(
    target: &Target<'_>,
    op: &op::Pump,
    watch: &mut Stopwatch,
    measured: &mut Measurements,
) -> Result<i64, Failure> {
    if op.chunk == 0 {
        return Err(refuse("pump: a chunk is more than 0 bytes"));
    }
    let alarm = Alarm::new(op.within_ms)?;
    let from = target.open(&op.from, OFlags::RDONLY, watch)?;
    let (read, write) = (end(target, &op.through, "r")?, end(target, &op.through, "w")?);
    let to = target.open(&op.to, OFlags::WRONLY, watch)?;
    if is_stream(from.as_fd(), &op.from)? {
        return Err(refuse(format!("pump: {} is no file", op.from)));
    }
    measured.series("fills");
    measured.series("drains");
    let splice = |from: BorrowedFd<'_>, at: Option<u64>, to: BorrowedFd<'_>, count: u64| {
        let what = || format!("pump {} to {}", op.from, op.to);
        let call = || {
            let mut offset = at.unwrap_or_default();
            let offset = at.is_some().then_some(&mut offset);
            rustix::pipe::splice(from, offset, to, None, count as usize, SpliceFlags::empty())
        };
        alarm.call(what, call)?.tried(what).map(|count| count as u64)
    };
    let mut moved = 0;
    while moved < op.len.min(MAX_LEN) {
        let count = (op.len - moved).min(op.chunk.into());
        let start = Instant::now();
        let filled = watch.time(|| splice(from.as_fd(), Some(op.offset + moved), write.as_fd(), count))?;
        measured.took("fills", start.elapsed())?;
        if filled == 0 {
            break;
        }
        let mut drained = 0;
        while drained < filled {
            let start = Instant::now();
            let count = watch.time(|| splice(read.as_fd(), None, to.as_fd(), filled - drained))?;
            measured.took("drains", start.elapsed())?;
            if count == 0 {
                return Err(refuse(format!("pump: the pipe {} ended early", op.through)));
            }
            drained += count;
        }
        moved += filled;
    }
    measured.figure("bytes", moved as i64);
    Ok(moved as i64)
}

/// Returns one end of a pipe.
fn end(target: &Target<'_>, pipe: &str, end: &str) -> Result<Arc<OwnedFd>, Failure> {
    let name = format!("{pipe}.{end}");
    let handles = target.state.handles();
    handles
        .get(&name)
        .map(Arc::clone)
        .ok_or_else(|| refuse(format!("no handle `{name}` is open")))
}
