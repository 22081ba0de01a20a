//! Writing self-describing content.

use coldcut_wire::pattern::Content;
use coldcut_wire::{Failure, PatternName, WriteFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::os::fd::AsFd;

use super::aio::Queue;
use super::{Target, write_flags};
use crate::bytes::AlignedBytes;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::place::Place;

/// Longest single write(2): the guest's memory is small.
pub(super) const MAX_CALL: u64 = 64 << 20;

/// What part of the file to write, and how.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) len: u64,
    /// Bytes a write(2), 0 for all in one.
    pub(super) chunk: u32,
}

/// Writes the content's bytes of the file offsets that they land on. Returns the bytes written.
pub(super) fn write<'a>(
    target: &Target<'a>,
    path: &'a str,
    span: Span,
    content: &PatternName,
    flags: WriteFlags,
    watch: &mut Stopwatch,
) -> Result<i64, Failure> {
    let call = match span.chunk {
        0 => span.len,
        chunk => span.len.min(chunk.into()),
    };
    if call > MAX_CALL {
        return Err(refuse(format!(
            "write {path}: one call of {call} bytes is over the limit of {MAX_CALL}; set a smaller chunk"
        )));
    }
    let is_handle = matches!(target.place(path)?, Place::Handle(_));
    if is_handle
        && (WriteFlags {
            create: false,
            ..flags
        }) != WriteFlags::default()
    {
        return Err(refuse(format!(
            "write {path}: a handle keeps the flags that it was opened with"
        )));
    }
    let mut buffer = AlignedBytes::new(call as usize)?;
    let file = target.open(path, OFlags::WRONLY | write_flags(flags), watch)?;
    let append = rustix::fs::fcntl_getfl(&file)
        .tried(|| format!("read the flags of {path}"))?
        .contains(OFlags::APPEND);
    let start = if append {
        let stat = rustix::fs::fstat(&file).tried(|| format!("stat {path}"))?;
        stat.st_size as u64
    } else {
        span.offset
    };
    if start
        .checked_add(span.len)
        .is_none_or(|end| i64::try_from(end).is_err())
    {
        return Err(Errno::FBIG).tried(|| format!("write {path} at {start}"));
    }
    let queue = flags.aio.then(Queue::new).transpose()?;
    let content = Content::new(content);
    let mut written = 0;
    let mut result = Ok(());
    while written < span.len && result.is_ok() {
        let len = call.min(span.len - written) as usize;
        let bytes = &mut buffer.as_mut()[..len];
        content.fill(start + written, bytes);
        let mut done = 0;
        while done < len {
            let at = start + written + done as u64;
            let rest = &bytes[done..];
            let wrote = watch.time(|| match &queue {
                Some(queue) => queue.pwrite(file.as_fd(), rest, at),
                None if append => rustix::io::write(file.as_fd(), rest),
                None => rustix::io::pwrite(file.as_fd(), rest, at),
            });
            match wrote {
                Ok(0) => result = Err(refuse(format!("write {path} at {at}: write(2) returned 0"))),
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(errno) => result = Err(errno).tried(|| format!("write {path} at {at}")),
            }
            if result.is_err() {
                break;
            }
        }
        written += done as u64;
    }
    watch.time(|| drop(file));
    result.map(|()| written as i64)
}
