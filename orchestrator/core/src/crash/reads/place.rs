//! Where a recovery reads: blocks, and sectors of them.

use std::ops::Range;

use crate::crash::index::BLOCK;

/// Sectors of a block. Filesystems read and write pieces smaller than a page: what lies beside one in the same block is not
/// read with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The block's number, in blocks of [`BLOCK`] bytes.
    pub block: u64,
    /// Which of its sectors: one bit each, the first sector's the lowest. Of a block that the device cuts off, sectors
    /// that do not exist count for nothing.
    pub sectors: u8,
}

impl Place {
    /// Bytes of a sector.
    pub const SECTOR: u64 = 512;
    /// All sectors of a block.
    pub const ALL: u8 = 0xff;

    /// A whole block.
    pub const fn whole(block: u64) -> Self {
        Self {
            block,
            sectors: Self::ALL,
        }
    }

    /// The sectors of a block that a range of bytes touches.
    pub fn touched(block: u64, start: u64, end: u64) -> u8 {
        let first = block * BLOCK;
        let from = start.max(first) - first;
        let to = end.min(first + BLOCK).saturating_sub(first);
        Self::between(from / Self::SECTOR, to.div_ceil(Self::SECTOR))
    }

    /// The sectors of a block that a range of bytes has whole.
    pub fn inside(block: u64, start: u64, end: u64) -> u8 {
        let first = block * BLOCK;
        let from = start.max(first) - first;
        let to = end.min(first + BLOCK).saturating_sub(first);
        Self::between(from.div_ceil(Self::SECTOR), to / Self::SECTOR)
    }

    /// Sectors as runs of those that follow each other, by their numbers in the block.
    pub fn runs(mut sectors: u8) -> impl Iterator<Item = Range<u64>> {
        std::iter::from_fn(move || {
            let first = sectors.trailing_zeros();
            let count = sectors.checked_shr(first)?.trailing_ones();
            let end = first + count;
            sectors &= 0xff_u8.checked_shl(end).unwrap_or(0);
            Some(first.into()..end.into())
        })
    }

    fn between(first: u64, end: u64) -> u8 {
        (first..end.min(BLOCK / Self::SECTOR)).fold(0, |sectors, sector| sectors | 1 << sector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_are_runs() {
        let runs = |sectors| Place::runs(sectors).collect::<Vec<_>>();
        assert_eq!(runs(0), []);
        assert_eq!(runs(0xff).first(), Some(&(0..8)));
        assert_eq!(runs(0xff).len(), 1);
        assert_eq!(runs(0b1001_1010), [1..2, 3..5, 7..8]);
    }

    #[test]
    fn a_range_touches_sectors_and_has_others_whole() {
        for (range, touched, inside) in [
            (0..4096, 0, 0),
            (4096..8192, 0xff, 0xff),
            (4096..4608, 0x01, 0x01),
            (5000..6200, 0b1_1110, 0b1100),
            (8000..9000, 0x80, 0x00),
            (0..1 << 40, 0xff, 0xff),
        ] {
            assert_eq!(Place::touched(1, range.start, range.end), touched, "{range:?}");
            assert_eq!(Place::inside(1, range.start, range.end), inside, "{range:?}");
        }
    }
}
