//! What an operation needs of the filesystem's journal.

use coldcut_wire::Op;

/// Whether an operation waits for the journal (jbd2) to commit.
pub fn waits_for_commit(op: &Op) -> bool {
    match op {
        Op::Commit(_) => true,
        Op::Open(_)
        | Op::Close(_)
        | Op::Mkdir(_)
        | Op::Create(_)
        | Op::Write(_)
        | Op::Truncate(_)
        | Op::Fallocate(_)
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
        | Op::Fsync(_)
        | Op::Fdatasync(_)
        | Op::Sync
        | Op::Syncfs
        | Op::SyncFileRange(_)
        | Op::MmapStore(_)
        | Op::Sleep(_)
        | Op::DropCaches(_)
        | Op::Sysctl(_)
        | Op::Burst(_)
        | Op::Read(_)
        | Op::Trace(_)
        | Op::Collect(_)
        | Op::Observe(_)
        | Op::Bdi
        | Op::Pipe(_)
        | Op::Socket(_)
        | Op::Transfer(_)
        | Op::Vmsplice(_)
        | Op::Pump(_)
        | Op::Consume(_)
        | Op::Pending(_)
        | Op::WatchJournal => false,
    }
}
