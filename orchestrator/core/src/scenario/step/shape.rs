//! Every step: its key, the shape of its options, and what lowers it.

use coldcut_wire::{Op, TransferCall};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::attributes::{ChmodShape, ChownShape, RemovexattrShape, SetxattrShape, UtimesShape};
use super::data::{FallocateShape, TruncateShape, WriteShape};
use super::device::{FailShape, HoldShape, ReleaseShape, SetDeviceShape, WaitHeldShape};
use super::exec::ExecShape;
use super::head::Head;
use super::lowering::Lowering;
use super::mapped::MmapShape;
use super::names::{CreateShape, LinkShape, MkdirShape, RenameShape, SymlinkShape};
use super::open::OpenShape;
use super::pipes::{ConsumeShape, PipeShape, PumpShape, SocketShape, TransferShape, VmspliceShape};
use super::sync::SyncFileRangeShape;
use super::system::SysctlShape;
use super::target::{NameShape, TargetShape};
use super::task::{JoinShape, LeaveShape, StartShape};
use super::timed::{BurstShape, ReadShape};
use super::watch::{CollectShape, ObserveShape, TraceShape};
use super::{mark, names, open, pipes, sync, system, watch};
use crate::scenario::model::{Action, Step};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::Lowered;
use crate::scenario::yaml::names::Label;
use crate::scenario::yaml::units::Millis;

/// A step, by its key.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case", bound = "")]
pub(super) enum StepShape<E> {
    /// mkdir(2).
    Mkdir(MkdirShape),
    /// Create an empty file.
    Create(CreateShape),
    /// Write self-describing data.
    Write(WriteShape),
    /// truncate(2).
    Truncate(TruncateShape),
    /// fallocate(2).
    Fallocate(FallocateShape),
    /// renameat2(2).
    Rename(RenameShape),
    /// link(2).
    Link(LinkShape),
    /// symlink(2).
    Symlink(SymlinkShape),
    /// unlink(2).
    Unlink(NameShape),
    /// rmdir(2).
    Rmdir(NameShape),
    /// setxattr(2).
    Setxattr(SetxattrShape),
    /// removexattr(2).
    Removexattr(RemovexattrShape),
    /// chmod(2).
    Chmod(ChmodShape),
    /// chown(2).
    Chown(ChownShape),
    /// utimensat(2).
    Utimes(UtimesShape),
    /// fsync(2) of a file.
    Fsync(TargetShape),
    /// fdatasync(2).
    Fdatasync(TargetShape),
    /// fsync(2) of a directory.
    FsyncDir(NameShape),
    /// sync(2).
    Sync,
    /// syncfs(2) of the filesystem under test.
    Syncfs,
    /// `sync_file_range(2)`.
    SyncFileRange(SyncFileRangeShape),
    /// Store through a shared mapping, then msync(2).
    MmapStore(MmapShape),
    /// Open a handle that later steps name as `fd:HANDLE`.
    Open(OpenShape),
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
    Sysctl(SysctlShape),
    /// Run a program in the guest.
    Exec(ExecShape),
    /// Write in a loop, each call timed.
    Burst(BurstShape),
    /// Read, each call timed, and see what comes back.
    Read(ReadShape),
    /// Begin to record a tracepoint; the step's label is the trace's name.
    Trace(TraceShape),
    /// End a trace: what it saw is measured under its name.
    Collect(CollectShape),
    /// Look at a task until it is blocked in a function of the kernel, or done.
    Observe(ObserveShape),
    /// The statistics of the device's writeback, from debugfs.
    Bdi,
    /// Make a pipe: handles `NAME.r` and `NAME.w`.
    Pipe(PipeShape),
    /// Make a pair of connected Unix sockets: handles `NAME.a` and `NAME.b`.
    Socket(SocketShape),
    /// splice(2) until `len` bytes were moved.
    Splice(TransferShape),
    /// tee(2), once.
    Tee(TransferShape),
    /// sendfile(2) until `len` bytes were moved.
    Sendfile(TransferShape),
    /// vmsplice(2) of a content's first bytes.
    Vmsplice(VmspliceShape),
    /// Pump a file through a pipe in one thread: splice in, splice out until it is empty, and again.
    Pump(PumpShape),
    /// Read at a rate and throw away what is read.
    Consume(ConsumeShape),
    /// How many bytes a pipe or socket holds for its reader (`FIONREAD`).
    Pending(TargetShape),
    /// Run steps in the background: one after the other, beside the ones that follow.
    Start(StartShape<E>),
    /// Wait until a task has done all of its steps.
    Join(JoinShape),
    /// Do not wait for a task: the recording may end while it runs. If it ends before, it must end well.
    Leave(LeaveShape),
    /// Hold the next request that matches, from now on: it stays submitted, and is neither applied nor answered.
    Hold(HoldShape),
    /// Wait until a request is really held.
    WaitHeld(WaitHeldShape),
    /// Let what is held go on, and end the `hold` or the `fail`.
    Release(ReleaseShape),
    /// Answer the next request that matches with EIO, from now on.
    Fail(FailShape),
    /// Change the disk's speed.
    SetDevice(SetDeviceShape),
}

