//! The names that there are: at first as they are needed, then as the changes make them.

use std::collections::{BTreeMap, BTreeSet};

use coldcut_wire::{FallocateMode as Mode, MsyncMode, Op, PatternName, RenameMode, WriteFlags, op};

use super::bounds::parent;
use super::change::{Change, Cut, How, Moved, Span};

/// Bytes of a file that is there at first.
const SIZE: u64 = 16 << 10;
/// The attribute that is set and removed.
const XATTR: &str = "user.tag";

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    File,
    Symlink,
    Directory,
}

impl From<Moved> for Is {
    fn from(moved: Moved) -> Self {
        match moved {
            Moved::File => Self::File,
            Moved::Symlink => Self::Symlink,
            Moved::Directory => Self::Directory,
        }
    }
}

/// A file, a link or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    is: Is,
    size: u64,
    /// The name of its content.
    content: String,
    /// Whether it has the attribute; `None` where it may have had it before the first change or not.
    xattr: Option<bool>,
}

/// What is known of a name before the first change.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Before {
    There(usize),
    Absent,
}

/// Names and what they are of.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    nodes: Vec<Node>,
    /// What the changes so far had to know of names before them.
    before: BTreeMap<String, Before>,
    /// Names now; `None` where there is nothing. Others are not known yet.
    now: BTreeMap<String, Option<usize>>,
    /// Directories of which everything below is known: made, moved or removed by a change.
    closed: Vec<String>,
    /// Generations of contents by name.
    generations: BTreeMap<String, u32>,
    /// What has the attribute before the first change.
    with_xattr: BTreeSet<usize>,
    /// Handles of files and directories that lost their name while open.
    pub(super) handles: Vec<String>,
}

impl World {
    /// The steps that make what must be there before the first change.
    pub(super) fn setup(&self) -> Vec<Op> {
        // Parents sort before what is in them.
        let mut steps = Vec::new();
        for (path, before) in &self.before {
            let Before::There(index) = before else { continue };
            let node = &self.nodes[*index];
            steps.push(match node.is {
                Is::Directory => mkdir(path),
                Is::Symlink => Op::Symlink(op::Symlink {
                    target: "nowhere".to_owned(),
                    path: path.clone(),
                }),
                Is::File => write(
                    path,
                    0,
                    SIZE,
                    pattern(path, 0),
                    WriteFlags {
                        create: true,
                        ..WriteFlags::default()
                    },
                ),
            });
            if self.with_xattr.contains(index) {
                steps.push(setxattr(path, "before"));
            }
        }
        steps
    }

    /// What a name is of now, if that is known to be something.
    pub(super) fn is(&self, path: &str) -> Option<Is> {
        if path.is_empty() {
            return Some(Is::Directory);
        }
        let node = (*self.now.get(path)?)?;
        Some(self.nodes[node].is)
    }

    /// Makes a name known: whether it is of `wanted`, or names nothing where nothing is wanted.
    fn require(&mut self, path: &str, wanted: Option<Is>) -> bool {
        if let Some(node) = self.now.get(path) {
            return node.map(|node| self.nodes[node].is) == wanted;
        }
        if self.closed.iter().any(|closed| below(path, closed)) {
            self.now.insert(path.to_owned(), None);
            return wanted.is_none();
        }
        let directory = parent(path);
        if !directory.is_empty() && !self.require(directory, Some(Is::Directory)) {
            return false;
        }
        let node = wanted.map(|is| {
            self.nodes.push(Node {
                is,
                size: if is == Is::File { SIZE } else { 0 },
                content: path.to_owned(),
                xattr: None,
            });
            self.nodes.len() - 1
        });
        let before = node.map_or(Before::Absent, Before::There);
        self.before.insert(path.to_owned(), before);
        self.now.insert(path.to_owned(), node);
        true
    }

    /// Whether a name is of this, which is made so where it is not known.
    pub(super) fn has(&mut self, path: &str, is: Is) -> bool {
        self.require(path, Some(is))
    }

    /// A name that must be of this.
    fn need(&mut self, path: &str, is: Is) -> Option<usize> {
        if self.has(path, is) {
            *self.now.get(path)?
        } else {
            None
        }
    }

