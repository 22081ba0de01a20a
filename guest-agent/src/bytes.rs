//! A page-aligned buffer, as `O_DIRECT` needs it.

use std::ffi::c_void;
use std::ptr::NonNull;

use coldcut_wire::Failure;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::failure::Tried;

/// Anonymous memory, aligned to a page (4096 bytes on `x86_64`), all zeros at first. Memory that the machine does
/// not have is an error here, not an abort.
#[derive(Debug)]
pub(crate) struct AlignedBytes {
    start: NonNull<u8>,
    len: usize,
}

impl AlignedBytes {
    /// Maps `len` bytes, and at least one page.
    pub(crate) fn new(len: usize) -> Result<Self, Failure> {
        let mapped = len.max(1);
        // SAFETY: a fresh private mapping overlaps nothing.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                mapped,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }
        .tried(|| format!("map a buffer of {len} bytes"))?;
        match NonNull::new(start.cast::<u8>()) {
            Some(start) => Ok(Self { start, len }),
            None => Err(crate::failure::refuse("mmap returned no address")),
        }
    }

    /// Returns the bytes.
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is ours alone, readable, writable and `len` bytes long.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for AlignedBytes {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length and nothing borrows it any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast::<c_void>(), self.len.max(1)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_aligned_and_zero() {
        let mut bytes = AlignedBytes::new(5000).unwrap();
        assert_eq!(bytes.as_mut().as_ptr() as usize % 4096, 0);
        assert!(bytes.as_mut().iter().all(|b| *b == 0));
        bytes.as_mut().fill(7);
        assert_eq!(bytes.as_mut().len(), 5000);
    }

    #[test]
    fn what_the_machine_lacks_is_an_error() {
        assert_eq!(AlignedBytes::new(usize::MAX / 2).unwrap_err().errno, Some(12));
    }
}
