//! A log without a sidecar: in which order its requests completed is all that it says.

use super::{LoadOptions, Loaded, PastEnd, agree, entry_io};
use crate::recording::block::ReadAt;
use crate::recording::disks::Disks;
use crate::recording::io::{Io, IoKind};
use crate::recording::log::builder::LogBuilder;
use crate::recording::log::dmlog::{self, Superblock};
use crate::recording::log::entries::{Entries, Entry};
use crate::recording::log::error::{LoadError, LoadWarning};
use crate::recording::log::model::{DataRef, Geometry, Order};
use crate::recording::mark::Mark;

/// A log without a sidecar: each request is submitted when it completes.
pub(super) fn load(
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
