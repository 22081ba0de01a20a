//! Writing in a loop, each call timed.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use coldcut_wire::pattern::Pattern;
use coldcut_wire::{Failure, op};
use rustix::fs::OFlags;

use super::target::{Opened, Target, appends, is_stream, write_flags};
use super::write::MAX_CALL;
use crate::alarm::Alarm;
use crate::bytes::AlignedBytes;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::measurements::Measurements;

/// Writes the pattern, chunk by chunk; returns the bytes written.
pub(super) fn burst(
    target: &Target<'_>,
    op: &op::Burst,
    watch: &mut Stopwatch,
    measured: &mut Measurements,
) -> Result<i64, Failure> {
    check(op)?;
    let alarm = Alarm::new(op.within_ms)?;
    let mut buffer = AlignedBytes::new(op.chunk as usize)?;
    let file = target.open(&op.path, OFlags::WRONLY | write_flags(op.flags), watch)?;
    let writer = Writer {
        op,
        has_offsets: !is_stream(file.as_fd(), &op.path)? && !appends(&file, &op.path)?,
        file,
        alarm,
    };
    let pattern = Pattern::new(&op.pattern);
    measured.series("writes");
    if op.fsync_every > 0 {
        measured.series("fsyncs");
    }
    let mut written = 0;
    let mut unsynced = 0;
    while written < op.len {
        writer.alarm.check(|| what(op))?;
        let count = u64::from(op.chunk).min(op.len - written) as usize;
        let at = op.offset + written;
        let bytes = &mut buffer.as_mut()[..count];
        pattern.fill(at, bytes);
        let start = Instant::now();
        writer.put(bytes, at, watch)?;
        measured.took("writes", start.elapsed())?;
        written += count as u64;
        unsynced += 1;
        if op.fsync_every > 0 && (unsynced == op.fsync_every || written == op.len) {
            unsynced = 0;
            let start = Instant::now();
            watch
                .time(|| rustix::fs::fsync(writer.file.as_fd()))
                .tried(|| format!("fsync {}", op.path))?;
            measured.took("fsyncs", start.elapsed())?;
        }
        if op.pause_ms > 0 && written < op.len {
            writer.alarm.sleep(Duration::from_millis(op.pause_ms.into()));
        }
    }
    watch.time(|| drop(writer.file));
    measured.figure("bytes", written as i64);
    Ok(written as i64)
}

fn what(op: &op::Burst) -> String {
    format!("burst {}", op.path)
}

/// Refuses what cannot be written chunk by chunk.
fn check(op: &op::Burst) -> Result<(), Failure> {
    let chunk = op.chunk;
    if chunk == 0 || u64::from(chunk) > MAX_CALL {
        return Err(refuse(format!(
            "{}: a chunk is 1 to {MAX_CALL} bytes, not {chunk}",
            what(op)
        )));
    }
    let end = op
        .offset
        .checked_add(op.len)
        .and_then(|end| i64::try_from(end).ok());
    if end.is_none() {
        return Err(refuse(format!("{}: the range does not fit a file", what(op))));
    }
    Ok(())
}

/// A file that is being written.
struct Writer<'a> {
    op: &'a op::Burst,
    file: Opened,
    /// Whether a write goes where it says: not to a pipe, a socket or a file's end.
    has_offsets: bool,
    alarm: Alarm,
}

impl Writer<'_> {
    /// Writes all of `bytes` at `at`: a stream takes what fits, and the rest follows.
    fn put(&self, bytes: &[u8], at: u64, watch: &mut Stopwatch) -> Result<(), Failure> {
        let (path, file) = (&self.op.path, self.file.as_fd());
        let mut done = 0;
        while done < bytes.len() {
            let call = || {
                if self.has_offsets {
                    rustix::io::pwrite(file, &bytes[done..], at + done as u64)
                } else {
                    rustix::io::write(file, &bytes[done..])
                }
            };
            match watch
                .time(|| self.alarm.call(|| what(self.op), call))?
                .tried(|| format!("write {path} at {at}"))?
            {
                0 => return Err(refuse(format!("write {path} at {at}: write(2) returned 0"))),
                more => done += more,
            }
        }
        Ok(())
    }
}
