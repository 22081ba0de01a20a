//! The recording in memory: a total order of events, and the requests and marks that they name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::recording::io::{Io, IoKind};
use crate::recording::mark::Mark;

/// A point in time: how many of the log's events have happened. `Cut(0)` is before everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cut(pub u32);

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a request of a [`WriteLog`](super::WriteLog): its index in completion order, from 0; requests that never
/// completed follow, in the order of their submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u32);

/// What happened, in the log's total order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A request was parsed by the device.
    Submit(RequestId),
    /// Its effect was applied; its reply comes after this.
    Complete(RequestId),
    /// It was answered with an error and not applied.
    Fail(RequestId),
    /// A mark: its index in [`WriteLog::marks`](super::WriteLog::marks).
    Mark(u32),
}

/// In which order a log's entries stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As the kernel's dm-log-writes target emits them: ordinary writes stand just before the flush that made them
    /// durable, and so after any mark that came between the two.
    Kernel,
    /// Each entry stands where its request completed.
    Completion,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Completion => "completion",
        })
    }
}

/// What is known of the device and of how it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes; with several disks, of all of them (see [`super::WriteLog::disks`]).
    pub device_size: u64,
    /// Unit of the log's addresses, in bytes: 512 or 4096 (a power of two from 512 on).
    pub sector_size: u32,
    /// The bytes that the device promised to write whole or not at all.
    pub atomic_unit: u32,
    /// The order of the log's entries.
    pub order: Order,
}

/// Where a write's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataRef {
    /// Nowhere: not a write.
    None,
    /// From this byte of the log file on.
    Log(u64),
    /// From this byte of the sidecar on.
    Sidecar(u64),
    /// Lost: the write was in flight when the recording was interrupted.
    Lost,
}

/// A request of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// What it asked.
    pub io: Io,
    /// Place of its SUBMIT among the events.
    pub submitted: u32,
    /// Place of its COMPLETE among the events.
    pub completed: Option<u32>,
    /// Place of its FAIL among the events.
    pub failed: Option<u32>,
    /// A write's data.
    pub data: DataRef,
    /// Whether the filesystem called it metadata (the log's METADATA flag). It changes nothing but exports.
    pub metadata: bool,
}

/// A mark and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedMark {
    /// Its index among the events: it has happened at every cut that is greater.
    pub index: u32,
    /// The mark.
    pub mark: Mark,
}

impl PlacedMark {
    /// The last cut at which it has not happened yet.
    pub fn before(&self) -> Cut {
        Cut(self.index)
    }

    /// The first cut at which it has happened.
    pub fn after(&self) -> Cut {
        Cut(self.index + 1)
    }
}

/// A request as stored: 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// See [`pack_data`].
    pub(crate) data: u64,
    pub(crate) submitted: u32,
    /// Place of COMPLETE or FAIL; `u32::MAX` when there is neither.
    pub(crate) ended: u32,
    pub(crate) kind: IoKind,
    pub(crate) fua: bool,
    pub(crate) failed: bool,
    pub(crate) metadata: bool,
    /// The disk to which it was sent.
    pub(crate) disk: u8,
}

const IN_SIDECAR: u64 = 1 << 63;
const NO_DATA: u64 = u64::MAX;
const LOST_DATA: u64 = u64::MAX - 1;
/// `ended` of a request that neither completed nor failed.
pub(crate) const NEVER: u32 = u32::MAX;

/// Packs a reference into 8 bytes; offsets are below 2^62.
pub(crate) fn pack_data(data: DataRef) -> u64 {
    match data {
        DataRef::None => NO_DATA,
        DataRef::Lost => LOST_DATA,
        DataRef::Log(offset) => offset,
        DataRef::Sidecar(offset) => offset | IN_SIDECAR,
    }
}

impl Record {
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.len
    }

    pub(crate) fn data(&self) -> DataRef {
        match self.data {
            NO_DATA => DataRef::None,
            LOST_DATA => DataRef::Lost,
            packed if packed & IN_SIDECAR != 0 => DataRef::Sidecar(packed & !IN_SIDECAR),
            offset => DataRef::Log(offset),
        }
    }

    /// Whether it changes the device's content, and with data that is known.
    pub(crate) fn is_choosable(&self) -> bool {
        self.kind != IoKind::Flush && self.data != LOST_DATA
    }

    pub(super) fn expand(&self, id: RequestId) -> Request {
        let ended = (self.ended != NEVER).then_some(self.ended);
        Request {
            id,
            io: Io {
                kind: self.kind,
                offset: self.offset,
                len: self.len,
                fua: self.fua,
            },
            submitted: self.submitted,
            completed: ended.filter(|_| !self.failed),
            failed: ended.filter(|_| self.failed),
            data: self.data(),
            metadata: self.metadata,
        }
    }
}

/// An event as stored: kind in the top two bits, index below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedEvent(u32);

impl PackedEvent {
    /// The largest index that fits.
    pub(crate) const MAX_INDEX: u32 = (1 << 30) - 1;

    pub(crate) fn pack(event: Event) -> Self {
        Self(match event {
            Event::Submit(id) => id.0,
            Event::Complete(id) => id.0 | 1 << 30,
            Event::Fail(id) => id.0 | 2 << 30,
            Event::Mark(index) => index | 3 << 30,
        })
    }

    pub(crate) fn unpack(self) -> Event {
        let index = self.0 & Self::MAX_INDEX;
        match self.0 >> 30 {
            0 => Event::Submit(RequestId(index)),
            1 => Event::Complete(RequestId(index)),
            2 => Event::Fail(RequestId(index)),
            _ => Event::Mark(index),
        }
    }

    pub(crate) fn set_index(&mut self, index: u32) {
        self.0 = self.0 & !Self::MAX_INDEX | index;
    }
}
