//! What an operation does with handles of files.

use coldcut_wire::Op;

/// What an operation does with handles of files. Pipes and sockets are no files: their handles stand for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handles<'a> {
    /// Nothing.
    Untouched,
    /// It opens one.
    Opens(Opens<'a>),
    /// It closes one: its name, without `fd:`.
    Closes(&'a str),
}

/// A handle of a file that an operation opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opens<'a> {
    /// Its name, without `fd:`.
    pub handle: &'a str,
    /// The file.
    pub path: &'a str,
    /// Whether it is opened with `O_APPEND`.
    pub append: bool,
}

/// What an operation does with handles of files.
pub fn handles(op: &Op) -> Handles<'_> {
    match op {
        Op::Open(op) => Handles::Opens(Opens {
            handle: &op.handle,
            path: &op.path,
            append: op.flags.append,
        }),
        Op::Close(op) => Handles::Closes(&op.handle),
        Op::Mkdir(_)
        | Op::Create(_)
        | Op::Write(_)
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
        | Op::Fsync(_)
        | Op::Fdatasync(_)
        | Op::Sync
        | Op::Syncfs
        | Op::SyncFileRange(_)
        | Op::MmapStore(_)
        | Op::Sleep(_)
        | Op::DropCaches(_)
        | Op::Sysctl(_)
        | Op::Burst(_)
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
        | Op::Commit(_) => Handles::Untouched,
    }
}
