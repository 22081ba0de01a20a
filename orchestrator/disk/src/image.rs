//! An image with an overlay on it, live (the device's content) or frozen (a base image, a snapshot).

use std::io;
use std::ops::Range;
use std::sync::Arc;

use coldcut_core::crash::reads::Place;
use coldcut_core::recording::block::ReadAt;

use super::overlay::{BLOCK, BlockState, Overlay};

/// What the device held at one moment; later writes do not reach it.
pub struct FrozenImage {
    below: Arc<dyn ReadAt>,
    overlay: Overlay,
}

impl std::fmt::Debug for FrozenImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrozenImage")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl ReadAt for FrozenImage {
    fn size(&self) -> u64 {
        self.below.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        read_layered(&*self.below, &self.overlay, offset, buffer)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        next_data_layered(&*self.below, &self.overlay, offset)
    }
}

/// The device's content: an image that never changes and what was written since.
pub(crate) struct Layered {
    below: Arc<dyn ReadAt>,
    /// `below` once more when it is a frozen image with nothing written since.
    frozen: Option<Arc<FrozenImage>>,
    overlay: Overlay,
}

impl Layered {
    pub(crate) fn new(below: Arc<dyn ReadAt>) -> Self {
        Self {
            below,
            frozen: None,
            overlay: Overlay::default(),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.below.size()
    }

    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        read_layered(&*self.below, &self.overlay, offset, buffer)
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        self.overlay.write(offset, data);
    }

    /// Bytes of memory that what was written takes, at most.
    pub(crate) fn held(&self) -> u64 {
        self.overlay.held()
    }

    pub(crate) fn zero(&mut self, range: Range<u64>) {
        self.overlay.zero(range);
    }

    /// The content now, as an image of its own; writing goes on in a new overlay above it. Each call after a write
    /// adds a layer to what later reads pass through.
    pub(crate) fn freeze(&mut self) -> Arc<FrozenImage> {
        if self.overlay.is_empty()
            && let Some(frozen) = &self.frozen
        {
            return Arc::clone(frozen);
        }
        let frozen = Arc::new(FrozenImage {
            below: Arc::clone(&self.below),
            overlay: std::mem::take(&mut self.overlay),
        });
        self.below = Arc::clone(&frozen) as Arc<dyn ReadAt>;
        self.frozen = Some(Arc::clone(&frozen));
        frozen
    }
}

/// Whether these sectors of a block have the one at byte `at`.
fn has(sectors: u8, at: u64) -> bool {
    sectors >> (at % BLOCK / Place::SECTOR) & 1 == 1
}

/// Where the sectors of the block at `at` end that are among these as far as the one at `at` is.
fn run_end(at: u64, sectors: u8) -> u64 {
    let block_end = (at / BLOCK + 1) * BLOCK;
    let mut end = (at / Place::SECTOR + 1) * Place::SECTOR;
    while end < block_end && has(sectors, end) == has(sectors, at) {
        end += Place::SECTOR;
    }
    end
}

fn read_layered(below: &dyn ReadAt, overlay: &Overlay, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    let end = offset
        .checked_add(buffer.len() as u64)
        .filter(|end| *end <= below.size())
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut at = offset;
    while at < end {
        let rest = &mut buffer[(at - offset) as usize..];
        let block = at / BLOCK;
        let stop = match overlay.block(block) {
            BlockState::Absent => overlay
                .next_present(block, end.div_ceil(BLOCK))
                .map_or(end, |next| end.min(next * BLOCK)),
            BlockState::Part(_, sectors) => end.min(run_end(at, sectors)),
            BlockState::Zero | BlockState::Data(_) => end.min((block + 1) * BLOCK),
        };
        let rest = &mut rest[..(stop - at) as usize];
        match overlay.block(block) {
            BlockState::Absent => below.read_at(at, rest)?,
            BlockState::Zero => rest.fill(0),
            BlockState::Part(_, sectors) if !has(sectors, at) => below.read_at(at, rest)?,
            BlockState::Part(data, _) | BlockState::Data(data) => {
                let within = (at % BLOCK) as usize;
                rest.copy_from_slice(&data[within..within + rest.len()]);
            }
        }
        at = stop;
    }
    Ok(())
}

fn next_data_layered(below: &dyn ReadAt, overlay: &Overlay, offset: u64) -> io::Result<Option<Range<u64>>> {
    let size = below.size();
    let mut at = offset;
    while at < size {
        let block = at / BLOCK;
        let block_end = ((block + 1) * BLOCK).min(size);
        match overlay.block(block) {
            BlockState::Zero => at = block_end,
            BlockState::Part(..) | BlockState::Data(_) => {
                let mut end = block_end;
                let more = |at: u64| {
                    matches!(
                        overlay.block(at / BLOCK),
                        BlockState::Part(..) | BlockState::Data(_)
                    )
                };
                while end < size && more(end) {
                    end = (end + BLOCK).min(size);
                }
                return Ok(Some(at..end));
            }
            BlockState::Absent => {
                let gap = overlay
                    .next_present(block, size.div_ceil(BLOCK))
                    .map_or(size, |next| size.min(next * BLOCK));
                match below.next_data(at)? {
                    Some(data) if data.start < gap => return Ok(Some(data.start..data.end.min(gap))),
                    _ => at = gap,
                }
            }
        }
    }
    Ok(None)
}
