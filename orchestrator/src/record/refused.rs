//! Steps that a filesystem may do in one mode and refuse in another: what is documented as such, and nothing else.

use coldcut_core::scenario::Action;
use coldcut_wire::{Op, RenameMode};
use rustix::io::Errno;

/// Whether this errno of this step says that the filesystem does not support it:
///
/// - fallocate(2): EOPNOTSUPP for a mode that the filesystem does not support, EINVAL for a range that is none of its
///   units (with bigalloc, clusters);
/// - renameat2(2): EINVAL for a flag that it does not support;
/// - setxattr(2), removexattr(2): EOPNOTSUPP for a namespace that it does not support;
/// - open(2), read(2), write(2): EINVAL for `O_DIRECT` that it does not support, or not so aligned.
///
/// ENOSPC, EIO and the rest are never a matter of what is supported.
pub(crate) fn unsupported(action: &Action, errno: Option<i32>) -> bool {
    let Some(errno) = errno.map(Errno::from_raw_os_error) else {
        return false;
    };
    let Action::Op(op) = action else { return false };
    match op {
        Op::Fallocate { .. } => matches!(errno, Errno::OPNOTSUPP | Errno::INVAL),
        Op::Setxattr { .. } | Op::Removexattr { .. } => errno == Errno::OPNOTSUPP,
        Op::Rename { mode, .. } => *mode != RenameMode::Replace && errno == Errno::INVAL,
        Op::Open { flags, .. } | Op::Write { flags, .. } | Op::Burst { flags, .. } => {
            flags.direct && errno == Errno::INVAL
        }
        Op::Read { direct, .. } => *direct && errno == Errno::INVAL,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coldcut_wire::{FallocateMode, PatternName, WriteFlags};

    #[test]
    fn only_what_is_documented_as_unsupported_is() {
        let path = || "f".to_owned();
        let collapse = Action::Op(Op::Fallocate {
            path: path(),
            mode: FallocateMode::CollapseRange,
            offset: 0,
            len: 4096,
        });
        let rename = |mode| {
            Action::Op(Op::Rename {
                from: path(),
                to: path(),
                mode,
            })
        };
        let write = |direct| {
            Action::Op(Op::Write {
                path: path(),
                offset: 0,
                len: 1,
                chunk: 0,
                content: PatternName {
                    file: path(),
                    generation: "0".into(),
                },
                flags: WriteFlags {
                    direct,
                    ..WriteFlags::default()
                },
            })
        };
        let fsync = Action::Op(Op::Fsync {
            path: path(),
            directory: false,
        });
        let is = |action: &Action, errno: Errno| unsupported(action, Some(errno.raw_os_error()));
        assert!(is(&collapse, Errno::INVAL) && is(&collapse, Errno::OPNOTSUPP));
        assert!(!is(&collapse, Errno::NOSPC) && !is(&collapse, Errno::IO) && !unsupported(&collapse, None));
        assert!(is(&rename(RenameMode::Exchange), Errno::INVAL));
        assert!(!is(&rename(RenameMode::Replace), Errno::INVAL));
        assert!(is(&write(true), Errno::INVAL) && !is(&write(false), Errno::INVAL));
        assert!(!is(&fsync, Errno::INVAL) && !is(&fsync, Errno::OPNOTSUPP));
    }
}
