//! The dm-log-writes format, as the kernel's `drivers/md/dm-log-writes.c` and
//! `Documentation/admin-guide/device-mapper/log-writes.rst` define it.
//!
//! Little-endian. Log sector 0 holds the superblock; from sector 1 on stand entries of one log sector each, every one
//! followed by its data. Addresses and lengths count log sectors.
//!
//! | at | superblock | entry |
//! |----|------------|-------|
//! | 0  | magic u64  | sector u64 |
//! | 8  | version u64, 1 | `nr_sectors` u64 |
//! | 16 | `nr_entries` u64 | flags u64 |
//! | 24 | sectorsize u32 | `data_len` u64 |
//! | 32 | zeros, or coldcut's [`Tag`] at 64 | a mark's text, `data_len` bytes |
//!
//! The rest of the superblock's sector is zeros in logs of other tools, and is ignored by them. coldcut's tag says
//! there which order the entries stand in and how large the device is. A log of several disks has them one after another
//! in one address space, a flush's sector says to which it was sent, and the tag has version 2: who knows only one disk
//! would take a flush for one of all of them, and does not read it.

use super::model::Order;
use crate::recording::disks::{Disk, Disks};

/// The first eight bytes of a log.
pub const MAGIC: u64 = 0x006a_7366_7773_6872;
/// The only version there is.
pub const VERSION: u64 = 1;
/// The entry is a flush, or a write preceded by one.
pub const FLUSH: u64 = 1;
/// Forced unit access.
pub const FUA: u64 = 2;
/// A discard: no data follows.
pub const DISCARD: u64 = 4;
/// A mark: its text stands in the entry's sector.
pub const MARK: u64 = 8;
/// The filesystem called the write metadata.
pub const METADATA: u64 = 16;
/// All flags that are known.
pub const ALL_FLAGS: u64 = FLUSH | FUA | DISCARD | MARK | METADATA;
/// Bytes of an entry before a mark's text.
pub const ENTRY_LEN: usize = 32;
/// Bytes at the start of a log that [`Superblock::decode`] looks at.
pub const SUPERBLOCK_LEN: usize = 512;
/// The mark with which the kernel's target ends a log.
pub const END_MARK: &str = "dm-log-writes-end";

const TAG_AT: usize = 64;
const TAG_MAGIC: [u8; 7] = *b"coldcut";
/// Where the disks stand in a tag of version 2: their number in one byte, then start and size of each.
const DISKS_AT: usize = 24;
const DISK_LEN: usize = 16;

/// What coldcut adds to the superblock's sector of its own logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The order of the entries.
    pub order: Order,
    /// The disks that were recorded.
    pub disks: Disks,
    /// The device's atomic unit in bytes.
    pub atomic_unit: u32,
}

/// The superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Entries that the log claims to have; more may follow when it was interrupted, or written by QEMU.
    pub entries: u64,
    /// Bytes of a log sector.
    pub sector_size: u32,
    /// coldcut's own addition.
    pub tag: Option<Tag>,
}

/// Why a superblock cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// Another kind of file.
    #[error("not a dm-log-writes log: it starts with {0:#018x} instead of {MAGIC:#018x}")]
    Magic(u64),
    /// A newer format.
    #[error("the log has format version {0}; only version {VERSION} is known")]
    Version(u64),
    /// Not a power of two from 512 to 65536.
    #[error("the log has sectors of {0} bytes; expected a power of two from 512 to 65536")]
    SectorSize(u32),
    /// A tag that makes no sense.
    #[error("the log's coldcut tag is damaged or from a newer version of coldcut")]
    Tag,
}

impl Superblock {
    /// The superblock at the start of `bytes`.
    ///
    /// # Errors
    /// [`SuperblockError`].
    pub fn decode(bytes: &[u8; SUPERBLOCK_LEN]) -> Result<Self, SuperblockError> {
        let magic = u64_at(bytes, 0);
        if magic != MAGIC {
            return Err(SuperblockError::Magic(magic));
        }
        let version = u64_at(bytes, 8);
        if version != VERSION {
            return Err(SuperblockError::Version(version));
        }
        let sector_size = u32_at(bytes, 24);
        if !(512..=65_536).contains(&sector_size) || !sector_size.is_power_of_two() {
            return Err(SuperblockError::SectorSize(sector_size));
        }
        Ok(Self {
            entries: u64_at(bytes, 16),
            sector_size,
            tag: decode_tag(bytes)?,
        })
    }