impl<E> StepShape<E> {
    /// What the step does. `own` lowers the steps of the task that it starts.
    pub(super) fn lower(
        &self,
        head: &Head,
        cx: &mut Lowering<'_>,
        own: &dyn Fn(&mut Lowering<'_>) -> Vec<Step>,
    ) -> Lowered<Action> {
        Ok(match self {
            Self::Mkdir(step) => Action::Op(step.lower()),
            Self::Create(step) => Action::Op(step.lower()),
            Self::Write(step) => Action::Op(step.lower(head, cx)?),
            Self::Truncate(step) => Action::Op(step.lower(cx)?),
            Self::Fallocate(step) => Action::Op(step.lower(cx)?),
            Self::Rename(step) => Action::Op(step.lower()),
            Self::Link(step) => Action::Op(step.lower()),
            Self::Symlink(step) => Action::Op(step.lower()),
            Self::Unlink(name) => Action::Op(names::unlink(name)),
            Self::Rmdir(name) => Action::Op(names::rmdir(name)),
            Self::Setxattr(step) => Action::Op(step.lower()?),
            Self::Removexattr(step) => Action::Op(step.lower()?),
            Self::Chmod(step) => Action::Op(step.lower()),
            Self::Chown(step) => Action::Op(step.lower()),
            Self::Utimes(step) => Action::Op(step.lower()),
            Self::Fsync(file) => Action::Op(sync::fsync(file, cx)?),
            Self::Fdatasync(file) => Action::Op(sync::fdatasync(file, cx)?),
            Self::FsyncDir(directory) => Action::Op(sync::fsync_dir(directory)),
            Self::Sync => Action::Op(Op::Sync),
            Self::Syncfs => Action::Op(Op::Syncfs),
            Self::SyncFileRange(step) => Action::Op(step.lower(cx)?),
            Self::MmapStore(step) => Action::Op(step.lower(cx)?),
            Self::Open(step) => Action::Op(step.lower(cx)?),
            Self::Close(handle) => Action::Op(open::close(handle, cx)?),
            Self::Mark(_) => mark::mark(head)?,
            Self::Sleep(how_long) => Action::Op(system::sleep(how_long)?),
            Self::Commit(within) => Action::Op(watch::commit(within, head, cx)?),
            Self::DropCaches(what) => Action::Op(system::drop_caches(what)?),
            Self::Sysctl(step) => Action::Op(step.lower()?),
            Self::Exec(step) => step.lower(cx)?,
            Self::Burst(step) => Action::Op(step.lower(cx)?),
            Self::Read(step) => Action::Op(step.lower(cx)?),
            Self::Trace(step) => Action::Op(step.lower(head, cx)?),
            Self::Collect(step) => Action::Op(step.lower(cx)?),
            Self::Observe(step) => Action::Op(step.lower(cx)?),
            Self::Bdi => Action::Op(Op::Bdi),
            Self::Pipe(step) => Action::Op(step.lower(cx)?),
            Self::Socket(step) => Action::Op(step.lower(cx)?),
            Self::Splice(step) => Action::Op(step.lower(TransferCall::Splice, cx)?),
            Self::Tee(step) => Action::Op(step.lower(TransferCall::Tee, cx)?),
            Self::Sendfile(step) => Action::Op(step.lower(TransferCall::Sendfile, cx)?),
            Self::Vmsplice(step) => Action::Op(step.lower(cx)?),
            Self::Pump(step) => Action::Op(step.lower(cx)?),
            Self::Consume(step) => Action::Op(step.lower(cx)?),
            Self::Pending(end) => Action::Op(pipes::pending(end, cx)?),
            Self::Start(step) => step.lower(head, cx, own)?,
            Self::Join(step) => step.lower(head, cx)?,
            Self::Leave(step) => step.lower(head, cx)?,
            Self::Hold(step) => step.lower(head, cx)?,
            Self::WaitHeld(step) => step.lower(head, cx)?,
            Self::Release(step) => step.lower(head, cx)?,
            Self::Fail(step) => step.lower(head, cx)?,
            Self::SetDevice(step) => step.lower(head, cx)?,
        })
    }
}
