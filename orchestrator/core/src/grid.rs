//! Scenarios and variants down, kernels across: what happened in each cell, over one run or several of the same cells.

use std::collections::BTreeMap;

use crate::result::{CellRef, CellResult, RunResult, Totals};
use crate::verdict::{Outcome, Standing, Verdict};

/// What runs of the same cells gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Kernels, in the order of the runs.
    pub kernels: Vec<String>,
    /// Rows, in the order of the runs.
    pub rows: Vec<Row>,
}

/// One variant on every kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its scenario.
    pub scenario: String,
    /// Its name.
    pub variant: String,
    /// One a kernel; `None` where it was not run.
    pub cells: Vec<Option<Square>>,
}

/// One variant on one kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Square {
    /// Each verdict that was seen, and how often; the most frequent first.
    pub seen: Vec<(Verdict, u32)>,
    /// What is declared for it.
    pub declared: Outcome,
    /// As declared only where every run was.
    pub standing: Standing,
    /// The first run whose verdict is worth a look: one that is not as declared, or else the first.
    pub worst: (String, CellResult),
}

impl Square {
    /// Whether runs disagreed. Inconclusive ones count: what sometimes shows nothing cannot be relied on.
    pub fn flaky(&self) -> bool {
        self.seen.len() > 1
    }
}

/// Inconclusive whatever the cause.
fn class(verdict: &Verdict) -> Verdict {
    match verdict {
        Verdict::Inconclusive { .. } => Verdict::Inconclusive { cause: String::new() },
        known => known.clone(),
    }
}

impl Grid {
    /// Puts runs together, in their order.
    pub fn new(runs: &[RunResult]) -> Self {
        let mut kernels: Vec<String> = Vec::new();
        let mut rows: Vec<Row> = Vec::new();
        let mut cells: BTreeMap<CellRef, Vec<(&str, &CellResult)>> = BTreeMap::new();
        for run in runs {
            for cell in &run.cells {
                let CellRef {
                    scenario,
                    variant,
                    kernel,
                    ..
                } = &cell.cell;
                if !kernels.contains(kernel) {
                    kernels.push(kernel.clone());
                }
                if !rows
                    .iter()
                    .any(|r| r.scenario == *scenario && r.variant == *variant)
                {
                    rows.push(Row {
                        scenario: scenario.clone(),
                        variant: variant.clone(),
                        cells: Vec::new(),
                    });
                }
                cells.entry(cell.cell.clone()).or_default().push((&run.run, cell));
            }
        }
        for row in &mut rows {
            row.cells = kernels
                .iter()
                .map(|kernel| {
                    let mine = cells.iter().find(|(cell, _)| {
                        cell.scenario == row.scenario && cell.variant == row.variant && cell.kernel == *kernel
                    });
                    mine.and_then(|(_, results)| square(results))
                })
                .collect();
        }
        Self { kernels, rows }
    }

    /// Every cell with its place.
    pub fn squares(&self) -> impl Iterator<Item = (&Row, &str, &Square)> {
        self.rows.iter().flat_map(|row| {
            let cells = self.kernels.iter().zip(&row.cells);
            cells.filter_map(move |(kernel, cell)| cell.as_ref().map(|cell| (row, kernel.as_str(), cell)))
        })
    }

    /// Sums over cells.
    pub fn totals(&self) -> Totals {
        Totals::of(self.squares().map(|(.., square)| square.standing))
    }
}

