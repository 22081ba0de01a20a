//! The arguments of each operation, a struct for each.

use serde::{Deserialize, Serialize};

use super::{FallocateMode, MsyncMode, PatternName, RenameMode, SyncRangeFlags, TransferCall, WriteFlags};

/// Open a handle that later operations name as `fd:HANDLE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The file: a path.
    pub path: String,
    /// The handle's name.
    pub handle: String,
    /// Flags of open(2); `aio` must not be set.
    pub flags: WriteFlags,
    /// Whether it is opened for reading only (`O_RDONLY`); for reading and writing otherwise.
    pub read_only: bool,
}

/// Close a handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The handle's name, without `fd:`.
    pub handle: String,
}

/// mkdir(2), which takes permission and sticky bits only. With `parents`, missing parents are made (mode 0755) and
/// a directory that is there already is no error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mkdir {
    /// The directory to make.
    pub path: String,
    /// Permission and sticky bits.
    pub mode: u32,
    /// Whether missing parents are made too.
    pub parents: bool,
}

/// Create an empty file; fails when it exists if `exclusive`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// The file to make.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Whether it must not exist yet (`O_EXCL`).
    pub exclusive: bool,
}

/// Write `len` bytes of `pattern` at `offset` (the pattern's bytes of the same offsets), `chunk` bytes a
/// write(2) call (0: one call; a call has at most 64 MiB). With append, offsets start at the file's size and
/// `offset` is ignored. On a handle, `flags` must be those of a plain write: it keeps what it was opened with.
/// Returns the bytes written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// First byte, in the file and in the pattern.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// Bytes a write(2) call; 0 is one call for all.
    pub chunk: u32,
    /// The pattern to write.
    #[serde(rename = "content")]
    pub pattern: PatternName,
    /// Flags of open(2).
    pub flags: WriteFlags,
}

/// truncate(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truncate {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// The new size, in bytes.
    pub size: u64,
}

/// fallocate(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallocate {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// What to do with the range.
    pub mode: FallocateMode,
    /// First byte of the range.
    pub offset: u64,
    /// Bytes of the range.
    pub len: u64,
}

/// renameat2(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// The old name.
    pub from: String,
    /// The new name.
    pub to: String,
    /// What becomes of a file that has the new name.
    pub mode: RenameMode,
}

/// link(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The existing name.
    pub from: String,
    /// The new name.
    pub to: String,
}

/// symlink(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symlink {
    /// What the link points to, unchanged.
    pub target: String,
    /// The new name.
    pub path: String,
}

/// unlink(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlink {
    /// The name to remove.
    pub path: String,
}

/// rmdir(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rmdir {
    /// The directory to remove.
    pub path: String,
}

/// lsetxattr(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setxattr {
    /// The file; a symbolic link is not followed.
    pub path: String,
    /// The attribute's name with its namespace, such as `user.tag`.
    pub name: String,
    /// The new value.
    pub value: Vec<u8>,
}

/// lremovexattr(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removexattr {
    /// The file; a symbolic link is not followed.
    pub path: String,
    /// The attribute's name with its namespace, such as `user.tag`.
    pub name: String,
}

/// chmod(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chmod {
    /// The file.
    pub path: String,
    /// The new permission bits.
    pub mode: u32,
}

/// lchown(2); `u32::MAX` leaves one as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chown {
    /// The file; a symbolic link is not followed.
    pub path: String,
    /// The new owner.
    pub uid: u32,
    /// The new group.
    pub gid: u32,
}

/// utimensat(2), in nanoseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utimes {
    /// The file.
    pub path: String,
    /// Access time, in nanoseconds since the epoch.
    pub atime_ns: i64,
    /// Modification time, in nanoseconds since the epoch.
    pub mtime_ns: i64,
}

/// fsync(2) of a file (or of a directory: `directory` demands that it is one).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fsync {
    /// The file or directory: a path, or `fd:NAME`.
    pub path: String,
    /// Whether it must be a directory.
    pub directory: bool,
}

/// fdatasync(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fdatasync {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
}