    /// A name that must be free, in a directory.
    fn free(&mut self, path: &str) -> Option<()> {
        let directory = parent(path);
        if !directory.is_empty() {
            self.need(directory, Is::Directory)?;
        }
        self.require(path, None).then_some(())
    }

    /// Makes sure that nothing is in a directory, now and whatever else is asked later.
    fn empty(&mut self, path: &str) -> Option<()> {
        let inside = |(name, node): (&String, &Option<usize>)| node.is_some() && below(name, path);
        if self.now.iter().any(inside) {
            return None;
        }
        self.closed.push(path.to_owned());
        Some(())
    }

    fn new_node(&mut self, path: &str, is: Is) {
        self.nodes.push(Node {
            is,
            size: 0,
            content: path.to_owned(),
            xattr: Some(false),
        });
        self.now.insert(path.to_owned(), Some(self.nodes.len() - 1));
    }

    /// The next generation of a file's content.
    fn content(&mut self, node: usize) -> PatternName {
        let name = self.nodes[node].content.clone();
        let generation = self.generations.entry(name.clone()).or_default();
        *generation += 1;
        pattern(&name, *generation)
    }

    /// Moves a name, and with a directory all that is below it.
    fn moved(&mut self, from: &str, to: &str) {
        let prefix = format!("{from}/");
        let names: Vec<String> = self
            .now
            .keys()
            .filter(|name| *name == from || name.starts_with(&prefix))
            .cloned()
            .collect();
        let mut moved = Vec::new();
        for name in names {
            let node = self.now.insert(name.clone(), None).flatten();
            moved.push((format!("{to}{}", &name[from.len()..]), node));
        }
        self.now.extend(moved);
    }

    /// Applies a change; gives its steps, or `None` where it makes no sense here.
    pub(super) fn apply(&mut self, change: &Change) -> Option<Vec<Op>> {
        match change {
            Change::Create(path) => self.create(path),
            Change::Mkdir(path) => self.mkdir(path),
            Change::Write { path, span, how } => self.write(path, *span, *how),
            Change::MmapStore { path, span, synced } => self.store(path, *span, *synced),
            Change::Fallocate { path, mode, span } => self.allocate(path, *mode, *span),
            Change::Truncate { path, cut } => self.truncate(path, *cut),
            Change::Link { from, to } => self.link(from, to),
            Change::Symlink { path, target } => self.symlink(path, target),
            Change::Unlink { path, symlink } => self.unlink(path, *symlink),
            Change::Rmdir(path) => self.rmdir(path),
            Change::Rename { from, to, what, over } => self.rename(from, to, (*what).into(), *over),
            Change::Exchange { from, to, what } => self.exchange(from, to, (*what).into()),
            Change::Setxattr { path, directory } => self.setxattr(path, *directory),
            Change::Removexattr { path } => self.removexattr(path),
            Change::Chmod { path, directory } => self.chmod(path, *directory),
            Change::UnlinkOpen(path) => self.unlink_open(path),
            Change::RmdirOpen(path) => self.rmdir_open(path),
            Change::ReplaceOpen { from, to } => self.replace_open(from, to),
        }
    }

    fn create(&mut self, path: &str) -> Option<Vec<Op>> {
        self.free(path)?;
        self.new_node(path, Is::File);
        Some(vec![Op::Create(op::Create {
            path: path.to_owned(),
            mode: 0o644,
            exclusive: false,
        })])
    }

    fn mkdir(&mut self, path: &str) -> Option<Vec<Op>> {
        self.free(path)?;
        self.new_node(path, Is::Directory);
        self.closed.push(path.to_owned());
        Some(vec![mkdir(path)])
    }

    fn link(&mut self, from: &str, to: &str) -> Option<Vec<Op>> {
        let node = self.need(from, Is::File)?;
        self.free(to)?;
        self.now.insert(to.to_owned(), Some(node));
        Some(vec![Op::Link(op::Link {
            from: from.to_owned(),
            to: to.to_owned(),
        })])
    }

    fn symlink(&mut self, path: &str, target: &str) -> Option<Vec<Op>> {
        self.free(path)?;
        self.new_node(path, Is::Symlink);
        let up = "../".repeat(path.matches('/').count());
        Some(vec![Op::Symlink(op::Symlink {
            target: format!("{up}{target}"),
            path: path.to_owned(),
        })])
    }

