//! Results: what `result.json` holds.

use serde::{Deserialize, Serialize};

use super::rounds::{self, Flaky};

pub use super::cell::{CellRef, CellResult, KernelRef, StateCounts, Violation};
pub use super::place::Place;
pub use super::totals::Totals;

/// The newest version of the files in a run's directory that this coldcut reads. A reader refuses a newer one.
pub const RESULT_FORMAT: u32 = 2;

/// The version in which a run with these cells is written: 1, unless a kernel recovered what another recorded, which a
/// reader of 1 would take for rounds of one cell.
pub fn format_of<'a>(cells: impl IntoIterator<Item = &'a CellRef>) -> u32 {
    let elsewhere = cells.into_iter().any(|cell| cell.recovered_on.is_some());
    if elsewhere { 2 } else { 1 }
}

/// `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// See [`format_of`].
    pub format: u32,
    /// The run's id.
    pub run: String,
    /// The sums.
    pub totals: Totals,
    /// The cells, in the run's order.
    pub cells: Vec<CellResult>,
    /// Cells that ran more than once, with verdicts that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<Flaky>,
}

impl RunResult {
    /// The result of a run with these cells.
    pub fn new(run: &str, cells: Vec<CellResult>) -> Self {
        Self {
            format: format_of(cells.iter().map(|result| &result.cell)),
            run: run.to_owned(),
            totals: Totals::of_cells(&cells),
            flaky: rounds::rounds(&cells)
                .iter()
                .filter_map(rounds::Rounds::flaky)
                .collect(),
            cells,
        }
    }
}
