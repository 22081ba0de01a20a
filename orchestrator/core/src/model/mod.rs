//! The reference filesystem: what a history of operations has made, and how much of it was made durable.
//!
//! [`Model::apply`] follows one operation after another, as the manual pages of their system calls say, and keeps every
//! value that each aspect of each inode and each name in a directory ever had ([`Versions`]): the step that made it, when
//! that step was sent and when it was acknowledged. A step that syncs puts a floor under those that it promises. At a cut,
//! an aspect may have any value from its floor to the newest one that was issued, and must have one of these
//! ([`Versions::window`]).
//!
//! - The model is never wrong, only weak. What an operation does that it does not know precisely becomes unknown
//!   ([`Named::Unknown`], [`Data::Unknown`]), and is judged by nothing. Where not even the names can be followed any
//!   further (a program ran; the disk was made to fail) the whole of it is lost from that step on: [`Model::lost`].
//! - Steps of different tasks that overlap may have come in either order. What both change is unknown from then on.
//! - Which promises count depends on the filesystem and its mode: each floor names its [`Rule`](crate::filesystem::Rule), and
//!   whoever looks through a window says which rules hold.
//!
//! Without a history of marks, the tree that a list of acknowledged operations leaves is [`Model::after`] and
//! [`Model::paths`].

mod apply;
mod data;
mod fail;
mod history;
mod inode;
mod names;
mod resolve;
mod runs;
mod sync;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::{BTreeMap, HashMap};

use coldcut_wire::pattern::{Pattern, pattern_id};
use coldcut_wire::{EntryKind, Op, PatternName};

pub use inode::{Data, Inode, InodeId, Named, RangeFloor, Xattr};
pub use runs::{Piece, Runs};
pub use versions::{Floor, Version, Versions, When, Window};

/// The model cannot follow a history any further: why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unclear(pub String);

/// An open handle of a file.
#[derive(Clone, Copy, Debug)]
struct Handle {
    inode: InodeId,
    append: bool,
    /// Opened with `O_SYNC` or `O_DSYNC`.
    synced: bool,
}

/// A reference filesystem.
#[derive(Clone, Debug)]
pub struct Model {
    inodes: Vec<Inode>,
    handles: BTreeMap<String, Handle>,
    patterns: HashMap<u64, (PatternName, Pattern)>,
    steps: Vec<String>,
    lost: Option<(u32, Unclear)>,
    /// An access control list may decide modes.
    lists: bool,
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// The root directory's inode.
    pub const ROOT: InodeId = InodeId(0);
    /// What was before all steps.
    const BEFORE: When = When {
        step: 0,
        issued: 0,
        done: 0,
    };

    /// An empty filesystem as mkfs makes it.
    pub fn new() -> Self {
        Self {
            inodes: vec![Inode::new(EntryKind::Directory, None, Self::BEFORE)],
            handles: BTreeMap::new(),
            patterns: HashMap::new(),
            steps: vec!["the setup".to_owned()],
            lost: None,
            lists: false,
        }
    }

    /// What operations leave that were carried out one after the other.
    ///
    /// # Errors
    /// [`Unclear`], where an operation could not have succeeded after those before it, or its effect is not known.
    pub fn after<'o>(ops: impl IntoIterator<Item = &'o Op>) -> Result<Self, Unclear> {
        let mut model = Self::new();
        for op in ops {
            model.apply(op, Self::BEFORE)?;
        }
        Ok(model)
    }

    /// Every path that there is now, and the inode that it leads to; the root is the empty one. Names that are not known
    /// are left out.
    pub fn paths(&self) -> BTreeMap<String, InodeId> {
        let mut paths = BTreeMap::from([(String::new(), Self::ROOT)]);
        let mut queue = vec![(String::new(), Self::ROOT)];
        while let Some((path, directory)) = queue.pop() {
            let inode = self.inode(directory);
            for name in inode.entries.keys() {
                let Named::Inode(id) = inode.named(name) else {
                    continue;
                };
                let path = join(&path, name);
                if self.inode(id).kind == EntryKind::Directory {
                    queue.push((path.clone(), id));
                }
                paths.insert(path, id);
            }
        }
        paths
    }

    /// The inode that a path leads to now, if there is one: a symlink is itself.
    pub fn lookup(&self, path: &str) -> Option<InodeId> {
        match self.place(path, false, &Self::BEFORE).ok()?.named {
            Named::Inode(id) => Some(id),
            Named::Nothing | Named::Unknown => None,
        }
    }

    /// The inode that an open handle is of; its name without `fd:`.
    pub fn opened(&self, handle: &str) -> Option<InodeId> {
        self.handles.get(handle).map(|handle| handle.inode)
    }

    /// An inode of this model.
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.0]
    }

    /// Every inode that was ever made, and its number.
    pub fn inodes(&self) -> impl Iterator<Item = (InodeId, &Inode)> {
        self.inodes
            .iter()
            .enumerate()
            .map(|(id, inode)| (InodeId(id), inode))
    }

    /// The names of the steps that [`When`] refers to.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// From which mark on nothing is known any more, and why.
    pub fn lost(&self) -> Option<(u32, &Unclear)> {
        self.lost.as_ref().map(|(since, why)| (*since, why))
    }

    /// A pattern that some step wrote, by its identity.
    pub fn pattern(&self, id: u64) -> Option<&(PatternName, Pattern)> {
        self.patterns.get(&id)
    }

    /// Every name that an inode has now: its directory, and the name in it.
    pub fn names_of(&self, id: InodeId) -> Vec<(InodeId, String)> {
        let named = |(directory, inode): (InodeId, &Inode)| {
            let names = inode.entries.keys();
            let names = names.filter(|name| inode.named(name) == Named::Inode(id));
            names.map(|name| (directory, name.clone())).collect::<Vec<_>>()
        };
        self.inodes().flat_map(named).collect()
    }

    fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.0]
    }

    fn piece(&mut self, pattern: &PatternName) -> Piece {
        let id = pattern_id(pattern);
        let known = || (pattern.clone(), Pattern::new(pattern));
        self.patterns.entry(id).or_insert_with(known);
        Piece::Pattern { id, shift: 0 }
    }
}

/// A name in a directory, as a path.
pub fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}
