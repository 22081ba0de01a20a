//! Operations on a file's attributes: permissions, owner, times, extended attributes.

use coldcut_wire::{Failure, op};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

use super::file::by_proc;
use super::target::Target;
use crate::clock::Stopwatch;
use crate::failure::Tried;
use crate::state::Resolved;

const NANOS: i64 = 1_000_000_000;

/// Sets an extended attribute.
pub(super) fn setxattr(target: &Target<'_>, op: &op::Setxattr, watch: &mut Stopwatch) -> Result<(), Failure> {
    let op::Setxattr { path, name, value } = op;
    let flags = XattrFlags::empty();
    match target.resolve(path)? {
        Resolved::Handle(fd) => watch.time(|| rustix::fs::fsetxattr(fd, name.as_str(), value, flags)),
        Resolved::Path(path) => {
            let path = by_proc(target.root(), path);
            watch.time(|| rustix::fs::lsetxattr(path, name.as_str(), value, flags))
        }
    }
    .tried(|| format!("setxattr {path} {name}"))
}

/// Removes an extended attribute.
pub(super) fn removexattr(
    target: &Target<'_>,
    op: &op::Removexattr,
    watch: &mut Stopwatch,
) -> Result<(), Failure> {
    let op::Removexattr { path, name } = op;
    match target.resolve(path)? {
        Resolved::Handle(fd) => watch.time(|| rustix::fs::fremovexattr(fd, name.as_str())),
        Resolved::Path(path) => {
            let path = by_proc(target.root(), path);
            watch.time(|| rustix::fs::lremovexattr(path, name.as_str()))
        }
    }
    .tried(|| format!("removexattr {path} {name}"))
}

/// Changes the permission bits.
pub(super) fn chmod(target: &Target<'_>, op: &op::Chmod, watch: &mut Stopwatch) -> Result<(), Failure> {
    let root = target.root();
    let bits = Mode::from_raw_mode(op.mode);
    match target.resolve(&op.path)? {
        Resolved::Handle(fd) => watch.time(|| rustix::fs::fchmod(fd, bits)),
        Resolved::Path(path) => watch.time(|| rustix::fs::chmodat(root, path, bits, AtFlags::empty())),
    }
    .tried(|| format!("chmod {}", op.path))
}

/// Changes owner and group; as in chown(2), -1 leaves one as it is.
pub(super) fn chown(target: &Target<'_>, op: &op::Chown, watch: &mut Stopwatch) -> Result<(), Failure> {
    let root = target.root();
    let uid = (op.uid != u32::MAX).then(|| Uid::from_raw(op.uid));
    let gid = (op.gid != u32::MAX).then(|| Gid::from_raw(op.gid));
    match target.resolve(&op.path)? {
        Resolved::Handle(fd) => watch.time(|| rustix::fs::fchown(fd, uid, gid)),
        Resolved::Path(path) => {
            watch.time(|| rustix::fs::chownat(root, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW))
        }
    }
    .tried(|| format!("chown {}", op.path))
}

/// Sets the times of access and modification.
pub(super) fn utimes(target: &Target<'_>, op: &op::Utimes, watch: &mut Stopwatch) -> Result<(), Failure> {
    let root = target.root();
    let times = Timestamps {
        last_access: timespec(op.atime_ns),
        last_modification: timespec(op.mtime_ns),
    };
    match target.resolve(&op.path)? {
        Resolved::Handle(fd) => watch.time(|| rustix::fs::futimens(fd, &times)),
        Resolved::Path(path) => watch.time(|| rustix::fs::utimensat(root, path, &times, AtFlags::empty())),
    }
    .tried(|| format!("utimes {}", op.path))
}

fn timespec(ns: i64) -> Timespec {
    Timespec {
        tv_sec: ns.div_euclid(NANOS),
        tv_nsec: ns.rem_euclid(NANOS),
    }
}
