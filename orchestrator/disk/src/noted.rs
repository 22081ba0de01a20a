//! An image that notes what is read of it.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coldcut_core::crash::index::{BLOCK, Digest};
use coldcut_core::crash::reads::{BlockDigester, BlockRead, Place, Reader, Reads};
use coldcut_core::recording::block::ReadAt;
use coldcut_wire::Placed;

/// An image below a device's overlay: the sectors of it that show through are exactly those that the guest has not
/// written, so that what is read here was read before the guest overwrote it.
pub struct Noted {
    image: Arc<dyn ReadAt>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    reads: Reads,
    /// Sectors of blocks that were read, as [`Place::sectors`] says.
    known: HashMap<u64, u8>,
    /// The files that claim sectors of blocks for their data, by inode number.
    data: HashMap<u64, Vec<(u64, u8)>>,
    by: Option<Reader>,
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

    /// What programs are asked about is read first.
    pub fn ask(&self, question: Digest) {
        self.lock().reads.insert(0, BlockRead::asked(question));
    }

    /// Reads a block, for the note of it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_block(&self, block: u64) -> io::Result<()> {
        let start = block.saturating_mul(BLOCK);
        let Some(left) = self.image.size().checked_sub(start).filter(|left| *left > 0) else {
            return Ok(());
        };
        self.read_at(start, &mut vec![0; BLOCK.min(left) as usize])
    }

    /// What is read from here on is read for this.
    pub fn by(&self, reader: Reader) {
        self.lock().by = Some(reader);
    }

    /// Nothing is noted from here on.
    pub fn end(&self) {
        self.lock().ended = true;
    }

    /// Where files have their data: what is read there alone is noted as read for the file. A sector that several files
    /// claim, which a damaged filesystem may have, is not data alone.
    pub fn place(&self, placed: &[Placed]) {
        let mut owners: HashMap<u64, Vec<(u64, u8)>> = HashMap::new();
        // Files that claim the disk several times over are not believed at all.
        let mut left = 2 * (self.image.size() / BLOCK);
        for file in placed {
            for (start, len) in &file.ranges {
                let end = start.saturating_add(*len).min(self.image.size());
                let blocks = end.div_ceil(BLOCK).saturating_sub(start / BLOCK);
                let Some(rest) = left.checked_sub(1 + blocks) else {
                    return;
                };
                left = rest;
                for block in start / BLOCK..end.div_ceil(BLOCK) {
                    let claim = (file.ino, Place::inside(block, *start, end));
                    owners.entry(block).or_default().push(claim);
                }
            }
        }
        self.lock().data = owners;
    }

    /// What was read so far, in the order of first reads; nothing is noted from here on. `None` when it was taken before.
    pub fn take(&self) -> Option<Reads> {
        let mut notes = self.lock();
        notes.ended = true;
        let taken = std::mem::replace(&mut notes.taken, true);
        if taken {
            return None;
        }
        let mut reads = std::mem::take(&mut notes.reads);
        for read in &mut reads {
            let claims = notes.data.get(&read.block);
            read.file = claims.and_then(|claims| owner(claims, read.sectors));
        }
        Some(reads)
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the sectors of a range, of which these bytes were read: whole ones, but for one that the disk's end cuts off.
    fn note(&self, offset: u64, bytes: &[u8]) {
        let mut notes = self.lock();
        if notes.ended {
            return;
        }
        let end = offset + bytes.len() as u64;
        for block in offset / BLOCK..end.div_ceil(BLOCK) {
            let start = block * BLOCK;
            let known = notes.known.entry(block).or_default();
            let fresh = Place::touched(block, offset, end) & !*known;
            if fresh == 0 {
                continue;
            }
            *known |= fresh;
            // Of the last block of a disk there may be less.
            let whole = fresh == Place::touched(block, start, self.image.size());
            let sectors = if whole { Place::ALL } else { fresh };
            let mut digest = BlockDigester::default();
            for sectors in Place::runs(fresh) {
                let of = |sector: u64| (start + sector * Place::SECTOR - offset) as usize;
                digest.add(&bytes[of(sectors.start)..of(sectors.end).min(bytes.len())]);
            }
            let by = notes.by;
            notes.reads.push(BlockRead {
                block,
                sectors,
                digest: digest.finish(),
                file: None,
                by,
            });
        }
    }
}

