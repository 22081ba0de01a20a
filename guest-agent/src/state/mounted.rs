//! The mounted filesystem, and where else programs can see it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use coldcut_wire::Failure;
use rustix::mount::UnmountFlags;

use crate::failure::{Tried, refuse};
use crate::sync::lock;

/// Where filesystems are mounted.
pub(crate) const MOUNT_POINT: &str = "/mnt";

/// The filesystem under test.
#[derive(Debug)]
pub(crate) struct Mounted {
    /// Its root directory.
    pub(crate) root: OwnedFd,
    /// Its root directory's absolute path.
    pub(crate) path: String,
    /// Whether unmounting has a mount to undo.
    pub(crate) real: bool,
    /// Where in a chroot the mount or a system directory is bound, in order of binding.
    binds: Mutex<Vec<String>>,
}

impl Mounted {
    /// Describes a filesystem of which nothing is bound yet.
    pub(crate) fn new(root: OwnedFd, path: String, real: bool) -> Self {
        Self {
            root,
            path,
            real,
            binds: Mutex::default(),
        }
    }

    /// Returns its root directory.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Makes the mount and the system's directories visible in the chroot `root`, once for each mount. Where programs are
    /// apart, the system's directories are theirs to bind.
    pub(crate) fn bind(&self, root: &str, apart: bool) -> Result<(), Failure> {
        if !root.starts_with('/') {
            return Err(refuse(format!("exec: root `{root}` is no absolute path")));
        }
        let mut binds = lock(&self.binds);
        for source in [self.path.as_str(), "/proc", "/sys", "/dev", "/tmp"] {
            let target = format!("{}{source}", root.trim_end_matches('/'));
            if binds.contains(&target) {
                continue;
            }
            // What is there and no directory fails the mount below.
            match std::fs::create_dir_all(&target) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error).tried(|| format!("mkdir {target}"));
                }
                _ => {}
            }
            if apart && source != self.path {
                continue;
            }
            rustix::mount::mount_bind(source, target.as_str())
                .tried(|| format!("bind {source} to {target}"))?;
            binds.push(target);
        }
        Ok(())
    }

    /// Undoes [`Self::bind`], last first.
    pub(crate) fn unbind(&self) -> Result<(), Failure> {
        let mut binds = lock(&self.binds);
        while let Some(target) = binds.last() {
            rustix::mount::unmount(target.as_str(), UnmountFlags::empty())
                .tried(|| format!("umount {target}"))?;
            binds.pop();
        }
        Ok(())
    }
}
