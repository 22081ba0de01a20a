//! What an operation does with data and names.

use coldcut_wire::{FallocateMode, Op, PatternName};

/// A pattern that an operation writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writes<'a> {
    /// A path, or `fd:NAME`.
    pub path: &'a str,
    /// What is written.
    pub pattern: &'a PatternName,
    /// The pattern's first byte that is written. Not known where `append` says so.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// The operation itself asks for `O_APPEND`; a handle may have been opened so as well.
    pub append: bool,
}

/// The pattern that an operation writes, if it writes any.
pub fn writes(op: &Op) -> Option<Writes<'_>> {
    let (path, pattern, offset, len, append) = match op {
        Op::Write(op) => (&op.path, &op.pattern, op.offset, op.len, op.flags.append),
        Op::Burst(op) => (&op.path, &op.pattern, op.offset, op.len, op.flags.append),
        Op::MmapStore(op) => (&op.path, &op.pattern, op.offset, op.len, false),
        Op::Vmsplice(op) => (&op.to, &op.pattern, 0, op.len, false),
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
        | Op::Fsync(_)
        | Op::Fdatasync(_)
        | Op::Sync
        | Op::Syncfs
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
        | Op::Pump(_)
        | Op::Consume(_)
        | Op::Pending(_)
        | Op::WatchJournal
        | Op::Commit(_) => return None,
    };
    Some(Writes {
        path,
        pattern,
        offset,
        len,
        append,
    })
}

/// Data that an operation moves from one file, pipe or socket to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moves<'a> {
    /// A path, or `fd:NAME`.
    pub from: &'a str,
    /// The handle of a pipe that it goes through: its name, without `fd:` and without the end.
    pub through: Option<&'a str>,
    /// A path, or `fd:NAME`.
    pub to: &'a str,
    /// Where in `from` it begins; a pipe has no offsets.
    pub offset: u64,
}

/// The data that an operation moves, if it moves any. What is read and thrown away is not moved.
pub fn moves(op: &Op) -> Option<Moves<'_>> {
    match op {
        Op::Transfer(op) => Some(Moves {
            from: &op.from,
            through: None,
            to: &op.to,
            offset: op.offset,
        }),
        Op::Pump(op) => Some(Moves {
            from: &op.from,
            through: Some(&op.through),
            to: &op.to,
            offset: op.offset,
        }),
        Op::Open(_)
        | Op::Close(_)
        | Op::Mkdir(_)
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
        | Op::Vmsplice(_)
        | Op::Consume(_)
        | Op::Pending(_)
        | Op::WatchJournal
        | Op::Commit(_) => None,
    }
}

/// The two names that an operation connects: what was written under one may be found under the other.
pub fn connects(op: &Op) -> Option<(&str, &str)> {
    match op {
        Op::Rename(op) => Some((&op.from, &op.to)),
        Op::Link(op) => Some((&op.from, &op.to)),
        Op::Open(_)
        | Op::Close(_)
        | Op::Mkdir(_)
        | Op::Create(_)
        | Op::Write(_)
        | Op::Truncate(_)
        | Op::Fallocate(_)
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
        | Op::Commit(_) => None,
    }
}

/// The name of a file that an operation removes.
pub fn removes(op: &Op) -> Option<&str> {
    match op {
        Op::Unlink(op) => Some(&op.path),
        Op::Open(_)
        | Op::Close(_)
        | Op::Mkdir(_)
        | Op::Create(_)
        | Op::Write(_)
        | Op::Truncate(_)
        | Op::Fallocate(_)
        | Op::Rename(_)
        | Op::Link(_)
        | Op::Symlink(_)
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
        | Op::Commit(_) => None,
    }
}

/// Whether an operation moves data within its file, so that it is not found at the pattern's own offsets.
pub fn shifts(op: &Op) -> bool {
    match op {
        Op::Fallocate(op) => match op.mode {
            FallocateMode::CollapseRange | FallocateMode::InsertRange => true,
            FallocateMode::Allocate
            | FallocateMode::KeepSize
            | FallocateMode::PunchHole
            | FallocateMode::ZeroRange
            | FallocateMode::ZeroRangeKeepSize
            | FallocateMode::UnshareRange => false,
        },
        Op::Open(_)
        | Op::Close(_)
        | Op::Mkdir(_)
        | Op::Create(_)
        | Op::Write(_)
        | Op::Truncate(_)
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
        | Op::Commit(_) => false,
    }
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

/// The handle of a file that an operation opens. Pipes and sockets are no files: their handles stand for themselves.
pub fn opens(op: &Op) -> Option<Opens<'_>> {
    match op {
        Op::Open(op) => Some(Opens {
            handle: &op.handle,
            path: &op.path,
            append: op.flags.append,
        }),
        Op::Close(_)
        | Op::Mkdir(_)
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
        | Op::Commit(_) => None,
    }
}

/// The handle that an operation closes: its name, without `fd:`.
pub fn closes(op: &Op) -> Option<&str> {
    match op {
        Op::Close(op) => Some(&op.handle),
        Op::Open(_)
        | Op::Mkdir(_)
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
        | Op::Commit(_) => None,
    }
}