    fn unlink(&mut self, path: &str, symlink: bool) -> Option<Vec<Op>> {
        self.need(path, if symlink { Is::Symlink } else { Is::File })?;
        self.now.insert(path.to_owned(), None);
        Some(vec![unlink(path)])
    }

    fn rmdir(&mut self, path: &str) -> Option<Vec<Op>> {
        self.need(path, Is::Directory)?;
        self.empty(path)?;
        self.now.insert(path.to_owned(), None);
        Some(vec![rmdir(path)])
    }

    fn write(&mut self, path: &str, span: Span, how: How) -> Option<Vec<Op>> {
        let node = self.need(path, Is::File)?;
        let size = self.nodes[node].size;
        let (mut at, len) = span.of(size);
        if how == How::Direct {
            // Aligned to blocks, as O_DIRECT asks for.
            at = at.next_multiple_of(4096);
        }
        self.nodes[node].size = size.max(at + len);
        let flags = WriteFlags {
            direct: how == How::Direct,
            sync: how == How::Synced,
            ..WriteFlags::default()
        };
        let content = self.content(node);
        Some(vec![write(path, at, len, content, flags)])
    }

    fn store(&mut self, path: &str, span: Span, synced: bool) -> Option<Vec<Op>> {
        let node = self.need(path, Is::File)?;
        let (offset, len) = span.of(self.nodes[node].size);
        if offset + len > self.nodes[node].size {
            return None;
        }
        let pattern = self.content(node);
        let msync = if synced { MsyncMode::Sync } else { MsyncMode::None };
        Some(vec![Op::MmapStore(op::MmapStore {
            path: path.to_owned(),
            offset,
            len,
            pattern,
            msync,
        })])
    }

    fn truncate(&mut self, path: &str, cut: Cut) -> Option<Vec<Op>> {
        let node = self.need(path, Is::File)?;
        let size = cut.of(self.nodes[node].size);
        if size == self.nodes[node].size {
            return None;
        }
        self.nodes[node].size = size;
        Some(vec![Op::Truncate(op::Truncate {
            path: path.to_owned(),
            size,
        })])
    }

    fn allocate(&mut self, path: &str, mode: Mode, span: Span) -> Option<Vec<Op>> {
        let node = self.need(path, Is::File)?;
        let size = self.nodes[node].size;
        let (offset, len) = span.of(size);
        let end = offset + len;
        self.nodes[node].size = match mode {
            Mode::Allocate | Mode::ZeroRange | Mode::UnshareRange => size.max(end),
            Mode::KeepSize | Mode::PunchHole | Mode::ZeroRangeKeepSize => size,
            // Neither may reach the end of the file.
            Mode::CollapseRange if end < size => size - len,
            Mode::InsertRange if offset < size => size + len,
            Mode::CollapseRange | Mode::InsertRange => return None,
        };
        Some(vec![Op::Fallocate(op::Fallocate {
            path: path.to_owned(),
            mode,
            offset,
            len,
        })])
    }

    fn rename(&mut self, from: &str, to: &str, is: Is, over: bool) -> Option<Vec<Op>> {
        if below(to, from) || below(from, to) {
            return None;
        }
        let node = self.need(from, is)?;
        if over {
            let other = self.need(to, is)?;
            if other == node {
                return None;
            }
            if is == Is::Directory {
                self.empty(to)?;
            }
        } else {
            self.free(to)?;
        }
        if is == Is::Directory {
            // What is in it is known from now on, under both names.
            self.closed.extend([from.to_owned(), to.to_owned()]);
        }
        self.moved(from, to);
        Some(vec![rename(from, to, RenameMode::Replace)])
    }

    fn exchange(&mut self, from: &str, to: &str, is: Is) -> Option<Vec<Op>> {
        if below(to, from) || below(from, to) {
            return None;
        }
        let (one, other) = (self.need(from, is)?, self.need(to, is)?);
        if one == other {
            return None;
        }
        if is == Is::Directory {
            self.closed.extend([from.to_owned(), to.to_owned()]);
        }
        // No name holds a NUL.
        self.moved(from, "\0");
        self.moved(to, from);
        self.moved("\0", to);
        self.now.retain(|name, _| !name.starts_with('\0'));
        Some(vec![rename(from, to, RenameMode::Exchange)])
    }

