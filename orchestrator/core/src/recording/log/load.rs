//! Reads a recording.

use super::builder::LogBuilder;
use super::dmlog::{self, SUPERBLOCK_LEN, Superblock};
use super::entries::{Entries, Entry, is_superblock};
use super::error::{LoadError, LoadWarning};
use super::model::{DataRef, Geometry, Order};
use super::sidecar::{self, Record};
use super::write_log::WriteLog;
use crate::recording::block::ReadAt;
use crate::recording::disks::Disks;
use crate::recording::io::{Io, IoKind};
use crate::recording::mark::Mark;

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
            Some(sidecar) => load_pair(log, &superblock, sidecar, options),
            None => load_alone(log, superblock, options),
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

/// A log without a sidecar: each request is submitted when it completes.
fn load_alone(
    source: &(impl ReadAt + ?Sized),
    superblock: Superblock,
    options: &LoadOptions,
) -> Result<Loaded, LoadError> {
    let tag = superblock.tag.as_ref();
    let device_size = agree(tag.map(|tag| tag.disks.size()), options.device_size)?;
    let disks = tag.map_or_else(|| Disks::one(device_size.unwrap_or(0)), |tag| tag.disks.clone());
    let sector = u64::from(superblock.sector_size);
    let geometry = Geometry {
        device_size: device_size.unwrap_or(0),
        sector_size: superblock.sector_size,
        atomic_unit: tag.map_or(4096, |tag| tag.atomic_unit),
        order: Order::Completion,
    };
    let mut builder = LogBuilder::of(geometry, disks.clone());
    // Bounded by what the file can hold, whatever the superblock claims.
    builder.reserve(superblock.entries.min(source.size() / sector).min(1 << 24) as usize);
    let mut entries = Entries::new(source, superblock.sector_size);
    let mut alone = Alone {
        superblock,
        past_end: options.past_end,
        device_size,
        disks,
        builder,
        gathered: Gathered::default(),
        warnings: Vec::new(),
    };
    while alone.goes_on(&mut entries)? {
        let Some(entry) = entries.next_entry()? else {
            break;
        };
        alone.take(entry)?;
    }
    alone.warn_of_entries(&entries);
    Ok(alone.finish(options.order))
}

/// A log without a sidecar, being read.
struct Alone {
    superblock: Superblock,
    past_end: PastEnd,
    /// `None`: the largest address says it.
    device_size: Option<u64>,
    disks: Disks,
    builder: LogBuilder,
    gathered: Gathered,
    warnings: Vec<LoadWarning>,
}

/// What the entries so far have shown.
#[derive(Default)]
struct Gathered {
    /// The end of the highest request, in bytes.
    largest: u64,
    /// Entries beyond those that the superblock claims.
    past_end: u64,
    /// Entries with flags that nobody knows.
    unknown: u64,
    fua_or_mark: bool,
    /// Whether the last mark closed the log.
    closed: bool,
}

impl Alone {
    /// Whether there is another entry to read. Beyond those that the superblock claims it depends on what the options
    /// and the entries say.
    fn goes_on(&mut self, entries: &mut Entries<'_, impl ReadAt + ?Sized>) -> Result<bool, LoadError> {
        if entries.number() < self.superblock.entries {
            return Ok(true);
        }
        if entries.at_end() {
            return Ok(false);
        }
        let read = match self.past_end {
            PastEnd::Read => true,
            PastEnd::Ignore => false,
            PastEnd::Auto => {
                !self.gathered.closed && (self.superblock.tag.is_some() || !self.gathered.fua_or_mark)
            }
        };
        if self.past_end != PastEnd::Ignore && entries.at_superblock()? {
            return Err(LoadError::SecondLog {
                entries: entries.number(),
                at: entries.at(),
            });
        }
        let plausible = entries.is_plausible()?;
        if plausible && !read && !self.gathered.closed {
            self.warnings.push(LoadWarning::IgnoredPastEnd);
        }
        Ok(plausible && read)
    }