/// `sync_file_range(2)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncFileRange {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// First byte of the range.
    pub offset: u64,
    /// Bytes of the range; 0 is to the end of the file.
    pub len: u64,
    /// What to do, in this order.
    pub flags: SyncRangeFlags,
}

/// Map the range, store `pattern` there, optionally msync, unmap. The range must lie within the file. Returns the
/// bytes stored; a page that cannot be backed (no space, an I/O error) is a failure, not a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MmapStore {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// First byte, in the file and in the pattern.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// The pattern to store.
    #[serde(rename = "content")]
    pub pattern: PatternName,
    /// What follows the store.
    pub msync: MsyncMode,
}

/// Sleep in the guest, an hour at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sleep {
    /// How long, in milliseconds.
    pub millis: u64,
}

/// Write 1 to 3 to `/proc/sys/vm/drop_caches`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCaches {
    /// 1: the page cache, 2: slab objects, 3: both.
    pub what: u8,
}

/// Write `value` to `/proc/sys/` + `name` with dots as slashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// The parameter, such as `vm.dirty_bytes`.
    pub name: String,
    /// Its new value.
    pub value: String,
}

/// Write `pattern` as [`Write`] does, `chunk` bytes a call, and time each call (series `writes`). After every
/// `fsync_every` calls, and after the last, the file is fsynced (series `fsyncs`); 0: never. Figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// First byte, in the file and in the pattern.
    pub offset: u64,
    /// How many bytes in all.
    pub len: u64,
    /// Bytes a write(2) call.
    pub chunk: u32,
    /// The pattern to write.
    #[serde(rename = "content")]
    pub pattern: PatternName,
    /// Flags of open(2).
    pub flags: WriteFlags,
    /// Calls between two fsyncs; 0 is no fsync.
    pub fsync_every: u32,
    /// Pause between two calls, in milliseconds.
    pub pause_ms: u32,
    /// After how many milliseconds it is given up, as a failure.
    pub within_ms: u64,
}

/// Read `len` bytes at `offset`, `chunk` bytes a call (0: one call), `times` times, with `pause_ms` between them;
/// each call is timed (series `reads`). What the rounds returned comes as [`crate::Output::Data`]: the first one,
/// and each that differs from the one before. Figure `bytes`: of the last
/// round, less than `len` at the file's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The file: a path, or `fd:NAME`.
    pub path: String,
    /// First byte, a multiple of 512.
    pub offset: u64,
    /// How many bytes, at most 64 MiB.
    pub len: u64,
    /// Bytes a read(2) call; 0 is one call for all.
    pub chunk: u32,
    /// Whether the file is opened with `O_DIRECT`.
    pub direct: bool,
    /// How many rounds, at least 1.
    pub times: u32,
    /// Pause between two rounds, in milliseconds.
    pub pause_ms: u32,
    /// The patterns that the data may be from.
    #[serde(rename = "contents")]
    pub patterns: Vec<PatternName>,
    /// After how many milliseconds it is given up, as a failure.
    pub within_ms: u64,
}

/// Begin to record a tracepoint, `SYSTEM:NAME`, in a buffer of its own. `filter` in the kernel's own syntax
/// (Documentation/trace/events.rst), empty: none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The trace's name, for [`Collect`].
    pub name: String,
    /// The tracepoint, `SYSTEM:NAME`.
    pub event: String,
    /// The filter in the kernel's syntax; empty is none.
    pub filter: String,
    /// What [`Collect`] will ask for.
    pub fields: Vec<String>,
}

/// End a trace: figure `events`, and for each of `fields` a series of what stands after `FIELD=`. Events that were
/// lost are a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collect {
    /// The name that [`Trace`] gave.
    pub name: String,
    /// Fields of the event that become series.
    pub fields: Vec<String>,
}

/// Look at another lane until it is in one of `states` (letters of `/proc/PID/stat`) with one of `frames` in its kernel
/// stack, and stays so for `lasting_ms`. Figures `found` and `waited` (ns), texts `stack` and `state`. `found` is 1, or 0
/// when the lane came to rest before it was seen so; running out of time is a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observe {
    /// The lane to look at.
    pub lane: crate::Lane,
    /// Functions of the kernel, one of which must be in the stack; empty is any.
    pub frames: Vec<String>,
    /// Letters of the states that it may be in; empty is any.
    pub states: String,
    /// How long it must be seen so, in milliseconds; 0 is one look.
    pub lasting_ms: u64,
    /// After how many milliseconds it is given up, as a failure.
    pub within_ms: u64,
}