    fn setxattr(&mut self, path: &str, directory: bool) -> Option<Vec<Op>> {
        let node = self.need(path, file_or(directory))?;
        self.nodes[node].xattr = Some(true);
        Some(vec![setxattr(path, "after")])
    }

    fn removexattr(&mut self, path: &str) -> Option<Vec<Op>> {
        let node = self.need(path, Is::File)?;
        match self.nodes[node].xattr {
            Some(true) => {}
            Some(false) => return None,
            None => drop(self.with_xattr.insert(node)),
        }
        self.nodes[node].xattr = Some(false);
        Some(vec![Op::Removexattr(op::Removexattr {
            path: path.to_owned(),
            name: XATTR.to_owned(),
        })])
    }

    fn chmod(&mut self, path: &str, directory: bool) -> Option<Vec<Op>> {
        self.need(path, file_or(directory))?;
        Some(vec![Op::Chmod(op::Chmod {
            path: path.to_owned(),
            mode: if directory { 0o700 } else { 0o600 },
        })])
    }

    /// A handle of something that loses its name; gives the handle's.
    fn opened(&mut self) -> String {
        let handle = format!("h{}", self.handles.len() + 1);
        self.handles.push(handle.clone());
        handle
    }

    fn unlink_open(&mut self, path: &str) -> Option<Vec<Op>> {
        let node = self.need(path, Is::File)?;
        self.now.insert(path.to_owned(), None);
        let at = self.nodes[node].size;
        let content = self.content(node);
        let handle = self.opened();
        Some(vec![
            open(path, &handle, false),
            unlink(path),
            write(&format!("fd:{handle}"), at, 4096, content, WriteFlags::default()),
        ])
    }

    fn rmdir_open(&mut self, path: &str) -> Option<Vec<Op>> {
        let removed = self.rmdir(path)?;
        let handle = self.opened();
        Some([vec![open(path, &handle, true)], removed].concat())
    }

    fn replace_open(&mut self, from: &str, to: &str) -> Option<Vec<Op>> {
        let renamed = self.rename(from, to, Is::File, true)?;
        let handle = self.opened();
        Some([vec![open(to, &handle, false)], renamed].concat())
    }
}

fn file_or(directory: bool) -> Is {
    if directory { Is::Directory } else { Is::File }
}

/// Whether a name is in a directory, at any depth.
fn below(name: &str, directory: &str) -> bool {
    name.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn pattern(file: &str, generation: u32) -> PatternName {
    PatternName {
        file: file.to_owned(),
        generation: generation.to_string(),
    }
}

fn write(path: &str, offset: u64, len: u64, pattern: PatternName, flags: WriteFlags) -> Op {
    Op::Write(op::Write {
        path: path.to_owned(),
        offset,
        len,
        chunk: 0,
        pattern,
        flags,
    })
}

fn open(path: &str, handle: &str, read_only: bool) -> Op {
    Op::Open(op::Open {
        path: path.to_owned(),
        handle: handle.to_owned(),
        flags: WriteFlags::default(),
        read_only,
    })
}

fn mkdir(path: &str) -> Op {
    Op::Mkdir(op::Mkdir {
        path: path.to_owned(),
        mode: 0o755,
        parents: false,
    })
}

fn unlink(path: &str) -> Op {
    Op::Unlink(op::Unlink {
        path: path.to_owned(),
    })
}

fn rmdir(path: &str) -> Op {
    Op::Rmdir(op::Rmdir {
        path: path.to_owned(),
    })
}

fn setxattr(path: &str, value: &str) -> Op {
    Op::Setxattr(op::Setxattr {
        path: path.to_owned(),
        name: XATTR.to_owned(),
        value: value.as_bytes().to_vec(),
    })
}

fn rename(from: &str, to: &str, mode: RenameMode) -> Op {
    Op::Rename(op::Rename {
        from: from.to_owned(),
        to: to.to_owned(),
        mode,
    })
}
