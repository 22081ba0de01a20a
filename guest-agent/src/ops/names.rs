//! Operations on directory entries.

use coldcut_wire::{Failure, RenameMode, op};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::target::Target;
use crate::clock::Stopwatch;
use crate::failure::Tried;
use crate::state::name_only;

/// Makes a directory. With `parents`, missing parents get mode 0755, and a directory that is there already is no error.
pub(super) fn mkdir(target: &Target<'_>, op: &op::Mkdir, watch: &mut Stopwatch) -> Result<(), Failure> {
    let path = name_only(&op.path)?;
    let mut make = |path: &str, mode: u32| {
        watch.time(|| rustix::fs::mkdirat(target.root(), path, Mode::from_raw_mode(mode)))
    };
    if op.parents {
        for (end, _) in path.match_indices('/') {
            match make(&path[..end], 0o755) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno).tried(|| format!("mkdir {}", &path[..end])),
            }
        }
    }
    let result = match make(path, op.mode) {
        Err(Errno::EXIST) if op.parents && is_directory(target, path) => Ok(()),
        result => result,
    };
    result.tried(|| format!("mkdir {path}"))
}

fn is_directory(target: &Target<'_>, path: &str) -> bool {
    rustix::fs::statat(target.root(), path, AtFlags::empty())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Creates an empty file.
pub(super) fn create(target: &Target<'_>, op: &op::Create, watch: &mut Stopwatch) -> Result<(), Failure> {
    let path = name_only(&op.path)?;
    let mut flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    if op.exclusive {
        flags |= OFlags::EXCL;
    }
    let mode = Mode::from_raw_mode(op.mode);
    let file = watch.time(|| rustix::fs::openat(target.root(), path, flags, mode));
    watch.time(|| file.map(drop)).tried(|| format!("create {path}"))
}

/// Renames, replaces or exchanges.
pub(super) fn rename(target: &Target<'_>, op: &op::Rename, watch: &mut Stopwatch) -> Result<(), Failure> {
    let root = target.root();
    let (from, to) = (name_only(&op.from)?, name_only(&op.to)?);
    let flags = match op.mode {
        RenameMode::Replace => RenameFlags::empty(),
        RenameMode::NoReplace => RenameFlags::NOREPLACE,
        RenameMode::Exchange => RenameFlags::EXCHANGE,
    };
    watch
        .time(|| rustix::fs::renameat_with(root, from, root, to, flags))
        .tried(|| format!("rename {from} {to}"))
}

/// Makes a hard link.
pub(super) fn link(target: &Target<'_>, op: &op::Link, watch: &mut Stopwatch) -> Result<(), Failure> {
    let root = target.root();
    let (from, to) = (name_only(&op.from)?, name_only(&op.to)?);
    watch
        .time(|| rustix::fs::linkat(root, from, root, to, AtFlags::empty()))
        .tried(|| format!("link {from} {to}"))
}

/// Makes a symbolic link; its text may lead anywhere.
pub(super) fn symlink(target: &Target<'_>, op: &op::Symlink, watch: &mut Stopwatch) -> Result<(), Failure> {
    let path = name_only(&op.path)?;
    watch
        .time(|| rustix::fs::symlinkat(op.target.as_str(), target.root(), path))
        .tried(|| format!("symlink {} {path}", op.target))
}

/// Removes a name.
pub(super) fn unlink(target: &Target<'_>, op: &op::Unlink, watch: &mut Stopwatch) -> Result<(), Failure> {
    let path = name_only(&op.path)?;
    watch
        .time(|| rustix::fs::unlinkat(target.root(), path, AtFlags::empty()))
        .tried(|| format!("unlink {path}"))
}

/// Removes an empty directory.
pub(super) fn rmdir(target: &Target<'_>, op: &op::Rmdir, watch: &mut Stopwatch) -> Result<(), Failure> {
    let path = name_only(&op.path)?;
    watch
        .time(|| rustix::fs::unlinkat(target.root(), path, AtFlags::REMOVEDIR))
        .tried(|| format!("rmdir {path}"))
}
