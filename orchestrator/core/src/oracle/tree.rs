//! The recovered tree by path.

use std::collections::{BTreeSet, HashMap};

use coldcut_wire::{EntryKind, TreeEntry};

use super::data::printable;

/// A walk's entries, to be found by path.
pub(crate) struct Tree<'a> {
    entries: HashMap<&'a [u8], &'a TreeEntry>,
    all: &'a [TreeEntry],
}

impl<'a> Tree<'a> {
    /// # Errors
    /// In words, when the walk cannot be right: no root, a name without its directory, a name twice. That is an error
    /// of the tools, not of the filesystem.
    pub(crate) fn new(all: &'a [TreeEntry]) -> Result<Self, String> {
        let mut entries = HashMap::with_capacity(all.len());
        for entry in all {
            if entries.insert(entry.path.as_slice(), entry).is_some() {
                return Err(format!("the walk reports `{}` twice", printable(&entry.path)));
            }
        }
        let tree = Self { entries, all };
        if tree.get(b"").is_none_or(|root| root.kind != EntryKind::Directory) {
            return Err("the walk reports no root directory".to_owned());
        }
        for entry in all {
            if tree
                .get(parent(&entry.path))
                .is_none_or(|p| p.kind != EntryKind::Directory)
            {
                return Err(format!(
                    "the walk reports `{}` without its directory",
                    printable(&entry.path)
                ));
            }
        }
        Ok(tree)
    }

    pub(crate) fn get(&self, path: &[u8]) -> Option<&'a TreeEntry> {
        self.entries.get(path).copied()
    }

    pub(crate) fn all(&self) -> &'a [TreeEntry] {
        self.all
    }

    /// The names in a directory.
    pub(crate) fn names(&self, directory: &[u8]) -> BTreeSet<&'a [u8]> {
        let inside = self
            .all
            .iter()
            .filter(|e| !e.path.is_empty() && parent(&e.path) == directory);
        inside.map(|e| name(&e.path)).collect()
    }

    /// What kept a directory at or above `path` from being read: then a name that is not there may be there.
    pub(crate) fn unread(&self, path: &[u8]) -> Option<String> {
        let mut at = path;
        loop {
            if let Some(entry) = self.get(at)
                && entry.kind == EntryKind::Directory
                && let Some(problem) = entry.problems.first()
            {
                return Some(format!(
                    "directory {}: {}",
                    shown(at),
                    printable(problem.as_bytes())
                ));
            }
            if at.is_empty() {
                return None;
            }
            at = parent(at);
        }
    }
}

/// A path as evidence shows it; the root is `/`.
pub(crate) fn shown(path: &[u8]) -> String {
    if path.is_empty() {
        "/".to_owned()
    } else {
        printable(path)
    }
}

pub(crate) fn parent(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|b| *b == b'/')
        .map_or(&[], |at| &path[..at])
}

fn name(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|b| *b == b'/')
        .map_or(path, |at| &path[at + 1..])
}
