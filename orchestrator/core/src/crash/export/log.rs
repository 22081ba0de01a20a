//! Writes a log in the dm-log-writes format, in either order.

use std::io::{Seek, SeekFrom, Write};

use super::error::ExportError;
use crate::crash::index::Sources;
use crate::recording::disks::Disks;
use crate::recording::io::{Io, IoKind};
use crate::recording::log::dmlog::{self, ENTRY_LEN, EntryHeader, Superblock, Tag};
use crate::recording::log::{Cut, DataRef, Event, Order, Request, RequestId, WriteLog};

/// What to export.
pub struct LogExport<'a> {
    /// The order of the new log's entries.
    pub order: Order,
    /// Only what happened until here.
    pub until: Option<Cut>,
    /// Only these requests. Flushes are kept whatever it says.
    pub keep: &'a dyn Fn(&Request) -> bool,
    /// Whether marks are kept.
    pub marks: bool,
    /// Only what was sent to this disk, counted from 0, as a log of that disk alone; all disks when `None`.
    pub disk: Option<usize>,
}

impl Default for LogExport<'_> {
    fn default() -> Self {
        Self {
            order: Order::Completion,
            until: None,
            keep: &|_| true,
            marks: true,
            disk: None,
        }
    }
}

/// Writes `log` to `out`, whose position must be 0; the number of entries.
///
/// In kernel order a write stands just before the flush that made it durable, that is before the first completed one
/// that was submitted after the write had completed; FUA writes and marks stand where they happened; what no flush
/// covered stands at the end, before the closing mark that the kernel's target writes too. Such a log, replayed up to
/// any flush, gives what was durable there.
///
/// Requests in flight at the end are in neither order: they never completed.
///
/// # Errors
/// When the log has no such cut, is itself in kernel order and is wanted in completion order, or as the stores say.
pub fn export_log(
    log: &WriteLog,
    sources: &Sources,
    what: &LogExport<'_>,
    out: &mut (impl Write + Seek),
) -> Result<u64, ExportError> {
    let geometry = log.geometry();
    if geometry.order == Order::Kernel && what.order == Order::Completion {
        return Err(ExportError::Order);
    }
    // A log in kernel order has been put into it already.
    let in_place = geometry.order == what.order;
    let until = what.until.unwrap_or(log.end());
    if until > log.end() {
        return Err(ExportError::Cut(until));
    }
    let (disks, from) = exported_disks(log, what.disk)?;
    let mut superblock = Superblock {
        entries: 0,
        sector_size: geometry.sector_size,
        tag: Some(Tag {
            order: what.order,
            disks,
            atomic_unit: geometry.atomic_unit,
        }),
    };
    let mut writer = Writer {
        out,
        sources,
        sector: geometry.sector_size,
        from,
        at: 0,
        entries: 0,
        buffer: vec![0; 256 << 10],
    };
    writer.pad(&superblock.encode())?;
    let mut kernel: Vec<KernelOrder> = log.disks().iter().map(|_| KernelOrder::default()).collect();
    for event in log.events().take(until.0 as usize) {
        let disk = match event {
            Event::Submit(id) | Event::Complete(id) | Event::Fail(id) => usize::from(log.record(id.0).disk),
            Event::Mark(mark) => {
                if what.marks {
                    writer.mark(&log.marks()[mark as usize].mark.to_string())?;
                }
                continue;
            }
        };
        if what.disk.is_some_and(|wanted| wanted != disk) {
            continue;
        }
        writer.event(log, event, what, (!in_place).then_some(&mut kernel[disk]))?;
    }
    if what.order == Order::Kernel {
        for left in kernel.into_iter().flat_map(KernelOrder::rest) {
            writer.request_named(log, left)?;
        }
        let last = log.marks().last();
        let closed = last.is_some_and(|last| last.mark.to_string() == dmlog::END_MARK);
        if !(closed && what.marks && until == log.end()) {
            writer.mark(dmlog::END_MARK)?;
        }
    }
    let (entries, end) = (writer.entries, writer.at);
    superblock.entries = entries;
    finish(out, &superblock, end)?;
    Ok(entries)
}

/// The disks of the new log, and the place in the old one that is their start.
fn exported_disks(log: &WriteLog, wanted: Option<usize>) -> Result<(Disks, u64), ExportError> {
    let Some(number) = wanted else {
        return Ok((log.disks().clone(), 0));
    };
    let disks = log.disks().count();
    let disk = log
        .disks()
        .get(number)
        .ok_or(ExportError::Disk { number, disks })?;
    Ok((Disks::one(disk.size), disk.start))
}

/// Puts the final superblock in its place, and leaves the position at the end.
fn finish(out: &mut (impl Write + Seek), superblock: &Superblock, end: u64) -> std::io::Result<()> {
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&superblock.encode())?;
    out.seek(SeekFrom::Start(end))?;
    out.flush()
}

fn is_flush(request: &Request) -> bool {
    request.io.kind == IoKind::Flush
}

fn is_kept(request: &Request, what: &LogExport<'_>) -> bool {
    is_flush(request) || (what.keep)(request)
}

/// Completed writes that wait for the flush that covers them.
#[derive(Default)]
struct KernelOrder {
    /// Completed since the last submission of a flush.
    unflushed: Vec<RequestId>,
    /// Flushes in flight, in the order of their submission, with what completed since the one before.
    flushes: Vec<(RequestId, Vec<RequestId>)>,
}

impl KernelOrder {
    fn flush_submitted(&mut self, flush: RequestId) {
        self.flushes.push((flush, std::mem::take(&mut self.unflushed)));
    }

