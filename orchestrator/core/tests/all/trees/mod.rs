//! Trees as a walk reports them.

use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_wire::{EntryKind, Extent, PatternName, Source, TreeEntry, pattern};

pub(crate) fn entry(path: &str, kind: EntryKind) -> TreeEntry {
    TreeEntry {
        path: path.as_bytes().to_vec(),
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: 0,
        nlink: 1,
        ino: 12,
        blocks: 0,
        rdev: 0,
        mtime_ns: 0,
        xattrs: Vec::new(),
        target: None,
        extents: Vec::new(),
        problems: Vec::new(),
    }
}

pub(crate) fn directory(path: &str) -> TreeEntry {
    entry(path, EntryKind::Directory)
}

/// A file as long as its extents.
pub(crate) fn file(path: &str, extents: Vec<Extent>) -> TreeEntry {
    let size = extents.last().map_or(0, |e| e.offset + e.len);
    TreeEntry {
        size,
        extents,
        ..entry(path, EntryKind::File)
    }
}

pub(crate) fn at(offset: u64, len: u64, source: Source) -> Extent {
    Extent { offset, len, source }
}

/// `FILE@GENERATION` from byte `from` of its stream.
pub(crate) fn displaced(label: &str, offset: u64, len: u64, from: u64) -> Extent {
    let (file, generation) = label.rsplit_once('@').expect("FILE@GENERATION");
    let name = PatternName {
        file: file.to_owned(),
        generation: generation.to_owned(),
    };
    let source = Source::Content {
        id: pattern::pattern_id(&name),
        at: from,
        label: label.to_owned(),
    };
    at(offset, len, source)
}

pub(crate) fn content(label: &str, offset: u64, len: u64) -> Extent {
    displaced(label, offset, len, offset)
}

#[allow(dead_code)] // each test file uses its own part of these
pub(crate) fn whole(label: &str, len: u64) -> Vec<Extent> {
    vec![content(label, 0, len)]
}

#[allow(dead_code)]
pub(crate) fn zeros(len: u64) -> Vec<Extent> {
    vec![at(0, len, Source::Zeros)]
}

#[allow(dead_code)]
pub(crate) fn unreadable(offset: u64, len: u64) -> Extent {
    at(offset, len, Source::Unreadable { errno: 5 })
}

/// A recovery that went well, with the root before these entries.
pub(crate) fn recovery(entries: Vec<TreeEntry>) -> Recovery {
    let mut tree = vec![directory("")];
    tree.extend(entries);
    Recovery {
        trust: Trust::Cold,
        mount_error: None,
        tree,
        unmount_error: None,
        panic: None,
        dmesg: Vec::new(),
        fsck: None,
        repaired: None,
        verified: None,
    }
}
