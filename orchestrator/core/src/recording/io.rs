//! Requests of a block device and the one total order in which they are logged.

use std::io;

use bytes::Bytes;

use crate::recording::mark::Mark;

/// What a request asks of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoKind {
    /// Store data.
    Write,
    /// Make a range read as zeros.
    WriteZeroes,
    /// The range's content is no longer needed (discard, TRIM).
    Discard,
    /// Make all writes completed before this one's submission durable.
    Flush,
}

/// A request that changes what is on the device or how durable it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Io {
    /// What is asked.
    pub kind: IoKind,
    /// First byte, in the address space of all disks of the recording; for a flush, the first of the disk to which it was
    /// sent, which is 0 where there is only one.
    pub offset: u64,
    /// Bytes; 0 for a flush.
    pub len: u64,
    /// Forced unit access: durable when it completes.
    pub fua: bool,
}

/// Names a request between its submission and its completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IoId(pub u32);

/// Where a device writes down what happens, in one total order: SUBMIT when a request is parsed, COMPLETE when its
/// data is applied and *before* its reply is sent (a completion logged after the reply can be overtaken by the next
/// flush, and would be a false loss).
pub trait IoLog: Send {
    /// A request was parsed. `data` holds `io.len` bytes for a write and is empty otherwise.
    ///
    /// # Errors
    /// What the store below says; the recording is then unusable.
    fn submit(&mut self, io: Io, data: Bytes) -> io::Result<IoId>;

    /// The request's effect is applied and will now be acknowledged.
    ///
    /// # Errors
    /// As [`Self::submit`].
    fn complete(&mut self, id: IoId) -> io::Result<()>;

    /// The request was answered with an error: it is not acknowledged and was not applied.
    ///
    /// # Errors
    /// As [`Self::submit`].
    fn fail(&mut self, id: IoId) -> io::Result<()>;

    /// Something happened outside the device, now.
    ///
    /// # Errors
    /// As [`Self::submit`].
    fn mark(&mut self, mark: &Mark) -> io::Result<()>;
}
