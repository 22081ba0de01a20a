//! Puts a [`WriteLog`] together from events as they come.

use super::model::{DataRef, Event, Geometry, NEVER, PackedEvent, PlacedMark, Record, pack_data};
use super::timeline::Timeline;
use super::write_log::WriteLog;
use crate::recording::disks::Disks;
use crate::recording::io::Io;
use crate::recording::mark::Mark;

/// More requests in flight than this at once is no recording of a block device.
pub(crate) const MAX_IN_FLIGHT: usize = 65_536;

/// Builds a [`WriteLog`]. Requests are named by the order of their submission, from 0, until [`Self::build`] gives them
/// their [`super::RequestId`].
#[derive(Debug)]
pub struct LogBuilder {
    geometry: Geometry,
    disks: Disks,
    records: Vec<Record>,
    events: Vec<PackedEvent>,
    marks: Vec<PlacedMark>,
    entries: Vec<u32>,
    in_flight: usize,
}

/// The events do not make a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Indices have 30 bits.
    #[error("more than 2^30 requests, marks or half a billion events")]
    TooMany,
    /// See `MAX_IN_FLIGHT`.
    #[error("more than {MAX_IN_FLIGHT} requests in flight at once")]
    TooManyInFlight,
    /// Completed or failed without having been submitted, or twice.
    #[error("request {0} ends without being in flight")]
    NotInFlight(u32),
    /// A request that is of none of several disks, or of two.
    #[error("a request of {len} bytes from {offset} on lies on no single disk")]
    NoDisk {
        /// Its first byte.
        offset: u64,
        /// Its bytes.
        len: u64,
    },
}

impl LogBuilder {
    /// An empty log of one disk.
    pub fn new(geometry: Geometry) -> Self {
        Self::of(geometry, Disks::one(geometry.device_size))
    }

    /// An empty log of these disks, which `geometry` covers as a whole.
    pub fn of(geometry: Geometry, disks: Disks) -> Self {
        Self {
            geometry,
            disks,
            records: Vec::new(),
            events: Vec::new(),
            marks: Vec::new(),
            entries: Vec::new(),
            in_flight: 0,
        }
    }

    /// Makes room for so many entries, of which each brings two events.
    pub(super) fn reserve(&mut self, entries: usize) {
        self.records.reserve_exact(entries);
        self.events.reserve_exact(entries * 2);
        self.entries.reserve_exact(entries);
    }

    /// A request was submitted: its number.
    ///
    /// # Errors
    /// As [`BuildError`] says. Of a log with several disks, each request is of one of them.
    pub fn submit(&mut self, io: Io, data: DataRef) -> Result<u32, BuildError> {
        let number = self.records.len() as u32;
        if self.in_flight >= MAX_IN_FLIGHT {
            return Err(BuildError::TooManyInFlight);
        }
        let disk = self.disk_of(&io)?;
        let index = self.push(Event::Submit(super::RequestId(number)))?;
        self.in_flight += 1;
        self.records.push(Record {
            offset: io.offset,
            len: io.len,
            data: pack_data(data),
            submitted: index,
            ended: NEVER,
            kind: io.kind,
            fua: io.fua,
            failed: false,
            metadata: false,
            disk,
        });
        Ok(number)
    }

    /// Request `number` completed.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn complete(&mut self, number: u32) -> Result<(), BuildError> {
        self.finish(number, false)
    }

    /// Request `number` failed.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn fail(&mut self, number: u32) -> Result<(), BuildError> {
        self.finish(number, true)
    }

    /// A mark.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn mark(&mut self, mark: Mark) -> Result<(), BuildError> {
        let index = self.push(Event::Mark(self.marks.len() as u32))?;
        self.marks.push(PlacedMark { index, mark });
        Ok(())
    }

    /// An entry of the log file ends here.
    pub fn entry(&mut self) {
        self.entries.push(self.events.len() as u32);
    }

    /// Says that request `number` has the METADATA flag.
    pub fn set_metadata(&mut self, number: u32) {
        if let Some(record) = self.records.get_mut(number as usize) {
            record.metadata = true;
        }
    }

    /// Says where the data of request `number` is.
    pub fn set_data(&mut self, number: u32, data: DataRef) {
        if let Some(record) = self.records.get_mut(number as usize) {
            record.data = pack_data(data);
        }
    }

    /// The request with this number and whether it is in flight.
    pub fn request(&self, number: u32) -> Option<(Io, bool)> {
        let record = self.records.get(number as usize)?;
        let io = Io {
            kind: record.kind,
            offset: record.offset,
            len: record.len,
            fua: record.fua,
        };
        Some((io, record.ended == NEVER))
    }

    pub(super) fn set_device_size(&mut self, device_size: u64) {
        self.geometry.device_size = device_size;
        self.disks = Disks::one(device_size);
    }

    /// The disk to which a request was sent. Of a single disk, whose size may not be known yet, it is not checked that it has
    /// the range.
    fn disk_of(&self, io: &Io) -> Result<u8, BuildError> {
        if self.disks.count() == 1 {
            return Ok(0);
        }
        let disk = self.disks.of(io.offset, io.len);
        disk.map(|disk| disk as u8).ok_or(BuildError::NoDisk {
            offset: io.offset,
            len: io.len,
        })
    }

    pub(super) fn set_order(&mut self, order: super::Order) {
        self.geometry.order = order;
    }

    pub(super) fn request_count(&self) -> u32 {
        self.records.len() as u32
    }

    /// Numbers the requests by completion and makes every moment of the log reachable.
    pub fn build(mut self) -> WriteLog {
        // A record knows the indices of its own events, so that no table of old names is needed. Failed requests are
        // ordered with those in flight, by submission.
        self.records.sort_unstable_by_key(|record| {
            if record.failed || record.ended == NEVER {
                (NEVER, record.submitted)
            } else {
                (record.ended, 0)
            }
        });
        let mut completed = 0;
        for (index, record) in self.records.iter().enumerate() {
            self.events[record.submitted as usize].set_index(index as u32);
            if record.ended != NEVER {
                self.events[record.ended as usize].set_index(index as u32);
                completed += u32::from(!record.failed);
            }
        }
        self.records.shrink_to_fit();
        self.events.shrink_to_fit();
        self.entries.shrink_to_fit();
        self.marks.shrink_to_fit();
        let timeline = Timeline::build(&self.records, &self.events, self.disks.count());
        WriteLog {
            geometry: self.geometry,
            disks: self.disks,
            records: self.records,
            events: self.events,
            marks: self.marks,
            entries: self.entries,
            completed,
            timeline,
        }
    }

    fn finish(&mut self, number: u32, failed: bool) -> Result<(), BuildError> {
        match self.records.get(number as usize) {
            Some(record) if record.ended == NEVER => {}
            _ => return Err(BuildError::NotInFlight(number)),
        }
        let id = super::RequestId(number);
        let index = self.push(if failed {
            Event::Fail(id)
        } else {
            Event::Complete(id)
        })?;
        let record = &mut self.records[number as usize];
        record.ended = index;
        record.failed = failed;
        self.in_flight -= 1;
        Ok(())
    }

    fn push(&mut self, event: Event) -> Result<u32, BuildError> {
        let index = self.events.len();
        if index >= PackedEvent::MAX_INDEX as usize {
            return Err(BuildError::TooMany);
        }
        self.events.push(PackedEvent::pack(event));
        Ok(index as u32)
    }
}
