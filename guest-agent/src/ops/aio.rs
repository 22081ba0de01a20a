//! Asynchronous writes by the kernel's own interface, include/uapi/linux/aio_abi.h.

use std::os::fd::{AsRawFd, BorrowedFd};

use coldcut_wire::Failure;
use rustix::io::Errno;

use crate::failure::Tried;

/// `IOCB_CMD_PWRITE`.
const PWRITE: u16 = 1;

/// `struct iocb`, little-endian.
#[repr(C)]
#[derive(Default)]
struct Iocb {
    data: u64,
    key: u32,
    rw_flags: i32,
    opcode: u16,
    priority: i16,
    fd: u32,
    buffer: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: u32,
}

/// `struct io_event`.
#[repr(C)]
#[derive(Default)]
struct Event {
    data: u64,
    iocb: u64,
    result: i64,
    result2: i64,
}

/// A context of io_setup(2) for one request at a time.
pub(super) struct Queue(libc::c_ulong);

impl Queue {
    pub(super) fn new() -> Result<Self, Failure> {
        let mut context: libc::c_ulong = 0;
        // SAFETY: the kernel writes the context's number to where it is told.
        let result = unsafe { libc::syscall(libc::SYS_io_setup, 1, &raw mut context) };
        returned(result).tried(|| "io_setup".to_owned())?;
        Ok(Self(context))
    }

    /// Submits a write and waits for its completion; returns the bytes written. A signal does not end the wait: the kernel has
    /// the buffer until the request is complete.
    pub(super) fn pwrite(
        &self,
        file: BorrowedFd<'_>,
        bytes: &[u8],
        offset: u64,
    ) -> rustix::io::Result<usize> {
        let mut request = Iocb {
            opcode: PWRITE,
            fd: file.as_raw_fd() as u32,
            buffer: bytes.as_ptr() as u64,
            bytes: bytes.len() as u64,
            offset: offset as i64,
            ..Iocb::default()
        };
        let mut list = [&raw mut request];
        // SAFETY: the request and its buffer live until the request is complete, which is waited for below.
        returned(unsafe { libc::syscall(libc::SYS_io_submit, self.0, 1, list.as_mut_ptr()) })?;
        let mut event = Event::default();
        loop {
            let none = std::ptr::null_mut::<libc::timespec>();
            // SAFETY: there is room for the one event that is asked for.
            let got = unsafe { libc::syscall(libc::SYS_io_getevents, self.0, 1, 1, &raw mut event, none) };
            match returned(got) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => break,
                // The context is gone, and with it every request that it had.
                Err(errno) => return Err(errno),
            }
        }
        if event.result < 0 {
            return Err(Errno::from_raw_os_error(-event.result as i32));
        }
        Ok(event.result as usize)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the context is ours; the kernel waits for what it still has.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.0) };
    }
}

fn returned(result: libc::c_long) -> rustix::io::Result<libc::c_long> {
    if result >= 0 {
        return Ok(result);
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::bytes::AlignedBytes;

    #[test]
    fn the_kernels_structures_have_their_sizes() {
        assert_eq!((size_of::<Iocb>(), size_of::<Event>()), (64, 32));
    }

    #[test]
    fn what_is_submitted_is_written_and_errors_come_back() {
        let file = tempfile::tempfile().unwrap();
        let queue = Queue::new().unwrap();
        let mut bytes = AlignedBytes::new(8192).unwrap();
        bytes.as_mut().fill(7);
        for at in [4096, 0] {
            assert_eq!(queue.pwrite(file.as_fd(), bytes.as_mut(), at), Ok(8192));
        }
        assert_eq!(file.metadata().unwrap().len(), 12288);
        let read_only = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(
            queue.pwrite(read_only.as_fd(), bytes.as_mut(), 0),
            Err(Errno::BADF)
        );
    }
}
