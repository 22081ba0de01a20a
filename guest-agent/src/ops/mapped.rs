//! Storing through a shared mapping.
//!
//! A store that the filesystem cannot back (no space, an I/O error) raises SIGBUS, which would end PID 1. So the
//! bytes come from a memory file by read(2) *into* the mapping: the kernel takes the same page faults on the same
//! page-table entries as a store would, but a failed one ends the call with an error.

use std::os::fd::{AsFd, BorrowedFd};

use coldcut_wire::pattern::Pattern;
use coldcut_wire::{Failure, MsyncMode, op};
use rustix::fs::{MemfdFlags, OFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags, mmap, msync, munmap};

use super::target::Target;
use crate::bytes::AlignedBytes;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};

const PAGE: u64 = 4096;
/// Bytes copied at a time.
const CHUNK: u64 = 1 << 20;

/// Maps the range, stores the pattern's bytes there, syncs as asked and unmaps. Returns the bytes stored.
pub(super) fn store(target: &Target<'_>, op: &op::MmapStore, watch: &mut Stopwatch) -> Result<i64, Failure> {
    let op::MmapStore {
        path, offset, len, ..
    } = op;
    let (offset, len) = (*offset, *len);
    let what = || format!("mmap store {path} at {offset}");
    let file = target.open(path, OFlags::RDWR, watch)?;
    let size = rustix::fs::fstat(&file).tried(what)?.st_size as u64;
    let Some(end) = offset.checked_add(len).filter(|end| *end <= size && len > 0) else {
        return Err(refuse(format!(
            "{}: {len} bytes do not lie within the file's {size} bytes",
            what()
        )));
    };
    let base = offset - offset % PAGE;
    let length = usize::try_from(end - base).map_err(|_| refuse("the range is too long to map"))?;
    // SAFETY: a fresh mapping at an address that the kernel chooses overlaps nothing.
    let start = watch
        .time(|| unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                base,
            )
        })
        .tried(what)?;
    // The mapping outlives the file's descriptor, as a program's would.
    let stored = fill(
        start.cast(),
        offset - base,
        (offset, len),
        &Pattern::new(&op.pattern),
        watch,
    )
    .and_then(|()| {
        let flags = match op.msync {
            MsyncMode::None => return Ok(()),
            MsyncMode::Async => MsyncFlags::ASYNC,
            MsyncMode::Sync => MsyncFlags::SYNC,
        };
        // SAFETY: the range was mapped just above.
        watch
            .time(|| unsafe { msync(start, length, flags) })
            .tried(|| format!("msync {path} at {offset}"))
    });
    // SAFETY: mapped above; nothing borrows it.
    let unmapped = watch.time(|| unsafe { munmap(start, length) }).tried(what);
    watch.time(|| drop(file));
    stored.and(unmapped).map(|()| len as i64)
}

fn fill(
    start: *mut u8,
    skip: u64,
    (offset, len): (u64, u64),
    content: &Pattern,
    watch: &mut Stopwatch,
) -> Result<(), Failure> {
    let source = rustix::fs::memfd_create("coldcut", MemfdFlags::CLOEXEC)
        .tried(|| "create a memory file".to_owned())?;
    let mut buffer = AlignedBytes::new(len.min(CHUNK) as usize)?;
    let mut done = 0;
    while done < len {
        let count = (len - done).min(CHUNK) as usize;
        let bytes = &mut buffer.as_mut()[..count];
        content.fill(offset + done, bytes);
        put(source.as_fd(), bytes)?;
        let mut copied = 0;
        while copied < count {
            let at = (skip + done) as usize + copied;
            // SAFETY: `at + count - copied` is within the mapping of `skip + len` bytes at `start`, which only
            // this thread uses.
            let room = unsafe { std::slice::from_raw_parts_mut(start.add(at), count - copied) };
            match watch.time(|| rustix::io::pread(&source, room, copied as u64)) {
                Ok(0) => return Err(refuse("the memory file ended early")),
                Ok(more) => copied += more,
                Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(errno).tried(|| {
                        let at = offset + done + copied as u64;
                        format!("store through the mapping at {at} (no space, an I/O error or a shrunk file)")
                    });
                }
            }
        }
        done += count as u64;
    }
    Ok(())
}

fn put(file: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Failure> {
    let mut done = 0;
    while done < bytes.len() {
        done += rustix::io::pwrite(file, &bytes[done..], done as u64)
            .tried(|| "fill a memory file".to_owned())?;
    }
    Ok(())
}
