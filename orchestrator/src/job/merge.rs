//! Keeps runs that were put together as one run.

use std::io;
use std::path::{Path, PathBuf};

use coldcut_core::outcome::name::FileName;
use coldcut_core::outcome::result::{CellResult, RunResult};

use crate::host::files::Directory;
use crate::job::run::{PAGE, Ran, RunError};
use crate::job::scenario_file::LONGEST;
use crate::report::{EventSink, FileReport, JsonLines, Reporter, render_html};
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
    match fill(&mut dir, merged, parts, reporters) {
        Ok(result) => Ok(Ran {
            dir: dir.path().to_owned(),
            result,
        }),
        Err(error) => {
            dir.discard();
            Err(error)
        }
    }
}

/// Fills the new run's directory; `latest` leads there once everything is in it.
fn fill(
    dir: &mut RunDir,
    merged: Merged,
    parts: &[Part],
    reporters: Vec<Box<dyn Reporter>>,
) -> Result<RunResult, KeepError> {
    let path = dir.path().to_owned();
    let write = |source| {
        Box::new(RunError::Write {
            path: path.clone(),
            source,
        })
    };
    let kept = JsonLines::new(dir.events().map_err(write)?);
    let failure = kept.failure();
    let page = FileReport::at_end(&path.join(PAGE), render_html);
    let mut all: Vec<Box<dyn Reporter>> = vec![Box::new(kept), Box::new(page)];
    all.extend(reporters);
    let events = EventSink::new(all);
    let info = RunInfo {
        run: dir.id().clone(),
        command_line: std::env::args().collect(),
        ..merged.info
    };
    for scenario in &info.scenarios {
        let text = text_of(&scenario.name, parts)?;
        dir.keep_scenario(&scenario.name, &text).map_err(write)?;
    }
    for (cell, from, _) in &merged.cells {
        let source = &parts[*from].dir;
        let copied = copy_cell(source, &cell.id, &path.join("cells").join(&cell.id));
        copied.map_err(|error| KeepError::Copy {
            path: source.join("cells").join(&cell.id),
            source: error,
        })?;
    }
    dir.describe(&info).map_err(write)?;
    let cells: Vec<CellResult> = merged.cells.into_iter().filter_map(|(.., cell)| cell).collect();
    let result = dir.finish_all(cells).map_err(write)?;
    events_of(&path, &info, &result).for_each(|event| events.send(event));
    if let Some(error) = failure.get() {
        return Err(write(error).into());
    }
    dir.publish().map_err(write)?;
    events.end();
    Ok(result)
}

/// A scenario's text, which every part that ran it has.
fn text_of(scenario: &FileName, parts: &[Part]) -> Result<String, KeepError> {
    let relative = Path::new("scenarios").join(format!("{scenario}.yaml"));
    for part in parts {
        let read = Directory::open(&part.dir).and_then(|run| run.read_text(&relative, LONGEST));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => {
                let path = part.dir.join(&relative);
                return read.map_err(|source| KeepError::Text { path, source });
            }
        }
    }
    Err(KeepError::NoText(scenario.to_string()))
}
