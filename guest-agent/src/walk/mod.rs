//! Walks the mounted tree and reports every name, with the provenance of every byte if asked.
//!
//! The filesystem may be corrupt: whatever one entry refuses is noted in its `problems` and the walk goes on; what
//! would make the report untrue or endless (limits, depth, an entry too large for a message) fails the walk.

mod data;
mod entry;
mod placed;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use coldcut_wire::{
    Done, EntryKind, Failure, Output, Placed, RequestId, TreeEntry, WalkSpec, WalkSummary, encode,
};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::bytes::AlignedBytes;
use crate::classify::Candidates;
use crate::failure::{refuse, strerror};
use crate::link::Sender;
use crate::state::State;

/// Directories within directories; deeper is a loop.
const MAX_DEPTH: usize = 128;
/// Encoded bytes after which a batch of entries is sent.
const BATCH: usize = 128 << 10;
/// Most bytes of one entry, so that a batch always fits a frame.
const MAX_ENTRY: usize = 768 << 10;
/// File data read at a time.
const READ: usize = 1 << 20;

/// Walks as `spec` says, streaming entries.
pub(crate) fn walk(state: &State, id: RequestId, spec: &WalkSpec, sender: &Sender) -> Result<Done, Failure> {
    let start = Instant::now();
    let root = state.root_copy()?;
    let mut walk = Walk {
        id,
        sender,
        spec,
        candidates: Candidates::new(&spec.patterns),
        buffer: AlignedBytes::new(if spec.data { READ } else { entry::XATTR_MAX })?,
        batch: Vec::new(),
        batch_bytes: 0,
        placed: BTreeMap::new(),
        summary: WalkSummary::default(),
    };
    walk.tree(&root)?;
    walk.flush()?;
    walk.send_placed()?;
    walk.summary.nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(Done::Walk(walk.summary))
}

struct Walk<'a> {
    id: RequestId,
    sender: &'a Sender,
    spec: &'a WalkSpec,
    candidates: Candidates,
    buffer: AlignedBytes,
    batch: Vec<TreeEntry>,
    batch_bytes: usize,
    /// By inode, where its data is.
    placed: BTreeMap<u64, Vec<(u64, u64)>>,
    summary: WalkSummary,
}

/// Names in a directory, each with the type that the directory says it has.
type Names = Vec<(Vec<u8>, FileType)>;

/// A directory that is being walked.
struct Level {
    fd: OwnedFd,
    /// Length of the directory's own path.
    prefix: usize,
    /// Names still to visit, last first.
    names: Names,
}

