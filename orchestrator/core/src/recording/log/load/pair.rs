//! A log with its sidecar, which says what happened when; the log has the data.

use super::{LoadOptions, Loaded, agree, entry_io};
use crate::recording::block::ReadAt;
use crate::recording::disks::Disks;
use crate::recording::io::{Io, IoKind};
use crate::recording::log::builder::LogBuilder;
use crate::recording::log::dmlog::{self, Superblock};
use crate::recording::log::entries::{Entries, Entry};
use crate::recording::log::error::{LoadError, LoadWarning};
use crate::recording::log::model::{DataRef, Geometry};
use crate::recording::log::sidecar::{self, Record};
use crate::recording::mark::Mark;

/// A log with its sidecar, which says what happened when; the log has the data.
pub(super) fn load(
    source: &(impl ReadAt + ?Sized),
    superblock: &Superblock,
    sidecar: &dyn ReadAt,
    options: &LoadOptions,
) -> Result<Loaded, LoadError> {
    let (mut records, geometry, disks) = sidecar::Reader::new(sidecar)?;
    if geometry.sector_size != superblock.sector_size {
        return Err(LoadError::Mismatch {
            entry: 0,
            log: format!("in sectors of {} bytes", superblock.sector_size),
            sidecar: format!("in sectors of {} bytes", geometry.sector_size),
        });
    }
    let tag = superblock.tag.as_ref();
    agree(tag.map(|tag| tag.disks.size()), Some(geometry.device_size))?;
    if let Some(tag) = tag.filter(|tag| tag.disks != disks) {
        return Err(LoadError::Mismatch {
            entry: 0,
            log: format!("of a recording of {} disks", tag.disks.count()),
            sidecar: format!("{} disks, which lie otherwise", disks.count()),
        });
    }
    agree(Some(geometry.device_size), options.device_size)?;
    let sector = u64::from(superblock.sector_size);
    let mut builder = LogBuilder::of(geometry, disks.clone());
    builder.reserve(superblock.entries.min(source.size() / sector).min(1 << 24) as usize);
    let mut pair = Pair {
        geometry,
        disks,
        builder,
        entries: Entries::new(source, superblock.sector_size),
        warnings: Vec::new(),
    };
    let mut closed = false;
    while let Some(record) = records.next_record()? {
        closed = record == Record::End;
        if closed || !pair.take(record)? {
            break;
        }
    }
    pair.finish(closed, superblock.entries)
}

/// A log and its sidecar, being read side by side.
struct Pair<'a, S: ?Sized> {
    geometry: Geometry,
    disks: Disks,
    builder: LogBuilder,
    entries: Entries<'a, S>,
    warnings: Vec<LoadWarning>,
}

