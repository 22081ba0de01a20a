//! The last thing that a guest does before it is saved, and the first that each clone of it does: the clone gets
//! randomness, a clock and a disk of its own.
//!
//! The disk is there all the time, without any capacity: nothing can be read of it, so nothing of it can be in memory.
//! A clone's disk gets its capacity as a virtual disk that is resized does (virtio 1.2, section 5.2.5: a configuration
//! change interrupt), which takes a hundredth of what probing it takes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use coldcut_wire::{Done, Failure, ResumeSpec};

use crate::clock::set_clock;
use crate::failure::{Tried, refuse};

/// Seeds longer than this are refused.
const LONGEST_SEED: usize = 256;
/// `RNDADDENTROPY` and `RNDRESEEDCRNG` of linux/random.h (random(4)).
const ADD_ENTROPY: libc::Ioctl = 0x4008_5203;
const RESEED: libc::Ioctl = 0x5207;
/// How long a disk may take to show its capacity.
const CAPACITY_WAIT: Duration = Duration::from_secs(30);
/// The unit of `size` in sysfs, whatever the disk's own block size.
const SECTOR: u64 = 512;

/// What resuming takes, opened before the save: a name that is looked up once need not be looked up by each clone.
pub(crate) struct Resuming {
    random: File,
    /// Each disk's `size` in sysfs.
    sizes: Vec<File>,
}

impl Resuming {
    /// Opens everything; refuses a disk that has a capacity already.
    pub(crate) fn prepare(disks: &[String]) -> Result<Self, Failure> {
        let random = File::options()
            .write(true)
            .open("/dev/urandom")
            .tried(|| "open /dev/urandom".to_owned())?;
        let sizes = disks.iter().map(|disk| open_size(disk));
        let sizes = sizes.collect::<Result<Vec<_>, _>>()?;
        for (size, disk) in sizes.iter().zip(disks) {
            if let bytes @ 1.. = capacity(size).tried(|| format!("read the size of {disk}"))? {
                return Err(refuse(format!(
                    "{disk} has {bytes} bytes already: what was read of them would be saved too"
                )));
            }
        }
        Ok(Self { random, sizes })
    }

    /// Does what `spec` says, in order: randomness first, because whatever comes later may use it.
    pub(crate) fn resume(self, spec: &ResumeSpec) -> Result<Done, Failure> {
        self.reseed(&spec.seed)?;
        set_clock(spec.unix_nanos)?;
        if spec.capacities.len() != self.sizes.len() {
            return Err(refuse(format!(
                "{} disks were named before the guest was saved, and {} are to have a capacity",
                self.sizes.len(),
                spec.capacities.len()
            )));
        }
        for (size, wanted) in self.sizes.iter().zip(&spec.capacities) {
            wait_capacity(size, *wanted, CAPACITY_WAIT)?;
        }
        Ok(Done::Ok)
    }

    /// Credits the seed as entropy and makes the generator use it at once.
    fn reseed(&self, seed: &[u8]) -> Result<(), Failure> {
        let info = pool_info(seed)?;
        // SAFETY: `info` is a `rand_pool_info` whose `buf_size` says how many bytes follow; the kernel only reads it.
        let added = unsafe { libc::ioctl(self.random.as_raw_fd(), ADD_ENTROPY, info.as_ptr()) };
        if added < 0 {
            return Err(io::Error::last_os_error()).tried(|| "add entropy".to_owned());
        }
        // SAFETY: the request takes no argument.
        if unsafe { libc::ioctl(self.random.as_raw_fd(), RESEED, 0) } < 0 {
            return Err(io::Error::last_os_error()).tried(|| "reseed the random generator".to_owned());
        }
        Ok(())
    }
}

fn open_size(disk: &str) -> Result<File, Failure> {
    if disk.is_empty() || disk.contains(['/', '\0']) || disk.starts_with('.') {
        return Err(refuse(format!("`{disk}` is no name of a disk")));
    }
    let path = Path::new("/sys/class/block").join(disk).join("size");
    File::open(&path).tried(|| format!("open {}", path.display()))
}

/// Reads how many bytes a disk has from its `size` in sysfs.
fn capacity(size: &File) -> io::Result<u64> {
    let mut buffer = [0; 32];
    let len = size.read_at(&mut buffer, 0)?;
    std::str::from_utf8(&buffer[..len])
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok())
        .and_then(|sectors| sectors.checked_mul(SECTOR))
        .ok_or_else(|| io::Error::other("a size that is no number of sectors"))
}

fn wait_capacity(size: &File, wanted: u64, within: Duration) -> Result<Done, Failure> {
    let start = Instant::now();
    loop {
        let bytes = capacity(size).tried(|| "read the disk's size".to_owned())?;
        if bytes == wanted {
            return Ok(Done::Ok);
        }
        if start.elapsed() >= within {
            return Err(refuse(format!(
                "the disk should have {wanted} bytes and has {bytes} after {} s",
                within.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Lays a seed out as `struct rand_pool_info`: bits of entropy, bytes, then the bytes.
fn pool_info(seed: &[u8]) -> Result<Vec<u32>, Failure> {
    if seed.is_empty() || seed.len() > LONGEST_SEED || !seed.len().is_multiple_of(4) {
        return Err(refuse(format!(
            "a seed has 4 to {LONGEST_SEED} bytes, a multiple of 4, and not {}",
            seed.len()
        )));
    }
    let entropy = seed
        .chunks_exact(4)
        .map(|c| u32::from_ne_bytes([c[0], c[1], c[2], c[3]]));
    Ok([seed.len() as u32 * 8, seed.len() as u32]
        .into_iter()
        .chain(entropy)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_laid_out_as_the_kernel_reads_it() {
        let info = pool_info(&[1, 0, 0, 0, 2, 0, 0, 0]).unwrap();
        assert_eq!(
            info,
            [
                64,
                8,
                u32::from_ne_bytes([1, 0, 0, 0]),
                u32::from_ne_bytes([2, 0, 0, 0])
            ]
        );
        for bad in [0, 3, 260] {
            assert!(pool_info(&vec![0; bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_capacity_is_waited_for_and_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("size");
        std::fs::write(&path, "0\n").unwrap();
        let size = File::open(&path).unwrap();
        let wait = |ms| wait_capacity(&size, 1 << 20, Duration::from_millis(ms));
        let refused = wait(5).unwrap_err();
        assert!(refused.what.contains("1048576"), "{refused:?}");
        let late = std::thread::spawn({
            let path = path.clone();
            move || {
                std::thread::sleep(Duration::from_millis(20));
                std::fs::write(path, "2048\n").unwrap();
            }
        });
        wait(30_000).unwrap();
        late.join().unwrap();
        std::fs::write(&path, "many\n").unwrap();
        assert!(wait(5).is_err());
    }

    #[test]
    fn names_of_disks_stay_below_their_directory() {
        for bad in ["", "..", "a/b", ".hidden"] {
            assert!(open_size(bad).is_err(), "{bad}");
        }
    }
}
