//! The block device below the filesystem under test.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use coldcut_wire::{Done, Failure};
use rustix::fs::{Mode, OFlags};

use crate::failure::Tried;

/// `_IO(0x12, 97)` of linux/fs.h.
const BLKFLSBUF: libc::Ioctl = 0x1261;
/// `_IOW(0x94, 5, struct btrfs_ioctl_vol_args)` of linux/btrfs.h.
const BTRFS_IOC_FORGET_DEV: libc::Ioctl = 0x5000_9405;

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

/// `BLKFLSBUF`: writes back and drops the block device's own page cache. Nothing may be mounted from it.
pub(crate) fn flush_device(device: &str) -> Result<Done, Failure> {
    let fd = rustix::fs::open(device, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .tried(|| format!("open {device}"))?;
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), BLKFLSBUF, 0) };
    if result < 0 {
        return Err(std::io::Error::last_os_error()).tried(|| format!("flush the buffers of {device}"));
    }
    forget_btrfs_devices()?;
    Ok(Done::Ok)
}

/// btrfs remembers every device that it has seen, and what generation it had; nothing to do without btrfs.
fn forget_btrfs_devices() -> Result<(), Failure> {
    let Ok(control) = File::options().read(true).write(true).open("/dev/btrfs-control") else {
        return Ok(());
    };
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
