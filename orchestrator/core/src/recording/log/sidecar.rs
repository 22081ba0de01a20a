//! The sidecar: what the dm-log-writes format cannot say.
//!
//! Little-endian. A header of 64 bytes (192 with several disks), then records until the end of the file, in the order in which things happened:
//!
//! | at | header |
//! |----|--------|
//! | 0  | magic, `coldcutS` |
//! | 8  | version u32: 1, or 2 with several disks |
//! | 12 | order of the log's entries u32: 0 kernel, 1 completion |
//! | 16 | device size u64, bytes |
//! | 24 | sector size u32, bytes |
//! | 28 | atomic unit u32, bytes |
//! | 32 | with several disks, their number u32; otherwise zeros |
//! | 64 | with several disks only: start u64 and size u64 of each, and zeros up to byte 192 |
//!
//! A record is `tag u8, kind u8, fua u8, 0, value u32`, and then, by its tag:
//!
//! | tag | value | follows |
//! |-----|-------|---------|
//! | 1 SUBMIT | number of the request, counting up from 0 | offset u64, len u64 |
//! | 2 COMPLETE | number of the request; the next entry of the log is its | |
//! | 3 FAIL | number of the request | |
//! | 4 MARK | bytes of its text; the next entry of the log is its, perhaps with a shorter text | text |
//! | 5 DATA | number of the request, which failed or is still in flight | length u64, payload |
//! | 6 END | 0: the recording was closed in order | |
//!
//! Kinds are 0 write, 1 write-zeroes, 2 discard, 3 flush.

use std::io;

use super::dmlog;
use super::model::{Geometry, Order};
use crate::recording::block::ReadAt;
use crate::recording::disks::Disks;
use crate::recording::io::{Io, IoKind};

/// The first eight bytes.
pub const MAGIC: [u8; 8] = *b"coldcutS";
/// The newest version.
pub const VERSION: u32 = 2;
/// Bytes of the header of a recording of one disk.
pub const HEADER_LEN: usize = 64;
/// Bytes of the header of a recording of several.
pub const LONG_HEADER_LEN: usize = 192;
/// The longest text of a mark, in bytes.
pub const MAX_MARK: usize = 64 << 10;

const SUBMIT: u8 = 1;
const COMPLETE: u8 = 2;
const FAIL: u8 = 3;
const MARK: u8 = 4;
const DATA: u8 = 5;
const END: u8 = 6;

/// Why a sidecar cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// Another kind of file.
    #[error("not a sidecar of coldcut: it does not start with \"coldcutS\"")]
    Magic,
    /// A newer format.
    #[error("the sidecar has format version {0}; only versions up to {VERSION} are known")]
    Version(u32),
    /// Sizes that no recorder writes.
    #[error("the sidecar's header is damaged")]
    Header,
    /// A record that no recorder writes.
    #[error("the sidecar is damaged at byte {at}: {what}")]
    Record {
        /// Where the record starts.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read the sidecar: {0}")]
    Io(#[from] io::Error),
}

/// A record, with its number for requests.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Record {
    Submit { number: u32, io: Io },
    Complete { number: u32 },
    Fail { number: u32 },
    Mark { text: String },
    Data { number: u32, len: u64, at: u64 },
    End,
}

/// The header's bytes.
pub fn encode_header(geometry: &Geometry, disks: &Disks) -> Vec<u8> {
    let several = disks.count() > 1;
    let mut bytes = vec![0; if several { LONG_HEADER_LEN } else { HEADER_LEN }];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&u32::from(dmlog::version(disks)).to_le_bytes());
    let order: u32 = match geometry.order {
        Order::Kernel => 0,
        Order::Completion => 1,
    };
    bytes[12..16].copy_from_slice(&order.to_le_bytes());
    bytes[16..24].copy_from_slice(&geometry.device_size.to_le_bytes());
    bytes[24..28].copy_from_slice(&geometry.sector_size.to_le_bytes());
    bytes[28..32].copy_from_slice(&geometry.atomic_unit.to_le_bytes());
    if several {
        bytes[32..36].copy_from_slice(&(disks.count() as u32).to_le_bytes());
        dmlog::encode_disks(disks, &mut bytes[HEADER_LEN..]);
    }
    bytes
}

/// A SUBMIT record.
pub fn encode_submit(number: u32, io: &Io) -> [u8; 24] {
    let kind = match io.kind {
        IoKind::Write => 0,
        IoKind::WriteZeroes => 1,
        IoKind::Discard => 2,
        IoKind::Flush => 3,
    };
    let mut bytes = [0; 24];
    bytes[..3].copy_from_slice(&[SUBMIT, kind, u8::from(io.fua)]);
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..16].copy_from_slice(&io.offset.to_le_bytes());
    bytes[16..].copy_from_slice(&io.len.to_le_bytes());
    bytes
}

/// A COMPLETE record.
pub fn encode_complete(number: u32) -> [u8; 8] {
    short(COMPLETE, number)
}

/// A FAIL record.
pub fn encode_fail(number: u32) -> [u8; 8] {
    short(FAIL, number)
}

/// The start of a MARK record, which its text follows.
pub fn encode_mark(len: u32) -> [u8; 8] {
    short(MARK, len)
}

/// The start of a DATA record, which the payload follows.
pub fn encode_data(number: u32, len: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&short(DATA, number));
    bytes[8..].copy_from_slice(&len.to_le_bytes());
    bytes
}

