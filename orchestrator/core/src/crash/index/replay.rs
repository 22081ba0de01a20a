//! The straightforward way to a state: apply the log from its start. What `replay-log` does; the engine's peer in
//! benchmarks and its check in tests.

use std::io;

use super::block_index::BlockIndex;
use super::image::Sources;
use crate::recording::io::IoKind;
use crate::recording::log::{Cut, DataRef, Event, WriteLog};

/// Applies everything that completed until `cut` to `device`, which starts as the base image and has the device's size.
///
/// # Errors
/// As the log's store says; `InvalidInput` when `device` is too small.
pub fn replay(log: &WriteLog, sources: &Sources, cut: Cut, device: &mut [u8]) -> io::Result<()> {
    for event in log.events().take(cut.0 as usize) {
        let Event::Complete(id) = event else {
            continue;
        };
        let record = log.record(id.0);
        if record.kind == IoKind::Flush {
            continue;
        }
        let target = device
            .get_mut(record.offset as usize..record.end() as usize)
            .ok_or(io::ErrorKind::InvalidInput)?;
        match (record.kind, record.data()) {
            (IoKind::Write, DataRef::Log(at)) => sources.log.read_at(at, target)?,
            _ => target.fill(0),
        }
    }
    Ok(())
}

impl BlockIndex {
    /// Bytes that the log and its index hold, for each entry of the log.
    pub fn memory_per_entry(&self) -> f64 {
        let bytes = self.memory() + self.log().memory();
        bytes as f64 / f64::from(self.log().entry_count().max(1))
    }
}
