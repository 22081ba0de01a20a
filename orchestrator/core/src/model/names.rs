//! What makes, moves and removes names.

use coldcut_wire::{EntryKind, RenameMode, op};

use super::resolve::{Place, unclear};
use super::versions::When;
use super::{Inode, InodeId, Model, Named, Unclear};

/// `S_ISGID`.
const SET_GROUP: u32 = 0o2000;
/// Mode of the files that an operation makes without saying which.
pub(super) const NEW_FILE: u32 = 0o644;

impl Model {
    /// Makes a new inode under a name that is free.
    pub(super) fn make(
        &mut self,
        place: &Place,
        kind: EntryKind,
        mode: u32,
        made: When,
    ) -> Result<InodeId, Unclear> {
        if place.named != Named::Nothing {
            return unclear(format!("`{}` is there already", place.name));
        }
        // A directory with S_ISGID gives its group, and to directories that bit; a default list of access control, modes.
        let parent = self.inode(place.directory);
        let plain = matches!(parent.mode.current(), Some(Some(mode)) if mode & SET_GROUP == 0)
            || place.directory == Self::ROOT;
        let mode = (plain && !self.lists).then_some(mode);
        let mut inode = Inode::new(kind, mode, made);
        if !plain {
            inode.owner.push(None, made, None);
        }
        let id = InodeId(self.inodes.len());
        self.inodes.push(inode);
        self.inode_mut(place.directory)
            .name(&place.name, Named::Inode(id), made);
        Ok(id)
    }

    /// The regular file at a path, made if it is not there and `create`.
    pub(super) fn file(&mut self, path: &str, create: bool, mode: u32, by: When) -> Result<InodeId, Unclear> {
        let place = self.place(path, true, &by)?;
        match place.named {
            Named::Inode(id) => Ok(id),
            Named::Nothing if create => self.make(&place, EntryKind::File, mode, by),
            _ => unclear(format!("there is no `{path}`")),
        }
    }

    pub(super) fn mkdir(&mut self, op: &op::Mkdir, by: When) -> Result<(), Unclear> {
        if op.parents {
            for (end, _) in op.path.match_indices('/') {
                let place = self.place(&op.path[..end], true, &by)?;
                if place.named == Named::Nothing {
                    self.make(&place, EntryKind::Directory, 0o755, by)?;
                }
            }
        }
        let place = self.place(&op.path, op.parents, &by)?;
        if op.parents && matches!(place.named, Named::Inode(_)) {
            return Ok(());
        }
        self.make(&place, EntryKind::Directory, op.mode, by).map(drop)
    }

    pub(super) fn symlink(&mut self, op: &op::Symlink, by: When) -> Result<(), Unclear> {
        let place = self.place(&op.path, false, &by)?;
        let id = self.make(&place, EntryKind::Symlink, 0o777, by)?;
        self.inode_mut(id).target = Some(op.target.clone());
        Ok(())
    }

    pub(super) fn link(&mut self, op: &op::Link, by: When) -> Result<(), Unclear> {
        let (from, to) = (self.place(&op.from, false, &by)?, self.place(&op.to, false, &by)?);
        let (Named::Inode(_), Named::Nothing) = (from.named, to.named) else {
            return unclear(format!("link {} {} cannot have succeeded", op.from, op.to));
        };
        self.inode_mut(to.directory).name(&to.name, from.named, by);
        Ok(())
    }

    pub(super) fn rename(&mut self, op: &op::Rename, by: When) -> Result<(), Unclear> {
        let (from, to) = (self.place(&op.from, false, &by)?, self.place(&op.to, false, &by)?);
        let Named::Inode(moved) = from.named else {
            return unclear(format!("there is no `{}`", op.from));
        };
        let left = match (op.mode, to.named) {
            // rename(2): of two names of the same file nothing changes.
            (_, Named::Inode(other)) if other == moved => return Ok(()),
            (RenameMode::Replace, _) | (RenameMode::NoReplace, Named::Nothing) => Named::Nothing,
            (RenameMode::Exchange, Named::Inode(_)) => to.named,
            (RenameMode::NoReplace | RenameMode::Exchange, _) => {
                return unclear(format!("rename {} {} cannot have succeeded", op.from, op.to));
            }
        };
        self.inode_mut(to.directory).name(&to.name, from.named, by);
        self.inode_mut(from.directory).name(&from.name, left, by);
        Ok(())
    }

    /// Removes a name; the inode stays, for handles and other names.
    pub(super) fn remove(&mut self, path: &str, by: When) -> Result<(), Unclear> {
        let place = self.place(path, false, &by)?;
        let Named::Inode(_) = place.named else {
            return unclear(format!("there is no `{path}`"));
        };
        self.inode_mut(place.directory)
            .name(&place.name, Named::Nothing, by);
        Ok(())
    }
}
