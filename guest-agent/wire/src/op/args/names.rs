//! Arguments of what makes, moves and removes names.

use serde::{Deserialize, Serialize};

use crate::op::kinds::RenameMode;

/// mkdir(2), which takes permission and sticky bits only. With `parents`, missing parents are made (mode 0755) and
/// a directory that is there already is no error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mkdir {
    /// The directory to make.
    pub path: String,
    /// Permission and sticky bits.
    pub mode: u32,
    /// Whether missing parents are made too.
    pub parents: bool,
}

/// Create an empty file; fails when it exists if `exclusive`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// The file to make.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Whether it must not exist yet (`O_EXCL`).
    pub exclusive: bool,
}

/// renameat2(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// The old name.
    pub from: String,
    /// The new name.
    pub to: String,
    /// What becomes of a file that has the new name.
    pub mode: RenameMode,
}

/// link(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The existing name.
    pub from: String,
    /// The new name.
    pub to: String,
}

/// symlink(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symlink {
    /// What the link points to, unchanged.
    pub target: String,
    /// The new name.
    pub path: String,
}

/// unlink(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlink {
    /// The name to remove.
    pub path: String,
}

/// rmdir(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rmdir {
    /// The directory to remove.
    pub path: String,
}
