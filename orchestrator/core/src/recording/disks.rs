//! The disks of a recording, and where each lies in its one address space.
//!
//! A recording is of one disk or of several. Several lie one after another in one address space, so that one log has all
//! their events in one order and whatever names, enumerates, exports or digests crash states sees a single device. What
//! tells them apart is durability: a flush covers the disk to which it was sent, and no other.

use std::ops::Range;

/// One disk of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Where it starts in the recording's address space, in bytes.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

impl Disk {
    /// Its bytes in the recording's address space.
    pub fn range(&self) -> Range<u64> {
        self.start..self.start + self.size
    }
}

/// The disks of a recording, in the order of their addresses. Nothing is between them but a gap that nobody writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disks(Vec<Disk>);

/// Sizes and places that make no recording's disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisksError {
    /// None, or too many.
    #[error("{0} disks; expected 1 to {most}", most = Disks::MOST)]
    Count(usize),
    /// A disk that is empty, too large or not made of sectors.
    #[error("disk {number} has {size} bytes; expected a positive multiple of 512")]
    Size {
        /// Which, from 0.
        number: usize,
        /// Bytes.
        size: u64,
    },
    /// A disk that starts within another, or within a block.
    #[error("disk {number} starts at byte {start}, within another disk or a block")]
    Place {
        /// Which, from 0.
        number: usize,
        /// Its first byte.
        start: u64,
    },
}

impl Disks {
    /// The most disks of one recording.
    pub const MOST: usize = 8;

    /// Disks that start at a multiple of this may share blocks with no other.
    const BLOCK: u64 = 4096;

    /// One disk of so many bytes.
    pub fn one(size: u64) -> Self {
        Self(vec![Disk { start: 0, size }])
    }

    /// Disks of these sizes, each of which starts at a multiple of `align`, a power of two.
    ///
    /// # Errors
    /// [`DisksError`].
    pub fn laid_out(sizes: &[u64], align: u64) -> Result<Self, DisksError> {
        let mut next = 0_u64;
        let mut disks = Vec::with_capacity(sizes.len());
        for (number, size) in sizes.iter().enumerate() {
            let start = next;
            next = start
                .checked_add(*size)
                .and_then(|end| end.checked_next_multiple_of(align))
                .ok_or(DisksError::Size { number, size: *size })?;
            disks.push(Disk { start, size: *size });
        }
        Self::at(disks)
    }

    /// Disks at these places.
    ///
    /// # Errors
    /// [`DisksError`].
    pub fn at(disks: Vec<Disk>) -> Result<Self, DisksError> {
        if disks.is_empty() || disks.len() > Self::MOST {
            return Err(DisksError::Count(disks.len()));
        }
        let mut free = 0;
        for (number, Disk { start, size }) in disks.iter().copied().enumerate() {
            let end = start.checked_add(size).filter(|end| *end < 1 << 62);
            let Some(end) = end.filter(|_| size > 0 && size.is_multiple_of(512)) else {
                return Err(DisksError::Size { number, size });
            };
            if start < free || !start.is_multiple_of(Self::BLOCK) || number == 0 && start != 0 {
                return Err(DisksError::Place { number, start });
            }
            free = end;
        }
        Ok(Self(disks))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The disks, from the first on.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Disk> + '_ {
        self.0.iter().copied()
    }

    /// One of them, counted from 0.
    pub fn get(&self, number: usize) -> Option<Disk> {
        self.0.get(number).copied()
    }

    /// Bytes of the address space: where the last disk ends.
    pub fn size(&self) -> u64 {
        self.0.last().map_or(0, |disk| disk.start + disk.size)
    }

    /// The disk on which a range lies as a whole; a range of no bytes, like a flush's, lies where it starts.
    pub fn of(&self, offset: u64, len: u64) -> Option<usize> {
        let number = self
            .0
            .partition_point(|disk| disk.start <= offset)
            .checked_sub(1)?;
        let disk = self.0[number];
        let end = offset.checked_add(len)?;
        (end <= disk.start + disk.size).then_some(number)
    }
}

/// For each disk, a number of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watermarks {
    disks: u8,
    ids: [u32; Disks::MOST],
}

impl Watermarks {
    /// The same number for each of so many disks, at most [`Disks::MOST`].
    pub(crate) fn all(disks: usize, id: u32) -> Self {
        Self {
            disks: disks.clamp(1, Disks::MOST) as u8,
            ids: [id; Disks::MOST],
        }
    }

    /// The number of a disk.
    pub fn of(&self, disk: usize) -> u32 {
        self.ids[disk]
    }

    /// The smallest.
    pub fn least(&self) -> u32 {
        self.each().fold(u32::MAX, u32::min)
    }

    /// The largest.
    pub fn most(&self) -> u32 {
        self.each().fold(0, u32::max)
    }

    /// The numbers, by disk.
    pub fn each(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.ids[..usize::from(self.disks)].iter().copied()
    }

    /// Raises the number of a disk; never lowers it.
    pub(crate) fn raise(&mut self, disk: usize, id: u32) {
        self.ids[disk] = self.ids[disk].max(id);
    }
}

impl Default for Watermarks {
    fn default() -> Self {
        Self::all(1, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_lie_one_after_another() {
        let disks = Disks::laid_out(&[7 << 20, 512, 3 << 20], 1 << 20).unwrap();
        let starts: Vec<u64> = disks.iter().map(|disk| disk.start >> 20).collect();
        assert_eq!(starts, [0, 7, 8]);
        assert_eq!(disks.size(), 11 << 20);
        assert_eq!(disks.of(7 << 20, 512), Some(1));
        // Past the end of the disk, and in the gap after it.
        assert_eq!(disks.of(7 << 20, 1024), None);
        assert_eq!(disks.of((7 << 20) + 512, 512), None);
        assert_eq!(disks.of((7 << 20) - 512, 1024), None);
        assert_eq!(disks.of(8 << 20, 0), Some(2));
        assert_eq!(disks.of(11 << 20, 512), None);
    }

    #[test]
    fn what_makes_no_disks_is_refused() {
        let place = |start, size| Disk { start, size };
        assert_eq!(Disks::at(vec![]), Err(DisksError::Count(0)));
        assert_eq!(Disks::laid_out(&[4096; 9], 4096), Err(DisksError::Count(9)));
        let size = |number, size| Err(DisksError::Size { number, size });
        assert_eq!(Disks::laid_out(&[4096, 0], 4096), size(1, 0));
        assert_eq!(Disks::laid_out(&[100], 4096), size(0, 100));
        assert_eq!(Disks::laid_out(&[u64::MAX - 1], 4096), size(0, u64::MAX - 1));
        let found = |number, start| Err(DisksError::Place { number, start });
        assert_eq!(Disks::at(vec![place(4096, 512)]), found(0, 4096));
        assert_eq!(Disks::at(vec![place(0, 8192), place(4096, 512)]), found(1, 4096));
        assert_eq!(Disks::at(vec![place(0, 512), place(512, 512)]), found(1, 512));
    }
}
