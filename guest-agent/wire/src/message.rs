//! Requests to the agent and what it answers.

use serde::{Deserialize, Serialize};

use crate::op::{ExecSpec, Op, PatternName, VerifySpec};
use crate::tree::{Extent, Placed, TreeEntry};

/// Version of this protocol; a peer that says another one is refused.
pub const PROTOCOL: u32 = 6;

/// The serial number of the disk with programs, by which the agent finds it.
pub const ROOT_SERIAL: &str = "coldcut-programs";

/// Number that pairs an answer with its request; chosen by the host, unique within a connection.
pub type RequestId = u32;

/// Which of the agent's threads runs a request. Requests of one lane run one after the other, in the order in which
/// they were sent; lanes do not wait for one another.
pub type Lane = u8;

/// Lanes that there are: 0, the main one, to `LANES - 1`. A request in another one is refused.
pub const LANES: Lane = 16;

/// Everything the host sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Do something and answer with any number of [`FromAgent::Output`] and exactly one [`FromAgent::Done`].
    Request {
        /// Pairs the answers with this request.
        id: RequestId,
        /// Where it runs. [`Request::Ping`] and [`Request::PowerOff`] are answered at once, whatever their lane does.
        lane: Lane,
        /// What to do.
        body: Request,
    },
}

/// Everything the agent sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromAgent {
    /// First message on every connection.
    Hello(Hello),
    /// A part of the answer to request `id`; more follow.
    Output {
        /// The request this belongs to.
        id: RequestId,
        /// The part.
        output: Output,
    },
    /// The end of the answer to request `id`.
    Done {
        /// The request this ends.
        id: RequestId,
        /// How it ended.
        result: Result<Done, Failure>,
    },
}

/// Who the agent is and what kernel it runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The agent's [`PROTOCOL`].
    pub protocol: u32,
    /// The agent's package version.
    pub agent: String,
    /// `uname -r` of the guest.
    pub release: String,
    /// Nanoseconds of guest uptime (`CLOCK_BOOTTIME`) when the agent was ready.
    pub uptime_ns: u64,
    /// What went wrong while loading modules or mounting `/proc`, `/sys`, `/dev`; empty when nothing did.
    pub problems: Vec<String>,
}

/// What the host can ask for. Paths in [`Op`] are relative to the mount point of the last [`Request::Mount`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Answer at once.
    Ping,
    /// Mount a filesystem; its mount point becomes the root of all [`Op`] paths and walks.
    Mount(MountSpec),
    /// Unmount what [`Request::Mount`] mounted and close every handle first.
    Unmount,
    /// Run one workload operation.
    Op(Op),
    /// Run a program, streaming [`Output::Line`] as it prints.
    Exec(ExecSpec),
    /// The same, with a terminal as its standard output: most programs then print each line when it is complete.
    ExecOnTerminal(ExecSpec),
    /// Run a program that judges what is mounted, streaming [`Output::Line`] as it prints, and end everything that it
    /// left behind.
    Verify(VerifySpec),
    /// Walk the mounted tree, streaming [`Output::Entries`].
    Walk(WalkSpec),
    /// The kernel's log, streaming [`Output::Dmesg`].
    Dmesg(DmesgFrom),
    /// Drop what the kernel keeps of a device that is no longer mounted, so that another disk can take its place: its
    /// buffer cache (`BLKFLSBUF`), and what its filesystem's driver remembers.
    FlushDevice {
        /// Such as `/dev/vda`.
        device: String,
        /// What the driver is to forget, if it remembers anything.
        forget: Option<Forget>,
    },
    /// Make the guest ready to be saved. Nothing may be mounted, and its disks must have no capacity, so that nothing of
    /// them was read.
    Prepare {
        /// Names of the disks that it will resume with, such as `vda`.
        disks: Vec<String>,
    },
    /// First request to a guest that was saved and is running again.
    Resume(ResumeSpec),
    /// Answer, then power the machine off without unmounting anything (an ordinary process just exits).
    PowerOff,
}

/// What a filesystem's driver remembers of devices after they were unmounted, until it is told to forget it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forget {
    /// The devices that btrfs has seen, each with its generation (`BTRFS_IOC_FORGET_DEV`).
    BtrfsDevices,
}

/// Where reading the kernel's log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DmesgFrom {
    /// At this `/dev/kmsg` sequence number.
    Record(u64),
    /// Where the last answer ended.
    Last,
    /// At the end: nothing is sent, and [`DmesgFrom::Last`] gives what comes later.
    End,
}

/// What a guest that was saved must learn anew. Two clones of one guest share everything else: see
/// `docs/templates.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeSpec {
    /// Random bytes, credited as entropy; the kernel's generator is reseeded with them. At most 256.
    pub seed: Vec<u8>,
    /// The time, in nanoseconds since 1970.
    pub unix_nanos: u64,
    /// Bytes of each disk that was named before the save, in the same order: the answer waits until the disks have them.
    pub capacities: Vec<u64>,
}

