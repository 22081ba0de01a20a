//! Workload operations: one each per scenario step that runs in the guest.
//!
//! `path` is relative to the mounted root, or `fd:NAME` for a handle opened with [`Op::Open`].

use serde::{Deserialize, Serialize};

/// A named content: `file` and `generation`, written `file@generation`. See [`crate::pattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PatternName {
    /// The file that this content belongs to, by the name the scenario gives it (not necessarily its path).
    pub file: String,
    /// Which version of that file.
    pub generation: String,
}

/// How [`Op::Write`] opens its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteFlags {
    /// `O_CREAT`.
    pub create: bool,
    /// `O_TRUNC`.
    pub truncate: bool,
    /// `O_APPEND`.
    pub append: bool,
    /// `O_SYNC`.
    pub sync: bool,
    /// `O_DSYNC`.
    pub dsync: bool,
    /// `O_DIRECT`; the agent's buffer is aligned to 4096 bytes.
    pub direct: bool,
    /// Submitted by io_submit(2), and waited for by io_getevents(2). Asynchronous only with `direct`.
    pub aio: bool,
}

/// Modes of fallocate(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FallocateMode {
    /// Mode 0.
    Allocate,
    /// `FALLOC_FL_KEEP_SIZE`.
    KeepSize,
    /// `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`.
    PunchHole,
    /// `FALLOC_FL_ZERO_RANGE`.
    ZeroRange,
    /// `FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE`.
    ZeroRangeKeepSize,
    /// `FALLOC_FL_COLLAPSE_RANGE`.
    CollapseRange,
    /// `FALLOC_FL_INSERT_RANGE`.
    InsertRange,
    /// `FALLOC_FL_UNSHARE_RANGE`.
    UnshareRange,
}

/// Flags of renameat2(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RenameMode {
    /// Replace the target if there is one.
    Replace,
    /// `RENAME_NOREPLACE`.
    NoReplace,
    /// `RENAME_EXCHANGE`.
    Exchange,
}

/// What to do after storing through a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MsyncMode {
    /// No msync.
    None,
    /// `MS_ASYNC`.
    Async,
    /// `MS_SYNC`.
    Sync,
}

/// Flags of `sync_file_range(2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRangeFlags {
    /// `SYNC_FILE_RANGE_WAIT_BEFORE`.
    pub wait_before: bool,
    /// `SYNC_FILE_RANGE_WRITE`.
    pub write: bool,
    /// `SYNC_FILE_RANGE_WAIT_AFTER`.
    pub wait_after: bool,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are the system calls' own arguments
