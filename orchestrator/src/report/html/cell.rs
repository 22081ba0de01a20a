//! Everything that is known of one cell, as the page shows it.

use std::collections::HashSet;
use std::path::Path;

use coldcut_core::outcome::cell::{CellResult, Violation};
use coldcut_core::outcome::grid::Square;
use coldcut_core::outcome::place::Place;
use coldcut_core::outcome::verdict::Verdict;

use super::page::{class, symbol};
use super::timeline;
use crate::report::phrases::{
    confirmation, coverage_text, outcome_text, rate, shown_measurements, standing_text, total_text,
    verdict_text,
};

/// A cell.
pub(super) struct CellView {
    pub(super) index: usize,
    pub(super) id: String,
    pub(super) class: &'static str,
    pub(super) symbol: &'static str,
    pub(super) seen: String,
    pub(super) standing: &'static str,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) cause: Option<String>,
    pub(super) violations: Vec<ViolationView>,
    /// An SVG with its caption.
    pub(super) timeline: Option<String>,
    pub(super) measured: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// A broken promise.
pub(super) struct ViolationView {
    pub(super) kind: String,
    pub(super) confirmed: &'static str,
    pub(super) evidence: String,
    pub(super) commands: Vec<String>,
}

impl CellView {
    /// The cell that stands for its rounds. With the run's directory, its write log is drawn.
    pub(super) fn new(index: usize, square: &Square<'_>, dir: Option<&Path>) -> Self {
        let (rounds, cell) = (&square.rounds, square.rounds.shown());
        let standing = rounds.standing();
        let seen = if rounds.flaky().is_some() {
            format!("flaky: {}", rate(rounds))
        } else {
            verdict_text(&cell.verdict)
        };
        let mut told = HashSet::new();
        let violation = |violation: &Violation| ViolationView {
            kind: violation.kind.to_string(),
            confirmed: confirmation(violation),
            evidence: violation.evidence.clone(),
            // Once for each state, whatever is broken in it.
            commands: if told.insert(violation.state.clone()) {
                commands(square.run, cell, violation)
            } else {
                Vec::new()
            },
        };
        Self {
            index,
            id: cell.cell.id.to_string(),
            class: class(standing),
            symbol: symbol(standing),
            seen,
            standing: standing_text(standing),
            facts: facts(cell, rounds.cells.len()),
            cause: match &cell.verdict {
                Verdict::Inconclusive { cause } => Some(cause.clone()),
                Verdict::Pass | Verdict::Violation { .. } => None,
            },
            violations: cell.violations.iter().map(violation).collect(),
            timeline: dir.and_then(|dir| timeline::of_cell(dir, cell)),
            measured: shown_measurements(cell).cloned().collect(),
            notes: cell.notes.clone(),
        }
    }
}

fn facts(cell: &CellResult, rounds: usize) -> Vec<(&'static str, String)> {
    let kernel = |kernel: &coldcut_core::outcome::cell::KernelRef| {
        let digest: String = kernel.digest.chars().take(12).collect();
        format!("{} ({digest})", kernel.release)
    };
    let mount = if cell.mount.is_empty() {
        "defaults"
    } else {
        &cell.mount
    };
    let s = &cell.states;
    let mut facts = vec![
        ("kernel", kernel(&cell.kernel)),
        ("filesystem", format!("{}, mounted with {mount}", cell.filesystem)),
        ("declared", outcome_text(&cell.declared)),
        (
            "states",
            format!(
                "{} at {} cuts, {} distinct; {} left out, {} inconclusive",
                total_text(s),
                s.cuts,
                s.distinct,
                s.left_out,
                s.inconclusive
            ),
        ),
        (
            "recovered",
            format!(
                "{} screened only, {} on fresh clones, {} by cold boots",
                s.screened, s.fresh, s.cold
            ),
        ),
        (
            "judged",
            format!("{} expectations, {} broken", cell.obligations, cell.broken),
        ),
    ];
    if let Some(other) = &cell.recovered_on {
        facts.insert(1, ("recovered on", kernel(other)));
    }
    if let Some(complete) = &s.complete {
        facts.push(("coverage", coverage_text(complete)));
    }
    if rounds > 1 {
        facts.push(("rounds", rounds.to_string()));
    }
    let times = cell.millis.iter();
    let times: Vec<String> = times
        .map(|(phase, ms)| format!("{phase:?} {ms} ms").to_lowercase())
        .collect();
    if !times.is_empty() {
        facts.push(("time", times.join(", ")));
    }
    facts
}

/// What shows it again, and what gives the disk to look at.
fn commands(run: &str, cell: &CellResult, violation: &Violation) -> Vec<String> {
    let replay = format!("coldcut replay {run}/{}/{}", cell.cell.id, violation.state);
    match violation.state {
        Place::WithoutCrash => vec![replay],
        Place::CrashState(_) => vec![replay.clone(), format!("{replay} --raw state.img")],
    }
}
