//! Where on the disk a file has its data, as FIEMAP says (Documentation/filesystems/fiemap.rst).

use std::os::fd::{AsRawFd, BorrowedFd};

/// `_IOWR('f', 11, struct fiemap)` of linux/fs.h.
const FS_IOC_FIEMAP: libc::Ioctl = 0xc020_660b;
/// Extents that are asked for; a file with more is not described.
const MOST: usize = 512;
/// `FIEMAP_EXTENT_LAST` and `FIEMAP_EXTENT_MERGED`: all other flags say that the disk holds something else there than what
/// is read, or that others share it.
const PLAIN: u32 = 0x1 | 0x1000;

/// `struct fiemap_extent`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

/// `struct fiemap` with room for extents.
#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
    extents: [Extent; MOST],
}

/// The places that hold data of the file and nothing else, as first byte and bytes. What cannot be told is left out.
#[allow(clippy::large_stack_arrays)] // one structure, as the kernel fills it
pub(super) fn plain(file: BorrowedFd<'_>) -> Vec<(u64, u64)> {
    let mut map = Box::new(Fiemap {
        start: 0,
        length: u64::MAX,
        flags: 0,
        mapped_extents: 0,
        extent_count: MOST as u32,
        reserved: 0,
        extents: [Extent::default(); MOST],
    });
    // SAFETY: the structure is as linux/fiemap.h has it, with room for as many extents as it says.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &raw mut *map) };
    let mapped = map.mapped_extents as usize;
    if result < 0 || mapped >= MOST {
        return Vec::new();
    }
    let extents = map.extents[..mapped].iter();
    let plain = extents.filter(|extent| extent.flags & !PLAIN == 0 && extent.length > 0);
    plain.map(|extent| (extent.physical, extent.length)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn the_structures_are_as_the_kernel_has_them() {
        assert_eq!(size_of::<Extent>(), 56);
        assert_eq!(size_of::<Fiemap>(), 32 + 56 * MOST);
    }

    #[test]
    fn what_has_no_map_has_no_places() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(plain(null.as_fd()), []);
    }
}