pub enum Op {
    /// Open a handle that later operations name as `fd:HANDLE`.
    Open {
        path: String,
        handle: String,
        flags: WriteFlags,
        read_only: bool,
    },
    /// Close a handle.
    Close { handle: String },
    /// mkdir(2), which takes permission and sticky bits only. With `parents`, missing parents are made (mode 0755) and
    /// a directory that is there already is no error.
    Mkdir { path: String, mode: u32, parents: bool },
    /// Create an empty file; fails when it exists if `exclusive`.
    Create {
        path: String,
        mode: u32,
        exclusive: bool,
    },
    /// Write `len` bytes of `content` at `offset` (the content's bytes of the same offsets), `chunk` bytes a
    /// write(2) call (0: one call; a call has at most 64 MiB). With append, offsets start at the file's size and
    /// `offset` is ignored. On a handle, `flags` must be those of a plain write: it keeps what it was opened with.
    /// Returns the bytes written.
    Write {
        path: String,
        offset: u64,
        len: u64,
        chunk: u32,
        content: PatternName,
        flags: WriteFlags,
    },
    /// truncate(2).
    Truncate { path: String, size: u64 },
    /// fallocate(2).
    Fallocate {
        path: String,
        mode: FallocateMode,
        offset: u64,
        len: u64,
    },
    /// renameat2(2).
    Rename {
        from: String,
        to: String,
        mode: RenameMode,
    },
    /// link(2).
    Link { from: String, to: String },
    /// symlink(2).
    Symlink { target: String, path: String },
    /// unlink(2).
    Unlink { path: String },
    /// rmdir(2).
    Rmdir { path: String },
    /// lsetxattr(2).
    Setxattr {
        path: String,
        name: String,
        value: Vec<u8>,
    },
    /// lremovexattr(2).
    Removexattr { path: String, name: String },
    /// chmod(2).
    Chmod { path: String, mode: u32 },
    /// lchown(2); `u32::MAX` leaves one as it is.
    Chown { path: String, uid: u32, gid: u32 },
    /// utimensat(2), in nanoseconds since the epoch.
    Utimes {
        path: String,
        atime_ns: i64,
        mtime_ns: i64,
    },
    /// fsync(2) of a file (or of a directory: `directory` demands that it is one).
    Fsync { path: String, directory: bool },
    /// fdatasync(2).
    Fdatasync { path: String },
    /// sync(2).
    Sync,
    /// syncfs(2) of the mounted filesystem.
    Syncfs,
    /// `sync_file_range(2)`.
    SyncFileRange {
        path: String,
        offset: u64,
        len: u64,
        flags: SyncRangeFlags,
    },
    /// Map the range, store `content` there, optionally msync, unmap. The range must lie within the file. Returns the
    /// bytes stored; a page that cannot be backed (no space, an I/O error) is a failure, not a signal.
    MmapStore {
        path: String,
        offset: u64,
        len: u64,
        content: PatternName,
        msync: MsyncMode,
    },
    /// Sleep in the guest, an hour at most.
    Sleep { millis: u64 },
    /// Write 1 to 3 to `/proc/sys/vm/drop_caches`.
    DropCaches { what: u8 },
    /// Write `value` to `/proc/sys/` + `name` with dots as slashes.
    Sysctl { name: String, value: String },
    /// Write `content` as [`Op::Write`] does, `chunk` bytes a call, and time each call (series `writes`). After every
    /// `fsync_every` calls, and after the last, the file is fsynced (series `fsyncs`); 0: never. Figure `bytes`.
    Burst {
        path: String,
        offset: u64,
        len: u64,
        chunk: u32,
        content: PatternName,
        flags: WriteFlags,
        fsync_every: u32,
        pause_ms: u32,
        within_ms: u64,
    },
    /// Read `len` bytes at `offset`, `chunk` bytes a call (0: one call), `times` times, with `pause_ms` between them;
    /// each call is timed (series `reads`). What the rounds returned comes as [`crate::Output::Data`]: the first one,
    /// and each that differs from the one before. `contents` are those that it may be. Figure `bytes`: of the last
    /// round, less than `len` at the file's end.
    Read {
        path: String,
        offset: u64,
        len: u64,
        chunk: u32,
        direct: bool,
        times: u32,
        pause_ms: u32,
        contents: Vec<PatternName>,
        within_ms: u64,
    },
    /// Begin to record a tracepoint, `SYSTEM:NAME`, in a buffer of its own. `filter` in the kernel's own syntax
    /// (Documentation/trace/events.rst), empty: none.
    Trace {
        name: String,
        event: String,
        filter: String,
        /// What [`Op::Collect`] will ask for.
        fields: Vec<String>,
    },
    /// End a trace: figure `events`, and for each of `fields` a series of what stands after `FIELD=`. Events that were
    /// lost are a failure.
    Collect { name: String, fields: Vec<String> },
    /// Look at another lane until it is in one of `states` (letters of `/proc/PID/stat`; empty: any) with one of
    /// `frames` in its kernel stack (empty: any), and for `lasting_ms` whenever it is looked at. Figures `found` (1 or 0) and `waited` (ns), texts `stack` and
    /// `state`. 0 only when the lane came to rest before it was seen so; time being up is a failure.
    Observe {
        lane: crate::Lane,
        frames: Vec<String>,
        states: String,
        lasting_ms: u64,
        within_ms: u64,
    },
    /// The statistics of the mounted device's writeback, from debugfs: figures by name.
    Bdi,
    /// Make a pipe: handles `HANDLE.r` and `HANDLE.w`. `capacity` in bytes (`F_SETPIPE_SZ`), 0: as it comes. Figure
    /// `capacity`: what it is (`F_GETPIPE_SZ`).
    Pipe { handle: String, capacity: u32 },
    /// Make a pair of connected Unix stream sockets: handles `HANDLE.a` and `HANDLE.b`. `SO_SNDBUF` and `SO_RCVBUF` in
    /// bytes, 0: as they come. Figures `sndbuf` and `rcvbuf`: what the kernel made of it.
    Socket {
        handle: String,
        sndbuf: u32,
        rcvbuf: u32,
    },
    /// Move bytes without copying them: series `calls` (ns), figure `bytes`.
    Transfer {
        how: Transfer,
        from: String,
        to: String,
        offset: u64,
        len: u64,
        chunk: u32,
        nonblock: bool,
        within_ms: u64,
    },
    /// vmsplice(2) of a content's first bytes into a pipe: series `calls` (ns), figure `bytes`.
    Vmsplice {
        to: String,
        len: u64,
        content: PatternName,
        within_ms: u64,
    },
    /// One thread's loop of splice(2) from a file into a pipe (`chunk` bytes; series `fills`) and from the pipe to
    /// `to` until the pipe is empty (series `drains`). Figure `bytes`.
    Pump {
        from: String,
        through: String,
        to: String,
        offset: u64,
        len: u64,
        chunk: u32,
        within_ms: u64,
    },
    /// Read `rate` bytes every `every_ms` milliseconds and throw them away, until `len` bytes were read or the other
    /// end is closed. Figure `bytes`.
    Consume {
        from: String,
        len: u64,
        rate: u32,
        every_ms: u32,
        within_ms: u64,
    },
    /// How many bytes a pipe or socket holds for its reader (`FIONREAD`): figure `bytes`.
    Pending { path: String },
    /// From here on, see when the journal (jbd2) of the mounted filesystem commits, for [`Op::Commit`].
    WatchJournal,
    /// Wait until a transaction that was open when the last operation ended, or a later one, is committed; nothing is
    /// done that would make it so. ETIMEDOUT when none was within `within_ms`, and none that may hold that operation
    /// was committed at all; a failure without an errno when one was that may. Figure `waited` (ns).
    Commit { within_ms: u64 },
}

