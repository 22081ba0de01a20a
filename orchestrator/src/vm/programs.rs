//! Programs, as guests have them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::rootfs::Root;

/// Where a guest has its programs from. They are below `/programs` either way.
#[derive(Clone, Debug)]
pub enum GuestPrograms {
    /// A directory of the host: all of it is in the initial ramdisk.
    Directory(PathBuf),
    /// A disk, which it shares with others.
    Disk(Arc<Root>),
}

impl GuestPrograms {
    /// The directory.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(dir) => Some(dir),
            Self::Disk(_) => None,
        }
    }

    /// The disk's image.
    pub(crate) fn disk(&self) -> Option<&Path> {
        match self {
            Self::Directory(_) => None,
            Self::Disk(root) => Some(&root.image),
        }
    }
}
