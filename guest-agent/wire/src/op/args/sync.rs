//! Arguments of what makes things durable.

use serde::{Deserialize, Serialize};

use crate::op::kinds::SyncRangeFlags;

/// fsync(2) of a file (or of a directory: `directory` demands that it is one).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fsync {
    /// The file or directory: a path, or `fd:NAME`.
    pub path: String,
    /// Whether it must be a directory.
    pub directory: bool,
}

/// fdatasync(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fdatasync {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
}

/// `sync_file_range(2)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncFileRange {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// First byte of the range.
    pub offset: u64,
    /// Bytes of the range; 0 is to the end of the file.
    pub len: u64,
    /// What to do, in this order.
    pub flags: SyncRangeFlags,
}
