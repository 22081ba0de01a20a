//! Cells that were run more than once.
//!
//! Each round is a cell of its own (`ID`, `ID+r2`, `ID+r3`, …), with a directory and crash states of its own. Together
//! they are one line of a table. The cell is flaky where two rounds give different verdicts, and then it is not as
//! declared, whatever was declared.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::cell::{CellRef, CellResult};
use super::totals::Totals;
use super::verdict::{Declared, Standing, Verdict};

/// The id of a cell's round, from 1.
pub fn round_id(id: &str, round: u32) -> String {
    if round <= 1 {
        id.to_owned()
    } else {
        format!("{id}+r{round}")
    }
}

/// The rounds of one cell, in order; never empty.
#[derive(Clone, Debug)]
pub struct Rounds<'a> {
    /// The rounds.
    pub cells: Vec<&'a CellResult>,
}

/// A cell whose verdict is not the same each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaky {
    /// Its first round.
    pub cell: CellRef,
    /// Each verdict that was seen and how often, the most frequent first; rounds about which nothing is known do not
    /// count.
    pub verdicts: Vec<(Verdict, u64)>,
    /// Rounds in all.
    pub rounds: u64,
}

/// Puts together what is of the same scenario, variant and kernels, in the order of their first rounds.
pub fn rounds<'a>(cells: impl IntoIterator<Item = &'a CellResult>) -> Vec<Rounds<'a>> {
    let mut all: Vec<Rounds<'_>> = Vec::new();
    let mut indices: HashMap<[&str; 4], usize> = HashMap::new();
    for cell in cells {
        let index = *indices.entry(cell.cell.key()).or_insert(all.len());
        match all.get_mut(index) {
            Some(rounds) => rounds.cells.push(cell),
            None => all.push(Rounds { cells: vec![cell] }),
        }
    }
    all
}

impl<'a> Rounds<'a> {
    /// How often each verdict was seen, the most frequent first; `Inconclusive` is none.
    pub fn verdicts(&self) -> Vec<(Verdict, u64)> {
        let mut verdicts: Vec<(Verdict, u64)> = Vec::new();
        for cell in &self.cells {
            if matches!(cell.verdict, Verdict::Inconclusive { .. }) {
                continue;
            }
            match verdicts.iter_mut().find(|(verdict, _)| *verdict == cell.verdict) {
                Some((_, count)) => *count += 1,
                None => verdicts.push((cell.verdict.clone(), 1)),
            }
        }
        verdicts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        verdicts
    }

    /// Whether nothing is declared of it: then its verdict may flip.
    fn observed(&self) -> bool {
        self.cells.iter().all(|cell| cell.declared == Declared::Observed)
    }

    /// The flaky cell that these rounds are, if two of them give different verdicts and something is declared.
    pub fn flaky(&self) -> Option<Flaky> {
        let verdicts = self.verdicts();
        (verdicts.len() > 1 && !self.observed()).then(|| Flaky {
            cell: self.cells[0].cell.clone(),
            verdicts,
            rounds: self.cells.len() as u64,
        })
    }

    /// Not as declared where one round is not, or where it is flaky; as declared where each round is. A mode that was
    /// refused once and accepted once is inconclusive.
    pub fn standing(&self) -> Standing {
        let any = |standing| self.cells.iter().any(|cell| cell.standing == standing);
        if any(Standing::NotAsDeclared) || self.flaky().is_some() {
            Standing::NotAsDeclared
        } else if any(Standing::Inconclusive)
            || any(Standing::NotApplicable) && (any(Standing::AsDeclared) || any(Standing::Observed))
        {
            Standing::Inconclusive
        } else if any(Standing::NotApplicable) {
            Standing::NotApplicable
        } else if any(Standing::Observed) {
            Standing::Observed
        } else {
            Standing::AsDeclared
        }
    }

    /// The round to show: the first of the gravest standing; of a flaky cell as declared in each round's own terms, the
    /// first of the rarer verdict.
    pub fn shown(&self) -> &'a CellResult {
        let of = |standing| self.cells.iter().find(|cell| cell.standing == standing);
        let rarest = || {
            let verdicts = self.verdicts();
            let (verdict, _) = verdicts.last().filter(|_| verdicts.len() > 1)?;
            self.cells.iter().find(|cell| cell.verdict == *verdict)
        };
        of(Standing::NotAsDeclared)
            .or_else(rarest)
            .or_else(|| of(Standing::Inconclusive))
            .unwrap_or(&self.cells[0])
    }
}

impl Totals {
    /// Counts cells, all rounds of one as one.
    pub fn of_cells(cells: &[CellResult]) -> Self {
        Self::of(rounds(cells).iter().map(Rounds::standing))
    }
}
