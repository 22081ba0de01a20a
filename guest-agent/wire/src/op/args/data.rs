//! Arguments of what opens files, writes them, reads them and changes their space.

use serde::{Deserialize, Serialize};

use crate::op::kinds::{FallocateMode, MsyncMode, PatternName, WriteFlags};

/// Open a handle that later operations name as `fd:HANDLE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The file: a path.
    pub path: String,
    /// The handle's name.
    pub handle: String,
    /// Flags of open(2); `aio` must not be set.
    pub flags: WriteFlags,
    /// Whether it is opened for reading only (`O_RDONLY`); for reading and writing otherwise.
    pub read_only: bool,
}

/// Close a handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The handle's name, without `fd:`.
    pub handle: String,
}

/// Write `len` bytes of `pattern` at `offset` (the pattern's bytes of the same offsets), `chunk` bytes a
/// write(2) call (0: one call; a call has at most 64 MiB). With append, offsets start at the file's size and
/// `offset` is ignored. On a handle, `flags` must be those of a plain write: it keeps what it was opened with.
/// Returns the bytes written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// First byte, in the file and in the pattern.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// Bytes a write(2) call; 0 is one call for all.
    pub chunk: u32,
    /// The pattern to write.
    #[serde(rename = "content")]
    pub pattern: PatternName,
    /// Flags of open(2).
    pub flags: WriteFlags,
}

/// truncate(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truncate {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// The new size, in bytes.
    pub size: u64,
}

/// fallocate(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallocate {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// What to do with the range.
    pub mode: FallocateMode,
    /// First byte of the range.
    pub offset: u64,
    /// Bytes of the range.
    pub len: u64,
}

/// Map the range, store `pattern` there, optionally msync, unmap. The range must lie within the file. Returns the
/// bytes stored; a page that cannot be backed (no space, an I/O error) is a failure, not a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MmapStore {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// First byte, in the file and in the pattern.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// The pattern to store.
    #[serde(rename = "content")]
    pub pattern: PatternName,
    /// What follows the store.
    pub msync: MsyncMode,
}

/// Write `pattern` as [`Write`] does, `chunk` bytes a call, and time each call (series `writes`). After every
/// `fsync_every` calls, and after the last, the file is fsynced (series `fsyncs`); 0: never. Figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// First byte, in the file and in the pattern.
    pub offset: u64,
    /// How many bytes in all.
    pub len: u64,
    /// Bytes a write(2) call.
    pub chunk: u32,
    /// The pattern to write.
    #[serde(rename = "content")]
    pub pattern: PatternName,
    /// Flags of open(2).
    pub flags: WriteFlags,
    /// Calls between two fsyncs; 0 is no fsync.
    pub fsync_every: u32,
    /// Pause between two calls, in milliseconds.
    pub pause_ms: u32,
    /// After how many milliseconds it is given up, as a failure.
    pub within_ms: u64,
}

/// Read `len` bytes at `offset`, `chunk` bytes a call (0: one call), `times` times, with `pause_ms` between them;
/// each call is timed (series `reads`). What the rounds returned comes as [`crate::Measured::Data`]: the first one,
/// and each that differs from the one before. Figure `bytes`: of the last
/// round, less than `len` at the file's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// First byte, a multiple of 512.
    pub offset: u64,
    /// How many bytes, at most 64 MiB.
    pub len: u64,
    /// Bytes a read(2) call; 0 is one call for all.
    pub chunk: u32,
    /// Whether the file is opened with `O_DIRECT`.
    pub direct: bool,
    /// How many rounds, at least 1.
    pub times: u32,
    /// Pause between two rounds, in milliseconds.
    pub pause_ms: u32,
    /// The patterns that the data may be from.
    #[serde(rename = "contents")]
    pub patterns: Vec<PatternName>,
    /// After how many milliseconds it is given up, as a failure.
    pub within_ms: u64,
}