/// The file whose data these sectors of a block are, and nobody else's.
fn owner(claims: &[(u64, u8)], sectors: u8) -> Option<u64> {
    let mut claimed = claims.iter().filter(|(_, theirs)| theirs & sectors != 0);
    let (file, mut held) = *claimed.next()?;
    for (other, theirs) in claimed {
        if *other != file {
            return None;
        }
        held |= theirs;
    }
    (sectors & !held == 0).then_some(file)
}

impl ReadAt for Noted {
    fn size(&self) -> u64 {
        self.image.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        let whole = offset.is_multiple_of(Place::SECTOR) && end.is_multiple_of(Place::SECTOR);
        if whole || end > self.image.size() {
            self.image.read_at(offset, buffer)?;
            self.note(offset, buffer);
            return Ok(());
        }
        // Requests of a device have whole sectors; who else reads a part of one depends on all of it.
        let start = offset / Place::SECTOR * Place::SECTOR;
        let end = end.next_multiple_of(Place::SECTOR).min(self.image.size());
        let mut around = vec![0; (end - start) as usize];
        self.image.read_at(start, &mut around)?;
        self.note(start, &around);
        let from = (offset - start) as usize;
        buffer.copy_from_slice(&around[from..from + buffer.len()]);
        Ok(())
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.image.next_data(offset)
    }
}

#[cfg(test)]
mod tests {
    use coldcut_core::crash::reads::BlockDigest;

    use super::*;

    fn disk() -> Vec<u8> {
        (0..3 * 4096 + 512_u32).map(|n| (n / 512) as u8).collect()
    }

    #[test]
    fn each_sector_is_noted_once_until_the_notes_are_taken() {
        let bytes = disk();
        let noted = Noted::new(Arc::new(bytes.clone()));
        let mut buffer = [0; 4096];
        noted.read_at(8192 - 512, &mut buffer[..1024]).unwrap();
        noted.read_at(8192, &mut buffer).unwrap();
        noted.read_at(4096, &mut buffer).unwrap();
        noted.by(Reader::Walk);
        noted.read_at(3 * 4096, &mut buffer[..512]).unwrap();
        // A part of a sector, and then all of its block.
        noted.read_at(700, &mut buffer[..9]).unwrap();
        assert_eq!(buffer[..9], bytes[700..709]);
        noted.read_at(0, &mut buffer).unwrap();
        let digest = |range: Range<usize>| BlockDigest::of(&bytes[range]);
        let without_second = BlockDigest::of(&[&bytes[..512], &bytes[1024..4096]].concat());
        let expected = [
            (1, 0x80, digest(7680..8192), None),
            (2, 0x01, digest(8192..8704), None),
            (2, 0xfe, digest(8704..12288), None),
            (1, 0x7f, digest(4096..7680), None),
            (3, 0xff, digest(12288..12800), Some(Reader::Walk)),
            (0, 0x02, digest(512..1024), Some(Reader::Walk)),
            (0, 0xfd, without_second, Some(Reader::Walk)),
        ];
        let expected = expected.map(|(block, sectors, digest, by)| BlockRead {
            block,
            sectors,
            digest,
            file: None,
            by,
        });
        assert_eq!(noted.take().unwrap(), expected);
        noted.read_at(0, &mut buffer).unwrap();
        assert_eq!(noted.take(), None);
    }

    #[test]
    fn what_one_file_has_alone_is_noted_for_it() {
        let noted = Noted::new(Arc::new(vec![0; 8 * 4096]));
        let mut buffer = vec![0; 4 * 4096];
        noted.read_at(0, &mut buffer).unwrap();
        noted.read_at(4 * 4096, &mut buffer[..1024]).unwrap();
        noted.read_at(4 * 4096 + 1024, &mut buffer[..3072]).unwrap();
        noted.read_at(5 * 4096, &mut buffer[..3 * 4096]).unwrap();
        let placed = |ino, ranges: &[(u64, u64)]| Placed {
            ino,
            ranges: ranges.to_vec(),
        };
        // The second file's first block is the first one's last; the range of a third goes past the disk's end.
        noted.place(&[
            placed(12, &[(4096, 8192), (4 * 4096 + 1024, 8192)]),
            placed(13, &[(8192, 8192)]),
            placed(14, &[(7 * 4096, u64::MAX)]),
        ]);
        let files: Vec<Option<u64>> = noted.take().unwrap().iter().map(|read| read.file).collect();
        let expected = [
            None,
            Some(12),
            None,
            Some(13),
            // The first two sectors of block 4, and its others.
            None,
            Some(12),
            Some(12),
            // The first two sectors of block 6 are its, the others are not.
            None,
            Some(14),
        ];
        assert_eq!(files, expected);
    }
}
