//! What both sides must know of an operation: one exhaustive match for each question.

use super::Op;

impl Op {
    /// How much longer it may take than any operation may, in milliseconds: what it sleeps, or its own deadline.
    pub fn patience_ms(&self) -> u64 {
        match self {
            Self::Sleep(op) => op.millis,
            Self::Burst(op) => op.within_ms,
            Self::Read(op) => op.within_ms,
            Self::Observe(op) => op.within_ms,
            Self::Transfer(op) => op.within_ms,
            Self::Vmsplice(op) => op.within_ms,
            Self::Pump(op) => op.within_ms,
            Self::Consume(op) => op.within_ms,
            Self::Commit(op) => op.within_ms,
            Self::Open(_)
            | Self::Close(_)
            | Self::Mkdir(_)
            | Self::Create(_)
            | Self::Write(_)
            | Self::Truncate(_)
            | Self::Fallocate(_)
            | Self::Rename(_)
            | Self::Link(_)
            | Self::Symlink(_)
            | Self::Unlink(_)
            | Self::Rmdir(_)
            | Self::Setxattr(_)
            | Self::Removexattr(_)
            | Self::Chmod(_)
            | Self::Chown(_)
            | Self::Utimes(_)
            | Self::Fsync(_)
            | Self::Fdatasync(_)
            | Self::Sync
            | Self::Syncfs
            | Self::SyncFileRange(_)
            | Self::MmapStore(_)
            | Self::DropCaches(_)
            | Self::Sysctl(_)
            | Self::Trace(_)
            | Self::Collect(_)
            | Self::Bdi
            | Self::Pipe(_)
            | Self::Socket(_)
            | Self::Pending(_)
            | Self::WatchJournal => 0,
        }
    }

    /// Whether it may change a filesystem. Operations that only wait or look, or set up something else, do not.
    pub fn may_change_files(&self) -> bool {
        match self {
            Self::Sleep(_)
            | Self::DropCaches(_)
            | Self::Sysctl(_)
            | Self::Trace(_)
            | Self::Collect(_)
            | Self::Observe(_)
            | Self::Bdi
            | Self::Pipe(_)
            | Self::Socket(_)
            | Self::Pending(_)
            | Self::WatchJournal
            | Self::Commit(_) => false,
            Self::Open(_)
            | Self::Close(_)
            | Self::Mkdir(_)
            | Self::Create(_)
            | Self::Write(_)
            | Self::Truncate(_)
            | Self::Fallocate(_)
            | Self::Rename(_)
            | Self::Link(_)
            | Self::Symlink(_)
            | Self::Unlink(_)
            | Self::Rmdir(_)
            | Self::Setxattr(_)
            | Self::Removexattr(_)
            | Self::Chmod(_)
            | Self::Chown(_)
            | Self::Utimes(_)
            | Self::Fsync(_)
            | Self::Fdatasync(_)
            | Self::Sync
            | Self::Syncfs
            | Self::SyncFileRange(_)
            | Self::MmapStore(_)
            | Self::Burst(_)
            | Self::Read(_)
            | Self::Transfer(_)
            | Self::Vmsplice(_)
            | Self::Pump(_)
            | Self::Consume(_) => true,
        }
    }
}
