//! `coldcut log export|import`.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context;
use coldcut_core::crash::export::{LogExport, export_log, export_qcow2};
use coldcut_core::crash::state::{CrashState, StateId};
use coldcut_core::recording::block::{ReadAt as _, Slice};
use coldcut_core::recording::log::Order;
use serde_json::json;

use super::digests::after_entry;
use super::opened::{BaseArg, LogArgs, OrderArg};
use crate::disk::export_sparse;
use crate::report::stdout::{OutputError, errln, outln};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["raw", "qcow2", "to_log"]))]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    base: BaseArg,
    /// A crash state, by name
    #[arg(long, value_name = "STATE", conflicts_with = "at_entry")]
    state: Option<StateId>,
    /// Everything up to and including this entry, counted from 0, applied in the order of the log
    #[arg(long, value_name = "N")]
    at_entry: Option<u32>,
    /// Write the state to this file, raw and sparse
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
    /// Write the state to this file as qcow2
    #[arg(long, value_name = "FILE")]
    qcow2: Option<PathBuf>,
    /// Write the log, up to --at-entry, to this file
    #[arg(long, value_name = "FILE", conflicts_with = "state")]
    to_log: Option<PathBuf>,
    /// The order of the written log's entries; that of the log when not given
    #[arg(long, value_enum, requires = "to_log")]
    order: Option<OrderArg>,
    /// Only requests that touch these bytes of the device
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], requires = "to_log")]
    range: Option<Vec<u64>>,
    /// Only this disk of a recording of several, counted from 0, as that of a recording of one
    #[arg(long, value_name = "N")]
    disk: Option<usize>,
    /// Leave marks out
    #[arg(long, requires = "to_log")]
    no_marks: bool,
    /// Say what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ImportArgs {
    #[command(flatten)]
    log: LogArgs,
    /// The file to write
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Say what was written as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let opened = args.log.open(args.base.base.as_deref())?;
    let log = &opened.log;
    if let Some(path) = &args.to_log {
        let range = match args.range.as_deref() {
            Some([from, to]) => *from..*to,
            _ => 0..u64::MAX,
        };
        let until = args.at_entry.map(|entry| after_entry(log, entry)).transpose()?;
        let what = LogExport {
            order: args.order.map_or(log.geometry().order, Order::from),
            until: until.map(|state| state.cut),
            keep: &|request| {
                request.io.offset < range.end && request.io.offset + request.io.len > range.start
            },
            marks: !args.no_marks,
            disk: args.disk,
        };
        let mut out = create(path)?;
        let entries = export_log(log, opened.sources(), &what, &mut out)?;
        say_log(path, entries, what.order, args.json)?;
        return Ok(());
    }
    let state = match (&args.state, args.at_entry) {
        (Some(id), _) => id.state(),
        (None, Some(entry)) => after_entry(log, entry)?,
        (None, None) => {
            anyhow::bail!("which state? Give --state NAME (`coldcut log states` lists them) or --at-entry N")
        }
    };
    let whole = opened.index().image(&state, opened.sources())?;
    let range = match args.disk {
        None => 0..whole.size(),
        Some(number) => {
            let disk = log.disks().get(number).with_context(|| {
                format!(
                    "no disk {number} in the log, which has {}, counted from 0",
                    log.disks().count()
                )
            })?;
            disk.range()
        }
    };
    let image = Slice::new(whole, range);
    if let Some(path) = &args.raw {
        let written = export_sparse(&image, path).with_context(|| path.display().to_string())?;
        say_image(path, &state, written, args.json)?;
    }
    if let Some(path) = &args.qcow2 {
        let written = export_qcow2(&image, &mut create(path)?)?;
        say_image(path, &state, written, args.json)?;
    }
    Ok(())
}

pub(super) fn import(args: &ImportArgs) -> anyhow::Result<()> {
    let opened = args.log.open(None)?;
    let what = LogExport {
        order: opened.log.geometry().order,
        ..LogExport::default()
    };
    let entries = export_log(&opened.log, opened.sources(), &what, &mut create(&args.out)?)?;
    say_log(&args.out, entries, what.order, args.json)?;
    Ok(())
}

fn say_log(path: &Path, entries: u64, order: Order, json: bool) -> Result<(), OutputError> {
    if json {
        outln!("{}", json!({"file": path, "entries": entries, "order": order}))?;
    } else {
        errln!("{}: {entries} entries in {order} order", path.display());
    }
    Ok(())
}

fn say_image(path: &Path, state: &CrashState, data: u64, json: bool) -> Result<(), OutputError> {
    if json {
        outln!(
            "{}",
            json!({"file": path, "state": state.id(), "bytes_of_data": data})
        )?;
    } else {
        errln!("{}: state {state}, {data} bytes of data", path.display());
    }
    Ok(())
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    Ok(BufWriter::with_capacity(1 << 20, file))
}
