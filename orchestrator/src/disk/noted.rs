//! An image that notes what is read of it.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coldcut_core::crash::index::BLOCK;
use coldcut_core::crash::reads::{BlockDigest, BlockRead, Reads};
use coldcut_core::recording::block::ReadAt;

/// An image below a device's overlay: the blocks of it that show through are exactly those that the guest has not
/// written, so that what is read here was read before the guest overwrote it. A block that is overwritten in part is read
/// first, since its other part stays.
pub struct Noted {
    image: Arc<dyn ReadAt>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    reads: Reads,
    known: HashSet<u64>,
    ended: bool,
    taken: bool,
}

impl Noted {
    /// Notes reads of `image` until [`Self::take`].
    pub fn new(image: Arc<dyn ReadAt>) -> Self {
        Self {
            image,
            notes: Mutex::default(),
        }
    }

    /// Nothing is noted from here on.
    pub fn end(&self) {
        self.lock().ended = true;
    }

    /// What was read so far, in the order of first reads; nothing is noted from here on. `None` when it was taken before.
    pub fn take(&self) -> Option<Reads> {
        let mut notes = self.lock();
        notes.ended = true;
        let taken = std::mem::replace(&mut notes.taken, true);
        (!taken).then(|| std::mem::take(&mut notes.reads))
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the blocks of a range, of which `bytes` were read.
    fn note(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut notes = self.lock();
        if notes.ended {
            return Ok(());
        }
        let end = offset + bytes.len() as u64;
        for block in offset / BLOCK..end.div_ceil(BLOCK) {
            if !notes.known.insert(block) {
                continue;
            }
            let start = block * BLOCK;
            let len = BLOCK.min(self.image.size() - start);
            let digest = if start >= offset && start + len <= end {
                let from = (start - offset) as usize;
                BlockDigest::of(&bytes[from..from + len as usize])
            } else {
                let mut whole = vec![0; len as usize];
                self.image.read_at(start, &mut whole)?;
                BlockDigest::of(&whole)
            };
            notes.reads.push(BlockRead {
                block,
                digest,
                file: None,
            });
        }
        Ok(())
    }
}

impl ReadAt for Noted {
    fn size(&self) -> u64 {
        self.image.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.image.read_at(offset, buffer)?;
        self.note(offset, buffer)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.image.next_data(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_is_noted_once_and_whole_until_the_notes_are_taken() {
        let bytes: Vec<u8> = (0..3 * 4096 + 512_u32).map(|n| (n / 512) as u8).collect();
        let noted = Noted::new(Arc::new(bytes.clone()));
        let mut buffer = [0; 1024];
        noted.read_at(8192 - 512, &mut buffer).unwrap();
        noted.read_at(8192, &mut buffer).unwrap();
        noted.read_at(3 * 4096, &mut buffer[..512]).unwrap();
        let digest = |range: Range<usize>| BlockDigest::of(&bytes[range]);
        let expected = [
            (1, digest(4096..8192)),
            (2, digest(8192..12288)),
            (3, digest(12288..12800)),
        ];
        let expected = expected.map(|(block, digest)| BlockRead {
            block,
            digest,
            file: None,
        });
        assert_eq!(noted.take().unwrap(), expected);
        noted.read_at(0, &mut buffer).unwrap();
        assert_eq!(noted.take(), None);
    }
}
