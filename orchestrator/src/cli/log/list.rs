//! `coldcut log states`.

use std::collections::HashMap;

use coldcut_core::crash::index::{Digest, DigestCursor};
use coldcut_core::crash::plan::States;
use coldcut_core::crash::state::StateId;
use serde_json::json;

use super::opened::{BaseArg, LogArgs};
use super::spec::SpecArgs;
use crate::report::stdout::{errln, outln};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct StatesArgs {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    base: BaseArg,
    #[command(flatten)]
    spec: SpecArgs,
    /// Compare contents: print each state's digest, and the first state with the same one
    #[arg(long)]
    digests: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn states(args: &StatesArgs) -> anyhow::Result<()> {
    let opened = args.log.open(args.base.base.as_deref())?;
    let states = args.spec.spec().states(&opened.log)?;
    let mut cursor = if args.digests {
        Some(DigestCursor::new(opened.index(), opened.sources().clone())?)
    } else {
        None
    };
    let mut seen: HashMap<Digest, StateId> = HashMap::new();
    for state in states.clone() {
        let id = state.id();
        let digest = cursor.as_mut().map(|cursor| cursor.digest(&state)).transpose()?;
        let first = digest.map(|digest| seen.entry(digest).or_insert_with(|| id.clone()));
        let same = first.filter(|first| **first != id);
        if args.json {
            let marks = opened.log.marks_until(state.cut).len();
            outln!(
                "{}",
                json!({"state": id, "cut": state.cut, "marks": marks, "digest": digest, "same_as": same})
            )?;
        } else {
            match (digest, same) {
                (None, _) => outln!("{id}")?,
                (Some(digest), None) => outln!("{id} {digest}")?,
                (Some(digest), Some(same)) => outln!("{id} {digest} as {same}")?,
            }
        }
    }
    if !args.json {
        summary(&states);
        if args.digests {
            errln!("{} distinct contents", seen.len());
        }
    }
    Ok(())
}

/// Says on standard error how many states each plan has and how many were left out.
pub(super) fn summary(states: &States<'_>) {
    for count in states.counts() {
        let name = serde_json::to_value(count.plan).unwrap_or_default();
        let left_out = match (count.left_out(), count.possible) {
            (0, _) => "none left out".to_owned(),
            (_, u64::MAX) => "more left out than can be counted".to_owned(),
            (left_out, _) => format!("{left_out} left out"),
        };
        errln!(
            "{}: {} states at {} cuts, {left_out}",
            name.as_str().unwrap_or_default(),
            count.visited,
            count.cuts
        );
    }
}
