//! The block device below the filesystem under test.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use coldcut_wire::{Done, Failure, Forget};
use rustix::fs::{Mode, OFlags};

use crate::failure::Tried;

/// `_IO(0x12, 97)` of linux/fs.h.
const BLKFLSBUF: libc::Ioctl = 0x1261;
/// `_IOW(0x94, 5, struct btrfs_ioctl_vol_args)` of linux/btrfs.h.
const BTRFS_IOC_FORGET_DEV: libc::Ioctl = 0x5000_9405;
/// Where btrfs takes requests that concern no mounted filesystem.
const BTRFS_CONTROL: &str = "/dev/btrfs-control";

/// Waits until there is a node `device`.
pub(super) fn wait_for(device: &str, wait: Duration) -> Result<(), Failure> {
    if !device.starts_with('/') {
        return Ok(()); // such as a tmpfs's source
    }
    let deadline = Instant::now() + wait;
    loop {
        match rustix::fs::stat(device) {
            Ok(_) => return Ok(()),
            Err(errno) if Instant::now() >= deadline => {
                return Err(errno).tried(|| format!("wait {} ms for {device}", wait.as_millis()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Writes back and drops the block device's own page cache, and has the filesystem's driver forget what it remembers.
/// Nothing may be mounted from the device.
pub(crate) fn flush_device(device: &str, forget: Option<Forget>) -> Result<Done, Failure> {
    let fd = rustix::fs::open(device, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .tried(|| format!("open {device}"))?;
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), BLKFLSBUF, 0) };
    if result < 0 {
        return Err(std::io::Error::last_os_error()).tried(|| format!("flush the buffers of {device}"));
    }
    match forget {
        None => {}
        Some(Forget::BtrfsDevices) => forget_btrfs_devices()?,
    }
    Ok(Done::Ok)
}

/// Has btrfs forget every device that is not mounted.
fn forget_btrfs_devices() -> Result<(), Failure> {
    let control = File::options()
        .read(true)
        .write(true)
        .open(BTRFS_CONTROL)
        .tried(|| format!("open {BTRFS_CONTROL}"))?;
    // `struct btrfs_ioctl_vol_args` of linux/btrfs.h: a descriptor, then a name; without a name, all that are not
    // mounted.
    let arguments = [0_u8; 4096];
    // SAFETY: the kernel reads 4096 bytes.
    let result = unsafe { libc::ioctl(control.as_raw_fd(), BTRFS_IOC_FORGET_DEV, arguments.as_ptr()) };
    if result < 0 {
        return Err(std::io::Error::last_os_error()).tried(|| "forget btrfs devices".to_owned());
    }
    Ok(())
}
