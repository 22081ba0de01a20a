//! A grid as text: variants down, kernels across.

use std::fmt::Write as _;

use coldcut_core::outcome::grid::{Grid, Square};
use coldcut_core::outcome::verdict::{Standing, Verdict};

use super::table::{outcome_text, verdict_text};
use super::words::rate;

/// The grid, and under it what is not as declared, with its evidence and how to see it again.
pub fn render_grid(grid: &Grid<'_>) -> String {
    let mut text = String::new();
    let mut scenario = "";
    for row in &grid.rows {
        if row.scenario != scenario {
            if !scenario.is_empty() {
                text.push('\n');
            }
            let heading = std::iter::once(row.scenario).chain(grid.kernels.iter().map(String::as_str));
            line(&mut text, &widths(grid), heading);
            scenario = row.scenario;
        }
        let name = format!("  {}", row.variant);
        let cells: Vec<String> = row
            .cells
            .iter()
            .map(|c| c.as_ref().map_or_else(|| "-".to_owned(), words))
            .collect();
        let all = std::iter::once(name.as_str()).chain(cells.iter().map(String::as_str));
        line(&mut text, &widths(grid), all);
    }
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

/// What was seen, and how often where runs disagree.
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
pub(super) fn words(square: &Square<'_>) -> String {
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

fn widths(grid: &Grid<'_>) -> Vec<usize> {
    let names = grid
        .rows
        .iter()
        .map(|r| r.scenario.len().max(r.variant.len() + 2));
    let mut widths = vec![names.max().unwrap_or(0)];
    for (at, kernel) in grid.kernels.iter().enumerate() {
        let cells = grid.rows.iter().filter_map(|r| r.cells.get(at)?.as_ref());
        let longest = cells.map(|c| words(c).chars().count()).max().unwrap_or(0);
        widths.push(longest.max(kernel.chars().count()));
    }
    widths
}

/// A line of columns.
pub(super) fn line<'a>(text: &mut String, widths: &[usize], parts: impl Iterator<Item = &'a str>) {
    let mut out = String::new();
    for (width, part) in widths.iter().zip(parts) {
        let _ = write!(out, "{part:<width$}  ");
    }
    let _ = writeln!(text, "{}", out.trim_end());
}
