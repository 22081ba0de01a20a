//! What an operation promises when it is acknowledged. Nothing judges by this yet.
//!
//! This is what the manual pages of the system calls say. What one filesystem promises beyond that, such as the name of
//! a new file that was fsynced, is not said here.

use coldcut_wire::{MsyncMode, Op, WriteFlags};

/// What is durable once the operation has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise<'a> {
    /// Nothing: the change may be lost until something later makes it durable.
    Nothing,
    /// All of one file or directory: data, size and attributes; of a directory, its names. Not the name that leads to
    /// it. Source: fsync(2).
    All {
        /// A path, or `fd:NAME`.
        path: &'a str,
    },
    /// Data of one file, its size and where it is; not its mode, owner, times or extended attributes. Source:
    /// fdatasync(2), open(2) for `O_DSYNC`, msync(2) for `MS_SYNC`.
    Data {
        /// A path, or `fd:NAME`.
        path: &'a str,
        /// Which bytes, from and how many; `None`: all. Appended bytes are where the file ended: `None` does not say
        /// which of them it was, so an append promises [`Promise::Nothing`] here.
        range: Option<(u64, u64)>,
    },
    /// Everything of the filesystem. Source: sync(2), syncfs(2).
    Filesystem,
}

/// What an acknowledged operation promises. `sync_file_range(2)` and `MS_ASYNC` promise nothing, as their manual pages
/// say; a `commit` step does not say which operations the transaction held.
pub fn promise(op: &Op) -> Promise<'_> {
    match op {
        Op::Fsync(op) => Promise::All { path: &op.path },
        Op::Fdatasync(op) => Promise::Data {
            path: &op.path,
            range: None,
        },
        Op::Sync | Op::Syncfs => Promise::Filesystem,
        Op::MmapStore(op) => match op.msync {
            MsyncMode::Sync => Promise::Data {
                path: &op.path,
                range: Some((op.offset, op.len)),
            },
            MsyncMode::None | MsyncMode::Async => Promise::Nothing,
        },
        Op::Write(op) => written(&op.path, (op.offset, op.len), op.flags),
        Op::Burst(op) => match op.fsync_every {
            0 => written(&op.path, (op.offset, op.len), op.flags),
            // The last call is followed by an fsync.
            _ => Promise::All { path: &op.path },
        },
        Op::Open(_)
        | Op::Close(_)
        | Op::Mkdir(_)
        | Op::Create(_)
        | Op::Truncate(_)
        | Op::Fallocate(_)
        | Op::Rename(_)
        | Op::Link(_)
        | Op::Symlink(_)
        | Op::Unlink(_)
        | Op::Rmdir(_)
        | Op::Setxattr(_)
        | Op::Removexattr(_)
        | Op::Chmod(_)
        | Op::Chown(_)
        | Op::Utimes(_)
        | Op::SyncFileRange(_)
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
        | Op::Transfer(_)
        | Op::Vmsplice(_)
        | Op::Pump(_)
        | Op::Consume(_)
        | Op::Pending(_)
        | Op::WatchJournal
        | Op::Commit(_) => Promise::Nothing,
    }
}

fn written(path: &str, range: (u64, u64), flags: WriteFlags) -> Promise<'_> {
    if (flags.sync || flags.dsync) && !flags.append {
        Promise::Data {
            path,
            range: Some(range),
        }
    } else {
        Promise::Nothing
    }
}