/// Make a pipe: handles `HANDLE.r` and `HANDLE.w`. `capacity` in bytes (`F_SETPIPE_SZ`), 0: as it comes. Figure
/// `capacity`: what it is (`F_GETPIPE_SZ`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipe {
    /// The name of the pair of handles.
    pub handle: String,
    /// `F_SETPIPE_SZ` in bytes; 0 leaves it as it comes.
    pub capacity: u32,
}

/// Make a pair of connected Unix stream sockets: handles `HANDLE.a` and `HANDLE.b`. `SO_SNDBUF` and `SO_RCVBUF` in
/// bytes, 0: as they come. Figures `sndbuf` and `rcvbuf`: what the kernel made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// The name of the pair of handles.
    pub handle: String,
    /// `SO_SNDBUF` of both ends in bytes; 0 leaves it as it comes.
    pub sndbuf: u32,
    /// `SO_RCVBUF` of both ends in bytes; 0 leaves it as it comes.
    pub rcvbuf: u32,
}

/// Move bytes without copying them: series `calls` (ns), figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Which system call.
    pub how: TransferCall,
    /// The source: a path, or `fd:NAME`.
    pub from: String,
    /// The target: a path, or `fd:NAME`.
    pub to: String,
    /// First byte in the source, if it is a file.
    pub offset: u64,
    /// How many bytes, unless the source ends before.
    pub len: u64,
    /// Bytes a call; 0 is as many as are left.
    pub chunk: u32,
    /// Whether it ends where a call would block (`SPLICE_F_NONBLOCK`).
    pub nonblock: bool,
    /// After how many milliseconds it is given up, as a failure.
    pub within_ms: u64,
}

/// vmsplice(2) of a content's first bytes into a pipe: series `calls` (ns), figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vmsplice {
    /// The pipe: `fd:NAME`.
    pub to: String,
    /// How many bytes, at most 64 MiB.
    pub len: u64,
    /// The pattern whose first bytes are moved.
    #[serde(rename = "content")]
    pub pattern: PatternName,
    /// After how many milliseconds it is given up, as a failure.
    pub within_ms: u64,
}

/// One thread's loop of splice(2) from a file into a pipe (`chunk` bytes; series `fills`) and from the pipe to
/// `to` until the pipe is empty (series `drains`). Figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pump {
    /// The file: a path, or `fd:NAME`.
    pub from: String,
    /// The pipe: the name that [`Pipe`] gave.
    pub through: String,
    /// The socket or another pipe: `fd:NAME`.
    pub to: String,
    /// First byte in the file.
    pub offset: u64,
    /// How many bytes, unless the file ends before.
    pub len: u64,
    /// Most bytes of a splice into the pipe.
    pub chunk: u32,
    /// After how many milliseconds it is given up, as a failure.
    pub within_ms: u64,
}

/// Read `rate` bytes every `every_ms` milliseconds and throw them away, until `len` bytes were read or the other
/// end is closed. Figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consume {
    /// The pipe or socket: `fd:NAME`.
    pub from: String,
    /// How many bytes, unless the other end is closed before.
    pub len: u64,
    /// Bytes to read at a time.
    pub rate: u32,
    /// Pause after each time, in milliseconds.
    pub every_ms: u32,
    /// After how many milliseconds it is given up, as a failure.
    pub within_ms: u64,
}

/// How many bytes a pipe or socket holds for its reader (`FIONREAD`): figure `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The pipe or socket: `fd:NAME`.
    pub path: String,
}

/// Wait until a transaction that was open when the last operation ended, or a later one, is committed, without causing
/// a commit. Fails with ETIMEDOUT when nothing that may hold that operation was committed within `within_ms`, and without
/// an errno when only a transaction was committed that may or may not hold it. Figure `waited` (ns).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// How long to wait at most, in milliseconds.
    pub within_ms: u64,
}
