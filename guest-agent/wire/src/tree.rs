//! What a walk reports of a mounted filesystem.

use serde::{Deserialize, Serialize};

/// File type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum EntryKind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

/// Where a range of a file's bytes comes from.
///
/// A whole sector is named by its own checksum, everything else by comparison with the contents that the walk was
/// told, at the same offset. Where two contents (or one and zeros) have the same bytes beside a border, the border is
/// reported on either side of them: see [`crate::pattern::Pattern::agrees`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// All zero bytes.
    Zeros,
    /// Bytes `at..` of a self-describing content (see [`crate::pattern`]); in place when `at` is the file offset.
    Content {
        /// [`crate::pattern::pattern_id`].
        id: u64,
        /// Offset in the content's stream of this extent's first byte.
        at: u64,
        /// The label found in the sector, or known for the id.
        label: String,
    },
    /// Something else.
    Garbage,
    /// read(2) failed, or the file ended before its size.
    Unreadable {
        /// Its errno; 0 when the file ended.
        errno: i32,
    },
}

/// A maximal range of a file with one source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Extent {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Where they come from.
    pub source: Source,
}

/// One name of a filesystem tree. The root itself is the entry with the empty path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Path relative to the root, as raw bytes, without a leading slash.
    pub path: Vec<u8>,
    /// File type.
    pub kind: EntryKind,
    /// Permission bits, `st_mode & 0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// `st_size` in bytes (for a directory too, though it means little).
    pub size: u64,
    /// `st_nlink`.
    pub nlink: u32,
    /// `st_ino`: names with the same number are one inode.
    pub ino: u64,
    /// `st_blocks`, in 512-byte units.
    pub blocks: u64,
    /// `st_rdev` of devices.
    pub rdev: u64,
    /// Modification time in nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// A symlink's target.
    pub target: Option<Vec<u8>>,
    /// A regular file's content from 0 to `size`, in order and without gaps (empty unless data was asked for).
    pub extents: Vec<Extent>,
    /// What could not be read of this entry, with the kernel's words.
    pub problems: Vec<String>,
}

/// Where on the disk a file has its data: whole blocks that hold nothing but what read(2) gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// `st_ino`.
    pub ino: u64,
    /// First byte on the disk, and bytes.
    pub ranges: Vec<(u64, u64)>,
}
