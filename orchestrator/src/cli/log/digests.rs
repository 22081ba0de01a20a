//! `coldcut log hash`.

use anyhow::Context;
use coldcut_core::crash::index::DigestCursor;
use coldcut_core::crash::state::{CrashState, PlanKind, Set, StateId};
use serde_json::json;

use super::opened::{BaseArg, LogArgs};
use crate::report::stdout::outln;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct HashArgs {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    base: BaseArg,
    /// Crash states, by name; with no states and no entries, the device after every entry
    #[arg(long, value_name = "STATE")]
    state: Vec<StateId>,
    /// The device after an entry, counted from 0
    #[arg(long, value_name = "N")]
    at_entry: Vec<u32>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Everything up to and including an entry, applied in the order of the log.
pub(super) fn after_entry(
    log: &coldcut_core::recording::log::WriteLog,
    entry: u32,
) -> anyhow::Result<CrashState> {
    let cut = log
        .after_entry(entry)
        .with_context(|| format!("the log has {} entries, numbered from 0", log.entry_count()))?;
    Ok(CrashState::new(PlanKind::At, cut, Set::Completed))
}

pub(super) fn hash(args: &HashArgs) -> anyhow::Result<()> {
    let opened = args.log.open(args.base.base.as_deref())?;
    let mut cursor = DigestCursor::new(opened.index(), opened.sources().clone())?;
    let mut print = |state: &CrashState, entry: Option<u32>| -> anyhow::Result<()> {
        let digest = cursor.digest(state)?;
        match (args.json, entry) {
            (true, _) => outln!(
                "{}",
                json!({"state": state.id(), "entry": entry, "digest": digest})
            )?,
            (false, Some(entry)) => outln!("{digest} {entry}")?,
            (false, None) => outln!("{digest} {state}")?,
        }
        Ok(())
    };
    for id in &args.state {
        print(&id.state(), None)?;
    }
    let every = args.state.is_empty() && args.at_entry.is_empty();
    let all = 0..if every { opened.log.entry_count() } else { 0 };
    for entry in args.at_entry.iter().copied().chain(all) {
        print(&after_entry(&opened.log, entry)?, Some(entry))?;
    }
    Ok(())
}
