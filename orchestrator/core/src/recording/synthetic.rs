//! A log of any length without a file: for benchmarks and for tests of long logs.
//!
//! It looks like what a journalling filesystem under a database does: mostly single blocks, some of them hot, a
//! sequential journal, some larger writes, few discards, a flush every eight requests and a mark every sixty-four.
//! Everything is computed from the position, so a log of a million entries with gigabytes of data needs a few bytes an
//! entry.

use std::io;

use coldcut_wire::splitmix::{GAMMA, finalize};

use crate::recording::block::ReadAt;
use crate::recording::disks::Disks;
use crate::recording::log::Order;
use crate::recording::log::dmlog::{self, ENTRY_LEN, EntryHeader, SUPERBLOCK_LEN, Superblock, Tag};

const SECTOR: u64 = 512;
const JUMP: u32 = 16;
const STEP: u64 = GAMMA;

/// A dm-log-writes log in completion order, made up as it is read.
#[derive(Clone, Debug)]
pub struct SyntheticLog {
    entries: u32,
    device_size: u64,
    /// Where each entry starts; one more for the end.
    starts: Vec<u64>,
    /// For each 64 KiB of the log, an entry that starts at or before it, and not much before.
    jump: Vec<u32>,
}

impl SyntheticLog {
    /// A log with so many entries of a device with so many bytes, at least 8 MiB.
    pub fn new(entries: u32, device_size: u64) -> Self {
        let device_size = device_size.max(8 << 20) / 4096 * 4096;
        let mut log = Self {
            entries,
            device_size,
            starts: Vec::with_capacity(entries as usize + 1),
            jump: Vec::new(),
        };
        let mut at = SECTOR;
        for entry in 0..entries {
            while (log.jump.len() as u64) << JUMP < at {
                log.jump.push(entry.saturating_sub(1));
            }
            log.starts.push(at);
            let header = log.header(entry);
            at += SECTOR
                + if header.has_data() {
                    header.sectors * SECTOR
                } else {
                    0
                };
        }
        while (log.jump.len() as u64) << JUMP <= at {
            log.jump.push(entries.saturating_sub(1));
        }
        log.starts.push(at);
        log
    }

    /// The entry that holds byte `at`, which is past the superblock.
    fn entry_at(&self, at: u64) -> usize {
        let mut entry = self.jump[(at >> JUMP) as usize] as usize;
        while self.starts[entry + 1] <= at {
            entry += 1;
        }
        entry
    }

    /// Bytes of the device.
    pub fn device_size(&self) -> u64 {
        self.device_size
    }

    fn header(&self, entry: u32) -> EntryHeader {
        let blocks = self.device_size / 4096;
        let number = u64::from(entry);
        let random = mix(number);
        let header = |block: u64, count: u64, flags| EntryHeader {
            sector: block.min(blocks - count) * 8,
            sectors: count * 8,
            flags,
            data_len: 0,
        };
        match entry % 64 {
            63 => EntryHeader {
                flags: dmlog::MARK,
                data_len: text(entry).len() as u64,
                ..EntryHeader::default()
            },
            n if n % 8 == 7 => header(0, 0, dmlog::FLUSH),
            // The journal: a sixteenth of the device, round and round.
            n if n % 8 >= 5 => header(number % (blocks / 16), 1, 0),
            30 => header(random % blocks, 64, dmlog::DISCARD),
            16 | 40 => header(random % blocks, 4 + random % 13, 0),
            // Hot blocks, then any.
            n if n % 2 == 0 => header(blocks / 16 + random % 256, 1, 0),
            _ => header(blocks / 16 + random % (blocks - blocks / 16), 1, 0),
        }
    }

    fn fill(&self, entry: u32, mut at: u64, buffer: &mut [u8]) {
        let header = self.header(entry);
        if at < SECTOR {
            let mut sector = [0; SECTOR as usize];
            sector[..ENTRY_LEN].copy_from_slice(&header.encode());
            if header.flags & dmlog::MARK != 0 {
                let text = text(entry);
                sector[ENTRY_LEN..ENTRY_LEN + text.len()].copy_from_slice(text.as_bytes());
            }
            let head = buffer.len().min((SECTOR - at) as usize);
            buffer[..head].copy_from_slice(&sector[at as usize..at as usize + head]);
            if head < buffer.len() {
                at += head as u64;
                data(entry, at - SECTOR, &mut buffer[head..]);
            }
        } else {
            data(entry, at - SECTOR, buffer);
        }
    }
}

impl ReadAt for SyntheticLog {
    fn size(&self) -> u64 {
        self.starts[self.entries as usize]
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let len = buffer.len() as u64;
        if offset.checked_add(len).is_none_or(|end| end > self.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        if offset < SECTOR {
            let superblock = Superblock {
                entries: u64::from(self.entries),
                sector_size: SECTOR as u32,
                tag: Some(Tag {
                    order: Order::Completion,
                    disks: Disks::one(self.device_size),
                    atomic_unit: 4096,
                }),
            };
            let bytes: [u8; SUPERBLOCK_LEN] = superblock.encode();
            done = len.min(SECTOR - offset);
            buffer[..done as usize].copy_from_slice(&bytes[offset as usize..(offset + done) as usize]);
        }
        while done < len {
            let at = offset + done;
            let entry = self.entry_at(at);
            let part = (self.starts[entry + 1] - at).min(len - done);
            self.fill(
                entry as u32,
                at - self.starts[entry],
                &mut buffer[done as usize..(done + part) as usize],
            );
            done += part;
        }
        Ok(())
    }
}

fn text(entry: u32) -> String {
    format!("done {} step{entry}", entry / 64)
}

/// Payload: words of entry and position.
fn data(entry: u32, at: u64, buffer: &mut [u8]) {
    let salt = mix(u64::from(entry));
    let word = |number: u64| salt.wrapping_add(number.wrapping_mul(STEP)).to_le_bytes();
    if at.is_multiple_of(8) && buffer.len().is_multiple_of(8) {
        let mut next = salt.wrapping_add((at / 8).wrapping_mul(STEP));
        for bytes in buffer.chunks_exact_mut(8) {
            bytes.copy_from_slice(&next.to_le_bytes());
            next = next.wrapping_add(STEP);
        }
    } else {
        for (number, byte) in buffer.iter_mut().enumerate() {
            let offset = at + number as u64;
            *byte = word(offset / 8)[(offset % 8) as usize];
        }
    }
}

fn mix(number: u64) -> u64 {
    finalize(number.wrapping_add(1).wrapping_mul(GAMMA))
}
