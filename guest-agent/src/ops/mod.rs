//! Workload operations: open, do, close; a handle of [`Op::Open`] is used as it is.

mod aio;
mod burst;
mod file;
mod journal;
mod live;
mod mapped;
mod names;
mod observe;
mod pipes;
mod read;
mod sys;
mod tracing;
mod write;

use std::collections::btree_map::Entry;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use coldcut_wire::{Done, Failure, Op, WriteFlags, op};
use rustix::fs::{Mode, OFlags};

use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::found::Found;
use crate::mount::Mounted;
use crate::place::{Place, name_only, place};
use crate::session::Session;

pub(crate) use journal::{LastChange, now};

/// Permission bits of files that an operation creates without saying which.
const NEW_FILE: u32 = 0o644;

/// Runs `op` and says what its last system call returned and how long its system calls took. What it measures besides
/// goes to `found`.
pub(crate) fn run(session: &Session, op: &Op, found: &mut Found) -> Result<Done, Failure> {
    let mut watch = Stopwatch::default();
    let ret = match op {
        Op::Open(op::Open {
            path,
            handle,
            flags,
            read_only,
        }) => open_handle(session, path, handle, *flags, *read_only, &mut watch)?,
        Op::Close(op::Close { handle }) => close_handle(session, handle, &mut watch)?,
        Op::Sleep(op::Sleep { millis }) => sys::sleep(*millis, &mut watch)?,
        Op::DropCaches(op::DropCaches { what }) => sys::drop_caches(*what, &mut watch)?,
        Op::Sysctl(op::Sysctl { name, value }) => sys::sysctl(name, value, &mut watch)?,
        Op::Sync => {
            watch.time(rustix::fs::sync);
            0
        }
        _ => Target::new(session)?.run(op, &mut watch, found)?,
    };
    Ok(Done::Op {
        ret,
        nanos: watch.nanos(),
    })
}

fn open_handle(
    session: &Session,
    path: &str,
    handle: &str,
    flags: WriteFlags,
    read_only: bool,
    watch: &mut Stopwatch,
) -> Result<i64, Failure> {
    let taken = || refuse(format!("handle `{handle}` is open already"));
    if session.handles().contains_key(handle) {
        return Err(taken());
    }
    let path = name_only(path)?;
    let access = if read_only { OFlags::RDONLY } else { OFlags::RDWR };
    let oflags = access | write_flags(flags) | OFlags::CLOEXEC;
    let mounted = session.mounted()?;
    let fd = watch
        .time(|| rustix::fs::openat(mounted.root(), path, oflags, Mode::from_raw_mode(NEW_FILE)))
        .tried(|| format!("open {path}"))?;
    match session.handles().entry(handle.to_owned()) {
        Entry::Vacant(free) => {
            free.insert(Arc::new(fd));
            Ok(0)
        }
        // Another lane was faster.
        Entry::Occupied(_) => Err(taken()),
    }
}

fn close_handle(session: &Session, handle: &str, watch: &mut Stopwatch) -> Result<i64, Failure> {
    // An unknown name gets the message that lists the known ones.
    place(&session.handles(), &format!("fd:{handle}"))?;
    let fd = session.handles().remove(handle);
    watch.time(|| drop(fd));
    Ok(0)
}

/// The open(2) flags of a write.
fn write_flags(flags: WriteFlags) -> OFlags {
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

/// A file that an operation works on.
enum Opened {
    Handle(Arc<OwnedFd>),
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

/// Where paths lead.
struct Target<'a> {
    session: &'a Session,
    mounted: Arc<Mounted>,
}

impl<'a> Target<'a> {
    fn new(session: &'a Session) -> Result<Self, Failure> {
        Ok(Self {
            session,
            mounted: session.mounted()?,
        })
    }

    fn root(&self) -> BorrowedFd<'_> {
        self.mounted.root()
    }

    fn place(&self, path: &'a str) -> Result<Place<'a>, Failure> {
        place(&self.session.handles(), path)
    }

    /// Opens `path`, or takes the handle that it names.
    fn open(&self, path: &'a str, flags: OFlags, watch: &mut Stopwatch) -> Result<Opened, Failure> {
        match self.place(path)? {
            Place::Handle(fd) => Ok(Opened::Handle(fd)),
            Place::Path(path) => {
                let flags = flags | OFlags::CLOEXEC;
                watch
                    .time(|| rustix::fs::openat(self.root(), path, flags, Mode::from_raw_mode(NEW_FILE)))
                    .map(Opened::Own)
                    .tried(|| format!("open {path}"))
            }
        }
    }

    /// Opens, does, closes. `verb` and the path name the attempt in a failure.
    fn with_file<T>(
        &self,
        path: &'a str,
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

    fn run(&self, op: &'a Op, watch: &mut Stopwatch, found: &mut Found) -> Result<i64, Failure> {
        if let Some(result) = live::run(self, op, watch, found) {
            return result;
        }
        match op {
            Op::Write(op::Write {
                path,
                offset,
                len,
                chunk,
                pattern: content,
                flags,
            }) => {
                let span = write::Span {
                    offset: *offset,
                    len: *len,
                    chunk: *chunk,
                };
                write::write(self, path, span, content, *flags, watch)
            }
            Op::MmapStore(op::MmapStore {
                path,
                offset,
                len,
                pattern: content,
                msync,
            }) => mapped::store(self, path, (*offset, *len), content, *msync, watch),
            Op::Mkdir(_)
            | Op::Create(_)
            | Op::Rename(_)
            | Op::Link(_)
            | Op::Symlink(_)
            | Op::Unlink(_)
            | Op::Rmdir(_) => names::run(self, op, watch).map(|()| 0),
            _ => file::run(self, op, watch).map(|()| 0),
        }
    }
}