/// Arguments of mount(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// Source, such as `/dev/vda`; the agent waits up to `wait_ms` for it to appear.
    pub device: String,
    /// Devices besides that the filesystem is on; they are waited for likewise.
    pub others: Vec<String>,
    /// Such as `ext4`.
    pub fstype: String,
    /// Filesystem-specific options, comma-separated, passed as mount data.
    pub data: String,
    /// Generic flags by their mount(8) names: `ro`, `sync`, `dirsync`, `noatime`, `nodiratime`, `relatime`,
    /// `strictatime`, `lazytime`, `nosuid`, `nodev`, `noexec`.
    pub flags: Vec<String>,
    /// How long to wait for the device nodes, in milliseconds.
    pub wait_ms: u32,
    /// What the clock is set to right before, in nanoseconds since 1970; by the agent of a guest only.
    pub clock: Option<u64>,
    /// When the agent is an ordinary process under test: use this existing directory and mount nothing.
    pub existing_dir: Option<String>,
}

/// What to report of the mounted tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkSpec {
    /// Every pattern that the scenario may have written, by which short, unaligned and mixed sectors are named.
    pub patterns: Vec<PatternName>,
    /// Read file data and report [`crate::tree::Extent`]s; without it only metadata is reported.
    pub data: bool,
    /// At most so many entries; more is a [`Failure`].
    pub max_entries: u32,
    /// At most so many bytes of file data are read in all; more is a [`Failure`].
    pub max_bytes: u64,
    /// Report where on the disk files have their data ([`Output::Placed`]).
    pub placed: bool,
}

/// Where a line of an executed program came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Output {
    /// A line (without its newline) that an executed program printed; longer ones arrive cut at 4096 bytes.
    Line {
        /// Which of its outputs.
        stream: Stream,
        /// The line; invalid UTF-8 is replaced.
        text: String,
    },
    /// Entries of the tree, in walk order (a directory before what it holds, names sorted by bytes).
    Entries(Vec<TreeEntry>),
    /// Lines of the kernel's log.
    Dmesg(Vec<DmesgLine>),
    /// Something that an operation measured.
    Measured(Measured),
    /// Where files have their data, after all entries.
    Placed(Vec<Placed>),
}

/// Most values that the series of one operation hold together.
pub const MAX_VALUES: usize = 1 << 20;
/// Most values of a series in one message; a longer one comes in several.
pub const SERIES_PART: usize = 1 << 14;
/// Most lines of one text.
pub const MAX_LINES: usize = 256;

/// What an operation measured, beside how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measured {
    /// One number.
    Figure {
        /// What it is.
        name: String,
        /// Nanoseconds, bytes or a count, by its name.
        value: i64,
    },
    /// More values of a series, in the order in which they were taken.
    Series {
        /// What they are.
        name: String,
        /// At most [`SERIES_PART`] of them.
        values: Vec<i64>,
    },
    /// Lines of text, such as a kernel stack.
    Text {
        /// What it is.
        name: String,
        /// At most [`MAX_LINES`].
        lines: Vec<String>,
    },
    /// What a read returned.
    Data {
        /// Which round of reading, from 0.
        round: u32,
        /// Where the bytes come from, by their offset in the file.
        extents: Vec<Extent>,
    },
}

/// One record of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DmesgLine {
    /// Sequence number in `/dev/kmsg`.
    pub seq: u64,
    /// syslog level, 0 (emergency) to 7 (debug).
    pub level: u8,
    /// Microseconds since the guest booted.
    pub micros: u64,
    /// The message.
    pub text: String,
}

/// How a request ended well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// Nothing more to say (ping, unmount, flush, power-off).
    Ok,
    /// A mount: how long the mount call took, in nanoseconds.
    Mounted {
        /// Duration of mount(2).
        nanos: u64,
    },
    /// An operation: what its last system call returned and how long all of it took.
    Op {
        /// Return value, such as the bytes written.
        ret: i64,
        /// Duration in nanoseconds.
        nanos: u64,
    },
    /// A program ended: its exit code, or 128 + signal.
    Exec {
        /// The code.
        code: i32,
    },
    /// A walk ended.
    Walk(WalkSummary),
    /// The kernel's log ended; the next record will have this number.
    Dmesg {
        /// Next sequence number.
        next: u64,
    },
}

/// Totals of a walk, to check that nothing was lost on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkSummary {
    /// Entries sent.
    pub entries: u64,
    /// Bytes of file data read.
    pub bytes: u64,
    /// Duration in nanoseconds.
    pub nanos: u64,
}

/// How a request ended badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The system call's errno, where one failed.
    pub errno: Option<i32>,
    /// What failed, such as `rename a b`, with the kernel's words.
    pub what: String,
}
