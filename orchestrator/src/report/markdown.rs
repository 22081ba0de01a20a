//! Markdown: the grid as the summary of a CI job shows it.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::Hash;

use coldcut_core::outcome::result::CellRef;
use coldcut_core::outcome::rounds::{Rounds, rounds};
use coldcut_core::outcome::verdict::Standing;

use super::clean::clean;
use super::file::FileFormat;
use super::phrases::{evidence, outcome_text, rate, totals_text, verdict_text};
use super::summary::Summary;

/// Cells whose evidence is shown; the run's directory has the others'.
const SHOWN: usize = 50;

/// The report as the command line knows it.
pub(super) const FORMAT: FileFormat = FileFormat {
    name: "markdown",
    help: "Also write the grid to this file, as Markdown for a job's summary",
    render: render_markdown,
};

/// What a cell is found by: scenario, variant, and kernel or both.
type Key<'a> = (&'a str, &'a str, String);

fn key(cell: &CellRef) -> Key<'_> {
    (&cell.scenario, &cell.variant, cell.kernels())
}

/// The grid: a row for each scenario and variant, a column for each kernel, and for each that recovered what another
/// recorded. Below it, evidence for what is not as declared or not known.
pub fn render_markdown(summary: &Summary) -> String {
    let all = rounds(&summary.result.cells);
    let mut text = format!("## coldcut run {}\n\n", code(&summary.run));
    text.push_str(&totals_text(summary.result.totals));
    let unfinished: HashSet<Key<'_>> = summary.unfinished().map(key).collect();
    let count = summary.unfinished().count();
    if count > 0 {
        let _ = write!(text, "; **{count} not finished**");
    }
    text.push_str("\n\n");
    if summary.planned.is_empty() {
        return text;
    }
    grid(&mut text, summary, &all, &unfinished);
    details(&mut text, &summary.run, &all);
    text
}

fn grid(text: &mut String, summary: &Summary, all: &[Rounds<'_>], unfinished: &HashSet<Key<'_>>) {
    let of: HashMap<Key<'_>, &Rounds<'_>> = all.iter().map(|r| (key(&r.cells[0].cell), r)).collect();
    let planned = summary.planned.iter();
    let kernels = each_once(planned.clone().map(CellRef::kernels));
    let rows = each_once(planned.map(|cell| (cell.scenario.as_str(), cell.variant.as_str())));
    let names: Vec<String> = kernels.iter().map(|kernel| plain(kernel)).collect();
    let _ = writeln!(text, "| scenario | variant | declared | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|---|---|{}", "---|".repeat(kernels.len()));
    for (scenario, variant) in rows {
        let mut declared: Vec<String> = Vec::new();
        let mut cells: Vec<String> = Vec::new();
        for kernel in &kernels {
            let key = (scenario, variant, kernel.clone());
            cells.push(match of.get(&key) {
                Some(rounds) => {
                    declared.push(outcome_text(&rounds.cells[0].declared));
                    shown(rounds)
                }
                None if unfinished.contains(&key) => "**not finished**".to_owned(),
                None => String::new(),
            });
        }
        declared.dedup();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            plain(scenario),
            plain(variant),
            plain(&declared.join("; ")),
            cells.join(" | ")
        );
    }
}

/// Things in the order in which they first come.
fn each_once<T: Clone + Eq + Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    all.filter(|thing| seen.insert(thing.clone())).collect()
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
    for c in clean(text.replace('\r', " ")).chars() {
        match c {
            '\n' => plain.push(' '),
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
    format!("`{}`", clean(text).replace('`', "'").replace('\n', " "))
}
