//! What an operation does with the data of files, pipes and sockets.

use coldcut_wire::{FallocateMode, Op, PatternName};

/// What an operation does with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// Nothing, or what leaves each byte that remains where it is.
    Untouched,
    /// It writes a pattern.
    Writes(Writes<'a>),
    /// It moves data from one place to another.
    Moves(Moves<'a>),
    /// It moves data within its file, so that it is not found at the pattern's own offsets.
    Shifts,
    /// It reads data and shows where that comes from.
    Reads(Reads<'a>),
}

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

/// Data that an operation reads and shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads<'a> {
    /// A path, or `fd:NAME`.
    pub path: &'a str,
    /// First byte.
    pub offset: u64,
    /// How many bytes, unless the file ends before.
    pub len: u64,
}

/// What an operation does with data. What is read and thrown away is neither moved nor shown.
pub fn data(op: &Op) -> Data<'_> {
    let written = |path, pattern, offset, len, append| {
        Data::Writes(Writes {
            path,
            pattern,
            offset,
            len,
            append,
        })
    };
    match op {
        Op::Write(op) => written(&op.path, &op.pattern, op.offset, op.len, op.flags.append),
        Op::Burst(op) => written(&op.path, &op.pattern, op.offset, op.len, op.flags.append),
        Op::MmapStore(op) => written(&op.path, &op.pattern, op.offset, op.len, false),
        Op::Vmsplice(op) => written(&op.to, &op.pattern, 0, op.len, false),
        Op::Transfer(op) => Data::Moves(Moves {
            from: &op.from,
            through: None,
            to: &op.to,
            offset: op.offset,
        }),
        Op::Pump(op) => Data::Moves(Moves {
            from: &op.from,
            through: Some(&op.through),
            to: &op.to,
            offset: op.offset,
        }),
        Op::Fallocate(op) => allocated(op.mode),
        Op::Read(op) => Data::Reads(Reads {
            path: &op.path,
            offset: op.offset,
            len: op.len,
        }),
        Op::Open(_)
        | Op::Close(_)
        | Op::Mkdir(_)
        | Op::Create(_)
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
        | Op::Sleep(_)
        | Op::DropCaches(_)
        | Op::Sysctl(_)
        | Op::Trace(_)
        | Op::Collect(_)
        | Op::Observe(_)
        | Op::Bdi
        | Op::Pipe(_)
        | Op::Socket(_)
        | Op::Consume(_)
        | Op::Pending(_)
        | Op::WatchJournal
        | Op::Commit(_) => Data::Untouched,
    }
}

fn allocated(mode: FallocateMode) -> Data<'static> {
    match mode {
        FallocateMode::CollapseRange | FallocateMode::InsertRange => Data::Shifts,
        FallocateMode::Allocate
        | FallocateMode::KeepSize
        | FallocateMode::PunchHole
        | FallocateMode::ZeroRange
        | FallocateMode::ZeroRangeKeepSize
        | FallocateMode::UnshareRange => Data::Untouched,
    }
}

/// The pattern that an operation writes, if it writes any.
pub fn writes(op: &Op) -> Option<Writes<'_>> {
    if let Data::Writes(writes) = data(op) {
        Some(writes)
    } else {
        None
    }
}

/// What an operation reads and shows, if it does.
pub fn reads(op: &Op) -> Option<Reads<'_>> {
    if let Data::Reads(reads) = data(op) {
        Some(reads)
    } else {
        None
    }
}

/// The patterns that an operation must know to name what it reads: all that its variant may write.
pub fn known_patterns(op: &mut Op) -> Option<&mut Vec<PatternName>> {
    match op {
        Op::Read(op) => Some(&mut op.patterns),
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