    /// The superblock's bytes, to be padded with zeros to a sector.
    pub fn encode(&self) -> [u8; SUPERBLOCK_LEN] {
        let mut bytes = [0; SUPERBLOCK_LEN];
        bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..16].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.entries.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.sector_size.to_le_bytes());
        if let Some(tag) = &self.tag {
            let at = &mut bytes[TAG_AT..];
            at[..7].copy_from_slice(&TAG_MAGIC);
            at[7] = version(&tag.disks);
            at[8..16].copy_from_slice(&tag.disks.size().to_le_bytes());
            at[16..20].copy_from_slice(&tag.atomic_unit.to_le_bytes());
            at[20] = match tag.order {
                Order::Kernel => 0,
                Order::Completion => 1,
            };
            if tag.disks.count() > 1 {
                at[21] = tag.disks.count() as u8;
                encode_disks(&tag.disks, &mut at[DISKS_AT..]);
            }
        }
        bytes
    }
}

/// The version of a tag, or of a sidecar: 1 with one disk, 2 with several.
pub(super) fn version(disks: &Disks) -> u8 {
    1 + u8::from(disks.count() > 1)
}

/// Writes start and size of each disk.
pub(super) fn encode_disks(disks: &Disks, bytes: &mut [u8]) {
    for (disk, bytes) in disks.iter().zip(bytes.chunks_exact_mut(DISK_LEN)) {
        bytes[..8].copy_from_slice(&disk.start.to_le_bytes());
        bytes[8..].copy_from_slice(&disk.size.to_le_bytes());
    }
}

/// Reads so many disks; `None` unless they are several and can be.
pub(super) fn decode_disks(count: usize, bytes: &[u8]) -> Option<Disks> {
    let disks = bytes.chunks_exact(DISK_LEN).take(count);
    let disks = disks.map(|bytes| Disk {
        start: u64_at(bytes, 0),
        size: u64_at(bytes, 8),
    });
    Disks::at(disks.collect())
        .ok()
        .filter(|disks| count > 1 && disks.count() == count)
}

fn decode_tag(bytes: &[u8; SUPERBLOCK_LEN]) -> Result<Option<Tag>, SuperblockError> {
    let at = &bytes[TAG_AT..];
    if at[..7] != TAG_MAGIC {
        return Ok(None);
    }
    let order = match at[20] {
        0 => Order::Kernel,
        1 => Order::Completion,
        _ => return Err(SuperblockError::Tag),
    };
    let device_size = u64_at(at, 8);
    let disks = match at[7] {
        1 => Some(Disks::one(device_size)),
        2 => decode_disks(usize::from(at[21]), &at[DISKS_AT..]),
        _ => None,
    };
    let tag = Tag {
        order,
        disks: disks
            .filter(|disks| disks.size() == device_size)
            .ok_or(SuperblockError::Tag)?,
        atomic_unit: u32_at(at, 16),
    };
    if !device_size.is_multiple_of(512) || !tag.atomic_unit.is_power_of_two() || tag.atomic_unit < 512 {
        return Err(SuperblockError::Tag);
    }
    Ok(Some(tag))
}

/// An entry's first 32 bytes, as they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryHeader {
    /// First sector.
    pub sector: u64,
    /// Sectors.
    pub sectors: u64,
    /// See the constants of this module.
    pub flags: u64,
    /// Bytes of a mark's text.
    pub data_len: u64,
}

impl EntryHeader {
    /// The header at the start of `bytes`.
    pub fn decode(bytes: &[u8; ENTRY_LEN]) -> Self {
        Self {
            sector: u64_at(bytes, 0),
            sectors: u64_at(bytes, 8),
            flags: u64_at(bytes, 16),
            data_len: u64_at(bytes, 24),
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[..8].copy_from_slice(&self.sector.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sectors.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.flags.to_le_bytes());
        bytes[24..].copy_from_slice(&self.data_len.to_le_bytes());
        bytes
    }

    /// Whether data follows the entry's sector.
    pub fn has_data(&self) -> bool {
        self.flags & (DISCARD | MARK) == 0 && self.sectors > 0
    }
}

/// As much of a mark's text as fits into an entry's sector, with a zero after it: `replay-log` reads it as a C string.
pub fn mark_text(text: &str, sector_size: u32) -> &str {
    let room = sector_size as usize - ENTRY_LEN - 1;
    truncate(text, room)
}

/// The longest start of a text that has at most `len` bytes.
pub(super) fn truncate(text: &str, len: usize) -> &str {
    let end = (0..=len.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}
