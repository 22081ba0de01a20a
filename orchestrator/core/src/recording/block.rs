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
