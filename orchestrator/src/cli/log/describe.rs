//! `coldcut log info|entries|epochs`.

use coldcut_core::recording::io::IoKind;
use coldcut_core::recording::log::{Cut, Event, Request, WriteLog};
use serde_json::json;

use super::opened::{LogArgs, Opened};
use crate::report::stdout::outln;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct InfoArgs {
    #[command(flatten)]
    log: LogArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EntriesArgs {
    #[command(flatten)]
    log: LogArgs,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EpochsArgs {
    #[command(flatten)]
    log: LogArgs,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Default)]
struct Counts {
    writes: u64,
    bytes: u64,
    write_zeroes: u64,
    discards: u64,
    flushes: u64,
    fua: u64,
    failed: u64,
    in_flight: u64,
}

fn count(log: &WriteLog) -> Counts {
    let mut counts = Counts::default();
    for request in log.requests() {
        counts.failed += u64::from(request.failed.is_some());
        counts.in_flight += u64::from(request.failed.is_none() && request.completed.is_none());
        if request.completed.is_none() {
            continue;
        }
        counts.fua += u64::from(request.io.fua);
        match request.io.kind {
            IoKind::Write => {
                counts.writes += 1;
                counts.bytes += request.io.len;
            }
            IoKind::WriteZeroes => counts.write_zeroes += 1,
            IoKind::Discard => counts.discards += 1,
            IoKind::Flush => counts.flushes += 1,
        }
    }
    counts
}

pub(super) fn info(args: &InfoArgs) -> anyhow::Result<()> {
    let opened = args.log.open(None)?;
    let Opened {
        log,
        warnings,
        has_sidecar,
        ..
    } = &opened;
    let (geometry, counts) = (log.geometry(), count(log));
    if args.json {
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let mut object = json!({
            "entries": log.entry_count(), "events": log.end().0, "order": geometry.order, "sidecar": has_sidecar,
            "device_size": geometry.device_size, "sector_size": geometry.sector_size,
            "atomic_unit": geometry.atomic_unit, "writes": counts.writes, "bytes_written": counts.bytes,
            "write_zeroes": counts.write_zeroes, "discards": counts.discards, "flushes": counts.flushes,
            "fua": counts.fua, "marks": log.marks().len(), "failed": counts.failed, "in_flight": counts.in_flight,
            "warnings": warnings,
        });
        if log.disks().count() > 1 {
            let disks = log.disks().iter();
            object["disks"] = disks
                .map(|disk| json!({"start": disk.start, "size": disk.size}))
                .collect();
        }
        outln!("{object}")?;
        return Ok(());
    }
    outln!(
        "{} entries in {} order{}",
        log.entry_count(),
        geometry.order,
        if *has_sidecar {
            ", with a sidecar: submissions and requests in flight are known"
        } else {
            ""
        }
    )?;
    outln!(
        "device of {} bytes, log sectors of {}, atomic unit of {}",
        geometry.device_size,
        geometry.sector_size,
        geometry.atomic_unit
    )?;
    if log.disks().count() > 1 {
        for (number, disk) in log.disks().iter().enumerate() {
            outln!(
                "disk {number} of {} bytes, from byte {} of the device on",
                disk.size,
                disk.start
            )?;
        }
    }
    outln!(
        "{} writes ({} bytes), {} write-zeroes, {} discards, {} of them with FUA; {} flushes; {} marks",
        counts.writes,
        counts.bytes,
        counts.write_zeroes,
        counts.discards,
        counts.fua,
        counts.flushes,
        log.marks().len()
    )?;
    if counts.failed + counts.in_flight > 0 {
        outln!(
            "{} requests failed, {} were in flight at the end",
            counts.failed,
            counts.in_flight
        )?;
    }
    Ok(())
}

fn kind(request: &Request) -> &'static str {
    match request.io.kind {
        IoKind::Write => "write",
        IoKind::WriteZeroes => "write-zeroes",
        IoKind::Discard => "discard",
        IoKind::Flush => "flush",
    }
}

pub(super) fn entries(args: &EntriesArgs) -> anyhow::Result<()> {
    let log = args.log.open(None)?.log;
    let mut from = 0;
    for entry in 0..log.entry_count() {
        let Some(Cut(to)) = log.after_entry(entry) else {
            break;
        };
        // An entry may be a flush and a write; submissions and failures have none.
        for event in (from..to).filter_map(|index| log.event(index)) {
            match event {
                Event::Complete(id) => {
                    let Some(request) = log.request(id) else {
                        continue;
                    };
                    let (kind, io) = (kind(&request), request.io);
                    if args.json {
                        let object = json!({
                            "entry": entry, "cut": to, "request": id.0, "kind": kind, "offset": io.offset,
                            "len": io.len, "fua": io.fua, "metadata": request.metadata,
                        });
                        outln!("{object}")?;
                    } else if io.kind == IoKind::Flush {
                        outln!("{entry:>8}  flush")?;
                    } else {
                        let fua = if io.fua { " fua" } else { "" };
                        let metadata = if request.metadata { " metadata" } else { "" };
                        outln!(
                            "{entry:>8}  {kind}{fua}{metadata} {}+{} request {}",
                            io.offset,
                            io.len,
                            id.0
                        )?;
                    }
                }
                Event::Mark(mark) => {
                    let text = log.marks()[mark as usize].mark.to_string();
                    if args.json {
                        outln!(
                            "{}",
                            json!({"entry": entry, "cut": to, "kind": "mark", "text": text})
                        )?;
                    } else {
                        outln!("{entry:>8}  mark {text}")?;
                    }
                }
                Event::Submit(_) | Event::Fail(_) => {}
            }
        }
        from = to;
    }
    Ok(())
}

pub(super) fn epochs(args: &EpochsArgs) -> anyhow::Result<()> {
    let log = args.log.open(None)?.log;
    let mut number = 0;
    let mut covered = vec![0; log.disks().count()];
    for (index, event) in log.events().enumerate() {
        let Event::Complete(id) = event else {
            continue;
        };
        let cut = Cut(index as u32 + 1);
        let flush = log.request(id).filter(|request| request.io.kind == IoKind::Flush);
        let disk = flush.and_then(|request| log.disks().of(request.io.offset, 0));
        let (Some(moment), Some(disk)) = (log.durability(cut), disk) else {
            continue;
        };
        let flushed = moment.flushed.of(disk);
        let writes = (covered[disk]..flushed)
            .filter_map(|id| log.request(coldcut_core::recording::log::RequestId(id)))
            .filter(|request| request.io.kind != IoKind::Flush)
            .filter(|request| log.disks().of(request.io.offset, request.io.len) == Some(disk));
        let (count, bytes) = writes.fold((0_u64, 0), |(count, bytes), request| {
            (count + 1, bytes + request.io.len)
        });
        let volatile = log.volatile(cut).unwrap_or_default().len();
        let marks = log.marks_until(cut).len();
        if args.json {
            let mut object = json!({
                "epoch": number, "cut": cut.0, "writes": count, "bytes": bytes, "still_volatile": volatile, "marks": marks,
            });
            if log.disks().count() > 1 {
                object["disk"] = disk.into();
            }
            outln!("{object}")?;
        } else {
            let of = if log.disks().count() > 1 {
                format!(" of disk {disk}")
            } else {
                String::new()
            };
            outln!(
                "{number:>6}  flush{of} completed at cut {cut}: {count} writes ({bytes} bytes) became durable, {volatile} are volatile"
            )?;
        }
        number += 1;
        covered[disk] = flushed.max(covered[disk]);
    }
    Ok(())
}
