//! Keeps runs that were put together as one run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use coldcut_core::outcome::result::CellResult;

use crate::job::run::{Ran, RunError};
use crate::report::{EventSink, JsonLines, Reporter};
use crate::results::{Merged, Part, RunDir, RunInfo, copy_cell, events_of};

/// Why merged runs cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The new run cannot be made, or written to.
    #[error(transparent)]
    Run(#[from] Box<RunError>),
    /// No run has the text of a scenario.
    #[error("no run has the text of scenario {0}")]
    NoText(String),
    /// That text cannot be read.
    #[error("{}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is kept of a cell cannot be copied.
    #[error("cannot copy {}", path.display())]
    Copy {
        /// The cell's directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes a run of `merged`, with everything that the parts keep of its cells, and tells the reporters of it.
///
/// # Errors
/// [`KeepError`].
pub fn keep(
    merged: Merged,
    parts: &[Part],
    results: &Path,
    reporters: Vec<Box<dyn Reporter>>,
) -> Result<Ran, KeepError> {
    let make = |source| {
        Box::new(RunError::Make {
            path: results.to_owned(),
            source,
        })
    };
    let mut dir = RunDir::create(results).map_err(make)?;
    let kept = JsonLines::new(dir.events().map_err(make)?);
    let failure = kept.failure();
    let all = std::iter::once(Box::new(kept) as Box<dyn Reporter>).chain(reporters);
    let events = EventSink::new(all.collect());
    let info = RunInfo {
        run: dir.id().to_owned(),
        command_line: std::env::args().collect(),
        ..merged.info
    };
    let path = dir.path().to_owned();
    let write = |source| {
        Box::new(RunError::Write {
            path: path.clone(),
            source,
        })
    };
    for scenario in &info.scenarios {
        let text = text_of(&scenario.name, parts)?;
        dir.keep_scenario(&scenario.name, &text).map_err(write)?;
    }
    for (cell, from, _) in &merged.cells {
        let source = parts[*from].dir.join("cells").join(&cell.id);
        let copied = copy_cell(&source, &path.join("cells").join(&cell.id));
        copied.map_err(|error| KeepError::Copy {
            path: source,
            source: error,
        })?;
    }
    dir.begin(&info).map_err(write)?;
    let cells: Vec<CellResult> = merged.cells.into_iter().filter_map(|(.., cell)| cell).collect();
    let result = dir.finish_all(cells).map_err(write)?;
    events_of(&info, &result).for_each(|event| events.send(event));
    if let Some(error) = failure.get() {
        return Err(write(error).into());
    }
    events.end();
    Ok(Ran { dir: path, result })
}

/// A scenario's text, which every part that ran it has.
fn text_of(scenario: &str, parts: &[Part]) -> Result<String, KeepError> {
    let name = format!("{scenario}.yaml");
    let mut texts = parts.iter().map(|part| part.dir.join("scenarios").join(&name));
    let path = texts
        .find(|path| path.exists())
        .ok_or_else(|| KeepError::NoText(scenario.to_owned()))?;
    fs::read_to_string(&path).map_err(|source| KeepError::Text { path, source })
}
