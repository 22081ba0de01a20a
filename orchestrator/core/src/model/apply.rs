//! What each operation does when it succeeds.

use coldcut_wire::{Op, op};

use super::data::Written;
use super::names::NEW_FILE;
use super::resolve::HANDLE;
use super::versions::When;
use super::{Inode, InodeId, Model, Unclear, Xattr};

/// `S_ISUID` and `S_ISGID`, which chown(2) takes away from some files.
const SET_ID: u32 = 0o6000;

impl Model {
    /// Follows an operation that succeeded.
    ///
    /// # Errors
    /// [`Unclear`], where it could not have succeeded on what the model has, or its effect is not known. The model is then
    /// of no further use.
    pub fn apply(&mut self, op: &Op, by: When) -> Result<(), Unclear> {
        match op {
            Op::Open(op) => self.open(op, by),
            Op::Close(op) => {
                self.handles.remove(&op.handle);
                Ok(())
            }
            Op::Mkdir(op) => self.mkdir(op, by),
            Op::Create(op) => self.file(&op.path, true, op.mode, by).map(drop),
            Op::Symlink(op) => self.symlink(op, by),
            Op::Link(op) => self.link(op, by),
            Op::Rename(op) => self.rename(op, by),
            Op::Unlink(op) => self.remove(&op.path, by),
            Op::Rmdir(op) => self.remove(&op.path, by),
            Op::Write(op) => self.write(&written(op), by).map(drop),
            Op::Burst(op) => self.burst(op, by),
            Op::MmapStore(op) => self.store(op, by),
            Op::Truncate(op) => self.truncate(op, by),
            Op::Fallocate(op) => self.fallocate(op, by),
            Op::Setxattr(op) => self.set_xattr(&op.path, &op.name, Xattr::Value(op.value.clone()), by),
            Op::Removexattr(op) => self.set_xattr(&op.path, &op.name, Xattr::Absent, by),
            Op::Chmod(op) => {
                let mode = (!self.lists).then_some(op.mode);
                self.with(&op.path, true, by, |inode| inode.mode.push(mode, by, None))
            }
            Op::Chown(op) => self.chown(op, by),
            Op::Fsync(op) => {
                if let Some(id) = self.target(&op.path, true, &by)? {
                    self.fsync(id, by);
                }
                Ok(())
            }
            Op::Fdatasync(op) => {
                if let Some(id) = self.target(&op.path, true, &by)? {
                    self.fdatasync(id, by);
                }
                Ok(())
            }
            Op::Sync | Op::Syncfs => {
                self.sync_all(by);
                Ok(())
            }
            Op::Transfer(op) => self.transfer(op, by),
            Op::Vmsplice(op) => self.take(&op.to, by),
            Op::Pump(op) => self.take(&op.to, by),
            // Times are not followed.
            Op::Utimes(_)
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
            | Op::Consume(_)
            | Op::Pending(_)
            | Op::WatchJournal
            | Op::Commit(_) => Ok(()),
        }
    }

    fn burst(&mut self, op: &op::Burst, by: When) -> Result<(), Unclear> {
        let file = self.write(&burst(op), by)?;
        if let (Some(file), true) = (file, op.fsync_every > 0) {
            self.fsync(file, by);
            // Its own last call is followed by the fsync.
            self.sync_range(file, 0..self.size(file).unwrap_or(0), by);
        }
        Ok(())
    }

    fn transfer(&mut self, op: &op::Transfer, by: When) -> Result<(), Unclear> {
        let to = if op.to.starts_with(HANDLE) {
            self.target(&op.to, true, &by)?
        } else {
            Some(self.file(&op.to, true, NEW_FILE, by)?)
        };
        self.lose(to, by);
        Ok(())
    }

    fn with(
        &mut self,
        path: &str,
        follow: bool,
        by: When,
        change: impl FnOnce(&mut Inode),
    ) -> Result<(), Unclear> {
        if let Some(id) = self.target(path, follow, &by)? {
            change(self.inode_mut(id));
        }
        Ok(())
    }

    fn set_xattr(&mut self, path: &str, name: &str, value: Xattr, by: When) -> Result<(), Unclear> {
        if name.starts_with("system.") {
            // A list of access control is part of the mode, and a default one decides that of new files.
            self.lists = true;
            self.with(path, false, by, |inode| inode.mode.push(None, by, None))?;
        }
        self.with(path, false, by, |inode| inode.set_xattr(name, value, by))
    }

    fn chown(&mut self, op: &op::Chown, by: When) -> Result<(), Unclear> {
        self.with(&op.path, false, by, |inode| {
            let old = inode.owner.current().copied().flatten();
            let new = old.map(|(uid, gid)| {
                let kept = |new: u32, old| if new == u32::MAX { old } else { new };
                (kept(op.uid, uid), kept(op.gid, gid))
            });
            inode.owner.push(new, by, None);
            if !matches!(inode.mode.current(), Some(Some(mode)) if mode & SET_ID == 0) {
                inode.mode.push(None, by, None);
            }
        })
    }

    /// Data comes from elsewhere: what the target holds is not known any more, if it is a file.
    fn take(&mut self, path: &str, by: When) -> Result<(), Unclear> {
        let to = self.target(path, true, &by)?;
        self.lose(to, by);
        Ok(())
    }

    pub(super) fn lose(&mut self, file: Option<InodeId>, by: When) {
        if let Some(file) = file {
            self.inode_mut(file).lose_data(by);
        }
    }
}

/// What a `write` does.
pub(super) fn written(op: &op::Write) -> Written<'_> {
    Written {
        path: &op.path,
        offset: op.offset,
        len: op.len,
        pattern: &op.pattern,
        flags: op.flags,
        in_place: true,
    }
}

/// What a `burst` does.
pub(super) fn burst(op: &op::Burst) -> Written<'_> {
    Written {
        path: &op.path,
        offset: op.offset,
        len: op.len,
        pattern: &op.pattern,
        flags: op.flags,
        in_place: false,
    }
}
