//! The page as a whole: totals, filters, the grid.

use std::collections::HashSet;
use std::ops::RangeFrom;

use askama::Template;
use coldcut_core::outcome::grid::{Grid, Row, Square};
use coldcut_core::outcome::verdict::Standing;

use super::cell::CellView;
use crate::report::clean;
use crate::report::grid::shown;
use crate::report::phrases::outcome_text;
use crate::report::summary::Summary;

/// Scenarios with all rows as declared are folded where a run has more rows than this.
const ROWS_OPEN: usize = 40;
/// Write logs are drawn for so many cells, those first that are not as declared.
const TIMELINES: usize = 400;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    version: &'static str,
    style: &'static str,
    script: &'static str,
    run: &'a str,
    totals: Vec<Total>,
    unfinished: usize,
    kernels: &'a [String],
    scenarios: Vec<Scenario<'a>>,
    cells: Vec<CellView>,
}

/// How many cells came out one way.
struct Total {
    class: &'static str,
    label: &'static str,
    count: u64,
}

struct Scenario<'a> {
    name: &'a str,
    open: bool,
    counts: String,
    rows: Vec<RowView<'a>>,
}

struct RowView<'a> {
    variant: &'a str,
    declared: String,
    /// What a search looks at.
    text: String,
    /// The classes of its cells, each once.
    standings: String,
    squares: Vec<Option<SquareView>>,
}

struct SquareView {
    index: usize,
    id: String,
    class: &'static str,
    symbol: &'static str,
    seen: String,
}

/// The class by which style and filters know a standing.
pub(super) fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::AsDeclared => "good",
        Standing::NotAsDeclared => "bad",
        Standing::Inconclusive => "unknown",
        Standing::NotApplicable | Standing::Observed => "quiet",
    }
}

/// The sign of a standing: colour alone tells not everybody.
pub(super) fn symbol(standing: Standing) -> &'static str {
    match standing {
        Standing::AsDeclared => "✓",
        Standing::NotAsDeclared => "✗",
        Standing::Inconclusive => "?",
        Standing::NotApplicable => "–",
        Standing::Observed => "○",
    }
}

pub(super) fn render(summary: &Summary) -> String {
    let grid = Grid::new(std::slice::from_ref(&summary.result));
    let squares: Vec<&Square<'_>> = grid.squares().map(|(.., square)| square).collect();
    let page = Page {
        version: env!("CARGO_PKG_VERSION"),
        style: include_str!("../../../templates/report.css"),
        script: include_str!("../../../templates/report.js"),
        run: &summary.run,
        totals: totals(summary),
        unfinished: summary.unfinished().count(),
        kernels: &grid.kernels,
        scenarios: scenarios(&grid),
        cells: cells(summary, &squares),
    };
    // Writing to a string fails only where a template asks for it, and this one does not.
    clean(page.render().unwrap_or_else(|error| error.to_string()))
}

fn totals(summary: &Summary) -> Vec<Total> {
    let totals = summary.result.totals;
    let total = |standing, label, count| Total {
        class: class(standing),
        label,
        count,
    };
    let quiet = totals.not_applicable + totals.observed;
    [
        total(Standing::NotAsDeclared, "not as declared", totals.not_as_declared),
        total(Standing::Inconclusive, "inconclusive", totals.inconclusive),
        total(Standing::AsDeclared, "as declared", totals.as_declared),
        total(Standing::Observed, "observed, or not applicable", quiet),
    ]
    .into_iter()
    .filter(|total| total.count > 0)
    .collect()
}

/// The rows of the grid. Its squares are numbered in their order, as the cells are.
fn scenarios<'a>(grid: &Grid<'a>) -> Vec<Scenario<'a>> {
    let mut numbers = 0..;
    let mut scenarios: Vec<Scenario<'a>> = Vec::new();
    for row in &grid.rows {
        if scenarios.last().is_none_or(|last| last.name != row.scenario) {
            scenarios.push(Scenario {
                name: row.scenario,
                open: true,
                counts: String::new(),
                rows: Vec::new(),
            });
        }
        let view = row_view(row, &grid.kernels, &mut numbers);
        if let Some(last) = scenarios.last_mut() {
            last.rows.push(view);
        }
    }
    let many = grid.rows.len() > ROWS_OPEN;
    for scenario in &mut scenarios {
        let odd = |row: &&RowView<'_>| {
            row.standings
                .split(' ')
                .any(|class| class == "bad" || class == "unknown")
        };
        let odd = scenario.rows.iter().filter(odd).count();
        scenario.open = !many || odd > 0;
        scenario.counts = match odd {
            0 => format!("{} as declared", scenario.rows.len()),
            odd => format!("{odd} of {} not as declared, or not known", scenario.rows.len()),
        };
    }
    scenarios
}

fn row_view<'a>(row: &Row<'a>, kernels: &[String], numbers: &mut RangeFrom<usize>) -> RowView<'a> {
    let mut declared: Vec<String> = Vec::new();
    let mut standings: Vec<&str> = Vec::new();
    let mut text = format!("{} {}", row.scenario, row.variant);
    let mut squares = Vec::with_capacity(kernels.len());
    for (kernel, square) in kernels.iter().zip(&row.cells) {
        let Some(square) = square else {
            squares.push(None);
            continue;
        };
        let standing = square.rounds.standing();
        let cell = square.rounds.shown();
        let view = SquareView {
            index: numbers.next().unwrap_or_default(),
            id: cell.cell.id.to_string(),
            class: class(standing),
            symbol: symbol(standing),
            seen: shown(square),
        };
        declared.push(outcome_text(&cell.declared));
        standings.push(view.class);
        for word in [kernel, &view.seen, &cell.filesystem, &cell.mount] {
            text.push(' ');
            text.push_str(word);
        }
        squares.push(Some(view));
    }
    declared.dedup();
    standings.sort_unstable();
    standings.dedup();
    RowView {
        variant: row.variant,
        declared: declared.join("; "),
        text: text.to_lowercase(),
        standings: standings.join(" "),
        squares,
    }
}

/// What is known of each cell; the first of those that are not as declared have their write logs drawn.
fn cells(summary: &Summary, squares: &[&Square<'_>]) -> Vec<CellView> {
    let mut by_need: Vec<usize> = (0..squares.len()).collect();
    by_need.sort_by_key(|index| match squares[*index].rounds.standing() {
        Standing::NotAsDeclared => 0,
        Standing::Inconclusive => 1,
        _ if !squares[*index].rounds.shown().violations.is_empty() => 2,
        _ => 3,
    });
    let drawn: HashSet<usize> = by_need.into_iter().take(TIMELINES).collect();
    let cell = |(index, square): (usize, &&Square<'_>)| {
        let dir = summary.dir.as_deref().filter(|_| drawn.contains(&index));
        CellView::new(index, square, dir)
    };
    squares.iter().enumerate().map(cell).collect()
}
