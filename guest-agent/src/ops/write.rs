//! Writing patterns.

use std::os::fd::AsFd;

use coldcut_wire::pattern::Pattern;
use coldcut_wire::{Failure, WriteFlags, op};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::aio::Queue;
use super::target::{Opened, Target, appends, write_flags};
use crate::bytes::AlignedBytes;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::state::Resolved;

/// Longest single write(2): the guest's memory is small.
pub(super) const MAX_CALL: u64 = 64 << 20;

/// Writes the pattern's bytes of the file offsets that they land on. Returns the bytes written.
pub(super) fn write(target: &Target<'_>, op: &op::Write, watch: &mut Stopwatch) -> Result<i64, Failure> {
    let call = call_len(op)?;
    refuse_flags_of_handle(target, op)?;
    let mut buffer = AlignedBytes::new(call as usize)?;
    let file = target.open(&op.path, OFlags::WRONLY | write_flags(op.flags), watch)?;
    let append = appends(&file, &op.path)?;
    let start = start(&file, op, append)?;
    let writer = Writer {
        path: &op.path,
        queue: op.flags.aio.then(Queue::new).transpose()?,
        append,
        file,
    };
    let pattern = Pattern::new(&op.pattern);
    let mut written = 0;
    let mut result = Ok(());
    while written < op.len && result.is_ok() {
        let len = call.min(op.len - written) as usize;
        let bytes = &mut buffer.as_mut()[..len];
        pattern.fill(start + written, bytes);
        result = writer.put(bytes, start + written, watch);
        written += len as u64;
    }
    watch.time(|| drop(writer.file));
    result.map(|()| written as i64)
}

/// Returns how many bytes a call writes.
fn call_len(op: &op::Write) -> Result<u64, Failure> {
    let call = match op.chunk {
        0 => op.len,
        chunk => op.len.min(chunk.into()),
    };
    if call > MAX_CALL {
        return Err(refuse(format!(
            "write {}: one call of {call} bytes is over the limit of {MAX_CALL}; set a smaller chunk",
            op.path
        )));
    }
    Ok(call)
}

/// Refuses flags for a handle, which has its own.
fn refuse_flags_of_handle(target: &Target<'_>, op: &op::Write) -> Result<(), Failure> {
    let is_handle = matches!(target.resolve(&op.path)?, Resolved::Handle(_));
    let flags = WriteFlags {
        create: false,
        ..op.flags
    };
    if is_handle && flags != WriteFlags::default() {
        return Err(refuse(format!(
            "write {}: a handle keeps the flags that it was opened with",
            op.path
        )));
    }
    Ok(())
}

/// Returns the offset that the first byte lands on.
fn start(file: &Opened, op: &op::Write, append: bool) -> Result<u64, Failure> {
    let path = &op.path;
    let start = if append {
        let stat = rustix::fs::fstat(file).tried(|| format!("stat {path}"))?;
        stat.st_size as u64
    } else {
        op.offset
    };
    let end = start.checked_add(op.len).and_then(|end| i64::try_from(end).ok());
    match end {
        Some(_) => Ok(start),
        None => Err(Errno::FBIG).tried(|| format!("write {path} at {start}")),
    }
}

/// A file that is being written.
struct Writer<'a> {
    path: &'a str,
    file: Opened,
    /// For asynchronous writes.
    queue: Option<Queue>,
    append: bool,
}

impl Writer<'_> {
    /// Writes all of `bytes` at `at`, in as many calls as it takes.
    fn put(&self, bytes: &[u8], at: u64, watch: &mut Stopwatch) -> Result<(), Failure> {
        let (path, file) = (self.path, self.file.as_fd());
        let mut done = 0;
        while done < bytes.len() {
            let at = at + done as u64;
            let rest = &bytes[done..];
            let wrote = watch.time(|| match &self.queue {
                Some(queue) => queue.pwrite(file, rest, at),
                None if self.append => rustix::io::write(file, rest),
                None => rustix::io::pwrite(file, rest, at),
            });
            match wrote {
                Ok(0) => return Err(refuse(format!("write {path} at {at}: write(2) returned 0"))),
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).tried(|| format!("write {path} at {at}")),
            }
        }
        Ok(())
    }
}