/// How [`Op::Transfer`] moves bytes, `chunk` a call (0: as many as there are left), until `len` were moved, the source
/// ends, or (with `nonblock`) a call would block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transfer {
    /// splice(2).
    Splice,
    /// tee(2), once.
    Tee,
    /// sendfile(2).
    Sendfile,
}

impl Op {
    /// How long it may take beyond what any operation may, in milliseconds: what it sleeps, or its own deadline.
    pub fn patience_ms(&self) -> u64 {
        match self {
            Self::Sleep { millis } => *millis,
            Self::Burst { within_ms, .. }
            | Self::Read { within_ms, .. }
            | Self::Observe { within_ms, .. }
            | Self::Transfer { within_ms, .. }
            | Self::Vmsplice { within_ms, .. }
            | Self::Pump { within_ms, .. }
            | Self::Consume { within_ms, .. }
            | Self::Commit { within_ms } => *within_ms,
            _ => 0,
        }
    }

    /// Whether it may change a filesystem; what only waits, looks or sets something else up does not.
    pub fn may_change_files(&self) -> bool {
        !matches!(
            self,
            Self::Sleep { .. }
                | Self::DropCaches { .. }
                | Self::Sysctl { .. }
                | Self::Trace { .. }
                | Self::Collect { .. }
                | Self::Observe { .. }
                | Self::Bdi
                | Self::Pipe { .. }
                | Self::Socket { .. }
                | Self::Pending { .. }
                | Self::WatchJournal
                | Self::Commit { .. }
        )
    }
}

/// A program to run in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// Program and arguments; the program is looked up in the scenario's programs directory (`/programs`) when
    /// it is not an absolute path.
    pub argv: Vec<String>,
    /// Extra environment.
    pub env: Vec<(String, String)>,
    /// Working directory, relative to the mounted root.
    pub cwd: String,
    /// Directory to chroot into (a rootfs), if any.
    pub root: Option<String>,
    /// Kill it after so long.
    pub timeout_ms: u64,
}
