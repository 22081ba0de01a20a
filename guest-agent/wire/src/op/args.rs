//! One struct an operation: its arguments. A field without a comment is the system call's own argument of that name.
#![allow(missing_docs)]

use serde::{Deserialize, Serialize};

use super::{FallocateMode, MsyncMode, PatternName, RenameMode, SyncRangeFlags, TransferCall, WriteFlags};

/// Open a handle that later operations name as `fd:HANDLE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    pub path: String,
    pub handle: String,
    pub flags: WriteFlags,
    pub read_only: bool,
}

/// Close a handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    pub handle: String,
}

/// mkdir(2), which takes permission and sticky bits only. With `parents`, missing parents are made (mode 0755) and
/// a directory that is there already is no error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mkdir {
    pub path: String,
    pub mode: u32,
    pub parents: bool,
}

/// Create an empty file; fails when it exists if `exclusive`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    pub path: String,
    pub mode: u32,
    pub exclusive: bool,
}

/// Write `len` bytes of `pattern` at `offset` (the content's bytes of the same offsets), `chunk` bytes a
/// write(2) call (0: one call; a call has at most 64 MiB). With append, offsets start at the file's size and
/// `offset` is ignored. On a handle, `flags` must be those of a plain write: it keeps what it was opened with.
/// Returns the bytes written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    pub path: String,
    pub offset: u64,
    pub len: u64,
    pub chunk: u32,
    #[serde(rename = "content")]
    pub pattern: PatternName,
    pub flags: WriteFlags,
}

/// truncate(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truncate {
    pub path: String,
    pub size: u64,
}

/// fallocate(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallocate {
    pub path: String,
    pub mode: FallocateMode,
    pub offset: u64,
    pub len: u64,
}

/// renameat2(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    pub from: String,
    pub to: String,
    pub mode: RenameMode,
}

/// link(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub from: String,
    pub to: String,
}

/// symlink(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symlink {
    pub target: String,
    pub path: String,
}

/// unlink(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlink {
    pub path: String,
}

/// rmdir(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rmdir {
    pub path: String,
}

/// lsetxattr(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setxattr {
    pub path: String,
    pub name: String,
    pub value: Vec<u8>,
}

/// lremovexattr(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removexattr {
    pub path: String,
    pub name: String,
}

/// chmod(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chmod {
    pub path: String,
    pub mode: u32,
}

/// lchown(2); `u32::MAX` leaves one as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chown {
    pub path: String,
    pub uid: u32,
    pub gid: u32,
}

/// utimensat(2), in nanoseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utimes {
    pub path: String,
    pub atime_ns: i64,
    pub mtime_ns: i64,
}

/// fsync(2) of a file (or of a directory: `directory` demands that it is one).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fsync {
    pub path: String,
    pub directory: bool,
}

/// fdatasync(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fdatasync {
    pub path: String,
}

/// `sync_file_range(2)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncFileRange {
    pub path: String,
    pub offset: u64,
    pub len: u64,
    pub flags: SyncRangeFlags,
}

/// Map the range, store `pattern` there, optionally msync, unmap. The range must lie within the file. Returns the
/// bytes stored; a page that cannot be backed (no space, an I/O error) is a failure, not a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MmapStore {
    pub path: String,
    pub offset: u64,
    pub len: u64,
    #[serde(rename = "content")]
    pub pattern: PatternName,
    pub msync: MsyncMode,
}

/// Sleep in the guest, an hour at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sleep {
    pub millis: u64,
}

/// Write 1 to 3 to `/proc/sys/vm/drop_caches`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCaches {
    pub what: u8,
}

/// Write `value` to `/proc/sys/` + `name` with dots as slashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    pub name: String,
    pub value: String,
}

/// Write `pattern` as [`Write`] does, `chunk` bytes a call, and time each call (series `writes`). After every
/// `fsync_every` calls, and after the last, the file is fsynced (series `fsyncs`); 0: never. Figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    pub path: String,
    pub offset: u64,
    pub len: u64,
    pub chunk: u32,
    #[serde(rename = "content")]
    pub pattern: PatternName,
    pub flags: WriteFlags,
    pub fsync_every: u32,
    pub pause_ms: u32,
    pub within_ms: u64,
}

