//! What an operation may have done though it failed.

use coldcut_wire::{Op, WriteFlags};

use super::resolve::{HANDLE, unclear};
use super::versions::When;
use super::{Model, Named, Unclear};

const ENOENT: i32 = 2;
const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const EMLINK: i32 = 31;
const ENOTEMPTY: i32 = 39;
const ELOOP: i32 = 40;
const ENODATA: i32 = 61;
const EOPNOTSUPP: i32 = 95;
const ETIMEDOUT: i32 = 110;

/// Errors that say nothing worse than that a call was not carried out, or not to its end. Any other (EIO, EROFS, EUCLEAN, …)
/// says that the disk or the filesystem is not what it was.
const HARMLESS: [i32; 12] = [
    ENOENT, EEXIST, ENOTDIR, EISDIR, EINVAL, ENOSPC, EMLINK, ENOTEMPTY, ELOOP, ENODATA, EOPNOTSUPP, ETIMEDOUT,
];

impl Model {
    /// Follows an operation that failed.
    ///
    /// # Errors
    /// [`Unclear`], where nobody can say what it left.
    pub fn fail(&mut self, op: &Op, errno: i32, by: When) -> Result<(), Unclear> {
        if !HARMLESS.contains(&errno) && op.may_change_files() {
            return unclear(format!("a step failed with errno {errno}"));
        }
        match op {
            Op::Open(op) => self.half_written(&op.path, op.flags, op.flags.truncate, by),
            Op::Write(op) => self.half_written(&op.path, op.flags, true, by),
            Op::Burst(op) => self.half_written(&op.path, op.flags, true, by),
            Op::MmapStore(op) => self.half_written(&op.path, WriteFlags::default(), true, by),
            Op::Truncate(op) => self.half_written(&op.path, WriteFlags::default(), true, by),
            Op::Fallocate(op) => self.half_written(&op.path, WriteFlags::default(), true, by),
            Op::Transfer(op) => self.half_written(&op.to, creating(), true, by),
            Op::Vmsplice(op) => self.half_written(&op.to, WriteFlags::default(), true, by),
            Op::Pump(op) => self.half_written(&op.to, WriteFlags::default(), true, by),
            Op::Mkdir(op) if op.parents => unclear("which directories a failed `mkdir` made is not known"),
            // Space that ran out is noticed when what was written before is given a place.
            Op::Fsync(_) | Op::Fdatasync(_) | Op::Sync | Op::Syncfs if errno == ENOSPC => {
                unclear("a sync failed for lack of space")
            }
            // Nothing, or all: names and attributes.
            Op::Mkdir(_)
            | Op::Create(_)
            | Op::Rename(_)
            | Op::Link(_)
            | Op::Symlink(_)
            | Op::Unlink(_)
            | Op::Rmdir(_)
            | Op::Setxattr(_)
            | Op::Removexattr(_)
            | Op::Chmod(_)
            | Op::Chown(_)
            | Op::Utimes(_)
            | Op::Close(_)
            | Op::Fsync(_)
            | Op::Fdatasync(_)
            | Op::Sync
            | Op::Syncfs
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

    /// A call that may have made the file, and may have changed what it holds.
    fn half_written(&mut self, path: &str, flags: WriteFlags, data: bool, by: When) -> Result<(), Unclear> {
        if path.starts_with(HANDLE) {
            let file = self.target(path, true, &by)?;
            self.lose(file.filter(|_| data), by);
            return Ok(());
        }
        // What it could not find it did not change.
        let Ok(place) = self.place(path, true, &by) else {
            return Ok(());
        };
        match place.named {
            Named::Inode(id) => self.lose(Some(id).filter(|_| data), by),
            Named::Nothing if flags.create => {
                self.inode_mut(place.directory)
                    .name(&place.name, Named::Unknown, by);
            }
            Named::Nothing | Named::Unknown => {}
        }
        Ok(())
    }
}

fn creating() -> WriteFlags {
    WriteFlags {
        create: true,
        ..WriteFlags::default()
    }
}
