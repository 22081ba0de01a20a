//! What an operation does with names in directories.

use coldcut_wire::Op;

use crate::scenario::yaml::names::HANDLE;

/// What an operation does with names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names<'a> {
    /// Nothing.
    Untouched,
    /// The name is there afterwards; it may have been there before.
    Makes(&'a str),
    /// The file of one name has another name besides.
    Links {
        /// The existing name.
        from: &'a str,
        /// The new name.
        to: &'a str,
    },
    /// The file of one name has another name instead, or the files of both are exchanged.
    Renames {
        /// The old name.
        from: &'a str,
        /// The new name.
        to: &'a str,
    },
    /// The name is gone.
    Removes(&'a str),
}

/// What an operation does with names.
pub fn names(op: &Op) -> Names<'_> {
    let made = |path, create: bool| {
        if create {
            Names::Makes(path)
        } else {
            Names::Untouched
        }
    };
    match op {
        Op::Create(op) => Names::Makes(&op.path),
        Op::Mkdir(op) => Names::Makes(&op.path),
        Op::Symlink(op) => Names::Makes(&op.path),
        Op::Open(op) => made(&op.path, op.flags.create),
        Op::Write(op) => made(&op.path, op.flags.create),
        Op::Burst(op) => made(&op.path, op.flags.create),
        Op::Transfer(op) => made(&op.to, !op.to.starts_with(HANDLE)),
        Op::Link(op) => Names::Links {
            from: &op.from,
            to: &op.to,
        },
        Op::Rename(op) => Names::Renames {
            from: &op.from,
            to: &op.to,
        },
        Op::Unlink(op) => Names::Removes(&op.path),
        Op::Rmdir(op) => Names::Removes(&op.path),
        Op::Close(_)
        | Op::Truncate(_)
        | Op::Fallocate(_)
        | Op::Setxattr(_)
        | Op::Removexattr(_)
        | Op::Chmod(_)
        | Op::Chown(_)
        | Op::Utimes(_)
        | Op::Fsync(_)
        | Op::Fdatasync(_)
        | Op::Sync
        | Op::Syncfs
        | Op::SyncFileRange(_)
        | Op::MmapStore(_)
        | Op::Sleep(_)
        | Op::DropCaches(_)
        | Op::Sysctl(_)
        | Op::Read(_)
        | Op::Trace(_)
        | Op::Collect(_)
        | Op::Observe(_)
        | Op::Bdi
        | Op::Pipe(_)
        | Op::Socket(_)
        | Op::Vmsplice(_)
        | Op::Pump(_)
        | Op::Consume(_)
        | Op::Pending(_)
        | Op::WatchJournal
        | Op::Commit(_) => Names::Untouched,
    }
}
