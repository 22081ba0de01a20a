//! Steps as the scenario file writes them.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::device_doc::{FailDoc, HoldDoc, ReleaseDoc, SetDeviceDoc, WaitHeldDoc};
use super::step_entry::StepEntry;
use super::step_live_doc::{
    BurstDoc, CollectDoc, ConsumeDoc, ObserveDoc, PipeDoc, PumpDoc, ReadDoc, SocketDoc, TraceDoc,
    TransferDoc, VmspliceDoc,
};
use super::yaml::at::{At, Later, Named};
use super::yaml::names::{Content, Label, Path, Target};
use super::yaml::units::{Millis, Mode, Size};

/// A step, by its key.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepDoc {
    /// mkdir(2).
    Mkdir(MkdirDoc),
    /// Create an empty file.
    Create(CreateDoc),
    /// Write self-describing data.
    Write(WriteDoc),
    /// truncate(2).
    Truncate(TruncateDoc),
    /// fallocate(2).
    Fallocate(FallocateDoc),
    /// renameat2(2).
    Rename(RenameDoc),
    /// link(2).
    Link(LinkDoc),
    /// symlink(2).
    Symlink(SymlinkDoc),
    /// unlink(2).
    Unlink(NameDoc),
    /// rmdir(2).
    Rmdir(NameDoc),
    /// setxattr(2).
    Setxattr(SetxattrDoc),
    /// removexattr(2).
    Removexattr(RemovexattrDoc),
    /// chmod(2).
    Chmod(ChmodDoc),
    /// chown(2).
    Chown(ChownDoc),
    /// utimensat(2).
    Utimes(UtimesDoc),
    /// fsync(2) of a file.
    Fsync(TargetDoc),
    /// fdatasync(2).
    Fdatasync(TargetDoc),
    /// fsync(2) of a directory.
    FsyncDir(NameDoc),
    /// sync(2).
    Sync,
    /// syncfs(2) of the filesystem under test.
    Syncfs,
    /// `sync_file_range(2)`.
    SyncFileRange(SyncFileRangeDoc),
    /// Store through a shared mapping, then msync(2).
    MmapStore(MmapDoc),
    /// Open a handle that later steps name as `fd:HANDLE`.
    Open(OpenDoc),
    /// Close a handle.
    Close(At<Label>),
    /// A named moment between two steps, for `after` and `before`.
    Mark(At<Label>),
    /// Sleep in the guest.
    Sleep(At<Millis>),
    /// Wait, at most so long, until the journal (of ext3 or ext4) has committed what the steps before did; causes no
    /// commit. It fails with ETIMEDOUT when it has not.
    Commit(At<Millis>),
    /// Write to `/proc/sys/vm/drop_caches`: 1 page cache, 2 slab, 3 both.
    DropCaches(At<u8>),
    /// Set a kernel parameter.
    Sysctl(SysctlDoc),
    /// Run a program in the guest.
    Exec(ExecDoc),
    /// Write in a loop, each call timed.
    Burst(BurstDoc),
    /// Read, each call timed, and see what comes back.
    Read(ReadDoc),
    /// Begin to record a tracepoint; the step's label is the trace's name.
    Trace(TraceDoc),
    /// End a trace: what it saw is measured under its name.
    Collect(CollectDoc),
    /// Look at a task until it is blocked in a function of the kernel, or done.
    Observe(ObserveDoc),
    /// The statistics of the device's writeback, from debugfs.
    Bdi,
    /// Make a pipe: handles `NAME.r` and `NAME.w`.
    Pipe(PipeDoc),
    /// Make a pair of connected Unix sockets: handles `NAME.a` and `NAME.b`.
    Socket(SocketDoc),
    /// splice(2) until `len` bytes were moved.
    Splice(TransferDoc),
    /// tee(2), once.
    Tee(TransferDoc),
    /// sendfile(2) until `len` bytes were moved.
    Sendfile(TransferDoc),
    /// vmsplice(2) of a content's first bytes.
    Vmsplice(VmspliceDoc),
    /// Pump a file through a pipe in one thread: splice in, splice out until it is empty, and again.
    Pump(PumpDoc),
    /// Read at a rate and throw away what is read.
    Consume(ConsumeDoc),
    /// How many bytes a pipe or socket holds for its reader (`FIONREAD`).
    Pending(TargetDoc),
    /// Run steps in the background: one after the other, beside the ones that follow.
    Start(StartDoc),
    /// Wait until a task has done all of its steps.
    Join(JoinDoc),
    /// Do not wait for a task: the recording may end while it runs. If it ends before, it must end well.
    Leave(LeaveDoc),
    /// Hold the next request that matches, from now on: it stays submitted, and is neither applied nor answered.
    Hold(HoldDoc),
    /// Wait until a request is really held.
    WaitHeld(WaitHeldDoc),
    /// Let what is held go on, and end the `hold` or the `fail`.
    Release(ReleaseDoc),
    /// Answer the next request that matches with EIO, from now on.
    Fail(FailDoc),
    /// Change the disk's speed.
    SetDevice(SetDeviceDoc),
}

