//! Workload operations: what the steps of a scenario make the guest do.
//!
//! `path` is relative to the mounted root, or `fd:NAME` for a handle opened with [`Op::Open`].

mod args;
mod facts;
mod kinds;

use serde::{Deserialize, Serialize};

pub use args::*;
pub use kinds::{
    FallocateMode, MsyncMode, PatternName, RenameMode, SyncRangeFlags, TransferCall, WriteFlags,
};

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// See [`Open`].
    Open(Open),
    /// See [`Close`].
    Close(Close),
    /// See [`Mkdir`].
    Mkdir(Mkdir),
    /// See [`Create`].
    Create(Create),
    /// See [`Write`].
    Write(Write),
    /// See [`Truncate`].
    Truncate(Truncate),
    /// See [`Fallocate`].
    Fallocate(Fallocate),
    /// See [`Rename`].
    Rename(Rename),
    /// See [`Link`].
    Link(Link),
    /// See [`Symlink`].
    Symlink(Symlink),
    /// See [`Unlink`].
    Unlink(Unlink),
    /// See [`Rmdir`].
    Rmdir(Rmdir),
    /// See [`Setxattr`].
    Setxattr(Setxattr),
    /// See [`Removexattr`].
    Removexattr(Removexattr),
    /// See [`Chmod`].
    Chmod(Chmod),
    /// See [`Chown`].
    Chown(Chown),
    /// See [`Utimes`].
    Utimes(Utimes),
    /// See [`Fsync`].
    Fsync(Fsync),
    /// See [`Fdatasync`].
    Fdatasync(Fdatasync),
    /// sync(2).
    Sync,
    /// syncfs(2) of the mounted filesystem.
    Syncfs,
    /// See [`SyncFileRange`].
    SyncFileRange(SyncFileRange),
    /// See [`MmapStore`].
    MmapStore(MmapStore),
    /// See [`Sleep`].
    Sleep(Sleep),
    /// See [`DropCaches`].
    DropCaches(DropCaches),
    /// See [`Sysctl`].
    Sysctl(Sysctl),
    /// See [`Burst`].
    Burst(Burst),
    /// See [`Read`].
    Read(Read),
    /// See [`Trace`].
    Trace(Trace),
    /// See [`Collect`].
    Collect(Collect),
    /// See [`Observe`].
    Observe(Observe),
    /// The statistics of the mounted device's writeback, from debugfs: figures by name.
    Bdi,
    /// See [`Pipe`].
    Pipe(Pipe),
    /// See [`Socket`].
    Socket(Socket),
    /// See [`Transfer`].
    Transfer(Transfer),
    /// See [`Vmsplice`].
    Vmsplice(Vmsplice),
    /// See [`Pump`].
    Pump(Pump),
    /// See [`Consume`].
    Consume(Consume),
    /// See [`Pending`].
    Pending(Pending),
    /// From here on, see when the journal (jbd2) of the mounted filesystem commits, for [`Op::Commit`].
    WatchJournal,
    /// See [`Commit`].
    Commit(Commit),
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

/// A program that judges a filesystem by what was acknowledged before the power cut.
///
/// Each list becomes a file of lines, named by `COLDCUT_ACKED` and `COLDCUT_BEGUN`; standard input has all lines, those of
/// the first with `acknowledged ` before them and those of the second with `begun `.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifySpec {
    /// What to run.
    pub exec: ExecSpec,
    /// Lines that programs acknowledged before the cut, in their order.
    pub acknowledged: Vec<String>,
    /// Lines that may have been begun before the cut, and were acknowledged later or never.
    pub begun: Vec<String>,
    /// The program is killed once it has printed more bytes than this.
    pub most_output: u64,
}
