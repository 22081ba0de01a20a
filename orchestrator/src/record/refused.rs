//! Steps that a filesystem may do in one mode and refuse in another: what is documented as such, and nothing else.

use coldcut_core::scenario::{Action, facts};

/// Whether this errno of this step says that the filesystem does not support it: see [`facts::unsupported`].
pub(crate) fn unsupported(action: &Action, errno: Option<i32>) -> bool {
    match (action, errno) {
        (Action::Op(op), Some(errno)) => facts::unsupported(op, errno),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coldcut_wire::{FallocateMode, Op, PatternName, RenameMode, WriteFlags, op};
    use rustix::io::Errno;

    #[test]
    fn only_what_is_documented_as_unsupported_is() {
        let path = || "f".to_owned();
        let collapse = Action::Op(Op::Fallocate(op::Fallocate {
            path: path(),
            mode: FallocateMode::CollapseRange,
            offset: 0,
            len: 4096,
        }));
        let rename = |mode| {
            Action::Op(Op::Rename(op::Rename {
                from: path(),
                to: path(),
                mode,
            }))
        };
        let write = |direct| {
            Action::Op(Op::Write(op::Write {
                path: path(),
                offset: 0,
                len: 1,
                chunk: 0,
                pattern: PatternName {
                    file: path(),
                    generation: "0".into(),
                },
                flags: WriteFlags {
                    direct,
                    ..WriteFlags::default()
                },
            }))
        };
        let fsync = Action::Op(Op::Fsync(op::Fsync {
            path: path(),
            directory: false,
        }));
        let is = |action: &Action, errno: Errno| unsupported(action, Some(errno.raw_os_error()));
        assert!(is(&collapse, Errno::INVAL) && is(&collapse, Errno::OPNOTSUPP));
        assert!(!is(&collapse, Errno::NOSPC) && !is(&collapse, Errno::IO) && !unsupported(&collapse, None));
        assert!(is(&rename(RenameMode::Exchange), Errno::INVAL));
        assert!(!is(&rename(RenameMode::Replace), Errno::INVAL));
        assert!(is(&write(true), Errno::INVAL) && !is(&write(false), Errno::INVAL));
        assert!(!is(&fsync, Errno::INVAL) && !is(&fsync, Errno::OPNOTSUPP));
    }
}
