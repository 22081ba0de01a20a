//! Which file an operation works on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use coldcut_wire::{Failure, WriteFlags};
use rustix::fs::{Mode, OFlags};

use crate::clock::Stopwatch;
use crate::failure::Tried;
use crate::state::{Mounted, Resolved, State, resolve};

/// Permission bits of files that an operation creates without saying which.
pub(super) const NEW_FILE: u32 = 0o644;

/// A file that an operation works on.
pub(super) enum Opened {
    /// A handle, which stays open.
    Handle(Arc<OwnedFd>),
    /// Opened for this operation.
    Own(OwnedFd),
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Handle(fd) => fd.as_fd(),
            Self::Own(fd) => fd.as_fd(),
        }
    }
}

/// The mounted filesystem and the open handles, kept in use for as long as an operation runs.
pub(super) struct Target<'a> {
    pub(super) state: &'a State,
    mounted: Arc<Mounted>,
}

impl<'a> Target<'a> {
    /// Fails when nothing is mounted.
    pub(super) fn new(state: &'a State) -> Result<Self, Failure> {
        Ok(Self {
            state,
            mounted: state.mounted()?,
        })
    }

    /// Returns the root that paths start from.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.mounted.root()
    }

    /// Returns the mounted device's numbers, major and minor.
    pub(super) fn device(&self) -> Result<(u32, u32), Failure> {
        let stat = rustix::fs::fstat(self.root()).tried(|| "stat the mounted root".to_owned())?;
        Ok((rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev)))
    }

    /// Reads `path`, which names a handle or a file.
    pub(super) fn resolve<'p>(&self, path: &'p str) -> Result<Resolved<'p>, Failure> {
        resolve(&self.state.handles(), path)
    }

    /// Opens `path`, or takes the handle that it names.
    pub(super) fn open(&self, path: &str, flags: OFlags, watch: &mut Stopwatch) -> Result<Opened, Failure> {
        match self.resolve(path)? {
            Resolved::Handle(fd) => Ok(Opened::Handle(fd)),
            Resolved::Path(path) => {
                let flags = flags | OFlags::CLOEXEC;
                watch
                    .time(|| rustix::fs::openat(self.root(), path, flags, Mode::from_raw_mode(NEW_FILE)))
                    .map(Opened::Own)
                    .tried(|| format!("open {path}"))
            }
        }
    }

    /// Opens `path`, makes `call` on it, closes it. `verb` and the path name the attempt in a failure.
    pub(super) fn with_file<T>(
        &self,
        path: &str,
        flags: OFlags,
        verb: &str,
        watch: &mut Stopwatch,
        call: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Result<T, Failure> {
        let file = self.open(path, flags, watch)?;
        let result = watch.time(|| call(file.as_fd()));
        watch.time(|| drop(file));
        result.tried(|| format!("{verb} {path}"))
    }
}

/// Returns the open(2) flags of a write.
pub(super) fn write_flags(flags: WriteFlags) -> OFlags {
    let all = [
        (flags.create, OFlags::CREATE),
        (flags.truncate, OFlags::TRUNC),
        (flags.append, OFlags::APPEND),
        (flags.sync, OFlags::SYNC),
        (flags.dsync, OFlags::DSYNC),
        (flags.direct, OFlags::DIRECT),
    ];
    let set = all.into_iter().filter(|(set, _)| *set);
    set.fold(OFlags::empty(), |sum, (_, flag)| sum | flag)
}

/// Tells whether writes to a file go to its end, whatever their offset.
pub(super) fn appends(file: &Opened, path: &str) -> Result<bool, Failure> {
    let flags = rustix::fs::fcntl_getfl(file).tried(|| format!("read the flags of {path}"))?;
    Ok(flags.contains(OFlags::APPEND))
}

/// Tells whether a file has no offsets: a pipe or a socket.
pub(super) fn is_stream(file: BorrowedFd<'_>, path: &str) -> Result<bool, Failure> {
    use rustix::fs::FileType;
    let stat = rustix::fs::fstat(file).tried(|| format!("stat {path}"))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    Ok(matches!(kind, FileType::Fifo | FileType::Socket))
}
