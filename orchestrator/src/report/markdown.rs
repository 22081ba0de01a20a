//! Markdown: the grid as the summary of a CI job shows it.

use std::fmt::Write as _;

use coldcut_core::outcome::result::CellRef;
use coldcut_core::outcome::rounds::{Rounds, rounds};
use coldcut_core::outcome::verdict::Standing;

use super::file::Summary;
use super::table::{outcome_text, totals_text, verdict_text};
use super::words::{evidence, rate};

/// Cells whose evidence is shown; the run's directory has the others'.
const SHOWN: usize = 50;

/// The grid: a row for each scenario and variant, a column for each kernel, and for each that recovered what another
/// recorded. Below it, evidence for what is not as
/// declared or not known.
pub fn render_markdown(summary: &Summary) -> String {
    let all = rounds(&summary.result.cells);
    let mut kernels: Vec<String> = Vec::new();
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for cell in &summary.planned {
        if !kernels.contains(&cell.kernels()) {
            kernels.push(cell.kernels());
        }
        if !rows.contains(&(&cell.scenario, &cell.variant)) {
            rows.push((&cell.scenario, &cell.variant));
        }
    }
    let mut text = format!("## coldcut run {}\n\n", code(&summary.run));
    text.push_str(&totals_text(summary.result.totals));
    let unfinished = summary.unfinished().count();
    if unfinished > 0 {
        let _ = write!(text, "; **{unfinished} not finished**");
    }
    text.push_str("\n\n");
    if rows.is_empty() {
        return text;
    }
    let _ = writeln!(
        text,
        "| scenario | variant | declared | {} |",
        kernels
            .iter()
            .map(|kernel| plain(kernel))
            .collect::<Vec<_>>()
            .join(" | ")
    );
    let _ = writeln!(text, "|---|---|---|{}", "---|".repeat(kernels.len()));
    for (scenario, variant) in rows {
        let of = |kernel: &str| {
            all.iter()
                .find(|rounds| is(&rounds.cells[0].cell, scenario, variant, kernel))
        };
        let mut declared: Vec<String> = kernels
            .iter()
            .filter_map(|kernel| of(kernel))
            .map(|rounds| outcome_text(&rounds.cells[0].declared))
            .collect();
        declared.dedup();
        let cells: Vec<String> = kernels
            .iter()
            .map(|kernel| {
                if let Some(rounds) = of(kernel) {
                    return shown(rounds);
                }
                let waited = summary
                    .unfinished()
                    .any(|cell| is(cell, scenario, variant, kernel));
                if waited { "**not finished**" } else { "" }.to_owned()
            })
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            plain(scenario),
            plain(variant),
            plain(&declared.join("; ")),
            cells.join(" | ")
        );
    }
    details(&mut text, &summary.run, &all);
    text
}

/// Whether it is the cell in this row and column.
fn is(cell: &CellRef, scenario: &str, variant: &str, kernels: &str) -> bool {
    cell.scenario == scenario && cell.variant == variant && cell.kernels() == kernels
}

fn shown(rounds: &Rounds<'_>) -> String {
    let seen = plain(&verdict_text(&rounds.shown().verdict));
    let times = rounds.cells.len();
    if rounds.flaky().is_some() {
        return format!("**FLAKY**: {}", plain(&rate(rounds)));
    }
    let seen = match rounds.standing() {
        Standing::AsDeclared => seen,
        Standing::NotAsDeclared => format!("**{seen}**"),
        Standing::Inconclusive => "**inconclusive**".to_owned(),
        Standing::NotApplicable => "not applicable".to_owned(),
        Standing::Observed => format!("observed: {seen}"),
    };
    if times > 1 {
        format!("{seen} ({times} times)")
    } else {
        seen
    }
}

fn details(text: &mut String, run: &str, all: &[Rounds<'_>]) {
    let wrong: Vec<&Rounds<'_>> = all
        .iter()
        .filter(|rounds| !matches!(rounds.standing(), Standing::AsDeclared | Standing::Observed))
        .collect();
    for rounds in wrong.iter().take(SHOWN) {
        let cell = rounds.shown();
        let _ = writeln!(text, "\n### {}\n", code(&cell.cell.id));
        let _ = writeln!(
            text,
            "Declared: {}. Seen: {}.\n",
            plain(&outcome_text(&cell.declared)),
            plain(&rate(rounds))
        );
        // Indented code: no line of it can end it.
        for line in evidence(run, cell).lines() {
            let _ = writeln!(text, "    {}", line.trim_end());
        }
    }
    if wrong.len() > SHOWN {
        let _ = writeln!(text, "\n{} more are not shown here.", wrong.len() - SHOWN);
    }
}

/// Text that has no meaning to Markdown or HTML, on one line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => plain.push(' '),
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' => {
                plain.push('\\');
                plain.push(c);
            }
            c => plain.push(c),
        }
    }
    plain
}

/// Text as inline code; ids have no backticks.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}
