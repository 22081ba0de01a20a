//! Which refusals say that a filesystem does not support an operation.

use coldcut_wire::{Op, RenameMode};

/// EINVAL, as on every architecture that Linux has.
const EINVAL: i32 = 22;
/// EOPNOTSUPP of Linux on x86 and arm.
const EOPNOTSUPP: i32 = 95;

/// Whether this errno of this operation says that the filesystem does not support it:
///
/// - fallocate(2): EOPNOTSUPP for a mode that the filesystem does not support, EINVAL for a range that is not in
///   its units (with bigalloc, clusters);
/// - renameat2(2): EINVAL for a flag that it does not support;
/// - setxattr(2), removexattr(2): EOPNOTSUPP for a namespace that it does not support;
/// - open(2), read(2), write(2): EINVAL for `O_DIRECT` that it does not support, or not with this alignment.
///
/// ENOSPC, EIO and the rest are never a matter of what is supported.
pub fn unsupported(op: &Op, errno: i32) -> bool {
    match op {
        Op::Fallocate(_) => matches!(errno, EOPNOTSUPP | EINVAL),
        Op::Setxattr(_) | Op::Removexattr(_) => errno == EOPNOTSUPP,
        Op::Rename(op) => op.mode != RenameMode::Replace && errno == EINVAL,
        Op::Open(op) => op.flags.direct && errno == EINVAL,
        Op::Write(op) => op.flags.direct && errno == EINVAL,
        Op::Burst(op) => op.flags.direct && errno == EINVAL,
        Op::Read(op) => op.direct && errno == EINVAL,
        Op::Close(_)
        | Op::Mkdir(_)
        | Op::Create(_)
        | Op::Truncate(_)
        | Op::Link(_)
        | Op::Symlink(_)
        | Op::Unlink(_)
        | Op::Rmdir(_)
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
        | Op::WatchJournal
        | Op::Commit(_) => false,
    }
}
