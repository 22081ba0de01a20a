//! The messages that coldcut's host and its guest agent exchange, and the self-describing data that both
//! must agree on.
//!
//! Nothing here does I/O: [`frame`] turns messages into bytes and bytes into messages, every length bounded,
//! because the guest is hostile. Host and agent always come from the same build, so the encoding carries no
//! compatibility beyond the [`PROTOCOL`] number checked in [`Hello`].

pub mod frame;
pub mod message;
pub mod op;
pub mod pattern;
pub mod splitmix;
pub mod tree;

pub use frame::{Decoder, FrameError, MAX_FRAME, encode};
pub use message::{
    DmesgFrom, DmesgLine, Done, Failure, Forget, FromAgent, Hello, LANES, Lane, MAX_LINES, MAX_VALUES,
    Measured, MountSpec, Output, PROTOCOL, ROOT_SERIAL, Request, RequestId, ResumeSpec, SERIES_PART, Stream,
    ToAgent, WalkSpec, WalkSummary,
};
pub use op::{
    ExecSpec, FallocateMode, MsyncMode, Op, PatternName, RenameMode, SyncRangeFlags, TransferCall,
    VerifySpec, WriteFlags,
};
pub use tree::{EntryKind, Extent, Placed, Source, TreeEntry};
