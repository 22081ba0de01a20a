//! Random-access bytes, wherever they are kept.

use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A fixed-size range of bytes that can be read at any position: a file, a buffer, a crash state.
pub trait ReadAt: Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` from byte `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the range passes the end; otherwise what the store below says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The next range that may hold something but zeros: it starts at `offset` or later and is not empty; everything
    /// between `offset` and its start reads as zeros. `None` when only zeros follow. A hint for copies that skip
    /// holes: what it returns may hold zeros too.
    ///
    /// # Errors
    /// What the store below says.
    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let size = self.size();
        Ok((offset < size).then_some(offset..size))
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        (**self).next_data(offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset, buffer)
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let source = start
            .checked_add(buffer.len())
            .and_then(|end| self.get(start..end));
        match source {
            Some(source) => {
                buffer.copy_from_slice(source);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A part of something as a thing of its own.
#[derive(Clone, Debug)]
pub struct Slice<T> {
    whole: T,
    range: Range<u64>,
}

impl<T: ReadAt> Slice<T> {
    /// The bytes of `range`, as far as there are any.
    pub fn new(whole: T, range: Range<u64>) -> Self {
        let end = range.end.min(whole.size());
        let range = range.start.min(end)..end;
        Self { whole, range }
    }
}

impl<T: ReadAt> ReadAt for Slice<T> {
    fn size(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.whole.read_at(self.range.start + offset, buffer)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        if offset >= self.size() {
            return Ok(None);
        }
        let found = self.whole.next_data(self.range.start + offset)?;
        let found = found.filter(|found| found.start < self.range.end);
        Ok(found
            .map(|found| found.start - self.range.start..found.end.min(self.range.end) - self.range.start))
    }
}

/// Several one after another, each from its place on; zeros between them.
pub struct Joined<T> {
    parts: Vec<(u64, T)>,
}

impl<T: ReadAt> Joined<T> {
    /// Each part with its first byte. They ascend and do not overlap.
    pub fn new(parts: Vec<(u64, T)>) -> Self {
        Self { parts }
    }
}

impl<T: ReadAt> ReadAt for Joined<T> {
    fn size(&self) -> u64 {
        self.parts.last().map_or(0, |(start, part)| start + part.size())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        let end = end
            .filter(|end| *end <= self.size())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.fill(0);
        for (start, part) in &self.parts {
            let (from, to) = (offset.max(*start), end.min(start + part.size()));
            if from < to {
                let target = &mut buffer[(from - offset) as usize..(to - offset) as usize];
                part.read_at(from - start, target)?;
            }
        }
        Ok(())
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        for (start, part) in &self.parts {
            if offset < start + part.size()
                && let Some(found) = part.next_data(offset.saturating_sub(*start))?
            {
                return Ok(Some(found.start + start..found.end + start));
            }
        }
        Ok(None)
    }
}

/// `size` zero bytes.
#[derive(Clone, Copy, Debug)]
pub struct Zeros {
    /// How many bytes.
    pub size: u64,
}

impl ReadAt for Zeros {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset
            .checked_add(buffer.len() as u64)
            .is_none_or(|end| end > self.size)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.fill(0);
        Ok(())
    }

    fn next_data(&self, _offset: u64) -> io::Result<Option<Range<u64>>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes whose holes are known: every other 4 bytes.
    struct Holes(Vec<u8>);

    impl ReadAt for Holes {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.0.read_at(offset, buffer)
        }
        fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
            let data = |at: &u64| self.0.get(*at as usize).is_some_and(|byte| *byte != 0);
            let start = (offset..self.size()).find(data);
            Ok(start.map(|start| start..(start..self.size()).find(|at| !data(at)).unwrap_or(self.size())))
        }
    }

    fn by_data(image: &impl ReadAt) -> Vec<u8> {
        let mut copy = vec![0; image.size() as usize];
        let mut at = 0;
        while let Some(range) = image.next_data(at).unwrap() {
            assert!(range.start >= at && range.end > range.start && range.end <= image.size());
            image
                .read_at(range.start, &mut copy[range.start as usize..range.end as usize])
                .unwrap();
            at = range.end;
        }
        copy
    }

    #[test]
    fn parts_join_to_a_whole_and_come_out_again() {
        let parts: Vec<Vec<u8>> = vec![vec![0, 0, 1, 2, 0, 3], vec![4, 4, 0, 0], vec![0, 0, 0, 5]];
        let places = [0, 8, 16];
        let joined = Joined::new(places.into_iter().zip(parts.iter().cloned().map(Holes)).collect());
        assert_eq!(joined.size(), 20);
        let mut whole = vec![9; 20];
        joined.read_at(0, &mut whole).unwrap();
        assert_eq!(
            whole,
            [0, 0, 1, 2, 0, 3, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]
        );
        assert_eq!(by_data(&joined), whole);
        assert!(joined.read_at(19, &mut [0; 2]).is_err());
        for (place, part) in places.into_iter().zip(&parts) {
            let slice = Slice::new(&joined, place..place + part.len() as u64);
            let mut read = vec![9; part.len()];
            slice.read_at(0, &mut read).unwrap();
            assert_eq!(&read, part);
            assert_eq!(by_data(&slice), *part);
            assert!(slice.read_at(1, &mut read).is_err());
        }
        assert_eq!(Slice::new(&joined, 18..99).size(), 2);
        assert_eq!(Slice::new(&joined, 30..99).size(), 0);
    }
}
