//! Words that several reports share.

use std::fmt::Write as _;

use coldcut_core::outcome::result::CellResult;
use coldcut_core::outcome::rounds::Rounds;
use coldcut_core::outcome::verdict::Verdict;

use super::table::{confirmation, first_of_each_kind, shown_measurements, verdict_text};

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

/// Evidence of a cell, each with the command that replays it, and its notes.
pub(super) fn evidence(run: &str, cell: &CellResult) -> String {
    let mut text = String::new();
    for violation in first_of_each_kind(cell) {
        let _ = writeln!(
            text,
            "{}: {} ({})",
            violation.kind,
            violation.evidence,
            confirmation(violation)
        );
        let _ = writeln!(
            text,
            "  coldcut replay {run}/{}/{}",
            cell.cell.id, violation.state
        );
    }
    if let Verdict::Inconclusive { cause } = &cell.verdict {
        let _ = writeln!(text, "{}", cause.trim_end());
    }
    for line in shown_measurements(cell) {
        let _ = writeln!(text, "{line}");
    }
    for note in &cell.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}
