//! Operations on directory entries.

use coldcut_wire::{Failure, Op, RenameMode, op};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::Target;
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::place::name_only;

pub(super) fn run(target: &Target<'_>, op: &Op, watch: &mut Stopwatch) -> Result<(), Failure> {
    let root = target.root();
    match op {
        Op::Mkdir(op::Mkdir { path, mode, parents }) => {
            mkdir(target, name_only(path)?, *mode, *parents, watch)
        }
        Op::Create(op::Create {
            path,
            mode,
            exclusive,
        }) => {
            let path = name_only(path)?;
            let mut flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
            if *exclusive {
                flags |= OFlags::EXCL;
            }
            let file = watch.time(|| rustix::fs::openat(root, path, flags, Mode::from_raw_mode(*mode)));
            watch.time(|| file.map(drop)).tried(|| format!("create {path}"))
        }
        Op::Rename(op::Rename { from, to, mode }) => {
            let (from, to) = (name_only(from)?, name_only(to)?);
            let flags = match mode {
                RenameMode::Replace => RenameFlags::empty(),
                RenameMode::NoReplace => RenameFlags::NOREPLACE,
                RenameMode::Exchange => RenameFlags::EXCHANGE,
            };
            watch
                .time(|| rustix::fs::renameat_with(root, from, root, to, flags))
                .tried(|| format!("rename {from} {to}"))
        }
        Op::Link(op::Link { from, to }) => {
            let (from, to) = (name_only(from)?, name_only(to)?);
            watch
                .time(|| rustix::fs::linkat(root, from, root, to, AtFlags::empty()))
                .tried(|| format!("link {from} {to}"))
        }
        Op::Symlink(op::Symlink { target: text, path }) => {
            let path = name_only(path)?;
            watch
                .time(|| rustix::fs::symlinkat(text.as_str(), root, path))
                .tried(|| format!("symlink {text} {path}"))
        }
        Op::Unlink(op::Unlink { path }) => {
            let path = name_only(path)?;
            watch
                .time(|| rustix::fs::unlinkat(root, path, AtFlags::empty()))
                .tried(|| format!("unlink {path}"))
        }
        Op::Rmdir(op::Rmdir { path }) => {
            let path = name_only(path)?;
            watch
                .time(|| rustix::fs::unlinkat(root, path, AtFlags::REMOVEDIR))
                .tried(|| format!("rmdir {path}"))
        }
        _ => Err(refuse("not an operation on names")),
    }
}

/// With `parents`, missing parents get mode 0755, and a directory that is there already is no error.
fn mkdir(
    target: &Target<'_>,
    path: &str,
    mode: u32,
    parents: bool,
    watch: &mut Stopwatch,
) -> Result<(), Failure> {
    let mut make = |path: &str, mode: u32| {
        watch.time(|| rustix::fs::mkdirat(target.root(), path, Mode::from_raw_mode(mode)))
    };
    if parents {
        for (end, _) in path.match_indices('/') {
            match make(&path[..end], 0o755) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno).tried(|| format!("mkdir {}", &path[..end])),
            }
        }
    }
    let result = match make(path, mode) {
        Err(Errno::EXIST) if parents && is_directory(target, path) => Ok(()),
        result => result,
    };
    result.tried(|| format!("mkdir {path}"))
}

fn is_directory(target: &Target<'_>, path: &str) -> bool {
    rustix::fs::statat(target.root(), path, AtFlags::empty())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
