//! Phrases that several reports share: verdicts, what is declared, how often, and the evidence.

use std::fmt::Write as _;

use coldcut_core::outcome::completeness::{Completeness, Count};
use coldcut_core::outcome::kernels::KernelRange;
use coldcut_core::outcome::result::{CellResult, Place, StateCounts, Totals, Violation};
use coldcut_core::outcome::rounds::Rounds;
use coldcut_core::outcome::verdict::{Declared, Standing, Verdict, ViolationKind};

/// Phrases a verdict.
pub fn verdict_text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "holds".to_owned(),
        Verdict::Violation { kinds } => format!("violates {}", kind_list(kinds)),
        Verdict::Inconclusive { cause } => {
            format!("inconclusive: {}", cause.lines().next().unwrap_or_default())
        }
    }
}

fn kind_list(kinds: &[ViolationKind]) -> String {
    kinds
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn range_list(list: &[(KernelRange, Declared)]) -> String {
    let ranges: Vec<String> = list.iter().map(|(range, _)| range.to_string()).collect();
    ranges.join(", ")
}

pub(super) fn outcome_text(outcome: &Declared) -> String {
    match outcome {
        Declared::Holds => "holds".to_owned(),
        Declared::Observed => "nothing".to_owned(),
        Declared::Violates(kinds) => format!("violates {}", kind_list(kinds)),
        Declared::Kernels(list) => format!("nothing here, only for {}", range_list(list)),
        Declared::RecoveredOn(list) => {
            format!("nothing here, only where recovered on {}", range_list(list))
        }
    }
}

pub(super) fn standing_text(standing: Standing) -> &'static str {
    match standing {
        Standing::AsDeclared => "as declared",
        Standing::NotAsDeclared => "NOT AS DECLARED",
        Standing::Inconclusive => "INCONCLUSIVE",
        Standing::NotApplicable => "not applicable",
        Standing::Observed => "observed",
    }
}

/// `3 as declared, 0 not as declared, 1 inconclusive`.
pub(super) fn totals_text(totals: Totals) -> String {
    let mut text = format!(
        "{} as declared, {} not as declared, {} inconclusive",
        totals.as_declared, totals.not_as_declared, totals.inconclusive
    );
    if totals.not_applicable > 0 {
        let _ = write!(text, ", {} not applicable", totals.not_applicable);
    }
    if totals.observed > 0 {
        let _ = write!(text, ", {} observed", totals.observed);
    }
    text
}

/// `holds 19 of 20, violates size 1 of 20`.
pub(super) fn rate(rounds: &Rounds<'_>) -> String {
    let of = rounds.cells.len();
    let known: Vec<(String, u64)> = rounds
        .verdicts()
        .iter()
        .map(|(verdict, count)| (verdict_text(verdict), *count))
        .collect();
    let unknown = of as u64 - known.iter().map(|(_, count)| count).sum::<u64>();
    let unknown = (unknown > 0).then(|| ("inconclusive".to_owned(), unknown));
    let all: Vec<String> = known
        .into_iter()
        .chain(unknown)
        .map(|(what, count)| format!("{what} {count} of {of}"))
        .collect();
    all.join(", ")
}

/// Whether a booted kernel showed it too.
pub(super) fn confirmation(violation: &Violation) -> &'static str {
    match violation.confirmed {
        _ if violation.state == Place::WithoutCrash => "seen while it ran",
        Some(true) => "confirmed by a cold boot",
        Some(false) => "NOT CONFIRMED by a cold boot",
        None => "not confirmed: no kernel could be booted for it",
    }
}

/// How far complete plans came.
pub(super) fn coverage_text(complete: &Completeness) -> String {
    let cuts = match complete.cuts {
        1 => "1 cut".to_owned(),
        cuts => format!("{cuts} cuts"),
    };
    let by = format!("by {} recoveries", complete.recoveries);
    if complete.is_whole() {
        return format!("all {} states that {cuts} can leave, {by}", complete.states);
    }
    format!(
        "{} of {} states that {cuts} can leave ({:.2} %), {by}; {} cuts wholly",
        complete.covered,
        complete.states,
        // Rounded down: what is not all does not look so.
        (complete.fraction() * 1e4).floor() / 1e2,
        complete.whole_cuts
    )
}

/// How many crash states there are.
pub(super) fn total_text(states: &StateCounts) -> String {
    match &states.complete {
        Some(complete) if states.total == u64::MAX => complete.states.to_string(),
        _ => Count(states.total.into()).to_string(),
    }
}

/// What was measured, except what is shown as evidence already.
pub(super) fn shown_measurements(cell: &CellResult) -> impl Iterator<Item = &String> {
    let told = |line: &&String| !cell.violations.iter().any(|v| v.evidence == **line);
    cell.measured.iter().filter(told)
}

fn first_of_each_kind(cell: &CellResult) -> impl Iterator<Item = &Violation> {
    let mut seen = Vec::new();
    cell.violations.iter().filter(move |v| {
        let new = !seen.contains(&v.kind);
        seen.push(v.kind);
        new
    })
}

/// A violation, and the command that replays it.
pub(super) fn violation_lines(run: &str, cell: &CellResult, violation: &Violation) -> String {
    format!(
        "{}: {} ({})\n  coldcut replay {run}/{}/{}\n",
        violation.kind,
        violation.evidence,
        confirmation(violation),
        cell.cell.id,
        violation.state
    )
}

/// Evidence of a cell, each with the command that replays it, and its notes.
pub(super) fn evidence(run: &str, cell: &CellResult) -> String {
    let mut text = String::new();
    for violation in first_of_each_kind(cell) {
        text.push_str(&violation_lines(run, cell, violation));
    }
    if let Verdict::Inconclusive { cause } = &cell.verdict {
        let _ = writeln!(text, "{}", cause.trim_end());
    }
    for line in shown_measurements(cell) {
        let _ = writeln!(text, "{line}");
    }
    if let Some(complete) = &cell.states.complete {
        let _ = writeln!(text, "covered: {}", coverage_text(complete));
    }
    for note in &cell.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

/// Adds lines, each after an indent.
pub(super) fn indent(text: &mut String, by: &str, lines: &str) {
    for line in lines.lines() {
        let _ = writeln!(text, "{by}{line}");
    }
}