/// Options of `start`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct StartDoc {
    /// The task's name.
    pub(crate) task: At<Label>,
    /// What it does. Its steps can have labels; they cannot start tasks.
    #[serde(rename = "steps")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<StepEntry>"))]
    pub(crate) _steps: Later<Vec<StepEntry>>,
}

/// Options of `join`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_task))]
pub(crate) struct JoinDoc {
    /// The task.
    pub(crate) task: At<Label>,
    /// How long to wait at most, after which the cell is inconclusive; 2min when not given. With `errno: ETIMEDOUT` the
    /// task must still run then, and be joined again later.
    pub(crate) within: Option<At<Millis>>,
}

/// Options of `leave`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_task))]
pub(crate) struct LeaveDoc {
    /// The task.
    pub(crate) task: At<Label>,
}

/// A name in a directory.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_path))]
pub(crate) struct NameDoc {
    /// The name.
    pub(crate) path: At<Path>,
}

/// A file or a handle.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_path))]
pub(crate) struct TargetDoc {
    /// The file, or `fd:HANDLE`.
    pub(crate) path: At<Target>,
}

/// Options of `mkdir`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_path))]
pub(crate) struct MkdirDoc {
    /// The directory.
    pub(crate) path: At<Path>,
    /// Permissions; 0755 when not given.
    pub(crate) mode: Option<Mode>,
    /// Make missing parents too.
    #[serde(default)]
    pub(crate) parents: bool,
}

/// Options of `create`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_path))]
pub(crate) struct CreateDoc {
    /// The file.
    pub(crate) path: At<Path>,
    /// Permissions; 0644 when not given.
    pub(crate) mode: Option<Mode>,
    /// Fail when it exists.
    #[serde(default)]
    pub(crate) exclusive: bool,
}

/// Options of `write`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteDoc {
    /// The file, or `fd:HANDLE`.
    pub(crate) path: At<Target>,
    /// Where in the file; 0 when not given. Not with `append`.
    pub(crate) offset: Option<At<Size>>,
    /// How many bytes.
    pub(crate) len: At<Size>,
    /// Bytes a write(2) call; one call for all when not given.
    pub(crate) chunk: Option<At<Size>>,
    /// Which content: the file's bytes of the same offsets. `PATH@0` when not given.
    pub(crate) content: Option<At<Content>>,
    /// How the file is opened, besides for writing.
    #[serde(default)]
    pub(crate) flags: Vec<FlagDoc>,
    /// Create the file when it is missing; true when not given.
    pub(crate) create: Option<bool>,
}

/// A flag of open(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum FlagDoc {
    /// `O_TRUNC`.
    Truncate,
    /// `O_APPEND`.
    Append,
    /// `O_SYNC`.
    Sync,
    /// `O_DSYNC`.
    Dsync,
    /// `O_DIRECT`: offset, length and chunk are multiples of 512.
    Direct,
    /// Submitted by io_submit(2) and waited for: with `direct`, the file is not locked meanwhile.
    Aio,
}

/// Options of `truncate`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct TruncateDoc {
    /// The file, or `fd:HANDLE`.
    pub(crate) path: At<Target>,
    /// Its new size.
    pub(crate) size: Size,
}

/// Options of `fallocate`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct FallocateDoc {
    /// The file, or `fd:HANDLE`.
    pub(crate) path: At<Target>,
    /// What to do; `allocate` when not given.
    pub(crate) mode: Option<FallocateModeDoc>,
    /// First byte; 0 when not given.
    pub(crate) offset: Option<Size>,
    /// How many bytes.
    pub(crate) len: At<Size>,
}

/// A mode of fallocate(2).
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum FallocateModeDoc {
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

/// Options of `rename`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameDoc {
    /// The old name.
    pub(crate) from: At<Path>,
    /// The new name.
    pub(crate) to: At<Path>,
    /// What becomes of the new name's old file; `replace` when not given.
    pub(crate) mode: Option<RenameModeDoc>,
}

/// A flag of renameat2(2).
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum RenameModeDoc {
    /// Replace it if there is one.
    Replace,
    /// `RENAME_NOREPLACE`.
    Noreplace,
    /// `RENAME_EXCHANGE`.
    Exchange,
}

