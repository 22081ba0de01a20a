//! Arguments of what changes an inode's attributes.

use serde::{Deserialize, Serialize};

/// lsetxattr(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setxattr {
    /// The file; a symbolic link is not followed.
    pub path: String,
    /// The attribute's name with its namespace, such as `user.tag`.
    pub name: String,
    /// The new value.
    pub value: Vec<u8>,
}

/// lremovexattr(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removexattr {
    /// The file; a symbolic link is not followed.
    pub path: String,
    /// The attribute's name with its namespace, such as `user.tag`.
    pub name: String,
}

/// chmod(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chmod {
    /// The file.
    pub path: String,
    /// The new permission bits.
    pub mode: u32,
}

/// lchown(2); `u32::MAX` leaves one as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chown {
    /// The file; a symbolic link is not followed.
    pub path: String,
    /// The new owner.
    pub uid: u32,
    /// The new group.
    pub gid: u32,
}

/// utimensat(2), in nanoseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utimes {
    /// The file.
    pub path: String,
    /// Access time, in nanoseconds since the epoch.
    pub atime_ns: i64,
    /// Modification time, in nanoseconds since the epoch.
    pub mtime_ns: i64,
}
