//! Operations on one file's inode: size, space, attributes, and making it durable.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};

use coldcut_wire::{Failure, FallocateMode, Op, SyncRangeFlags, op};
use rustix::fs::{AtFlags, FallocateFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::Target;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::place::Place;

const NANOS: i64 = 1_000_000_000;

pub(super) fn run<'a>(target: &Target<'a>, op: &'a Op, watch: &mut Stopwatch) -> Result<(), Failure> {
    let root = target.root();
    match op {
        Op::Truncate(op::Truncate { path, size }) => truncate(target, path, *size, watch),
        Op::Fallocate(op::Fallocate {
            path,
            mode,
            offset,
            len,
        }) => target.with_file(path, OFlags::WRONLY, "fallocate", watch, |fd| {
            rustix::fs::fallocate(fd, fallocate_flags(*mode), *offset, *len)
        }),
        Op::Setxattr(op::Setxattr { path, name, value }) => {
            let what = || format!("setxattr {path} {name}");
            match target.place(path)? {
                Place::Handle(fd) => {
                    watch.time(|| rustix::fs::fsetxattr(fd, name.as_str(), value, XattrFlags::empty()))
                }
                Place::Path(path) => {
                    let path = by_proc(root, path);
                    watch.time(|| rustix::fs::lsetxattr(path, name.as_str(), value, XattrFlags::empty()))
                }
            }
            .tried(what)
        }
        Op::Removexattr(op::Removexattr { path, name }) => {
            let what = || format!("removexattr {path} {name}");
            match target.place(path)? {
                Place::Handle(fd) => watch.time(|| rustix::fs::fremovexattr(fd, name.as_str())),
                Place::Path(path) => {
                    let path = by_proc(root, path);
                    watch.time(|| rustix::fs::lremovexattr(path, name.as_str()))
                }
            }
            .tried(what)
        }
        Op::Chmod(op::Chmod { path, mode }) => {
            let bits = Mode::from_raw_mode(*mode);
            match target.place(path)? {
                Place::Handle(fd) => watch.time(|| rustix::fs::fchmod(fd, bits)),
                Place::Path(path) => watch.time(|| rustix::fs::chmodat(root, path, bits, AtFlags::empty())),
            }
            .tried(|| format!("chmod {path}"))
        }
        Op::Chown(op::Chown { path, uid, gid }) => {
            // As in chown(2), -1 leaves one as it is.
            let uid = (*uid != u32::MAX).then(|| Uid::from_raw(*uid));
            let gid = (*gid != u32::MAX).then(|| Gid::from_raw(*gid));
            match target.place(path)? {
                Place::Handle(fd) => watch.time(|| rustix::fs::fchown(fd, uid, gid)),
                Place::Path(path) => {
                    watch.time(|| rustix::fs::chownat(root, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW))
                }
            }
            .tried(|| format!("chown {path}"))
        }
        Op::Utimes(op::Utimes {
            path,
            atime_ns,
            mtime_ns,
        }) => {
            let times = Timestamps {
                last_access: timespec(*atime_ns),
                last_modification: timespec(*mtime_ns),
            };
            match target.place(path)? {
                Place::Handle(fd) => watch.time(|| rustix::fs::futimens(fd, &times)),
                Place::Path(path) => {
                    watch.time(|| rustix::fs::utimensat(root, path, &times, AtFlags::empty()))
                }
            }
            .tried(|| format!("utimes {path}"))
        }
        Op::Fsync(op::Fsync { path, directory }) => fsync(target, path, *directory, watch),
        Op::Fdatasync(op::Fdatasync { path }) => {
            target.with_file(path, OFlags::RDONLY, "fdatasync", watch, |fd| {
                rustix::fs::fdatasync(fd)
            })
        }
        Op::Syncfs => watch
            .time(|| rustix::fs::syncfs(root))
            .tried(|| "syncfs".to_owned()),
        Op::SyncFileRange(op::SyncFileRange {
            path,
            offset,
            len,
            flags,
        }) => target.with_file(path, OFlags::RDONLY, "sync_file_range", watch, |fd| {
            sync_file_range(fd, *offset, *len, *flags)
        }),
        _ => Err(refuse("not an operation on a file")),
    }
}

/// A path for the system calls that take no directory descriptor.
fn by_proc(root: BorrowedFd<'_>, path: &str) -> String {
    format!("/proc/self/fd/{}/{path}", root.as_raw_fd())
}

/// A path gets truncate(2) itself, since opening and closing a file can have effects of their own.
fn truncate(target: &Target<'_>, path: &str, size: u64, watch: &mut Stopwatch) -> Result<(), Failure> {
    let what = || format!("truncate {path} to {size}");
    let Ok(length) = libc::off_t::try_from(size) else {
        return Err(Errno::FBIG).tried(what);
    };
    match target.place(path)? {
        Place::Handle(fd) => watch.time(|| rustix::fs::ftruncate(fd, size)).tried(what),
        Place::Path(path) => {
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

fn fsync<'a>(
    target: &Target<'a>,
    path: &'a str,
    directory: bool,
    watch: &mut Stopwatch,
) -> Result<(), Failure> {
    let mut flags = OFlags::RDONLY;
    if directory {
        flags |= OFlags::DIRECTORY;
        if let Place::Handle(fd) = target.place(path)? {
            let stat = rustix::fs::fstat(fd).tried(|| format!("stat {path}"))?;
            if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Directory {
                return Err(Errno::NOTDIR).tried(|| format!("fsync {path}"));
            }
        }
    }
    target.with_file(path, flags, "fsync", watch, |fd| rustix::fs::fsync(fd))
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

fn timespec(ns: i64) -> Timespec {
    Timespec {
        tv_sec: ns.div_euclid(NANOS),
        tv_nsec: ns.rem_euclid(NANOS),
    }
}

fn sync_file_range(
    fd: BorrowedFd<'_>,
    offset: u64,
    len: u64,
    flags: SyncRangeFlags,
) -> rustix::io::Result<()> {
    let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else {
        return Err(Errno::INVAL);
    };
    let bits = [
        (flags.wait_before, libc::SYNC_FILE_RANGE_WAIT_BEFORE),
        (flags.write, libc::SYNC_FILE_RANGE_WRITE),
        (flags.wait_after, libc::SYNC_FILE_RANGE_WAIT_AFTER),
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
