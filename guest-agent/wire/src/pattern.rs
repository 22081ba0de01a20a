//! Self-describing data: every 512-byte sector says whose it is.
//!
//! A [`ContentName`] defines an endless stream of bytes. Sector `k` of the stream (512 bytes at offset `512 k`) is
//!
//! | bytes  | what |
//! |--------|------|
//! | 0–7    | magic `COLDCUT` and a version byte, 1 |
//! | 8–15   | [`content_id`], u64 little-endian |
//! | 16–23  | the sector's offset in the stream, u64 little-endian |
//! | 24–31  | checksum of the other 504 bytes, u64 little-endian |
//! | 32–63  | `file@generation`, cut to 32 bytes, padded with NUL, for whoever reads a hex dump |
//! | 64–511 | pseudo-random bytes keyed by id and offset |
//!
//! Writing `len` bytes at file offset `o` writes the stream's bytes `o..o+len`, so an aligned sector proves itself
//! by its checksum, and a fragment is recognised by comparing it with what a known content has at that position.

use crate::op::ContentName;

/// Bytes in a self-describing sector.
pub const SECTOR: usize = 512;
/// First bytes of every sector.
pub const MAGIC: [u8; 8] = *b"COLDCUT\x01";
const LABEL: usize = 32;
const BODY: usize = 64;

/// The 64-bit identity of a content: FNV-1a over `file`, a NUL byte and `generation`, mixed by splitmix64.
pub fn content_id(name: &ContentName) -> u64 {
    let bytes = name.file.bytes().chain([0]).chain(name.generation.bytes());
    let fnv = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(fnv)
}

/// splitmix64's finaliser (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `file@generation` as sectors carry it.
pub fn label(name: &ContentName) -> String {
    format!("{}@{}", name.file, name.generation)
}

/// A content ready to be written or compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// [`content_id`] of its name.
    pub id: u64,
    label: [u8; LABEL],
}

impl Content {
    /// The stream of this name.
    pub fn new(name: &ContentName) -> Self {
        let text = label(name);
        let mut label = [0; LABEL];
        let len = text.len().min(LABEL);
        label[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self {
            id: content_id(name),
            label,
        }
    }

    /// Sector number `index` of the stream.
    pub fn sector(&self, index: u64) -> [u8; SECTOR] {
        let offset = index.wrapping_mul(SECTOR as u64);
        let mut sector = [0; SECTOR];
        sector[..8].copy_from_slice(&MAGIC);
        sector[8..16].copy_from_slice(&self.id.to_le_bytes());
        sector[16..24].copy_from_slice(&offset.to_le_bytes());
        sector[32..BODY].copy_from_slice(&self.label);
        let mut state = mix(self.id ^ mix(offset));
        for word in sector[BODY..].chunks_exact_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            word.copy_from_slice(&mix(state).to_le_bytes());
        }
        let sum = checksum(&sector);
        sector[24..32].copy_from_slice(&sum.to_le_bytes());
        sector
    }

    /// Fills `buffer` with the stream's bytes from `offset` on.
    pub fn fill(&self, offset: u64, buffer: &mut [u8]) {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let skip = (at % SECTOR as u64) as usize;
            let sector = self.sector(at / SECTOR as u64);
            let len = (SECTOR - skip).min(buffer.len() - done);
            buffer[done..done + len].copy_from_slice(&sector[skip..skip + len]);
            done += len;
        }
    }
}

/// What a whole, valid sector says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectorHeader {
    /// [`content_id`].
    pub id: u64,
    /// Offset in the content's stream.
    pub offset: u64,
    /// `file@generation`, possibly cut.
    pub label: String,
}

/// Reads a sector's own description; `None` unless magic and checksum are right.
pub fn identify(sector: &[u8; SECTOR]) -> Option<SectorHeader> {
    if sector[..8] != MAGIC || checksum(sector) != word(sector, 24) {
        return None;
    }
    let text = &sector[32..BODY];
    let end = text.iter().position(|b| *b == 0).unwrap_or(LABEL);
    Some(SectorHeader {
        id: word(sector, 8),
        offset: word(sector, 16),
        label: String::from_utf8_lossy(&text[..end]).into_owned(),
    })
}

fn word(sector: &[u8; SECTOR], at: usize) -> u64 {
    u64::from_le_bytes(sector[at..at + 8].try_into().expect("eight bytes"))
}

/// Checksum of all but bytes 24–31.
fn checksum(sector: &[u8; SECTOR]) -> u64 {
    let words = sector.chunks_exact(8).enumerate().filter(|(i, _)| *i != 3);
    words.fold(0x636f_6c64_6375_7421, |sum: u64, (_, w)| {
        mix(sum ^ u64::from_le_bytes(w.try_into().expect("eight bytes"))).rotate_left(17)
    })
}
