//! What kernels recovered of other kernels' recordings: a small grid for each variant, recording kernels down,
//! recovering kernels across.

use coldcut_core::columns::table;
use coldcut_core::outcome::grid::{Grid, Square};
use coldcut_core::outcome::result::{CellRef, RunResult};

use super::grid::shown;

/// Renders a grid for each variant that was recovered elsewhere; empty where none was.
pub(super) fn elsewhere(run: &RunResult) -> String {
    let runs = std::slice::from_ref(run);
    let grid = Grid::new(runs);
    let mut text = String::new();
    for row in &grid.rows {
        let squares: Vec<&Square<'_>> = row.cells.iter().flatten().collect();
        let cell = |square: &Square<'_>| -> CellRef { square.rounds.cells[0].cell.clone() };
        if squares.iter().all(|square| cell(square).recovered_on.is_none()) {
            continue;
        }
        let (mut down, mut across): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for square in &squares {
            let (recorded, recovered) = ends(&cell(square));
            if !down.contains(&recorded) {
                down.push(recorded);
            }
            if !across.contains(&recovered) {
                across.push(recovered);
            }
        }
        let mut lines = vec![vec![format!("{} {}", row.scenario, row.variant)]];
        lines[0].extend(across.iter().map(|kernel| format!("recovered on {kernel}")));
        for recorded in &down {
            let mut line = vec![format!("  recorded on {recorded}")];
            line.extend(across.iter().map(|recovered| {
                let here =
                    |square: &&&Square<'_>| ends(&cell(square)) == (recorded.clone(), recovered.clone());
                let square = squares.iter().find(here);
                square.map_or_else(|| "-".to_owned(), |square| shown(square))
            }));
            lines.push(line);
        }
        text.push('\n');
        text.push_str(&table(&lines));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The kernel that recorded, and the one that recovered.
fn ends(cell: &CellRef) -> (String, String) {
    let recovered = cell.recovered_on.as_ref().unwrap_or(&cell.kernel);
    (cell.kernel.clone(), recovered.clone())
}
