//! Replays a kept run as events.

use std::path::Path;

use coldcut_core::outcome::event::Event;
use coldcut_core::outcome::result::RunResult;

use super::RunInfo;

/// The events that say all that a report on the run needs: its beginning, every cell that is done and, where all are,
/// its end. No time is told. `dir` is the run's directory.
pub fn events_of<'r>(
    dir: &Path,
    info: &RunInfo,
    result: &'r RunResult,
) -> impl Iterator<Item = Event> + use<'r> {
    let started = Event::RunStarted {
        run: info.run.to_string(),
        cells: info.cells.clone(),
        jobs: 0,
        accel: info.accel.clone(),
        dir: Some(dir.to_owned()),
    };
    let finished = (result.cells.len() >= info.cells.len()).then_some(Event::RunFinished {
        totals: result.totals,
        seconds: 0.0,
    });
    let cells = result.cells.iter().map(|cell| Event::CellFinished {
        result: Box::new(cell.clone()),
    });
    std::iter::once(started).chain(cells).chain(finished)
}
