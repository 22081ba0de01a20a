//! Writes a recording as it happens.

use std::collections::HashMap;
use std::io::{self, IoSlice, Seek, SeekFrom, Write};

use bytes::Bytes;

use super::dmlog::{self, EntryHeader, Superblock, Tag};
use super::model::{Geometry, Order};
use super::sidecar;
use crate::recording::disks::Disks;
use crate::recording::io::{Io, IoId, IoKind, IoLog};
use crate::recording::mark::Mark;

/// Zeros up to the largest padding of an entry.
static PADDING: [u8; 65_536] = [0; 65_536];

/// Writes the log to `L` and the sidecar to `E`, whose positions must be 0 at the start.
///
/// Every call writes through to `L` and `E` before it returns, so that a recording whose process is killed at any point
/// loads up to there; give it files, not buffers. A write's payload is kept, not copied, until it completes. The number
/// of entries in the superblock is brought up to date at every flush and at the end; entries beyond it are in the log
/// all the same.
///
/// After an error nothing more can be recorded: every later call fails.
#[derive(Debug)]
pub struct Recorder<L, E> {
    log: L,
    sidecar: E,
    geometry: Geometry,
    disks: Disks,
    entries: u64,
    entries_written: u64,
    /// Where the next entry goes.
    at: u64,
    next: u32,
    in_flight: HashMap<u32, (Io, Bytes)>,
    broken: bool,
    finished: bool,
}

impl<L: Write + Seek + Send, E: Write + Send> Recorder<L, E> {
    /// Starts a recording of a device of `device_size` bytes, in log sectors of 512 bytes.
    ///
    /// # Errors
    /// When the sizes make no sense, or as `L` and `E` say.
    pub fn new(log: L, sidecar: E, device_size: u64, atomic_unit: u32) -> io::Result<Self> {
        Self::of(log, sidecar, Disks::one(device_size), atomic_unit)
    }

    /// Starts a recording of these disks, in log sectors of 512 bytes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(log: L, sidecar: E, disks: Disks, atomic_unit: u32) -> io::Result<Self> {
        let device_size = disks.size();
        let geometry = Geometry {
            device_size,
            sector_size: 512,
            atomic_unit,
            order: Order::Completion,
        };
        if device_size == 0 || !device_size.is_multiple_of(512) || device_size >= 1 << 62 {
            return Err(invalid(format!(
                "a device of {device_size} bytes; expected a positive multiple of 512"
            )));
        }
        if !atomic_unit.is_power_of_two() || !(512..=1 << 30).contains(&atomic_unit) {
            return Err(invalid(format!(
                "an atomic unit of {atomic_unit} bytes; expected a power of two from 512 on"
            )));
        }
        if let Some(disk) = disks
            .iter()
            .find(|disk| !disk.start.is_multiple_of(u64::from(atomic_unit)))
        {
            return Err(invalid(format!(
                "a disk that starts at {}, within an atomic unit of {atomic_unit} bytes",
                disk.start
            )));
        }
        let mut recorder = Self {
            log,
            sidecar,
            geometry,
            disks,
            entries: 0,
            entries_written: 0,
            at: u64::from(geometry.sector_size),
            next: 0,
            in_flight: HashMap::new(),
            broken: false,
            finished: false,
        };
        recorder.log.write_all(&recorder.superblock().encode())?;
        recorder
            .sidecar
            .write_all(&sidecar::encode_header(&recorder.geometry, &recorder.disks))?;
        Ok(recorder)
    }

    /// The device and the log's order.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The disks that are recorded.
    pub fn disks(&self) -> &Disks {
        &self.disks
    }

    /// Entries written so far, marks included.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Requests submitted and not yet answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Ends the recording: writes the payloads of what is in flight, and the number of entries; flushes both writers.
    /// Whatever is logged after it fails. A second call does nothing.
    ///
    /// # Errors
    /// As `L` and `E` say.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.finished {
            return Ok(());
        }
        self.guarded(|this| {
            let mut left: Vec<_> = this.in_flight.drain().collect();
            left.sort_unstable_by_key(|(number, _)| *number);
            for (number, (io, data)) in left {
                this.keep_payload(number, io, &data)?;
            }
            this.sidecar.write_all(&sidecar::encode_end())?;
            this.write_entry_count()?;
            this.log.flush()?;
            this.sidecar.flush()
        })?;
        self.finished = true;
        Ok(())
    }

    /// Gives the writers back, without finishing.
    pub fn into_inner(self) -> (L, E) {
        (self.log, self.sidecar)
    }

    fn superblock(&self) -> Superblock {
        Superblock {
            entries: self.entries,
            sector_size: self.geometry.sector_size,
            tag: Some(Tag {
                order: self.geometry.order,
                disks: self.disks.clone(),
                atomic_unit: self.geometry.atomic_unit,
            }),
        }
    }

    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.finished {
            return Err(io::Error::other("the recording is finished"));
        }
        if self.broken {
            return Err(io::Error::other("the recording is broken by an earlier error"));
        }
        let result = act(self);
        self.broken |= result.is_err();
        result
    }

    fn keep_payload(&mut self, number: u32, io: Io, data: &Bytes) -> io::Result<()> {
        if io.kind == IoKind::Write {
            let head = sidecar::encode_data(number, data.len() as u64);
            write_all(&mut self.sidecar, &head, data)?;
        }
        Ok(())
    }

    fn write_entry_count(&mut self) -> io::Result<()> {
        if self.entries == self.entries_written {
            return Ok(());
        }
        self.log.seek(SeekFrom::Start(16))?;
        self.log.write_all(&self.entries.to_le_bytes())?;
        self.log.seek(SeekFrom::Start(self.at))?;
        self.entries_written = self.entries;
        Ok(())
    }

    /// Appends an entry: its sector, then its data.
    fn write_entry(&mut self, header: &EntryHeader, text: &str, data: &[u8]) -> io::Result<()> {
        let sector = self.geometry.sector_size as usize;
        let mut head = [0; 512];
        head[..dmlog::ENTRY_LEN].copy_from_slice(&header.encode());
        head[dmlog::ENTRY_LEN..dmlog::ENTRY_LEN + text.len()].copy_from_slice(text.as_bytes());
        write_all(&mut self.log, &head[..sector], data)?;
        self.entries += 1;
        self.at += (sector + data.len()) as u64;
        Ok(())
    }

    /// Leaves a hole of zeros in the log.
    fn write_zeros(&mut self, len: u64) -> io::Result<()> {
        if len <= PADDING.len() as u64 {
            self.log.write_all(&PADDING[..len as usize])?;
        } else {
            self.log.seek(SeekFrom::Start(self.at + len - 1))?;
            self.log.write_all(&[0])?;
        }
        self.at += len;
        Ok(())
    }

    fn check(&self, io: &Io, data: &Bytes) -> io::Result<()> {
        let wanted = if io.kind == IoKind::Write { io.len } else { 0 };
        if data.len() as u64 != wanted {
            return Err(invalid(format!(
                "{io:?} brings {} bytes of data instead of {wanted}",
                data.len()
            )));
        }
        if io.kind == IoKind::Flush {
            let start = self.disks.iter().any(|disk| disk.start == io.offset);
            return if start && io.len == 0 {
                Ok(())
            } else {
                Err(invalid(format!(
                    "{io:?}: a flush has no range but the start of its disk"
                )))
            };
        }
        let sector = u64::from(self.geometry.sector_size);
        if io.len == 0 || !io.len.is_multiple_of(sector) || !io.offset.is_multiple_of(sector) {
            return Err(invalid(format!(
                "{io:?} is not made of whole sectors of {sector} bytes"
            )));
        }
        if self.disks.of(io.offset, io.len).is_none() {
            return Err(invalid(format!(
                "{io:?} passes the end of its disk; the device ends at {}",
                self.geometry.device_size
            )));
        }
        Ok(())
    }
}

