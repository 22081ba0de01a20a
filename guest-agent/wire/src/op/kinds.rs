//! What several operations take: names of patterns, flags and modes.
//!
//! Modes are read by the names that scenario files give them, and written by the names that they have in Rust: a
//! scenario's digest is made of those.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named pattern: `file` and `generation`, written `file@generation`. See [`crate::pattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PatternName {
    /// The file that this pattern belongs to, by the name the scenario gives it (not necessarily its path).
    pub file: String,
    /// Which version of that file.
    pub generation: String,
}

/// How [`Write`](super::Write) opens its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // flags of open(2), each by itself
pub struct WriteFlags {
    /// `O_CREAT`.
    pub create: bool,
    /// `O_TRUNC`.
    pub truncate: bool,
    /// `O_APPEND`.
    pub append: bool,
    /// `O_SYNC`.
    pub sync: bool,
    /// `O_DSYNC`.
    pub dsync: bool,
    /// `O_DIRECT`; the agent's buffer is aligned to 4096 bytes.
    pub direct: bool,
    /// Submitted by io_submit(2), and waited for by io_getevents(2). Asynchronous only with `direct`.
    pub aio: bool,
}

/// A mode of fallocate(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all(deserialize = "snake_case"))]
pub enum FallocateMode {
    /// Mode 0.
    Allocate,
    /// `FALLOC_FL_KEEP_SIZE`.
    KeepSize,
    /// `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`.
    PunchHole,
    /// `FALLOC_FL_ZERO_RANGE`.
    ZeroRange,
    /// `FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE`.
    ZeroRangeKeepSize,
    /// `FALLOC_FL_COLLAPSE_RANGE`.
    CollapseRange,
    /// `FALLOC_FL_INSERT_RANGE`.
    InsertRange,
    /// `FALLOC_FL_UNSHARE_RANGE`.
    UnshareRange,
}

/// A flag of renameat2(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all(deserialize = "snake_case"))]
pub enum RenameMode {
    /// Replace it if there is one.
    Replace,
    /// `RENAME_NOREPLACE`.
    #[serde(rename(deserialize = "noreplace"))]
    NoReplace,
    /// `RENAME_EXCHANGE`.
    Exchange,
}

/// A mode of msync(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all(deserialize = "snake_case"))]
pub enum MsyncMode {
    /// No msync.
    None,
    /// `MS_ASYNC`, which promises nothing.
    Async,
    /// `MS_SYNC`.
    Sync,
}

/// Flags of `sync_file_range(2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRangeFlags {
    /// `SYNC_FILE_RANGE_WAIT_BEFORE`.
    pub wait_before: bool,
    /// `SYNC_FILE_RANGE_WRITE`.
    pub write: bool,
    /// `SYNC_FILE_RANGE_WAIT_AFTER`.
    pub wait_after: bool,
}

/// How [`Transfer`](super::Transfer) moves bytes, `chunk` a call (0: as many as are left), until `len` were moved, the
/// source ends, or (with `nonblock`) a call would block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferCall {
    /// splice(2).
    Splice,
    /// tee(2), once.
    Tee,
    /// sendfile(2).
    Sendfile,
}
