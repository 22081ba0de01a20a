//! What writes files and changes their size and space.

use std::ops::Range;

use coldcut_wire::{FallocateMode, MsyncMode, PatternName, WriteFlags, op};

use super::inode::RangeFloor;
use super::names::NEW_FILE;
use super::resolve::HANDLE;
use super::versions::When;
use super::{Data, Handle, InodeId, Model, Unclear};

/// What a write does.
pub(super) struct Written<'a> {
    pub(super) path: &'a str,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) pattern: &'a PatternName,
    pub(super) flags: WriteFlags,
    /// Where an appending write takes the pattern's bytes from: as many into the pattern as into the file, or from the
    /// write's own offset on.
    pub(super) in_place: bool,
}

impl Model {
    pub(super) fn open(&mut self, op: &op::Open, by: When) -> Result<(), Unclear> {
        let inode = self.file(&op.path, op.flags.create, NEW_FILE, by)?;
        if op.flags.truncate {
            self.inode_mut(inode).change(by, |runs| runs.resize(0));
        }
        let handle = Handle {
            inode,
            append: op.flags.append,
            synced: op.flags.sync || op.flags.dsync,
        };
        self.handles.insert(op.handle.clone(), handle);
        Ok(())
    }

    /// Writes; gives the file, or `None` for a pipe or a socket.
    pub(super) fn write(&mut self, op: &Written<'_>, by: When) -> Result<Option<InodeId>, Unclear> {
        let Some(Handle {
            inode,
            append,
            synced,
        }) = self.open_to_write(op, by)?
        else {
            return Ok(None);
        };
        if op.flags.truncate {
            self.inode_mut(inode).change(by, |runs| runs.resize(0));
        }
        let start = match (append, self.size(inode)) {
            (false, _) => op.offset,
            (true, Some(size)) if op.in_place => size,
            (true, _) => {
                self.inode_mut(inode).lose_data(by);
                return Ok(Some(inode));
            }
        };
        let range = start..start.saturating_add(op.len);
        let piece = self.piece(op.pattern);
        self.inode_mut(inode)
            .change(by, |runs| runs.put(range.clone(), piece));
        if synced {
            self.sync_range(inode, range, by);
        }
        Ok(Some(inode))
    }

    /// The handle that a write names, or that it opens for itself; `None` for a pipe or a socket.
    fn open_to_write(&mut self, op: &Written<'_>, by: When) -> Result<Option<Handle>, Unclear> {
        if let Some(handle) = op.path.strip_prefix(HANDLE) {
            return Ok(self.handles.get(handle).copied());
        }
        Ok(Some(Handle {
            inode: self.file(op.path, op.flags.create, NEW_FILE, by)?,
            append: op.flags.append,
            synced: op.flags.sync || op.flags.dsync,
        }))
    }

    pub(super) fn store(&mut self, op: &op::MmapStore, by: When) -> Result<(), Unclear> {
        let Some(inode) = self.target(&op.path, true, &by)? else {
            return Ok(());
        };
        let range = op.offset..op.offset.saturating_add(op.len);
        let piece = self.piece(&op.pattern);
        self.inode_mut(inode)
            .change(by, |runs| runs.put(range.clone(), piece));
        match op.msync {
            MsyncMode::Sync => self.sync_range(inode, range, by),
            MsyncMode::None | MsyncMode::Async => {}
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, op: &op::Truncate, by: When) -> Result<(), Unclear> {
        if let Some(inode) = self.target(&op.path, true, &by)? {
            self.inode_mut(inode).change(by, |runs| runs.resize(op.size));
        }
        Ok(())
    }

    pub(super) fn fallocate(&mut self, op: &op::Fallocate, by: When) -> Result<(), Unclear> {
        let Some(inode) = self.target(&op.path, true, &by)? else {
            return Ok(());
        };
        let range = op.offset..op.offset.saturating_add(op.len);
        let inode = self.inode_mut(inode);
        match op.mode {
            FallocateMode::Allocate => inode.change(by, |runs| {
                if runs.len() < range.end {
                    runs.resize(range.end);
                }
            }),
            FallocateMode::KeepSize | FallocateMode::UnshareRange => {}
            FallocateMode::PunchHole | FallocateMode::ZeroRangeKeepSize => {
                inode.change(by, |runs| runs.zero(range));
            }
            FallocateMode::ZeroRange => inode.change(by, |runs| {
                runs.put(range, super::Piece::Zeros);
            }),
            // Nothing is promised of what is between the two: extents are moved one by one.
            FallocateMode::CollapseRange => inode.shift(by, |runs| runs.collapse(range)),
            FallocateMode::InsertRange => inode.shift(by, |runs| runs.insert(range)),
        }
        Ok(())
    }

    /// A file's size now; `None` where it is not known.
    pub(super) fn size(&self, inode: InodeId) -> Option<u64> {
        match self.inode(inode).data.current()? {
            Data::Known(runs) => Some(runs.len()),
            Data::Unknown => None,
        }
    }

    /// This step itself makes a range durable that it wrote.
    pub(super) fn sync_range(&mut self, inode: InodeId, range: Range<u64>, by: When) {
        let inode = self.inode_mut(inode);
        let version = inode.data.all().len() - 1;
        inode.ranges.push(RangeFloor { range, version, by });
    }
}
