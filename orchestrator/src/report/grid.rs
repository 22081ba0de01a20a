//! A grid as text: variants down, kernels across.

use std::fmt::Write as _;

use coldcut_core::columns::table;
use coldcut_core::outcome::grid::{Grid, Square};
use coldcut_core::outcome::verdict::{Standing, Verdict};

use super::phrases::{outcome_text, rate, verdict_text};
use super::summary::Summary;

/// Renders the grid and, below it, what is not as declared, with evidence and how to reproduce it.
pub fn render_grid(summary: &Summary) -> String {
    let grid = Grid::new(std::slice::from_ref(&summary.result));
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut scenario = "";
    for row in &grid.rows {
        if row.scenario != scenario {
            if !scenario.is_empty() {
                lines.push(Vec::new());
            }
            let heading = std::iter::once(row.scenario.to_owned());
            lines.push(heading.chain(grid.kernels.iter().cloned()).collect());
            scenario = row.scenario;
        }
        let name = std::iter::once(format!("  {}", row.variant));
        let cells = row
            .cells
            .iter()
            .map(|c| c.as_ref().map_or_else(|| "-".to_owned(), shown));
        lines.push(name.chain(cells).collect());
    }
    let mut text = table(&lines);
    let odd: Vec<_> = grid
        .squares()
        .filter(|(.., square)| {
            !matches!(
                square.rounds.standing(),
                Standing::AsDeclared | Standing::Observed
            )
        })
        .collect();
    if !odd.is_empty() {
        text.push_str("\nnot as declared, or not known:\n");
    }
    for (row, kernel, square) in odd {
        let cell = square.rounds.shown();
        let declared = outcome_text(&cell.declared);
        let _ = writeln!(
            text,
            "  {} {} on {kernel}: declared {declared}; seen {}",
            row.scenario,
            row.variant,
            seen(square)
        );
        if let Verdict::Inconclusive { cause } = &cell.verdict {
            let _ = writeln!(text, "    {}", cause.lines().next().unwrap_or_default());
        }
        for violation in &cell.violations {
            let _ = writeln!(text, "    {}: {}", violation.kind, violation.evidence);
            let _ = writeln!(
                text,
                "      coldcut replay {}/{}/{}",
                square.run, cell.cell.id, violation.state
            );
        }
    }
    let totals = grid.totals();
    let _ = writeln!(
        text,
        "\n{} cells as declared, {} not, {} inconclusive; `!` is not as declared, `?` not known",
        totals.as_declared, totals.not_as_declared, totals.inconclusive
    );
    text
}

/// What was seen, and how often if runs disagree.
fn seen(square: &Square<'_>) -> String {
    if square.rounds.flaky().is_some() {
        return format!("flaky: {}", rate(&square.rounds));
    }
    match &square.rounds.shown().verdict {
        Verdict::Inconclusive { .. } if square.rounds.cells.len() > 1 => rate(&square.rounds),
        Verdict::Inconclusive { .. } => "inconclusive".to_owned(),
        known => verdict_text(known),
    }
}

/// A cell in a few words; `!` and `?` mark what is not as declared, or not known.
pub(super) fn shown(square: &Square<'_>) -> String {
    let seen = seen(square);
    let seen = seen.strip_prefix("violates ").unwrap_or(&seen);
    match square.rounds.standing() {
        Standing::AsDeclared => seen.to_owned(),
        Standing::NotAsDeclared => format!("{seen} !"),
        Standing::Inconclusive => format!("{seen} ?"),
        Standing::NotApplicable => "not applicable".to_owned(),
        Standing::Observed => format!("({seen})"),
    }
}