impl Walk<'_> {
    fn tree(&mut self, root: &OwnedFd) -> Result<(), Failure> {
        let mut path = Vec::new();
        let mut levels = Vec::new();
        levels.extend(self.visit(root.as_fd(), b".", FileType::Directory, &path)?);
        while let Some(level) = levels.last_mut() {
            path.truncate(level.prefix);
            let Some((name, hint)) = level.names.pop() else {
                levels.pop();
                continue;
            };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            // The level must not be borrowed while the next one is pushed.
            let parent = level.fd.as_fd();
            let below = self.visit(parent, &name, hint, &path)?;
            if below.is_some() && levels.len() > MAX_DEPTH {
                return Err(refuse(format!(
                    "walk: directories are more than {MAX_DEPTH} deep at {}",
                    String::from_utf8_lossy(&path[..path.len().min(256)])
                )));
            }
            levels.extend(below);
        }
        Ok(())
    }

    /// Reports one entry; a directory's children are returned for the walk to go on with.
    fn visit(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        hint: FileType,
        path: &[u8],
    ) -> Result<Option<Level>, Failure> {
        if self.summary.entries >= self.spec.max_entries.into() {
            return Err(refuse(format!(
                "walk: more than {} entries",
                self.spec.max_entries
            )));
        }
        let mut entry = entry::describe(parent, name, hint, path, self.buffer.as_mut());
        let mut below = None;
        match entry.kind {
            EntryKind::Directory => {
                let opened = self.open_directory(parent, name, &mut entry)?;
                below = opened.map(|(fd, names)| Level {
                    fd,
                    prefix: path.len(),
                    names,
                });
            }
            // An empty file, or one that lstat failed on, has nothing to read.
            EntryKind::File if self.spec.data && entry.size > 0 => {
                let limit = self.spec.max_bytes.saturating_sub(self.summary.bytes);
                let buffer = self.buffer.as_mut();
                let read = data::read(parent, name, &mut entry, &self.candidates, buffer, limit)
                    .map_err(|why| refuse(format!("walk: {}: {why}", String::from_utf8_lossy(path))))?;
                self.summary.bytes += read;
                if self.spec.placed && !self.placed.contains_key(&entry.ino) {
                    let ranges = data::places(parent, name);
                    self.placed.insert(entry.ino, ranges);
                }
            }
            _ => {}
        }
        self.send(entry)?;
        Ok(below)
    }

    /// Opens a directory and lists its names, last first; whatever fails is noted in the entry.
    fn open_directory(
        &self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        entry: &mut TreeEntry,
    ) -> Result<Option<(OwnedFd, Names)>, Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(parent, name, flags, Mode::empty());
        let dir = opened.and_then(|fd| Ok((Dir::read_from(&fd)?, fd)));
        let (dir, fd) = match dir {
            Ok(opened) => opened,
            Err(errno) => {
                entry
                    .problems
                    .push(format!("open the directory: {}", strerror(errno)));
                return Ok(None);
            }
        };
        let mut names = Vec::new();
        for item in dir {
            match item {
                Ok(item) => {
                    let name = item.file_name().to_bytes();
                    if name != b"." && name != b".." {
                        names.push((name.to_vec(), item.file_type()));
                    }
                }
                Err(errno) => {
                    entry
                        .problems
                        .push(format!("read the directory: {}", strerror(errno)));
                    break;
                }
            }
            if names.len() as u64 + self.summary.entries > self.spec.max_entries.into() {
                return Err(refuse(format!(
                    "walk: more than {} entries",
                    self.spec.max_entries
                )));
            }
        }
        names.sort_unstable_by(|a, b| b.0.cmp(&a.0));
        for pair in names.windows(2).filter(|pair| pair[0].0 == pair[1].0).take(16) {
            let name = String::from_utf8_lossy(&pair[0].0);
            entry
                .problems
                .push(format!("the directory lists `{name}` more than once"));
        }
        Ok(Some((fd, names)))
    }

    fn send(&mut self, entry: TreeEntry) -> Result<(), Failure> {
        let size = encode(&entry).map_or(usize::MAX, |frame| frame.len());
        if size > MAX_ENTRY {
            return Err(refuse(format!(
                "walk: the description of {} ({} extents, {} extended attributes) is too long for a message",
                String::from_utf8_lossy(&entry.path),
                entry.extents.len(),
                entry.xattrs.len()
            )));
        }
        if self.batch_bytes + size > BATCH {
            self.flush()?;
        }
        self.batch.push(entry);
        self.batch_bytes += size;
        self.summary.entries += 1;
        Ok(())
    }

    /// Reports where files have their data, in messages of bounded size.
    fn send_placed(&mut self) -> Result<(), Failure> {
        const RANGES: usize = 4096;
        let mut part = Vec::new();
        let mut ranges_in_part = 0;
        for (ino, ranges) in std::mem::take(&mut self.placed) {
            ranges_in_part += 1 + ranges.len();
            part.push(Placed { ino, ranges });
            if ranges_in_part >= RANGES {
                self.sender
                    .output(self.id, Output::Placed(std::mem::take(&mut part)))?;
                ranges_in_part = 0;
            }
        }
        if part.is_empty() {
            return Ok(());
        }
        self.sender.output(self.id, Output::Placed(part))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.batch_bytes = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        self.sender
            .output(self.id, Output::Entries(std::mem::take(&mut self.batch)))
    }
}

/// Makes lstat(2) of a name in a directory.
fn lstat(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<rustix::fs::Stat> {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}