/// The END record.
pub fn encode_end() -> [u8; 8] {
    short(END, 0)
}

fn short(tag: u8, value: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[0] = tag;
    bytes[4..].copy_from_slice(&value.to_le_bytes());
    bytes
}

/// Reads a sidecar from its start to its last whole record.
pub struct Reader<'a, R: ?Sized> {
    source: &'a R,
    at: u64,
    window: Vec<u8>,
    window_at: u64,
}

const WINDOW: usize = 64 << 10;

impl<'a, R: ReadAt + ?Sized> Reader<'a, R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn new(source: &'a R) -> Result<(Self, Geometry, Disks), SidecarError> {
        let mut reader = Self {
            source,
            at: 0,
            window: Vec::new(),
            window_at: 0,
        };
        let Some(header) = reader.peek(HEADER_LEN)? else {
            return Err(SidecarError::Magic);
        };
        if header[..8] != MAGIC {
            return Err(SidecarError::Magic);
        }
        let version = u32_at(header, 8);
        if !(1..=VERSION).contains(&version) {
            return Err(SidecarError::Version(version));
        }
        let geometry = Geometry {
            device_size: u64_at(header, 16),
            sector_size: u32_at(header, 24),
            atomic_unit: u32_at(header, 28),
            order: match u32_at(header, 12) {
                0 => Order::Kernel,
                1 => Order::Completion,
                _ => return Err(SidecarError::Header),
            },
        };
        let power = |value: u32, max: u32| value.is_power_of_two() && (512..=max).contains(&value);
        if !power(geometry.sector_size, 65_536)
            || !power(geometry.atomic_unit, 1 << 30)
            || !geometry
                .device_size
                .is_multiple_of(u64::from(geometry.sector_size))
            || geometry.device_size >= 1 << 62
        {
            return Err(SidecarError::Header);
        }
        let several = u32_at(header, 32) as usize;
        if version == 1 {
            reader.at = HEADER_LEN as u64;
            return Ok((reader, geometry, Disks::one(geometry.device_size)));
        }
        let long = reader.peek(LONG_HEADER_LEN)?.ok_or(SidecarError::Header)?;
        let disks = dmlog::decode_disks(several, &long[HEADER_LEN..])
            .filter(|disks| disks.size() == geometry.device_size)
            .ok_or(SidecarError::Header)?;
        reader.at = LONG_HEADER_LEN as u64;
        Ok((reader, geometry, disks))
    }

    /// The next record; `None` at the end or where a record is cut short (then [`Self::left`] is not 0).
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn next_record(&mut self) -> Result<Option<Record>, SidecarError> {
        let start = self.at;
        let bad = |what| SidecarError::Record { at: start, what };
        let Some(head) = self.peek(8)? else {
            return Ok(None);
        };
        let (tag, kind, fua, value) = (head[0], head[1], head[2], u32_at(head, 4));
        let (record, len) = match tag {
            SUBMIT => {
                let Some(body) = self.peek(24)? else {
                    return Ok(None);
                };
                let kind = match kind {
                    0 => IoKind::Write,
                    1 => IoKind::WriteZeroes,
                    2 => IoKind::Discard,
                    3 => IoKind::Flush,
                    _ => return Err(bad("an unknown kind of request")),
                };
                let io = Io {
                    kind,
                    offset: u64_at(body, 8),
                    len: u64_at(body, 16),
                    fua: fua != 0,
                };
                (Record::Submit { number: value, io }, 24)
            }
            COMPLETE => (Record::Complete { number: value }, 8),
            FAIL => (Record::Fail { number: value }, 8),
            MARK => {
                let len = value as usize;
                if len > MAX_MARK {
                    return Err(bad("a mark longer than 64 KiB"));
                }
                let Some(body) = self.peek(8 + len)? else {
                    return Ok(None);
                };
                let text = std::str::from_utf8(&body[8..]).map_err(|_| bad("a mark that is not UTF-8"))?;
                (
                    Record::Mark {
                        text: text.to_owned(),
                    },
                    8 + len as u64,
                )
            }
            DATA => {
                let Some(body) = self.peek(16)? else {
                    return Ok(None);
                };
                let len = u64_at(body, 8);
                if len > self.left() - 16 {
                    return Ok(None);
                }
                let at = start + 16;
                (
                    Record::Data {
                        number: value,
                        len,
                        at,
                    },
                    16 + len,
                )
            }
            END => (Record::End, 8),
            _ => return Err(bad("an unknown record")),
        };
        self.at = start + len;
        Ok(Some(record))
    }

    /// Bytes not read yet.
    pub fn left(&self) -> u64 {
        self.source.size().saturating_sub(self.at)
    }

    /// The next `len` bytes, without passing them; `None` when fewer are left.
    fn peek(&mut self, len: usize) -> Result<Option<&[u8]>, SidecarError> {
        if self.left() < len as u64 {
            return Ok(None);
        }
        let have = (self.window_at + self.window.len() as u64).saturating_sub(self.at);
        if self.at < self.window_at || have < len as u64 {
            let want = self.left().min((len.max(WINDOW)) as u64) as usize;
            self.window.resize(want, 0);
            self.window_at = self.at;
            self.source.read_at(self.at, &mut self.window)?;
        }
        let start = (self.at - self.window_at) as usize;
        Ok(Some(&self.window[start..start + len]))
    }
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
