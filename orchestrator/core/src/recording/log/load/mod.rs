//! Reads a recording: `alone` a log that has nothing beside it, `pair` one with its sidecar.

mod alone;
mod pair;

use super::dmlog::{self, SUPERBLOCK_LEN, Superblock};
use super::entries::{Entry, is_superblock};
use super::error::{LoadError, LoadWarning};
use super::model::{DataRef, Order};
use super::write_log::WriteLog;
use crate::recording::block::ReadAt;
use crate::recording::io::{Io, IoKind};

/// What the log itself may not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The device's size in bytes. Needed for logs that other tools made.
    pub device_size: Option<u64>,
    /// The order of the entries; otherwise the log's tag says, or it is guessed: QEMU's blklogwrites writes in completion
    /// order and knows neither FUA nor marks.
    pub order: Option<Order>,
    /// What to do with entries beyond the superblock's number.
    pub past_end: PastEnd,
}

/// What to do with entries beyond the superblock's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PastEnd {
    /// Read them in logs of coldcut and of QEMU; ignore them in the kernel's, whose log device may hold an older log.
    #[default]
    Auto,
    /// Read them.
    Read,
    /// Ignore them.
    Ignore,
}

/// A recording, and what is doubtful about it.
#[derive(Debug)]
pub struct Loaded {
    /// The recording.
    pub log: WriteLog,
    /// What is doubtful.
    pub warnings: Vec<LoadWarning>,
}

impl WriteLog {
    /// Reads a log and, where there is one, its sidecar. No data is read, and memory is as [`WriteLog`] says.
    ///
    /// # Errors
    /// When the log is none, is damaged, or is not of the device (or of the sidecar) that it should be of. A log that
    /// is merely cut short loads up to its last whole entry.
    pub fn load(
        log: &(impl ReadAt + ?Sized),
        sidecar: Option<&dyn ReadAt>,
        options: &LoadOptions,
    ) -> Result<Loaded, LoadError> {
        let superblock = read_superblock(log)?;
        match sidecar {
            Some(sidecar) => pair::load(log, &superblock, sidecar, options),
            None => alone::load(log, superblock, options),
        }
    }
}

fn read_superblock(log: &(impl ReadAt + ?Sized)) -> Result<Superblock, LoadError> {
    if log.size() < SUPERBLOCK_LEN as u64 {
        return Err(LoadError::TooShort(log.size()));
    }
    let mut bytes = [0; SUPERBLOCK_LEN];
    log.read_at(0, &mut bytes)?;
    Ok(Superblock::decode(&bytes)?)
}

/// The request that an entry logs, apart from a flush before it.
fn entry_io(
    entry: &Entry,
    sector: u64,
    device_size: Option<u64>,
) -> Result<Option<(Io, DataRef)>, LoadError> {
    let header = &entry.header;
    if is_superblock(header) {
        return Err(LoadError::SecondLog {
            entries: entry.number,
            at: entry.at,
        });
    }
    if header.flags & dmlog::MARK != 0 || header.sectors == 0 {
        return Ok(None);
    }
    let range = header
        .sector
        .checked_mul(sector)
        .zip(header.sectors.checked_mul(sector))
        .and_then(|(offset, len)| Some((offset, len, offset.checked_add(len)?)))
        .filter(|(_, _, end)| *end < 1 << 62);
    let Some((offset, len, end)) = range else {
        return Err(LoadError::Entry {
            entry: entry.number,
            at: entry.at,
            what: format!("it covers {} sectors from {} on", header.sectors, header.sector),
        });
    };
    if let Some(device_size) = device_size
        && end > device_size
    {
        return Err(LoadError::OutOfDevice {
            entry: entry.number,
            offset,
            end,
            device_size,
        });
    }
    let discard = header.flags & dmlog::DISCARD != 0;
    let io = Io {
        kind: if discard { IoKind::Discard } else { IoKind::Write },
        offset,
        len,
        fua: header.flags & dmlog::FUA != 0,
    };
    let data = if discard {
        DataRef::None
    } else {
        DataRef::Log(entry.data_at)
    };
    Ok(Some((io, data)))
}

fn agree(log: Option<u64>, wanted: Option<u64>) -> Result<Option<u64>, LoadError> {
    match (log, wanted) {
        (Some(log), Some(wanted)) if log != wanted => Err(LoadError::DeviceSize { log, wanted }),
        _ => Ok(log.or(wanted)),
    }
}
