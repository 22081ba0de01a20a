//! What was completed, durable and in flight at any moment.
//!
//! Requests are numbered by completion, so what had completed at a cut is a prefix of them. A flush makes durable what
//! had completed when it was *submitted* (Linux, `Documentation/block/writeback_cache_control.rst`, on `REQ_PREFLUSH`:
//! it orders the writes that completed before it, and no others), which is a shorter prefix. So the durable set at a cut
//! is a prefix, plus the FUA writes between its end and the completed prefix's. A flush is of one disk: where there are
//! several, each has a prefix of its own, of the requests that were sent to it.

use super::model::{Cut, Event, PackedEvent, Record, RequestId};
use crate::covered::{Case, hit};
use crate::recording::disks::Watermarks;
use crate::recording::io::IoKind;

/// Events between two checkpoints, at least: as many as there are requests in flight when that is more, so that
/// checkpoints never hold more than one entry an event.
const STRIDE: usize = 128;

/// What was completed, durable and in flight at a cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durability {
    /// Requests with an id below this had completed.
    pub completed: u32,
    /// For each disk: writes to it with an id below this were durable because a flush covered them; from here to
    /// `completed`, those with FUA were durable too.
    pub flushed: Watermarks,
    /// Requests in flight, flushes included, in the order of their submission.
    pub in_flight: Vec<RequestId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Checkpoint {
    /// Its cut.
    index: u32,
    completed: u32,
    flushed: Watermarks,
    /// Where its in-flight requests start in `Timeline::in_flight`.
    first: u32,
}

/// Checkpoints from which any moment is a short walk away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timeline {
    checkpoints: Vec<Checkpoint>,
    in_flight: Vec<(RequestId, u32)>,
}

/// A moment on the move: in-flight requests with the number of requests that had completed when each was submitted.
struct Walk {
    completed: u32,
    flushed: Watermarks,
    in_flight: Vec<(RequestId, u32)>,
}

impl Walk {
    /// Raises each disk's watermark over requests that were not sent to it: else what one disk leaves unflushed would have
    /// to be looked for among all that the others did since.
    fn skip_other_disks(&mut self, records: &[Record]) {
        let disks = self.flushed.each().len();
        for disk in (0..disks).filter(|_| disks > 1) {
            let others = records[self.flushed.of(disk) as usize..self.completed as usize].iter();
            let others = others.take_while(|record| {
                usize::from(record.disk) != disk || record.fua || record.kind == IoKind::Flush
            });
            let next = self.flushed.of(disk) + others.count() as u32;
            self.flushed.raise(disk, next);
        }
    }

    fn step(&mut self, event: Event, records: &[Record]) {
        match event {
            Event::Submit(id) => self.in_flight.push((id, self.completed)),
            Event::Complete(id) => {
                if let Some(at) = self.in_flight.iter().position(|(other, _)| *other == id) {
                    let (_, completed_before) = self.in_flight.remove(at);
                    if records[id.0 as usize].kind == IoKind::Flush {
                        let disk = usize::from(records[id.0 as usize].disk);
                        self.flushed.raise(disk, completed_before);
                        if self.flushed.least() < completed_before {
                            hit(Case::FlushOfAnotherDisk);
                        }
                        if completed_before < self.completed {
                            hit(Case::CompletedDuringFlush);
                        }
                    }
                }
                self.completed += 1;
                self.skip_other_disks(records);
            }
            Event::Fail(id) => self.in_flight.retain(|(other, _)| *other != id),
            Event::Mark(_) => {}
        }
    }
}

impl Timeline {
    pub(super) fn build(records: &[Record], events: &[PackedEvent], disks: usize) -> Self {
        let mut timeline = Self {
            checkpoints: Vec::with_capacity(events.len() / STRIDE + 1),
            in_flight: Vec::new(),
        };
        let mut walk = Walk {
            completed: 0,
            flushed: Watermarks::all(disks, 0),
            in_flight: Vec::new(),
        };
        let mut next = 0;
        for (index, event) in events.iter().enumerate() {
            if index >= next {
                timeline.checkpoint(index, &walk);
                next = index + STRIDE.max(walk.in_flight.len());
            }
            walk.step(event.unpack(), records);
        }
        if timeline.checkpoints.is_empty() {
            timeline.checkpoint(0, &walk);
        }
        timeline.in_flight.shrink_to_fit();
        timeline
    }

    fn checkpoint(&mut self, index: usize, walk: &Walk) {
        self.checkpoints.push(Checkpoint {
            index: index as u32,
            completed: walk.completed,
            flushed: walk.flushed,
            first: self.in_flight.len() as u32,
        });
        self.in_flight.extend_from_slice(&walk.in_flight);
    }

    pub(super) fn at(&self, records: &[Record], events: &[PackedEvent], cut: Cut) -> Option<Durability> {
        let target = cut.0 as usize;
        if target > events.len() {
            return None;
        }
        let number = self
            .checkpoints
            .partition_point(|checkpoint| checkpoint.index <= cut.0)
            - 1;
        let start = self.checkpoints[number];
        let end = self
            .checkpoints
            .get(number + 1)
            .map_or(self.in_flight.len(), |next| next.first as usize);
        let mut walk = Walk {
            completed: start.completed,
            flushed: start.flushed,
            in_flight: self.in_flight[start.first as usize..end].to_vec(),
        };
        for event in &events[start.index as usize..target] {
            walk.step(event.unpack(), records);
        }
        Some(Durability {
            completed: walk.completed,
            flushed: walk.flushed,
            in_flight: walk.in_flight.into_iter().map(|(id, _)| id).collect(),
        })
    }

    pub(super) fn memory(&self) -> usize {
        self.checkpoints.capacity() * size_of::<Checkpoint>() + self.in_flight.capacity() * 8
    }
}