/// Read `len` bytes at `offset`, `chunk` bytes a call (0: one call), `times` times, with `pause_ms` between them;
/// each call is timed (series `reads`). What the rounds returned comes as [`crate::Output::Data`]: the first one,
/// and each that differs from the one before. `contents` are those that it may be. Figure `bytes`: of the last
/// round, less than `len` at the file's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    pub path: String,
    pub offset: u64,
    pub len: u64,
    pub chunk: u32,
    pub direct: bool,
    pub times: u32,
    pub pause_ms: u32,
    #[serde(rename = "contents")]
    pub patterns: Vec<PatternName>,
    pub within_ms: u64,
}

/// Begin to record a tracepoint, `SYSTEM:NAME`, in a buffer of its own. `filter` in the kernel's own syntax
/// (Documentation/trace/events.rst), empty: none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    pub name: String,
    pub event: String,
    pub filter: String,
    /// What [`Collect`] will ask for.
    pub fields: Vec<String>,
}

/// End a trace: figure `events`, and for each of `fields` a series of what stands after `FIELD=`. Events that were
/// lost are a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collect {
    pub name: String,
    pub fields: Vec<String>,
}

/// Look at another lane until it is in one of `states` (letters of `/proc/PID/stat`; empty: any) with one of
/// `frames` in its kernel stack (empty: any), and for `lasting_ms` whenever it is looked at. Figures `found` (1 or 0) and `waited` (ns), texts `stack` and
/// `state`. 0 only when the lane came to rest before it was seen so; time being up is a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observe {
    pub lane: crate::Lane,
    pub frames: Vec<String>,
    pub states: String,
    pub lasting_ms: u64,
    pub within_ms: u64,
}

/// Make a pipe: handles `HANDLE.r` and `HANDLE.w`. `capacity` in bytes (`F_SETPIPE_SZ`), 0: as it comes. Figure
/// `capacity`: what it is (`F_GETPIPE_SZ`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipe {
    pub handle: String,
    pub capacity: u32,
}

/// Make a pair of connected Unix stream sockets: handles `HANDLE.a` and `HANDLE.b`. `SO_SNDBUF` and `SO_RCVBUF` in
/// bytes, 0: as they come. Figures `sndbuf` and `rcvbuf`: what the kernel made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    pub handle: String,
    pub sndbuf: u32,
    pub rcvbuf: u32,
}

/// Move bytes without copying them: series `calls` (ns), figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    pub how: TransferCall,
    pub from: String,
    pub to: String,
    pub offset: u64,
    pub len: u64,
    pub chunk: u32,
    pub nonblock: bool,
    pub within_ms: u64,
}

/// vmsplice(2) of a content's first bytes into a pipe: series `calls` (ns), figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vmsplice {
    pub to: String,
    pub len: u64,
    #[serde(rename = "content")]
    pub pattern: PatternName,
    pub within_ms: u64,
}

/// One thread's loop of splice(2) from a file into a pipe (`chunk` bytes; series `fills`) and from the pipe to
/// `to` until the pipe is empty (series `drains`). Figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pump {
    pub from: String,
    pub through: String,
    pub to: String,
    pub offset: u64,
    pub len: u64,
    pub chunk: u32,
    pub within_ms: u64,
}

/// Read `rate` bytes every `every_ms` milliseconds and throw them away, until `len` bytes were read or the other
/// end is closed. Figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consume {
    pub from: String,
    pub len: u64,
    pub rate: u32,
    pub every_ms: u32,
    pub within_ms: u64,
}

/// How many bytes a pipe or socket holds for its reader (`FIONREAD`): figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub path: String,
}

/// Wait until a transaction that was open when the last operation ended, or a later one, is committed; nothing is
/// done that would make it so. ETIMEDOUT when none was within `within_ms`, and none that may hold that operation
/// was committed at all; a failure without an errno when one was that may. Figure `waited` (ns).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    pub within_ms: u64,
}