impl<S: ReadAt + ?Sized> Pair<'_, S> {
    /// Adds what a record says; false when the log lacks its entry, and reading ends.
    fn take(&mut self, record: Record) -> Result<bool, LoadError> {
        match record {
            Record::Submit { number, io } => {
                check_submit(&self.builder, number, &io, &self.geometry, &self.disks)?;
                // Known once it completes, fails or is found in flight.
                let data = if io.kind == IoKind::Write {
                    DataRef::Lost
                } else {
                    DataRef::None
                };
                self.builder.submit(io, data)?;
            }
            Record::Complete { number } => {
                let Some(entry) = self.next_entry()? else {
                    return Ok(false);
                };
                let data = match_request(&self.builder, number, &entry, &self.geometry)?;
                self.builder.set_data(number, data);
                self.builder.complete(number)?;
                self.builder.entry();
            }
            Record::Fail { number } => self.builder.fail(number)?,
            Record::Mark { text } => {
                let Some(entry) = self.next_entry()? else {
                    return Ok(false);
                };
                match_mark(&entry, &text)?;
                self.builder.mark(Mark::from(text.as_str()))?;
                self.builder.entry();
            }
            Record::Data { number, len, at } => match self.builder.request(number) {
                Some((io, true)) if io.kind == IoKind::Write && io.len == len => {
                    self.builder.set_data(number, DataRef::Sidecar(at));
                }
                _ => {
                    return Err(damaged(
                        "data of a request that is not in flight or has another length",
                    ));
                }
            },
            Record::End => return Ok(false),
        }
        Ok(true)
    }

    /// The log's next entry; its absence is a warning.
    fn next_entry(&mut self) -> Result<Option<Entry>, LoadError> {
        let entry = self.entries.next_entry()?;
        if entry.is_none() {
            self.warnings.push(LoadWarning::MissingEntries);
        }
        Ok(entry)
    }

    /// Warns of what the two lack.
    fn finish(mut self, closed: bool, claimed: u64) -> Result<Loaded, LoadError> {
        if !closed {
            self.warnings.push(LoadWarning::Interrupted);
            let mut left_out = 0;
            while self.entries.is_plausible()? && self.entries.next_entry()?.is_some() {
                left_out += 1;
            }
            if left_out > 0 {
                self.warnings
                    .push(LoadWarning::UnknownEntries { entries: left_out });
            }
        }
        let entries = self.entries.number();
        if entries < claimed {
            self.warnings.push(LoadWarning::Truncated { entries, claimed });
        }
        let log = self.builder.build();
        let lost = log.requests().filter(|request| request.data == DataRef::Lost);
        let writes = lost.count() as u32;
        if writes > 0 {
            self.warnings.push(LoadWarning::LostWrites { writes });
        }
        Ok(Loaded {
            log,
            warnings: self.warnings,
        })
    }
}

fn check_submit(
    builder: &LogBuilder,
    number: u32,
    io: &Io,
    geometry: &Geometry,
    disks: &Disks,
) -> Result<(), LoadError> {
    if number != builder.request_count() {
        return Err(damaged("requests are not numbered in order"));
    }
    let sector = u64::from(geometry.sector_size);
    let fits = disks.of(io.offset, io.len).is_some();
    let whole = io.offset.is_multiple_of(sector) && io.len.is_multiple_of(sector);
    let empty = io.len == 0;
    if !fits || !whole || empty != (io.kind == IoKind::Flush) {
        return Err(damaged(
            "a request that is not made of whole sectors of the device",
        ));
    }
    Ok(())
}

/// Where the data of the request is that completes with this entry.
fn match_request(
    builder: &LogBuilder,
    number: u32,
    entry: &Entry,
    geometry: &Geometry,
) -> Result<DataRef, LoadError> {
    let Some((io, true)) = builder.request(number) else {
        return Err(damaged("a completion of a request that is not in flight"));
    };
    let found = entry_io(entry, u64::from(geometry.sector_size), Some(geometry.device_size))?;
    let is_flush = entry.header.flags & dmlog::FLUSH != 0;
    let same = match (io.kind, found) {
        (IoKind::Flush, None) => {
            is_flush && entry.header.sector == io.offset / u64::from(geometry.sector_size)
        }
        (IoKind::Write | IoKind::WriteZeroes, Some((found, _))) => {
            let kind = IoKind::Write;
            !is_flush && found == Io { kind, ..io }
        }
        (IoKind::Discard, Some((found, _))) => !is_flush && found == io,
        _ => false,
    };
    if !same {
        return Err(LoadError::Mismatch {
            entry: entry.number,
            log: format!("{:?}", entry.header),
            sidecar: format!("{io:?}"),
        });
    }
    Ok(match (io.kind, found) {
        (IoKind::Write, Some((_, data))) => data,
        _ => DataRef::None,
    })
}

fn match_mark(entry: &Entry, text: &str) -> Result<(), LoadError> {
    match &entry.text {
        Some(short) if text.starts_with(short.as_str()) => Ok(()),
        other => Err(LoadError::Mismatch {
            entry: entry.number,
            log: match other {
                Some(short) => format!("the mark {short:?}"),
                None => format!("{:?}", entry.header),
            },
            sidecar: format!("the mark {text:?}"),
        }),
    }
}

fn damaged(what: &'static str) -> LoadError {
    LoadError::Sidecar(sidecar::SidecarError::Record { at: 0, what })
}
