//! The first thing that a clone does: it gets randomness, a clock and a disk of its own.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use coldcut_wire::{Done, Failure, WakeSpec};
use rustix::time::{ClockId, Timespec};

use crate::disks;
use crate::failure::{Tried, refuse};

/// Seeds longer than this are refused.
const LONGEST_SEED: usize = 256;
/// `RNDADDENTROPY` and `RNDRESEEDCRNG` of linux/random.h (random(4)).
const ADD_ENTROPY: libc::Ioctl = 0x4008_5203;
const RESEED: libc::Ioctl = 0x5207;

/// Does what `spec` says, in order: randomness first, because probing a disk may already use it.
pub(crate) fn wake(spec: &WakeSpec) -> Result<Done, Failure> {
    reseed(&spec.seed)?;
    let time = Timespec {
        tv_sec: (spec.unix_nanos / 1_000_000_000) as i64,
        tv_nsec: (spec.unix_nanos % 1_000_000_000) as i64,
    };
    rustix::time::clock_settime(ClockId::Realtime, time).tried(|| "set the clock".to_owned())?;
    if spec.take_disks {
        disks::take()
    } else {
        Ok(Done::Ok)
    }
}

/// Credits the seed as entropy and makes the generator use it at once.
fn reseed(seed: &[u8]) -> Result<(), Failure> {
    let info = pool_info(seed)?;
    let random = File::options()
        .write(true)
        .open("/dev/urandom")
        .tried(|| "open /dev/urandom".to_owned())?;
    // SAFETY: `info` is a `rand_pool_info` whose `buf_size` says how many bytes follow; the kernel only reads it.
    let added = unsafe { libc::ioctl(random.as_raw_fd(), ADD_ENTROPY, info.as_ptr()) };
    if added < 0 {
        return Err(std::io::Error::last_os_error()).tried(|| "add entropy".to_owned());
    }
    // SAFETY: the request takes no argument.
    if unsafe { libc::ioctl(random.as_raw_fd(), RESEED, 0) } < 0 {
        return Err(std::io::Error::last_os_error()).tried(|| "reseed the random generator".to_owned());
    }
    Ok(())
}

/// `struct rand_pool_info`: bits of entropy, bytes, then the bytes.
fn pool_info(seed: &[u8]) -> Result<Vec<u32>, Failure> {
    if seed.is_empty() || seed.len() > LONGEST_SEED || seed.len() % 4 != 0 {
        return Err(refuse(format!(
            "a seed has 4 to {LONGEST_SEED} bytes, a multiple of 4, and not {}",
            seed.len()
        )));
    }
    let words = seed
        .chunks_exact(4)
        .map(|c| u32::from_ne_bytes([c[0], c[1], c[2], c[3]]));
    Ok([seed.len() as u32 * 8, seed.len() as u32]
        .into_iter()
        .chain(words)
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
}
