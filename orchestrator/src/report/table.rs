//! The table at the end of a run, and the long form of one cell.

use std::fmt::Write as _;

use coldcut_core::outcome::kernels::KernelRange;
use coldcut_core::outcome::result::{CellResult, LIVE, RunResult, StateCounts, Totals, Violation};
use coldcut_core::outcome::rounds::{Rounds, rounds};
use coldcut_core::outcome::verdict::{Outcome, Standing, Verdict, ViolationKind};

use super::elsewhere::elsewhere;
use super::words::rate;

/// A verdict in a few words.
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

fn range_list(list: &[(KernelRange, Outcome)]) -> String {
    let ranges: Vec<String> = list.iter().map(|(range, _)| range.to_string()).collect();
    ranges.join(", ")
}

pub(super) fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Holds => "holds".to_owned(),
        Outcome::Observed => "nothing".to_owned(),
        Outcome::Violates(kinds) => format!("violates {}", kind_list(kinds)),
        Outcome::Kernels(list) => format!("nothing here, only for {}", range_list(list)),
        Outcome::RecoveredOn(list) => {
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

/// The table of a run: a row a cell, and under it, for a violation, its evidence and the command that replays it.
pub fn render_run(run: &RunResult) -> String {
    let head = [
        "scenario", "variant", "kernel", "declared", "seen", "cuts", "states", "distinct", "judged", "",
    ];
    // Rounds of one cell are one row.
    let all = rounds(&run.cells);
    let rows: Vec<[String; 10]> = all.iter().map(row).collect();
    let mut widths: Vec<usize> = head.iter().map(|h| h.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    line(&mut text, &widths, &head.map(str::to_owned));
    for (row, rounds) in rows.iter().zip(&all) {
        let cell = rounds.shown();
        line(&mut text, &widths, row);
        if rounds.cells.len() > 1 {
            let flaky = if rounds.flaky().is_some() { "FLAKY: " } else { "" };
            let _ = writeln!(text, "    {flaky}{}", rate(rounds));
        }
        for violation in first_of_each_kind(cell) {
            let _ = writeln!(
                text,
                "    {}: {} ({})",
                violation.kind,
                violation.evidence,
                confirmation(violation)
            );
            let _ = writeln!(
                text,
                "      coldcut replay {}/{}/{}",
                run.run, cell.cell.id, violation.state
            );
        }
        if let Verdict::Inconclusive { cause } = &cell.verdict {
            let _ = writeln!(text, "    {}", cause.replace('\n', "\n    "));
        }
        for line in shown_measurements(cell) {
            let _ = writeln!(text, "    {line}");
        }
        for note in &cell.notes {
            let _ = writeln!(text, "    note: {note}");
        }
    }
    text.push_str(&elsewhere(run));
    let sum = |of: fn(&StateCounts) -> u64| run.cells.iter().map(|c| of(&c.states)).sum::<u64>();
    let _ = writeln!(
        text,
        "contents recovered: {} screened only, {} on fresh clones, {} by cold boots, {} not",
        sum(|s| s.screened),
        sum(|s| s.fresh),
        sum(|s| s.cold),
        sum(|s| s.inconclusive)
    );
    let totals = run.totals;
    let _ = writeln!(text, "{}", totals_text(totals));
    text
}

/// Whether a booted kernel showed it too.
pub(super) fn confirmation(violation: &Violation) -> &'static str {
    match violation.confirmed {
        _ if violation.state == LIVE => "seen while it ran",
        Some(true) => "confirmed by a cold boot",
        Some(false) => "NOT CONFIRMED by a cold boot",
        None => "not confirmed: no kernel could be booted for it",
    }
}

/// What was measured, but for what stands there as evidence already.
pub(super) fn shown_measurements(cell: &CellResult) -> impl Iterator<Item = &String> {
    let told = |line: &&String| !cell.violations.iter().any(|v| v.evidence == **line);
    cell.measured.iter().filter(told)
}

pub(super) fn first_of_each_kind(
    cell: &CellResult,
) -> impl Iterator<Item = &coldcut_core::outcome::result::Violation> {
    let mut seen = Vec::new();
    cell.violations.iter().filter(move |v| {
        let new = !seen.contains(&v.kind);
        seen.push(v.kind);
        new
    })
}

fn row(rounds: &Rounds<'_>) -> [String; 10] {
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
        cell.cell.scenario.clone(),
        cell.cell.variant.clone(),
        cell.cell.kernels(),
        outcome_text(&cell.declared),
        seen,
        count(s.cuts),
        count(s.total),
        count(s.distinct),
        cell.obligations.to_string(),
        standing_text(rounds.standing()).to_owned(),
    ]
}

fn line(text: &mut String, widths: &[usize], cells: &[String; 10]) {
    let mut out = String::new();
    for (width, cell) in widths.iter().zip(cells) {
        let _ = write!(out, "{cell:<width$}  ");
    }
    let _ = writeln!(text, "{}", out.trim_end());
}

/// Everything about one cell, for `coldcut show`.
pub fn render_cell(run: &str, cell: &CellResult) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", cell.cell.id);
    let _ = writeln!(
        text,
        "  kernel      {} ({})",
        cell.kernel.release, cell.kernel.digest
    );
    if let Some(other) = &cell.recovered_on {
        let _ = writeln!(text, "  recovered   on {} ({})", other.release, other.digest);
    }
    let mount = if cell.mount.is_empty() {
        "defaults"
    } else {
        &cell.mount
    };
    let _ = writeln!(text, "  filesystem  {}, mounted with {mount}", cell.filesystem);
    let _ = writeln!(text, "  declared    {}", outcome_text(&cell.declared));
    let _ = writeln!(
        text,
        "  seen        {} ({})",
        verdict_text(&cell.verdict),
        standing_text(cell.standing)
    );
    let s = &cell.states;
    let _ = writeln!(
        text,
        "  states      {} cuts, {} states, {} distinct; recovered: {} screened only, {} on fresh clones, {} by cold boots; {} inconclusive, {} left out",
        s.cuts, s.total, s.distinct, s.screened, s.fresh, s.cold, s.inconclusive, s.left_out
    );
    let _ = writeln!(
        text,
        "  judged      {} expectations, {} broken",
        cell.obligations, cell.broken
    );
    let times: Vec<String> = cell
        .millis
        .iter()
        .map(|(p, ms)| format!("{p:?} {ms} ms").to_lowercase())
        .collect();
    let _ = writeln!(text, "  time        {}", times.join(", "));
    for violation in &cell.violations {
        let _ = writeln!(
            text,
            "  {}: {} ({})",
            violation.kind,
            violation.evidence,
            confirmation(violation)
        );
        let _ = writeln!(
            text,
            "    coldcut replay {run}/{}/{}",
            cell.cell.id, violation.state
        );
    }
    for line in shown_measurements(cell) {
        let _ = writeln!(text, "  measured: {line}");
    }
    for note in &cell.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    text
}