impl<L: Write + Seek + Send, E: Write + Send> IoLog for Recorder<L, E> {
    fn submit(&mut self, io: Io, data: Bytes) -> io::Result<IoId> {
        self.check(&io, &data)?;
        self.guarded(|this| {
            let number = this.next;
            this.next = number
                .checked_add(1)
                .ok_or_else(|| io::Error::other("more than 2^32 requests"))?;
            this.sidecar.write_all(&sidecar::encode_submit(number, &io))?;
            this.in_flight.insert(number, (io, data));
            Ok(IoId(number))
        })
    }

    fn complete(&mut self, id: IoId) -> io::Result<()> {
        self.guarded(|this| {
            let (io, data) = this.in_flight.remove(&id.0).ok_or_else(|| unknown(id))?;
            let sector = u64::from(this.geometry.sector_size);
            let mut header = EntryHeader {
                sector: io.offset / sector,
                sectors: io.len / sector,
                flags: if io.fua { dmlog::FUA } else { 0 },
                data_len: 0,
            };
            match io.kind {
                IoKind::Write => this.write_entry(&header, "", &data)?,
                IoKind::WriteZeroes => {
                    this.write_entry(&header, "", &[])?;
                    this.write_zeros(io.len)?;
                }
                IoKind::Discard => {
                    header.flags |= dmlog::DISCARD;
                    this.write_entry(&header, "", &[])?;
                }
                IoKind::Flush => {
                    header.flags |= dmlog::FLUSH;
                    this.write_entry(&header, "", &[])?;
                    this.write_entry_count()?;
                }
            }
            // Last, so that it never names an entry that is not there.
            this.sidecar.write_all(&sidecar::encode_complete(id.0))
        })
    }

    fn fail(&mut self, id: IoId) -> io::Result<()> {
        self.guarded(|this| {
            let (io, data) = this.in_flight.remove(&id.0).ok_or_else(|| unknown(id))?;
            this.keep_payload(id.0, io, &data)?;
            this.sidecar.write_all(&sidecar::encode_fail(id.0))
        })
    }

    fn mark(&mut self, mark: &Mark) -> io::Result<()> {
        self.guarded(|this| {
            let text = mark.to_string();
            let full = dmlog::truncate(&text, sidecar::MAX_MARK);
            let short = dmlog::mark_text(full, this.geometry.sector_size);
            let header = EntryHeader {
                flags: dmlog::MARK,
                data_len: short.len() as u64,
                ..EntryHeader::default()
            };
            this.write_entry(&header, short, &[])?;
            let head = sidecar::encode_mark(full.len() as u32);
            write_all(&mut this.sidecar, &head, full.as_bytes())
        })
    }
}

fn unknown(id: IoId) -> io::Error {
    invalid(format!("request {} is not in flight", id.0))
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// Writes two buffers one after the other, in one call where the writer can.
fn write_all(writer: &mut impl Write, first: &[u8], second: &[u8]) -> io::Result<()> {
    let mut buffers = [IoSlice::new(first), IoSlice::new(second)];
    let mut left = &mut buffers[..];
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match writer.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