    /// Adds an entry's requests and mark.
    fn take(&mut self, entry: Entry) -> Result<(), LoadError> {
        let flags = entry.header.flags;
        self.gathered.past_end += u64::from(entry.number >= self.superblock.entries);
        self.gathered.unknown += u64::from(flags & !dmlog::ALL_FLAGS != 0);
        self.gathered.fua_or_mark |= flags & (dmlog::FUA | dmlog::MARK) != 0;
        let sector = u64::from(self.superblock.sector_size);
        let request = entry_io(&entry, sector, self.device_size)?;
        if flags & dmlog::FLUSH != 0 {
            let flush = self.flush(&entry)?;
            at_once(&mut self.builder, flush, DataRef::None)?;
        }
        if let Some((io, data)) = request {
            self.gathered.largest = self.gathered.largest.max(io.offset + io.len);
            let number = at_once(&mut self.builder, io, data)?;
            if flags & dmlog::METADATA != 0 {
                self.builder.set_metadata(number);
            }
        }
        if let Some(text) = entry.text {
            self.gathered.closed = text == dmlog::END_MARK;
            self.builder.mark(Mark::from(text.as_str()))?;
        }
        self.builder.entry();
        Ok(())
    }

    /// The flush of an entry: of the disk where the entry's sector is.
    fn flush(&self, entry: &Entry) -> Result<Io, LoadError> {
        let sector = u64::from(self.superblock.sector_size);
        let disk = if self.disks.count() == 1 {
            self.disks.get(0)
        } else {
            let offset = entry.header.sector.checked_mul(sector);
            let number = offset.and_then(|offset| self.disks.of(offset, 0));
            number.and_then(|number| self.disks.get(number))
        };
        let disk = disk.ok_or_else(|| LoadError::Entry {
            entry: entry.number,
            at: entry.at,
            what: format!("a flush at sector {}, where no disk is", entry.header.sector),
        })?;
        Ok(Io {
            kind: IoKind::Flush,
            offset: disk.start,
            len: 0,
            fua: false,
        })
    }

    /// Warns of entries that are missing, surplus or strange.
    fn warn_of_entries(&mut self, entries: &Entries<'_, impl ReadAt + ?Sized>) {
        let (read, claimed) = (entries.number(), self.superblock.entries);
        let past_end = self.gathered.past_end;
        if read < claimed || !entries.at_end() && past_end > 0 && self.past_end == PastEnd::Read {
            self.warnings.push(LoadWarning::Truncated {
                entries: read,
                claimed,
            });
        }
        if past_end > 0 {
            self.warnings.push(LoadWarning::PastEnd { entries: past_end });
        }
        if self.gathered.unknown > 0 {
            let entries = self.gathered.unknown;
            self.warnings.push(LoadWarning::UnknownFlags { entries });
        }
    }

    /// Settles the order and the size: as given, as the log's tag says, or as the entries suggest.
    fn finish(mut self, order: Option<Order>) -> Loaded {
        let known = order.or(self.superblock.tag.as_ref().map(|tag| tag.order));
        let order = known.unwrap_or(if self.gathered.fua_or_mark {
            Order::Kernel
        } else {
            Order::Completion
        });
        if known.is_none() && !self.gathered.closed {
            self.warnings.push(LoadWarning::OrderGuessed { order });
        }
        self.warnings.push(match order {
            Order::Kernel => LoadWarning::MarksAreEarly,
            Order::Completion => LoadWarning::NoSubmissions,
        });
        self.builder.set_order(order);
        if self.device_size.is_none() {
            let guess = self.gathered.largest.next_multiple_of(4096);
            self.warnings
                .push(LoadWarning::SizeGuessed { device_size: guess });
            self.builder.set_device_size(guess);
        }
        Loaded {
            log: self.builder.build(),
            warnings: self.warnings,
        }
    }
}

fn at_once(builder: &mut LogBuilder, io: Io, data: DataRef) -> Result<u32, LoadError> {
    let number = builder.submit(io, data)?;
    builder.complete(number)?;
    Ok(number)
}

/// A log with its sidecar, which says what happened when; the log has the data.
fn load_pair(
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

fn agree(log: Option<u64>, wanted: Option<u64>) -> Result<Option<u64>, LoadError> {
    match (log, wanted) {
        (Some(log), Some(wanted)) if log != wanted => Err(LoadError::DeviceSize { log, wanted }),
        _ => Ok(log.or(wanted)),
    }
}

fn damaged(what: &'static str) -> LoadError {
    LoadError::Sidecar(sidecar::SidecarError::Record { at: 0, what })
}
