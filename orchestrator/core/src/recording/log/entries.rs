//! Walks over the entries of a log, one by one.

use std::io;

use super::dmlog::{self, ENTRY_LEN, EntryHeader};
use super::error::LoadError;
use crate::recording::block::ReadAt;

/// An entry and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) header: EntryHeader,
    /// Where its sector starts.
    pub(super) at: u64,
    /// Where its data starts.
    pub(super) data_at: u64,
    /// A mark's text.
    pub(super) text: Option<String>,
}

/// Reads entries; what is no whole entry is the end.
pub(super) struct Entries<'a, R: ?Sized> {
    source: &'a R,
    size: u64,
    sector: u64,
    at: u64,
    number: u64,
    window: Vec<u8>,
    window_at: u64,
}

/// Bytes read at a time: data lies between most entries.
const WINDOW: u64 = 512;

impl<'a, R: ReadAt + ?Sized> Entries<'a, R> {
    pub(super) fn new(source: &'a R, sector_size: u32) -> Self {
        Self {
            source,
            size: source.size(),
            sector: u64::from(sector_size),
            at: u64::from(sector_size),
            number: 0,
            window: Vec::new(),
            window_at: 0,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Where the next entry starts.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next entry that is there as a whole.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, LoadError> {
        let Some(header) = self.peek_header()? else {
            return Ok(None);
        };
        let (at, number) = (self.at, self.number);
        let bad = |what: String| LoadError::Entry {
            entry: number,
            at,
            what,
        };
        let data_at = at + self.sector;
        let data_len = if header.has_data() {
            header
                .sectors
                .checked_mul(self.sector)
                .ok_or_else(|| bad(format!("{} sectors of data", header.sectors)))?
        } else {
            0
        };
        let text = if header.flags & dmlog::MARK == 0 {
            None
        } else {
            let len = header.data_len;
            if len > self.sector - ENTRY_LEN as u64 {
                return Err(bad(format!(
                    "a mark of {len} bytes in a sector of {}",
                    self.sector
                )));
            }
            let mut text = vec![0; len as usize];
            self.read(at + ENTRY_LEN as u64, &mut text)?;
            let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
            Some(String::from_utf8_lossy(&text[..end]).into_owned())
        };
        match data_at.checked_add(data_len) {
            Some(end) if end <= self.size => self.at = end,
            _ => return Ok(None),
        }
        self.number += 1;
        Ok(Some(Entry {
            number,
            header,
            at,
            data_at,
            text,
        }))
    }

    /// Whether what comes next can be an entry rather than zeros or an older log's remains: known flags, and a sector
    /// that is zeros after the header, but for a mark's text.
    pub(super) fn is_plausible(&mut self) -> Result<bool, LoadError> {
        let Some(header) = self.peek_header()? else {
            return Ok(false);
        };
        let empty = header.sectors == 0 && header.flags & (dmlog::FLUSH | dmlog::MARK) == 0;
        if empty || header.flags & !dmlog::ALL_FLAGS != 0 {
            return Ok(false);
        }
        let text_len = if header.flags & dmlog::MARK != 0 {
            header.data_len
        } else {
            0
        };
        if text_len > self.sector - ENTRY_LEN as u64 {
            return Ok(false);
        }
        let mut rest = vec![0; (self.sector - ENTRY_LEN as u64 - text_len) as usize];
        self.read(self.at + ENTRY_LEN as u64 + text_len, &mut rest)?;
        Ok(rest.iter().all(|byte| *byte == 0))
    }

    /// Whether another log's superblock comes next.
    pub(super) fn at_superblock(&mut self) -> Result<bool, LoadError> {
        Ok(self.peek_header()?.is_some_and(|header| is_superblock(&header)))
    }

    /// Whether the log goes on after the last entry that was read.
    pub(super) fn at_end(&self) -> bool {
        self.at >= self.size
    }

    fn peek_header(&mut self) -> Result<Option<EntryHeader>, LoadError> {
        if self.at.checked_add(self.sector).is_none_or(|end| end > self.size) {
            return Ok(None);
        }
        let mut bytes = [0; ENTRY_LEN];
        self.read(self.at, &mut bytes)?;
        Ok(Some(EntryHeader::decode(&bytes)))
    }

    fn read(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = at + buffer.len() as u64;
        if at < self.window_at || end > self.window_at + self.window.len() as u64 {
            let len = (self.size - at).min(WINDOW.max(buffer.len() as u64));
            self.window.resize(len as usize, 0);
            // Not to be trusted if the read below fails.
            self.window_at = u64::MAX / 2;
            self.source.read_at(at, &mut self.window)?;
            self.window_at = at;
        }
        let start = (at - self.window_at) as usize;
        buffer.copy_from_slice(&self.window[start..start + buffer.len()]);
        Ok(())
    }
}

/// A superblock read as an entry: the magic where the sector stands (far beyond any device), and the version where the
/// number of sectors stands.
pub(super) fn is_superblock(header: &EntryHeader) -> bool {
    header.sector == dmlog::MAGIC && header.sectors == dmlog::VERSION
}