fn square(results: &[(&str, &CellResult)]) -> Option<Square> {
    let mut seen: Vec<(Verdict, u32)> = Vec::new();
    for (_, result) in results {
        let verdict = class(&result.verdict);
        match seen.iter_mut().find(|(v, _)| *v == verdict) {
            Some((_, count)) => *count += 1,
            None => seen.push((verdict, 1)),
        }
    }
    seen.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let standings = || results.iter().map(|(_, r)| r.standing);
    let declared = results.iter().any(|(_, r)| r.declared != Outcome::Observed);
    let standing = if (seen.len() > 1 && declared) || standings().any(|s| s == Standing::NotAsDeclared) {
        Standing::NotAsDeclared
    } else if standings().any(|s| s == Standing::Inconclusive) {
        Standing::Inconclusive
    } else if standings().any(|s| s == Standing::NotApplicable) {
        Standing::NotApplicable
    } else if standings().any(|s| s == Standing::Observed) {
        Standing::Observed
    } else {
        Standing::AsDeclared
    };
    let odd = results.iter().find(|(_, r)| r.standing != Standing::AsDeclared);
    let (run, worst) = odd.or_else(|| results.first())?;
    Some(Square {
        seen,
        declared: worst.declared.clone(),
        standing,
        worst: ((*run).to_owned(), (*worst).clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{KernelRef, StateCounts};
    use crate::verdict::ViolationKind;

    fn cell(variant: &str, kernel: &str, verdict: Verdict, declared: &Outcome) -> CellResult {
        CellResult {
            cell: CellRef {
                id: format!("s.{variant}.{kernel}"),
                scenario: "s".into(),
                variant: variant.into(),
                kernel: kernel.into(),
            },
            kernel: KernelRef {
                name: kernel.into(),
                release: kernel.into(),
                digest: String::new(),
            },
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
            millis: BTreeMap::new(),
        }
    }

    fn run(id: &str, cells: Vec<CellResult>) -> RunResult {
        RunResult {
            format: 1,
            run: id.into(),
            totals: Totals::default(),
            flaky: Vec::new(),
            cells,
        }
    }

    #[test]
    fn rows_and_columns_keep_their_order_and_gaps_stay() {
        let holds = Outcome::Holds;
        let grid = Grid::new(&[run(
            "a",
            vec![
                cell("z", "6.12", Verdict::Pass, &holds),
                cell("a", "5.10", Verdict::Pass, &holds),
                cell("a", "6.12", Verdict::Pass, &holds),
            ],
        )]);
        assert_eq!(grid.kernels, ["6.12", "5.10"]);
        let rows: Vec<_> = grid
            .rows
            .iter()
            .map(|r| (r.variant.as_str(), r.cells.len()))
            .collect();
        assert_eq!(rows, [("z", 2), ("a", 2)]);
        assert!(grid.rows[0].cells[1].is_none());
        assert_eq!(grid.totals().as_declared, 3);
    }

    #[test]
    fn a_verdict_that_flips_is_flaky_and_not_as_declared() {
        let violates = Outcome::Violates(vec![ViolationKind::Zeros]);
        let seen = Verdict::Violation {
            kinds: vec![ViolationKind::Zeros],
        };
        let unknown = |why: &str| Verdict::Inconclusive { cause: why.into() };
        let runs = |verdicts: Vec<Verdict>| {
            let runs = verdicts.into_iter().enumerate();
            let all: Vec<_> = runs
                .map(|(n, v)| run(&n.to_string(), vec![cell("v", "6.1", v, &violates)]))
                .collect();
            let grid = Grid::new(&all);
            grid.rows[0].cells[0].clone().unwrap()
        };
        let steady = runs(vec![seen.clone(), seen.clone()]);
        assert_eq!((steady.flaky(), steady.standing), (false, Standing::AsDeclared));

        let flips = runs(vec![seen.clone(), Verdict::Pass, seen.clone()]);
        assert_eq!((flips.flaky(), flips.standing), (true, Standing::NotAsDeclared));
        assert_eq!(flips.seen, [(seen.clone(), 2), (Verdict::Pass, 1)]);
        assert_eq!(flips.worst.0, "1", "the run that was otherwise");

        let sometimes = runs(vec![seen.clone(), unknown("boot")]);
        assert_eq!(
            (sometimes.flaky(), sometimes.standing),
            (true, Standing::NotAsDeclared)
        );

        let never = runs(vec![unknown("boot"), unknown("time")]);
        assert_eq!((never.flaky(), never.standing), (false, Standing::Inconclusive));
    }
}
