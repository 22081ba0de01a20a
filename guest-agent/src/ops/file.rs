//! Operations on a file's size and space, and making it durable.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};

use coldcut_wire::{Failure, FallocateMode, op};
use rustix::fs::{FallocateFlags, FileType, OFlags};
use rustix::io::Errno;

use super::target::Target;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::state::Resolved;

/// Spells a path for the system calls that take no directory descriptor.
pub(super) fn by_proc(root: BorrowedFd<'_>, path: &str) -> String {
    format!("/proc/self/fd/{}/{path}", root.as_raw_fd())
}

/// Changes a file's size. A path gets truncate(2) itself, since opening and closing a file can have effects of their
/// own.
pub(super) fn truncate(target: &Target<'_>, op: &op::Truncate, watch: &mut Stopwatch) -> Result<(), Failure> {
    let op::Truncate { path, size } = op;
    let what = || format!("truncate {path} to {size}");
    let Ok(length) = libc::off_t::try_from(*size) else {
        return Err(Errno::FBIG).tried(what);
    };
    match target.resolve(path)? {
        Resolved::Handle(fd) => watch.time(|| rustix::fs::ftruncate(fd, *size)).tried(what),
        Resolved::Path(path) => {
            let full =
                CString::new(by_proc(target.root(), path)).map_err(|_| refuse("a NUL byte in a path"))?;
            // SAFETY: the path is a C string that lives through the call.
            match watch.time(|| unsafe { libc::truncate(full.as_ptr(), length) }) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()).tried(what),
            }
        }
    }
}

/// Allocates, frees or moves a file's space.
pub(super) fn fallocate(
    target: &Target<'_>,
    op: &op::Fallocate,
    watch: &mut Stopwatch,
) -> Result<(), Failure> {
    target.with_file(&op.path, OFlags::WRONLY, "fallocate", watch, |fd| {
        rustix::fs::fallocate(fd, fallocate_flags(op.mode), op.offset, op.len)
    })
}

fn fallocate_flags(mode: FallocateMode) -> FallocateFlags {
    match mode {
        FallocateMode::Allocate => FallocateFlags::empty(),
        FallocateMode::KeepSize => FallocateFlags::KEEP_SIZE,
        FallocateMode::PunchHole => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        FallocateMode::ZeroRange => FallocateFlags::ZERO_RANGE,
        FallocateMode::ZeroRangeKeepSize => FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
        FallocateMode::CollapseRange => FallocateFlags::COLLAPSE_RANGE,
        FallocateMode::InsertRange => FallocateFlags::INSERT_RANGE,
        FallocateMode::UnshareRange => FallocateFlags::UNSHARE_RANGE,
    }
}

/// Makes a file or directory durable.
pub(super) fn fsync(target: &Target<'_>, op: &op::Fsync, watch: &mut Stopwatch) -> Result<(), Failure> {
    let path = &op.path;
    let mut flags = OFlags::RDONLY;
    if op.directory {
        flags |= OFlags::DIRECTORY;
        if let Resolved::Handle(fd) = target.resolve(path)? {
            let stat = rustix::fs::fstat(fd).tried(|| format!("stat {path}"))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                return Err(Errno::NOTDIR).tried(|| format!("fsync {path}"));
            }
        }
    }
    target.with_file(path, flags, "fsync", watch, |fd| rustix::fs::fsync(fd))
}

/// Makes a file's data durable, and what it takes to find them.
pub(super) fn fdatasync(
    target: &Target<'_>,
    op: &op::Fdatasync,
    watch: &mut Stopwatch,
) -> Result<(), Failure> {
    target.with_file(&op.path, OFlags::RDONLY, "fdatasync", watch, |fd| {
        rustix::fs::fdatasync(fd)
    })
}

/// Makes the whole filesystem durable.
pub(super) fn syncfs(target: &Target<'_>, watch: &mut Stopwatch) -> Result<(), Failure> {
    watch
        .time(|| rustix::fs::syncfs(target.root()))
        .tried(|| "syncfs".to_owned())
}

/// Writes a range of a file's pages back.
pub(super) fn sync_file_range(
    target: &Target<'_>,
    op: &op::SyncFileRange,
    watch: &mut Stopwatch,
) -> Result<(), Failure> {
    target.with_file(&op.path, OFlags::RDONLY, "sync_file_range", watch, |fd| {
        sync_range(fd, op)
    })
}

fn sync_range(fd: BorrowedFd<'_>, op: &op::SyncFileRange) -> rustix::io::Result<()> {
    let (Ok(offset), Ok(len)) = (i64::try_from(op.offset), i64::try_from(op.len)) else {
        return Err(Errno::INVAL);
    };
    let bits = [
        (op.flags.wait_before, libc::SYNC_FILE_RANGE_WAIT_BEFORE),
        (op.flags.write, libc::SYNC_FILE_RANGE_WRITE),
        (op.flags.wait_after, libc::SYNC_FILE_RANGE_WAIT_AFTER),
    ];
    let bits = bits
        .iter()
        .filter(|(set, _)| *set)
        .fold(0, |sum, (_, bit)| sum | bit);
    // SAFETY: no memory is involved.
    match unsafe { libc::sync_file_range(fd.as_raw_fd(), offset, len, bits) } {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}
