//! Self-describing data: every 512-byte sector says whose it is.
//!
//! A [`PatternName`] defines an endless stream of bytes. Sector `k` of the stream (512 bytes at offset `512 k`) is
//!
//! | bytes  | what |
//! |--------|------|
//! | 0–7    | [`pattern_id`], u64 little-endian: first, so that even a very short file says whose it is |
//! | 8–15   | magic `COLDCUT` and a version byte, 1 |
//! | 16–23  | the sector's offset in the stream, u64 little-endian |
//! | 24–31  | checksum of the other 504 bytes, u64 little-endian |
//! | 32–63  | `file@generation`, cut to 32 bytes, padded with NUL, for people who read a hex dump |
//! | 64–511 | pseudo-random bytes keyed by id and offset |
//!
//! Writing `len` bytes at file offset `o` writes the stream's bytes `o..o+len`, so an aligned sector proves itself
//! by its checksum, and a fragment is recognised by comparing it with what a known content has at that position.
//!
//! Two contents may agree in some bytes of a position: always in the magic and the offset, often in the label,
//! once in 256 elsewhere. Where one was written over a part of the other, the border that a reader finds can
//! therefore lie a few bytes beside the true one. Compare bytes, with [`Pattern::agrees`] and
//! [`Pattern::agrees_with_zeros`], before calling such a border wrong.

use crate::op::PatternName;
use crate::splitmix::{GAMMA, finalize};

/// Bytes in a self-describing sector.
pub const SECTOR: usize = 512;
/// Bytes 8 to 15 of every sector.
pub const MAGIC: [u8; 8] = *b"COLDCUT\x01";
/// Bytes of a sector's header; the pseudo-random body follows.
pub const HEADER: usize = 64;
/// Bytes of the label in a sector's header.
pub const LABEL: usize = 32;

/// The 64-bit identity of a content: FNV-1a over `file`, a NUL byte and `generation`, mixed by splitmix64.
pub fn pattern_id(name: &PatternName) -> u64 {
    let bytes = name.file.bytes().chain([0]).chain(name.generation.bytes());
    let fnv = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(fnv)
}

/// A number mixed by splitmix64: the first of the sequence that it seeds.
fn mix(z: u64) -> u64 {
    finalize(z.wrapping_add(GAMMA))
}

/// `file@generation` as sectors carry it.
pub fn label(name: &PatternName) -> String {
    format!("{}@{}", name.file, name.generation)
}

/// The text of a sector's label bytes; invalid UTF-8 is replaced.
pub fn label_text(label: &[u8; LABEL]) -> String {
    let end = label.iter().position(|b| *b == 0).unwrap_or(LABEL);
    String::from_utf8_lossy(&label[..end]).into_owned()
}

/// A pattern ready to be written or compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// [`pattern_id`] of its name.
    pub id: u64,
    /// Its label as sectors carry it.
    pub label: [u8; LABEL],
}

