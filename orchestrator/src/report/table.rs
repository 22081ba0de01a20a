//! The table at the end of a run.

use std::fmt::Write as _;

use coldcut_core::columns::Columns;
use coldcut_core::outcome::result::StateCounts;
use coldcut_core::outcome::rounds::{Rounds, rounds};
use coldcut_core::outcome::verdict::Verdict;

use super::elsewhere::elsewhere;
use super::phrases::{
    evidence, indent, outcome_text, rate, standing_text, total_text, totals_text, verdict_text,
};
use super::summary::Summary;

/// The headings of the columns; the last one needs none.
const HEAD: [&str; 10] = [
    "scenario", "variant", "kernel", "declared", "seen", "cuts", "states", "distinct", "judged", "",
];

/// Renders the table of a run: a row for each cell, and below a violation its evidence and the command that replays it.
pub fn render_run(summary: &Summary) -> String {
    let run = &summary.result;
    // Rounds of one cell are one row.
    let all = rounds(&run.cells);
    let head = HEAD.map(str::to_owned);
    let rows: Vec<_> = all.iter().map(row).collect();
    let columns = Columns::of(rows.iter().chain([&head]));
    let mut text = columns.line(&head);
    for (row, rounds) in rows.iter().zip(&all) {
        text.push_str(&columns.line(row));
        if rounds.cells.len() > 1 {
            let flaky = if rounds.flaky().is_some() { "FLAKY: " } else { "" };
            let _ = writeln!(text, "    {flaky}{}", rate(rounds));
        }
        indent(&mut text, "    ", &evidence(&run.run, rounds.shown()));
    }
    text.push_str(&elsewhere(run));
    let sum = |of: fn(&StateCounts) -> u64| run.cells.iter().map(|c| of(&c.states)).sum::<u64>();
    let _ = writeln!(
        text,
        "contents recovered: {} screened only, {} on fresh clones, {} by cold boots, {} not{}",
        sum(|s| s.screened),
        sum(|s| s.fresh),
        sum(|s| s.cold),
        sum(|s| s.inconclusive),
        match sum(|s| s.inferred) {
            0 => String::new(),
            inferred => format!("; {inferred} judged by another's recovery"),
        }
    );
    let _ = writeln!(text, "{}", totals_text(run.totals));
    let unfinished = summary.unfinished().count();
    if unfinished > 0 {
        let _ = writeln!(text, "{unfinished} cells of this run were not finished");
    }
    text
}

fn row(rounds: &Rounds<'_>) -> [String; HEAD.len()] {
    let cell = rounds.shown();
    let seen = match &cell.verdict {
        Verdict::Inconclusive { .. } => "inconclusive".to_owned(),
        verdict => verdict_text(verdict),
    };
    let s = &cell.states;
    // A live variant has no crash states.
    let none = s.cuts == 0 && !cell.measured.is_empty();
    let count = |n: u64| if none { "-".to_owned() } else { n.to_string() };
    [
        cell.cell.scenario.to_string(),
        cell.cell.variant.clone(),
        cell.cell.kernels(),
        outcome_text(&cell.declared),
        seen,
        count(s.cuts),
        if none { "-".to_owned() } else { total_text(s) },
        count(s.distinct),
        cell.obligations.to_string(),
        standing_text(rounds.standing()).to_owned(),
    ]
}