    /// What a flush covers: also what earlier flushes, still in flight, would have.
    fn flush_completed(&mut self, flush: RequestId) -> Vec<RequestId> {
        let Some(index) = self.flushes.iter().position(|(other, _)| *other == flush) else {
            return Vec::new();
        };
        let covered = self.flushes[..=index]
            .iter_mut()
            .flat_map(|(_, writes)| std::mem::take(writes))
            .collect();
        self.flushes.remove(index);
        covered
    }

    /// Its writes wait for the next one.
    fn flush_failed(&mut self, flush: RequestId) {
        if let Some(index) = self.flushes.iter().position(|(other, _)| *other == flush) {
            let (_, writes) = self.flushes.remove(index);
            let next = self
                .flushes
                .get_mut(index)
                .map_or(&mut self.unflushed, |(_, writes)| writes);
            next.splice(0..0, writes);
        }
    }

    fn rest(self) -> Vec<RequestId> {
        let waiting = self.flushes.into_iter().flat_map(|(_, writes)| writes);
        waiting.chain(self.unflushed).collect()
    }
}

struct Writer<'a, W> {
    out: &'a mut W,
    sources: &'a Sources,
    sector: u32,
    /// The place in the recording's address space that is the new log's first.
    from: u64,
    at: u64,
    entries: u64,
    buffer: Vec<u8>,
}

impl<W: Write + Seek> Writer<'_, W> {
    /// Writes what an event of a request brings: in place, or in kernel order, which is then `kernel`'s.
    fn event(
        &mut self,
        log: &WriteLog,
        event: Event,
        what: &LogExport<'_>,
        kernel: Option<&mut KernelOrder>,
    ) -> Result<(), ExportError> {
        let (Event::Submit(id) | Event::Complete(id) | Event::Fail(id)) = event else {
            return Ok(());
        };
        let Some(request) = log.request(id) else {
            return Ok(());
        };
        match (event, kernel) {
            (Event::Complete(_), Some(kernel)) => return self.completed(log, &request, what, kernel),
            (Event::Complete(_), None) if is_kept(&request, what) => return self.request(&request),
            (Event::Submit(_), Some(kernel)) if is_flush(&request) => kernel.flush_submitted(id),
            (Event::Fail(_), Some(kernel)) => kernel.flush_failed(id),
            _ => {}
        }
        Ok(())
    }

    /// Writes what a completion brings in kernel order: a flush and the writes that it covers, a FUA write, or nothing
    /// yet.
    fn completed(
        &mut self,
        log: &WriteLog,
        request: &Request,
        what: &LogExport<'_>,
        kernel: &mut KernelOrder,
    ) -> Result<(), ExportError> {
        if request.io.fua && is_kept(request, what) {
            return self.request(request);
        }
        if is_flush(request) {
            for covered in kernel.flush_completed(request.id) {
                self.request_named(log, covered)?;
            }
            return self.request(request);
        }
        if is_kept(request, what) {
            kernel.unflushed.push(request.id);
        }
        Ok(())
    }

    /// Writes bytes and zeros up to a whole sector.
    fn pad(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        let mut sector = vec![0; self.sector as usize];
        sector[..bytes.len()].copy_from_slice(bytes);
        self.out.write_all(&sector)?;
        self.at += u64::from(self.sector);
        Ok(())
    }

    fn entry(&mut self, header: &EntryHeader, text: &str) -> Result<(), ExportError> {
        let mut bytes = Vec::with_capacity(ENTRY_LEN + text.len());
        bytes.extend_from_slice(&header.encode());
        bytes.extend_from_slice(text.as_bytes());
        self.entries += 1;
        self.pad(&bytes)
    }

    fn mark(&mut self, text: &str) -> Result<(), ExportError> {
        let text = dmlog::mark_text(text, self.sector);
        let header = EntryHeader {
            flags: dmlog::MARK,
            data_len: text.len() as u64,
            ..EntryHeader::default()
        };
        self.entry(&header, text)
    }

    fn request_named(&mut self, log: &WriteLog, id: RequestId) -> Result<(), ExportError> {
        match log.request(id) {
            Some(request) => self.request(&request),
            None => Ok(()),
        }
    }

    fn request(&mut self, request: &Request) -> Result<(), ExportError> {
        let io = &request.io;
        let mut header = header(io, self.from, self.sector);
        if request.metadata {
            header.flags |= dmlog::METADATA;
        }
        self.entry(&header, "")?;
        match (io.kind, request.data) {
            (IoKind::Write, DataRef::Log(at)) => self.copy(at, io.len),
            (IoKind::Write | IoKind::WriteZeroes, _) => self.zeros(io.len),
            (IoKind::Discard | IoKind::Flush, _) => Ok(()),
        }
    }

    fn copy(&mut self, from: u64, len: u64) -> Result<(), ExportError> {
        let mut done = 0;
        while done < len {
            let part = (len - done).min(self.buffer.len() as u64) as usize;
            self.sources.log.read_at(from + done, &mut self.buffer[..part])?;
            self.out.write_all(&self.buffer[..part])?;
            done += part as u64;
        }
        self.at += len;
        Ok(())
    }

    fn zeros(&mut self, len: u64) -> Result<(), ExportError> {
        self.out.seek(SeekFrom::Start(self.at + len - 1))?;
        self.out.write_all(&[0])?;
        self.at += len;
        Ok(())
    }
}

fn header(io: &Io, from: u64, sector: u32) -> EntryHeader {
    let sector = u64::from(sector);
    let kind = match io.kind {
        IoKind::Write | IoKind::WriteZeroes => 0,
        IoKind::Discard => dmlog::DISCARD,
        IoKind::Flush => dmlog::FLUSH,
    };
    EntryHeader {
        sector: (io.offset - from) / sector,
        sectors: io.len / sector,
        flags: kind | if io.fua { dmlog::FUA } else { 0 },
        data_len: 0,
    }
}
