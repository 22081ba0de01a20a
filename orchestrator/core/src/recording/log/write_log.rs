//! A recording as the engine reads it.

use super::model::{Cut, Event, Geometry, PackedEvent, PlacedMark, Record, Request, RequestId};
use super::timeline::{Durability, Timeline};
use crate::recording::disks::Disks;

/// A recording. It holds no data: only where each write's data is. Memory is about 56 bytes a request and 4 an entry,
/// besides the marks' texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteLog {
    pub(super) geometry: Geometry,
    pub(super) disks: Disks,
    pub(super) records: Vec<Record>,
    pub(super) events: Vec<PackedEvent>,
    pub(super) marks: Vec<PlacedMark>,
    /// For each entry of the log file, the cut right after it.
    pub(super) entries: Vec<u32>,
    /// How many of `records` completed.
    pub(super) completed: u32,
    pub(super) timeline: Timeline,
}

impl WriteLog {
    /// The device, and the order of the entries.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The disks, and where each lies.
    pub fn disks(&self) -> &Disks {
        &self.disks
    }

    /// The cut after everything.
    pub fn end(&self) -> Cut {
        Cut(self.events.len() as u32)
    }

    /// All events in order.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = Event> + ExactSizeIterator + '_ {
        self.events.iter().map(|event| event.unpack())
    }

    /// The event at an index; `None` past the end.
    pub fn event(&self, index: u32) -> Option<Event> {
        self.events.get(index as usize).map(|event| event.unpack())
    }

    /// Number of requests, flushes included.
    pub fn request_count(&self) -> u32 {
        self.records.len() as u32
    }

    /// Number of requests that completed: their ids are those below it.
    pub fn completed_count(&self) -> u32 {
        self.completed
    }

    /// A request; `None` for an id that the log does not have.
    pub fn request(&self, id: RequestId) -> Option<Request> {
        Some(self.records.get(id.0 as usize)?.expand(id))
    }

    /// The stored form of a request that exists.
    pub(crate) fn record(&self, request: u32) -> &Record {
        &self.records[request as usize]
    }

    /// All requests, by id.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = Request> + ExactSizeIterator + '_ {
        self.records
            .iter()
            .enumerate()
            .map(|(index, record)| record.expand(RequestId(index as u32)))
    }

    /// All marks in order.
    pub fn marks(&self) -> &[PlacedMark] {
        &self.marks
    }

    /// The marks that have happened at a cut.
    pub fn marks_until(&self, cut: Cut) -> &[PlacedMark] {
        let count = self.marks.partition_point(|mark| mark.index < cut.0);
        &self.marks[..count]
    }

    /// Number of entries in the log file, marks included.
    pub fn entry_count(&self) -> u32 {
        self.entries.len() as u32
    }

    /// The cut right after entry number `entry` of the log file, from 0.
    pub fn after_entry(&self, entry: u32) -> Option<Cut> {
        self.entries.get(entry as usize).copied().map(Cut)
    }

    /// What was completed, durable and in flight at a cut; `None` for a cut past the end.
    pub fn durability(&self, cut: Cut) -> Option<Durability> {
        self.timeline.at(&self.records, &self.events, cut)
    }

    /// Bytes of memory that the log holds, marks' texts aside.
    pub fn memory(&self) -> usize {
        self.records.capacity() * size_of::<Record>()
            + self.events.capacity() * size_of::<PackedEvent>()
            + self.entries.capacity() * 4
            + self.marks.capacity() * size_of::<PlacedMark>()
            + self.timeline.memory()
    }
}
