//! Arguments of what is done with pipes and sockets.

use serde::{Deserialize, Serialize};

use crate::op::kinds::{PatternName, TransferCall};

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
