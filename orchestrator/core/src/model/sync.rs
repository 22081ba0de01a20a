//! What makes things durable.

use coldcut_wire::EntryKind;

use super::versions::{Versions, When};
use super::{Inode, InodeId, Model, Named};
use crate::filesystem::Rule;

impl Model {
    /// fsync(2): all of an inode. Where the filesystem says so, its names as well.
    pub(super) fn fsync(&mut self, id: InodeId, by: When) {
        let inode = self.inode_mut(id);
        inode.data.sync(by, Rule::SyncedData);
        inode.mode.sync(by, Rule::SyncedAttributes);
        inode.owner.sync(by, Rule::SyncedAttributes);
        for xattr in inode.xattrs.values_mut() {
            xattr.sync(by, Rule::SyncedXattrs);
        }
        for entry in inode.entries.values_mut() {
            entry.sync(by, Rule::SyncedNames);
        }
        self.fsync_names(id, by);
    }

    /// fdatasync(2): data and size.
    pub(super) fn fdatasync(&mut self, id: InodeId, by: When) {
        if self.inode(id).kind == EntryKind::File {
            self.inode_mut(id).data.sync(by, Rule::SyncedData);
        }
    }

    /// The names of an inode, and those of new directories that lead to them.
    fn fsync_names(&mut self, id: InodeId, by: When) {
        let mut queue = vec![id];
        let mut done = Vec::new();
        while let Some(id) = queue.pop() {
            if id == Self::ROOT || done.contains(&id) {
                continue;
            }
            done.push(id);
            let leads = |entry: &Versions<Named>| {
                let index = entry.durable_by(&by)?;
                Some(entry.all()[index].value == Named::Inode(id))
            };
            for (number, directory) in self.inodes.iter_mut().enumerate() {
                let mut named = directory
                    .entries
                    .values_mut()
                    .filter(|entry| leads(entry) == Some(true));
                let mut any = false;
                for entry in &mut named {
                    entry.sync(by, Rule::FsyncedName);
                    any = true;
                }
                // A directory that was moved since it was made is not asked about: see the docs.
                if any && directory.made.issued > 0 {
                    queue.push(InodeId(number));
                }
            }
            queue.retain(|directory| self.ever_named(*directory) == 1);
        }
    }

    /// How many names an inode ever had.
    fn ever_named(&self, id: InodeId) -> usize {
        let entries = self.inodes.iter().flat_map(|inode| inode.entries.values());
        let versions = entries.flat_map(Versions::all);
        versions
            .filter(|version| version.value == Named::Inode(id))
            .count()
    }

    /// sync(2), syncfs(2), an unmount: everything.
    pub(super) fn sync_all(&mut self, by: When) {
        for inode in &mut self.inodes {
            inode.data.sync(by, Rule::Synced);
            inode.mode.sync(by, Rule::Synced);
            inode.owner.sync(by, Rule::Synced);
            inode
                .xattrs
                .values_mut()
                .for_each(|xattr| xattr.sync(by, Rule::Synced));
            inode
                .entries
                .values_mut()
                .for_each(|entry| entry.sync(by, Rule::Synced));
        }
    }

    /// The setup was unmounted: everything is durable, and no handle is open.
    pub(super) fn seal(&mut self) {
        let by = Self::BEFORE;
        self.inodes.iter_mut().for_each(|inode| inode.seal(by));
        self.handles.clear();
    }
}

impl Inode {
    fn seal(&mut self, by: When) {
        self.data.seal(by);
        self.mode.seal(by);
        self.owner.seal(by);
        self.xattrs.values_mut().for_each(|xattr| xattr.seal(by));
        self.entries.values_mut().for_each(|entry| entry.seal(by));
    }
}
