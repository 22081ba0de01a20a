//! Writing in a loop, each call timed.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use coldcut_wire::pattern::Content;
use coldcut_wire::{Failure, PatternName, WriteFlags};
use rustix::fs::OFlags;

use super::write::MAX_CALL;
use super::{Target, write_flags};
use crate::alarm::Alarm;
use crate::bytes::AlignedBytes;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::found::Found;

/// What to write, and how.
pub(super) struct Burst<'a> {
    pub(super) path: &'a str,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) chunk: u32,
    pub(super) content: &'a PatternName,
    pub(super) flags: WriteFlags,
    pub(super) fsync_every: u32,
    pub(super) pause_ms: u32,
    pub(super) within_ms: u64,
}

/// Runs it; returns the bytes written.
pub(super) fn burst<'a>(
    target: &Target<'a>,
    burst: &Burst<'a>,
    watch: &mut Stopwatch,
    found: &mut Found,
) -> Result<i64, Failure> {
    let Burst { path, len, chunk, .. } = *burst;
    let what = || format!("burst {path}");
    if chunk == 0 || u64::from(chunk) > MAX_CALL {
        return Err(refuse(format!(
            "{}: a chunk is 1 to {MAX_CALL} bytes, not {chunk}",
            what()
        )));
    }
    let end = burst
        .offset
        .checked_add(len)
        .and_then(|end| i64::try_from(end).ok());
    if end.is_none() {
        return Err(refuse(format!("{}: the range does not fit a file", what())));
    }
    let alarm = Alarm::new(burst.within_ms)?;
    let mut buffer = AlignedBytes::new(chunk as usize)?;
    let file = target.open(path, OFlags::WRONLY | write_flags(burst.flags), watch)?;
    let stream = is_stream(file.as_fd(), path)?;
    let append = rustix::fs::fcntl_getfl(&file)
        .tried(|| format!("read the flags of {path}"))?
        .contains(OFlags::APPEND);
    let content = Content::new(burst.content);
    found.series("writes");
    if burst.fsync_every > 0 {
        found.series("fsyncs");
    }
    let mut written = 0;
    let mut unsynced = 0;
    while written < len {
        alarm.check(what)?;
        let count = u64::from(chunk).min(len - written) as usize;
        let at = burst.offset + written;
        let bytes = &mut buffer.as_mut()[..count];
        content.fill(at, bytes);
        let start = Instant::now();
        // A stream takes what fits; the rest follows within the same call's time.
        let mut done = 0;
        while done < count {
            let call = || {
                if append || stream {
                    rustix::io::write(file.as_fd(), &bytes[done..])
                } else {
                    rustix::io::pwrite(file.as_fd(), &bytes[done..], at + done as u64)
                }
            };
            match watch
                .time(|| alarm.call(what, call))?
                .tried(|| format!("write {path} at {at}"))?
            {
                0 => return Err(refuse(format!("write {path} at {at}: write(2) returned 0"))),
                more => done += more,
            }
        }
        found.took("writes", start.elapsed())?;
        written += count as u64;
        unsynced += 1;
        if burst.fsync_every > 0 && (unsynced == burst.fsync_every || written == len) {
            unsynced = 0;
            let start = Instant::now();
            watch
                .time(|| rustix::fs::fsync(file.as_fd()))
                .tried(|| format!("fsync {path}"))?;
            found.took("fsyncs", start.elapsed())?;
        }
        if burst.pause_ms > 0 && written < len {
            alarm.sleep(Duration::from_millis(burst.pause_ms.into()));
        }
    }
    watch.time(|| drop(file));
    found.figure("bytes", written as i64);
    Ok(written as i64)
}

/// Whether a file has no offsets: a pipe or a socket.
pub(super) fn is_stream(file: std::os::fd::BorrowedFd<'_>, path: &str) -> Result<bool, Failure> {
    use rustix::fs::FileType;
    let stat = rustix::fs::fstat(file).tried(|| format!("stat {path}"))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    Ok(matches!(kind, FileType::Fifo | FileType::Socket))
}