impl Pattern {
    /// The stream of this name.
    pub fn new(name: &PatternName) -> Self {
        let text = label(name);
        let mut label = [0; LABEL];
        let len = text.len().min(LABEL);
        label[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self {
            id: pattern_id(name),
            label,
        }
    }

    /// Sector number `index` of the stream.
    pub fn sector(&self, index: u64) -> [u8; SECTOR] {
        let offset = index.wrapping_mul(SECTOR as u64);
        let mut sector = [0; SECTOR];
        sector[..8].copy_from_slice(&self.id.to_le_bytes());
        sector[8..16].copy_from_slice(&MAGIC);
        sector[16..24].copy_from_slice(&offset.to_le_bytes());
        sector[32..HEADER].copy_from_slice(&self.label);
        let mut state = mix(self.id ^ mix(offset));
        for word in sector[HEADER..].chunks_exact_mut(8) {
            state = state.wrapping_add(GAMMA);
            let value = (state ^ (state >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
            word.copy_from_slice(&(value ^ (value >> 32)).to_le_bytes());
        }
        let sum = checksum(&sector);
        sector[24..32].copy_from_slice(&sum.to_le_bytes());
        sector
    }

    /// Fills `buffer` with the stream's bytes from `offset` on.
    pub fn fill(&self, offset: u64, buffer: &mut [u8]) {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset.wrapping_add(done as u64);
            let skip = (at % SECTOR as u64) as usize;
            let sector = self.sector(at / SECTOR as u64);
            let len = (SECTOR - skip).min(buffer.len() - done);
            buffer[done..done + len].copy_from_slice(&sector[skip..skip + len]);
            done += len;
        }
    }

    /// Whether this content and `other` have the same bytes at stream offsets `at..at + len`: then no reader can
    /// say which of the two is there.
    pub fn agrees(&self, other: &Self, at: u64, len: u64) -> bool {
        self == other || self.agrees_with(at, len, |index| other.sector(index))
    }

    /// Whether this content has nothing but zeros at stream offsets `at..at + len` (as a label's padding has).
    pub fn agrees_with_zeros(&self, at: u64, len: u64) -> bool {
        self.agrees_with(at, len, |_| [0; SECTOR])
    }

    fn agrees_with(&self, mut at: u64, len: u64, other: impl Fn(u64) -> [u8; SECTOR]) -> bool {
        let end = at.saturating_add(len);
        while at < end {
            let index = at / SECTOR as u64;
            let skip = (at % SECTOR as u64) as usize;
            let take = ((SECTOR - skip) as u64).min(end - at) as usize;
            if self.sector(index)[skip..skip + take] != other(index)[skip..skip + take] {
                return false;
            }
            at += take as u64;
        }
        true
    }
}

/// What a whole, valid sector says of itself, as its bytes have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawHeader {
    /// [`pattern_id`].
    pub id: u64,
    /// Offset in the content's stream.
    pub offset: u64,
    /// The label's bytes; [`label_text`] makes them text.
    pub label: [u8; LABEL],
}

/// What a whole, valid sector says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectorHeader {
    /// [`pattern_id`].
    pub id: u64,
    /// Offset in the content's stream.
    pub offset: u64,
    /// `file@generation`, possibly cut.
    pub label: String,
}

/// Reads a sector's own description; `None` unless magic and checksum are right.
pub fn identify(sector: &[u8; SECTOR]) -> Option<SectorHeader> {
    let raw = identify_raw(sector)?;
    Some(SectorHeader {
        id: raw.id,
        offset: raw.offset,
        label: label_text(&raw.label),
    })
}

/// As [`identify`], without allocating.
pub fn identify_raw(sector: &[u8; SECTOR]) -> Option<RawHeader> {
    if sector[8..16] != MAGIC || checksum(sector) != word(sector, 24) {
        return None;
    }
    claim(sector)
}

/// What the header of a piece of a sector claims, proven by nothing but its magic; `None` when the piece is shorter
/// than a header or the magic is not there. The claim is true when [`Pattern::sector`] of it has the same bytes.
pub fn claim(piece: &[u8]) -> Option<RawHeader> {
    let head: &[u8; HEADER] = piece.first_chunk()?;
    if head[8..16] != MAGIC {
        return None;
    }
    let mut label = [0; LABEL];
    label.copy_from_slice(&head[32..HEADER]);
    Some(RawHeader {
        id: word(head, 0),
        offset: word(head, 16),
        label,
    })
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Checksum of all but bytes 24–31.
///
/// Four sums of every fourth 8-byte word each, so that the multiplications do not wait for one another; a step
/// `(sum rotated ^ word) * odd` is a bijection of both its inputs, so a change within one word never cancels out,
/// and [`mix`] folds the four into one.
fn checksum(sector: &[u8; SECTOR]) -> u64 {
    let mut sums: [u64; 4] = [
        0x636f_6c64_6375_7421,
        0xa076_1d64_78bd_642f,
        0xe703_7ed1_a0b4_28db,
        0x8ebc_6af0_9c88_c6e3,
    ];
    for (i, group) in sector.chunks_exact(32).enumerate() {
        for (lane, sum) in sums.iter_mut().enumerate() {
            let value = if i == 0 && lane == 3 {
                0
            } else {
                word(group, lane * 8)
            };
            *sum = (sum.rotate_left(29) ^ value).wrapping_mul(0x9fb2_1c65_1e98_df25);
        }
    }
    sums.into_iter()
        .fold(0, |all, sum| mix(all.rotate_left(17) ^ sum))
}
