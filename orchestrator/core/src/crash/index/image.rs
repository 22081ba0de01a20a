//! A crash state as bytes.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::block_index::{BLOCK, BlockIndex};
use super::resolve::{Origin, Origins, SECTOR, SECTORS};
use crate::crash::state::{CrashState, Selection, StateError};
use crate::recording::block::ReadAt;
use crate::recording::log::WriteLog;

/// Where the bytes of crash states come from.
#[derive(Clone)]
pub struct Sources {
    /// The device's content before the recording.
    pub base: Arc<dyn ReadAt>,
    /// The log file.
    pub log: Arc<dyn ReadAt>,
    /// The sidecar; only needed when writes that never completed have their data in it.
    pub sidecar: Option<Arc<dyn ReadAt>>,
}

impl Sources {
    pub(super) fn check(&self, log: &WriteLog) -> Result<(), StateError> {
        let (base, device) = (self.base.size(), log.geometry().device_size);
        if base != device {
            return Err(StateError::BaseSize { base, device });
        }
        if self.sidecar.is_none() && log.needs_sidecar() {
            return Err(StateError::NoSidecar);
        }
        Ok(())
    }
}

/// A state, ready to be read through the index that it borrows.
#[derive(Clone, Debug)]
pub struct StateView<'a> {
    index: &'a BlockIndex,
    selection: Selection,
}

/// A state as a device of its own: what a server hands out.
pub struct StateImage {
    index: Arc<BlockIndex>,
    selection: Selection,
    sources: Sources,
}

impl BlockIndex {
    /// Selects a state. Takes microseconds, whatever the length of the log.
    ///
    /// # Errors
    /// When the log does not have the state.
    pub fn view(&self, state: &CrashState) -> Result<StateView<'_>, StateError> {
        Ok(StateView {
            index: self,
            selection: self.log().select(state)?,
        })
    }

    /// A view of what is selected already.
    pub fn selected(&self, selection: Selection) -> StateView<'_> {
        StateView {
            index: self,
            selection,
        }
    }

    /// Selects a state and gives it its bytes.
    ///
    /// # Errors
    /// When the log does not have the state, or the sources are not this log's.
    pub fn image(self: &Arc<Self>, state: &CrashState, sources: &Sources) -> Result<StateImage, StateError> {
        sources.check(self.log())?;
        Ok(StateImage {
            index: Arc::clone(self),
            selection: self.log().select(state)?,
            sources: sources.clone(),
        })
    }
}

impl BlockIndex {
    /// What is selected already, as a device.
    ///
    /// # Errors
    /// When the sources are not this log's.
    pub fn selected_image(
        self: &Arc<Self>,
        selection: Selection,
        sources: &Sources,
    ) -> Result<StateImage, StateError> {
        sources.check(self.log())?;
        Ok(StateImage {
            index: Arc::clone(self),
            selection,
            sources: sources.clone(),
        })
    }
}

impl StateView<'_> {
    /// What the state chooses.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Where a block has its bytes: blocks of two views of one recording that have them from the same places hold the same.
    pub fn origins(&self, block: u64) -> Origins {
        self.index.origins(&self.selection, block)
    }

    /// Fills `buffer` with the state's bytes from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` past the end of the device; otherwise as the sources say.
    pub fn read_at(&self, sources: &Sources, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        read_state(self.index, &self.selection, sources, offset, buffer)
    }
}

impl StateImage {
    /// What the state chooses.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }
}

impl ReadAt for StateImage {
    fn size(&self) -> u64 {
        self.index.log().geometry().device_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        read_state(&self.index, &self.selection, &self.sources, offset, buffer)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let size = self.size();
        if offset >= size {
            return Ok(None);
        }
        let log = self.index.log();
        let in_flight = self.selection.in_flight.iter().filter_map(|id| {
            let record = log.record(id.0);
            (record.end() > offset).then(|| record.offset.max(offset)..record.end())
        });
        let ranges = self.sources.base.next_data(offset)?.into_iter();
        let touched = self.index.next_touched(offset / BLOCK);
        let touched =
            touched.map(|blocks| (blocks.start * BLOCK).max(offset)..(blocks.end * BLOCK).min(size));
        Ok(ranges
            .chain(touched)
            .chain(in_flight)
            .min_by_key(|range| range.start))
    }
}

/// A run of bytes that one read fetches.
struct Run {
    origin: Origin,
    /// Place on the device.
    at: u64,
    len: u64,
}

impl Run {
    /// Whether `origin` at the run's end goes on where the run stops.
    fn continues(&self, origin: Origin) -> bool {
        match (self.origin, origin) {
            (Origin::Log(start), Origin::Log(next)) | (Origin::Sidecar(start), Origin::Sidecar(next)) => {
                start + self.len == next
            }
            (one, other) => one == other,
        }
    }

    fn fetch(&self, sources: &Sources, buffer: &mut [u8]) -> io::Result<()> {
        match self.origin {
            Origin::Base => sources.base.read_at(self.at, buffer),
            Origin::Log(at) => sources.log.read_at(at, buffer),
            Origin::Sidecar(at) => match &sources.sidecar {
                Some(sidecar) => sidecar.read_at(at, buffer),
                None => Err(io::Error::other(StateError::NoSidecar)),
            },
            Origin::Zeros => {
                buffer.fill(0);
                Ok(())
            }
            Origin::Garbage => {
                garbage(self.at, buffer);
                Ok(())
            }
        }
    }
}

pub(super) fn read_state(
    index: &BlockIndex,
    selection: &Selection,
    sources: &Sources,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    let end = offset
        .checked_add(buffer.len() as u64)
        .filter(|end| *end <= index.log().geometry().device_size)
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut run: Option<Run> = None;
    let mut flush = |run: &Run| {
        let start = (run.at - offset) as usize;
        run.fetch(sources, &mut buffer[start..start + run.len as usize])
    };
    let mut block = offset / BLOCK;
    while block * BLOCK < end {
        let origins = index.resolve(selection, block);
        for (sector, origin) in origins.iter().enumerate().take(SECTORS) {
            let sector_at = block * BLOCK + sector as u64 * SECTOR;
            let (from, to) = (sector_at.max(offset), (sector_at + SECTOR).min(end));
            if from >= to {
                continue;
            }
            let origin = origin.skip(from - sector_at);
            match &mut run {
                Some(run) if run.continues(origin) => run.len += to - from,
                _ => {
                    let next = Run {
                        origin,
                        at: from,
                        len: to - from,
                    };
                    if let Some(done) = run.replace(next) {
                        flush(&done)?;
                    }
                }
            }
        }
        block += 1;
    }
    run.as_ref().map_or(Ok(()), flush)
}

/// Fills a buffer with bytes that depend on nothing but their offset on the device.
fn garbage(at: u64, buffer: &mut [u8]) {
    for (index, byte) in buffer.iter_mut().enumerate() {
        let offset = at + index as u64;
        let word = (offset / 8 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let word = (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        *byte = (word >> (offset % 8 * 8)) as u8 | 1;
    }
}