/// Options of `link`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkDoc {
    /// The existing name.
    pub(crate) from: At<Path>,
    /// The new name.
    pub(crate) to: At<Path>,
}

/// Options of `symlink`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SymlinkDoc {
    /// The new name.
    pub(crate) path: At<Path>,
    /// What it points to, unchanged.
    pub(crate) target: String,
}

/// Options of `setxattr`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SetxattrDoc {
    /// The file.
    pub(crate) path: At<Path>,
    /// Name with its namespace, such as `user.tag`.
    pub(crate) name: At<String>,
    /// Value.
    pub(crate) value: String,
}

/// Options of `removexattr`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RemovexattrDoc {
    /// The file.
    pub(crate) path: At<Path>,
    /// Name with its namespace.
    pub(crate) name: At<String>,
}

/// Options of `chmod`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ChmodDoc {
    /// The file.
    pub(crate) path: At<Path>,
    /// Its new permissions.
    pub(crate) mode: Mode,
}

/// Options of `chown`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ChownDoc {
    /// The file.
    pub(crate) path: At<Path>,
    /// Its new owner.
    pub(crate) uid: u32,
    /// Its new group.
    pub(crate) gid: u32,
}

/// Options of `utimes`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct UtimesDoc {
    /// The file.
    pub(crate) path: At<Path>,
    /// Access time, nanoseconds since the epoch.
    pub(crate) atime_ns: i64,
    /// Modification time, nanoseconds since the epoch.
    pub(crate) mtime_ns: i64,
}

/// Options of `sync_file_range`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_path))]
pub(crate) struct SyncFileRangeDoc {
    /// The file, or `fd:HANDLE`.
    pub(crate) path: At<Target>,
    /// First byte; 0 when not given.
    pub(crate) offset: Option<Size>,
    /// How many bytes; 0, to the end, when not given.
    pub(crate) len: Option<Size>,
    /// What to do, in this order; all three when not given.
    pub(crate) flags: Option<Vec<SyncRangeFlagDoc>>,
}

/// A flag of `sync_file_range(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum SyncRangeFlagDoc {
    /// `SYNC_FILE_RANGE_WAIT_BEFORE`.
    WaitBefore,
    /// `SYNC_FILE_RANGE_WRITE`.
    Write,
    /// `SYNC_FILE_RANGE_WAIT_AFTER`.
    WaitAfter,
}

/// Options of `mmap_store`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct MmapDoc {
    /// The file, or `fd:HANDLE`.
    pub(crate) path: At<Target>,
    /// First byte; 0 when not given.
    pub(crate) offset: Option<At<Size>>,
    /// How many bytes.
    pub(crate) len: At<Size>,
    /// Which content; `PATH@0` when not given.
    pub(crate) content: Option<At<Content>>,
    /// What follows the store; `none` when not given.
    pub(crate) msync: Option<MsyncDoc>,
}

/// A mode of msync(2).
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum MsyncDoc {
    /// No msync.
    None,
    /// `MS_ASYNC`, which promises nothing.
    Async,
    /// `MS_SYNC`.
    Sync,
}

/// Options of `open`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenDoc {
    /// The file.
    pub(crate) path: At<Path>,
    /// The handle's name.
    pub(crate) handle: At<Label>,
    /// How the file is opened.
    #[serde(default)]
    pub(crate) flags: Vec<FlagDoc>,
    /// Create the file when it is missing; true when not given, unless read-only.
    pub(crate) create: Option<bool>,
    /// Open for reading only.
    #[serde(default)]
    pub(crate) read_only: bool,
}

/// Options of `sysctl`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SysctlDoc {
    /// Name with dots, such as `vm.dirty_bytes`.
    pub(crate) name: At<String>,
    /// Value.
    #[cfg_attr(feature = "schema", schemars(with = "super::yaml::schema::Scalar"))]
    pub(crate) value: String,
}

/// Options of `exec`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecDoc {
    /// Program and arguments; a program without a slash is looked up in `programs`.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<super::yaml::schema::Scalar>"))]
    pub(crate) argv: At<Vec<String>>,
    /// Additions to the environment.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Named<super::yaml::schema::Scalar>>")
    )]
    pub(crate) env: Option<Named<String>>,
    /// Working directory below the mounted root; the root when not given.
    pub(crate) cwd: Option<At<Path>>,
    /// Lines of its standard output that begin so are acknowledgements: the rest of the line is a mark's text, for
    /// `after: {line: TEXT}`.
    pub(crate) mark_prefix: Option<At<String>>,
    /// It is killed after so long, which makes the cell inconclusive; 60s when not given.
    pub(crate) timeout: Option<At<Millis>>,
}
