//! Names in directories, and what they lead to.

use std::collections::BTreeSet;

use coldcut_wire::{EntryKind, TreeEntry};

use super::super::data::printable;
use super::super::tree::shown;
use super::links::{Found, inode_of};
use super::{Look, MOST, Seen};
use crate::filesystem::Rule;
use crate::model::{InodeId, Model, Named, Window};
use crate::outcome::verdict::ViolationKind;

/// Where ext2, ext3, ext4 and f2fs keep what a checker finds.
const LOST: &[u8] = b"lost+found";

impl<'a> Look<'a> {
    /// Judges an inode that was found, by what the model's may be.
    pub(super) fn inode(&self, found: &'a TreeEntry, id: InodeId) -> Seen<'a> {
        self.compared.set(self.compared.get() + 1);
        if self.compared.get() > MOST {
            return Seen::default();
        }
        let inode = self.model.inode(id);
        if found.kind != inode.kind {
            let what = format!("{} is {:?}, not {:?}", shown(&found.path), found.kind, inode.kind);
            return self
                .broken(Rule::NothingMadeUp, ViolationKind::Type, &what, None)
                .into();
        }
        if let Some(problem) = found.problems.first() {
            let what = format!("{}: {}", shown(&found.path), printable(problem.as_bytes()));
            return self
                .broken(Rule::Readable, ViolationKind::Unreadable, &what, None)
                .into();
        }
        let mut seen = Seen {
            broken: self.attributes(found, inode),
            ..Seen::default()
        };
        match inode.kind {
            EntryKind::File => seen.broken.extend(self.data(found, id)),
            EntryKind::Directory => seen.add(self.directory(found, id)),
            EntryKind::Symlink => {
                let target = found.target.as_deref().unwrap_or_default();
                if let Some(wanted) = inode
                    .target
                    .as_deref()
                    .filter(|wanted| wanted.as_bytes() != target)
                {
                    let what = format!(
                        "{} points to `{}`, made as `{wanted}`",
                        shown(&found.path),
                        printable(target)
                    );
                    seen.broken
                        .push(self.broken(Rule::NothingMadeUp, ViolationKind::Content, &what, None));
                }
            }
            EntryKind::Fifo | EntryKind::Socket | EntryKind::CharDevice | EntryKind::BlockDevice => {}
        }
        seen.broken.retain(|broken| self.holds(broken.rule));
        seen
    }

    fn directory(&self, found: &'a TreeEntry, id: InodeId) -> Seen<'a> {
        let inode = self.model.inode(id);
        let known = inode.entries.keys().map(String::as_bytes);
        let names: BTreeSet<&[u8]> = known.chain(self.tree.names(&found.path)).collect();
        let lost =
            |name: &[u8]| id == Model::ROOT && name == LOST && !inode.entries.contains_key("lost+found");
        let mut seen = Seen::default();
        for name in names.into_iter().filter(|name| !lost(name)) {
            seen.add(self.name(found, id, name));
        }
        seen
    }

    /// Judges one name.
    fn name(&self, directory: &'a TreeEntry, id: InodeId, name: &[u8]) -> Seen<'a> {
        let path = if directory.path.is_empty() {
            name.to_vec()
        } else {
            [directory.path.as_slice(), b"/", name].concat()
        };
        let entries = &self.model.inode(id).entries;
        let versions = std::str::from_utf8(name).ok().and_then(|name| entries.get(name));
        let entry = self.tree.get(&path);
        let Some(window) = versions.and_then(|versions| versions.window(self.until, |rule| self.holds(rule)))
        else {
            let Some(entry) = entry else {
                return Seen::default();
            };
            let what = format!("{} exists, and no step made it", shown(&entry.path));
            return self
                .broken(Rule::NothingMadeUp, ViolationKind::Unexpected, &what, None)
                .into();
        };
        let settled = window.may.len() == 1;
        if window.may.iter().any(|version| version.value == Named::Unknown)
            || !(settled || self.level.transactions)
        {
            return Seen::default();
        }
        let mut seen = match entry {
            Some(entry) => self.present(entry, &window),
            None => self.absent(&path, &window),
        };
        seen.obligations += u32::from(window.floor.is_some());
        seen
    }

    fn absent(&self, path: &[u8], window: &Window<'_, Named>) -> Seen<'a> {
        if window.may.iter().any(|version| version.value == Named::Nothing) {
            return Seen::default();
        }
        let what = format!("{} does not exist, expected {}", shown(path), self.wanted(window));
        let kind = ViolationKind::Missing;
        self.promised(window.floor, Rule::NothingMadeUp, kind, &what)
            .into()
    }

    /// What a name may lead to, in words.
    fn wanted(&self, window: &Window<'_, Named>) -> String {
        let words = window.may.iter().map(|version| match version.value {
            Named::Inode(id) => self.name_of(id),
            Named::Nothing => "nothing".to_owned(),
            Named::Unknown => "anything".to_owned(),
        });
        words.collect::<Vec<_>>().join(" or ")
    }

    fn present(&self, entry: &'a TreeEntry, window: &Window<'_, Named>) -> Seen<'a> {
        let candidates: BTreeSet<InodeId> = inodes(window).collect();
        let sure = window.may.len() == 1;
        if candidates.is_empty() {
            let what = format!("{} exists, expected nothing", shown(&entry.path));
            let kind = ViolationKind::Unexpected;
            return self
                .promised(window.floor, Rule::NothingMadeUp, kind, &what)
                .into();
        }
        let mut may_be = Vec::new();
        let mut nearest: Option<Seen<'_>> = None;
        for id in candidates {
            let seen = self.inode(entry, id);
            if seen.broken.is_empty() {
                may_be.push(id);
            }
            if nearest
                .as_ref()
                .is_none_or(|nearest| seen.broken.len() < nearest.broken.len())
            {
                nearest = Some(seen);
            }
        }
        let mut seen = nearest.unwrap_or_default();
        seen.found.push(Found { entry, may_be, sure });
        seen
    }
}

/// The inodes that a name may lead to.
pub(super) fn inodes<'w>(window: &Window<'w, Named>) -> impl Iterator<Item = InodeId> + 'w {
    window.may.iter().filter_map(|version| inode_of(version.value))
}
