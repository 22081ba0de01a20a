//! Scenarios and variants down, kernels across: what happened in each cell, over one run or several of the same cells.
//!
//! Runs of one cell are judged together, as its rounds are (see [`crate::outcome::rounds`]).

use std::collections::HashMap;
use std::hash::Hash;

use crate::outcome::result::{CellResult, RunResult, Totals};
use crate::outcome::rounds::{Rounds, rounds};

/// What runs of the same cells gave.
#[derive(Clone, Debug)]
pub struct Grid<'a> {
    /// Kernels, in the order of the runs; `6.12 → 5.10` where one recovered what the other recorded.
    pub kernels: Vec<String>,
    /// Rows, in the order of the runs.
    pub rows: Vec<Row<'a>>,
}

/// One variant on every kernel.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Its scenario.
    pub scenario: &'a str,
    /// Its name.
    pub variant: &'a str,
    /// One a kernel; `None` where it was not run.
    pub cells: Vec<Option<Square<'a>>>,
}

/// One variant on one kernel.
#[derive(Clone, Debug)]
pub struct Square<'a> {
    /// Every time that it was run.
    pub rounds: Rounds<'a>,
    /// The run of the round to show ([`Rounds::shown`]).
    pub run: &'a str,
}

impl<'a> Grid<'a> {
    /// Puts runs together, in their order.
    pub fn new(runs: &'a [RunResult]) -> Self {
        // By place in memory: another run may have a result that is equal.
        let run_of: HashMap<*const CellResult, &'a str> = runs
            .iter()
            .flat_map(|run| {
                run.cells
                    .iter()
                    .map(|cell| (std::ptr::from_ref(cell), run.run.as_str()))
            })
            .collect();
        let (mut kernels, mut rows) = (Places::default(), Places::default());
        let mut squares: Vec<([usize; 2], Square<'a>)> = Vec::new();
        for rounds in rounds(runs.iter().flat_map(|run| &run.cells)) {
            let cell = &rounds.cells[0].cell;
            let column = kernels.index(cell.kernels());
            let row = rows.index((cell.scenario.as_str(), cell.variant.as_str()));
            let run = run_of.get(&std::ptr::from_ref(rounds.shown()));
            let run = run.copied().unwrap_or_default();
            squares.push(([row, column], Square { rounds, run }));
        }
        let kernels = kernels.in_order;
        let row = |(scenario, variant)| Row {
            scenario,
            variant,
            cells: kernels.iter().map(|_| None).collect(),
        };
        let mut rows: Vec<Row<'a>> = rows.in_order.into_iter().map(row).collect();
        for ([row, column], square) in squares {
            rows[row].cells[column] = Some(square);
        }
        Self { kernels, rows }
    }

    /// Every cell with its index.
    pub fn squares(&self) -> impl Iterator<Item = (&Row<'a>, &str, &Square<'a>)> {
        self.rows.iter().flat_map(|row| {
            let cells = self.kernels.iter().zip(&row.cells);
            cells.filter_map(move |(kernel, cell)| cell.as_ref().map(|cell| (row, kernel.as_str(), cell)))
        })
    }

    /// Sums over cells.
    pub fn totals(&self) -> Totals {
        Totals::of(self.squares().map(|(.., square)| square.rounds.standing()))
    }
}

/// Distinct values in the order in which they first came, each with an index.
#[derive(Debug)]
struct Places<T> {
    in_order: Vec<T>,
    indices: HashMap<T, usize>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self {
            in_order: Vec::new(),
            indices: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Places<T> {
    /// The index of a value, which may be new.
    fn index(&mut self, thing: T) -> usize {
        *self.indices.entry(thing).or_insert_with_key(|thing| {
            self.in_order.push(thing.clone());
            self.in_order.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::outcome::name::FileName;
    use crate::outcome::result::{CellRef, KernelRef, StateCounts};
    use crate::outcome::verdict::{Declared, Standing, Verdict, ViolationKind};

    fn cell(variant: &str, kernel: &str, verdict: Verdict, declared: &Declared) -> CellResult {
        CellResult {
            cell: CellRef {
                id: FileName::of(&format!("s.{variant}.{kernel}")),
                scenario: FileName::of("s"),
                variant: variant.into(),
                kernel: kernel.into(),
                recovered_on: None,
            },
            kernel: KernelRef {
                name: kernel.into(),
                release: kernel.into(),
                digest: String::new(),
            },
            recovered_on: None,
            filesystem: "ext4".into(),
            mount: String::new(),
            standing: declared.standing(&verdict),
            declared: declared.clone(),
            verdict,
            states: StateCounts::default(),
            obligations: 1,
            broken: 0,
            violations: Vec::new(),
            measured: Vec::new(),
            notes: Vec::new(),
            doubted: false,
            millis: BTreeMap::new(),
        }
    }

    fn run(id: &str, cells: Vec<CellResult>) -> RunResult {
        RunResult::new(id, cells)
    }

    #[test]
    fn rows_and_columns_keep_their_order_and_gaps_stay() {
        let holds = Declared::Holds;
        let mut elsewhere = cell("z", "6.12", Verdict::Pass, &holds);
        elsewhere.cell.recovered_on = Some("5.10".into());
        let runs = [run(
            "a",
            vec![
                cell("z", "6.12", Verdict::Pass, &holds),
                elsewhere,
                cell("a", "5.10", Verdict::Pass, &holds),
                cell("a", "6.12", Verdict::Pass, &holds),
            ],
        )];
        assert_eq!(
            runs[0].format, 2,
            "a reader of format 1 would take two cells for one"
        );
        let grid = Grid::new(&runs);
        assert_eq!(grid.kernels, ["6.12", "6.12 → 5.10", "5.10"]);
        let rows: Vec<_> = grid.rows.iter().map(|r| (r.variant, r.cells.len())).collect();
        assert_eq!(rows, [("z", 3), ("a", 3)]);
        assert!(grid.rows[0].cells[2].is_none() && grid.rows[1].cells[1].is_none());
        assert_eq!(grid.totals().as_declared, 4);
    }

    #[test]
    fn runs_of_one_cell_are_judged_as_its_rounds_are() {
        let violates = Declared::Violates(vec![ViolationKind::Zeros]);
        let seen = Verdict::Violation {
            kinds: vec![ViolationKind::Zeros],
        };
        let unknown = |why: &str| Verdict::Inconclusive { cause: why.into() };
        let judged = |verdicts: Vec<Verdict>| {
            let runs = verdicts.into_iter().enumerate();
            let all: Vec<_> = runs
                .map(|(n, v)| run(&n.to_string(), vec![cell("v", "6.1", v, &violates)]))
                .collect();
            let grid = Grid::new(&all);
            let square = grid.rows[0].cells[0].as_ref().unwrap();
            let rounds = &square.rounds;
            (rounds.flaky().is_some(), rounds.standing(), square.run.to_owned())
        };
        let first = |flaky, standing| (flaky, standing, "0".to_owned());
        assert_eq!(
            judged(vec![seen.clone(), seen.clone()]),
            first(false, Standing::AsDeclared)
        );
        // The run that was otherwise is the one to look at.
        assert_eq!(
            judged(vec![seen.clone(), Verdict::Pass, seen.clone()]),
            (true, Standing::NotAsDeclared, "1".to_owned())
        );
        assert_eq!(
            judged(vec![seen.clone(), unknown("boot")]),
            (false, Standing::Inconclusive, "1".to_owned())
        );
        assert_eq!(
            judged(vec![unknown("boot"), unknown("time")]),
            first(false, Standing::Inconclusive)
        );
    }
}
