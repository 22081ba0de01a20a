//! Reading runs back.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use coldcut_core::outcome::event::{Event, Stamped};
use coldcut_core::outcome::result::{CellRef, CellResult, RESULT_FORMAT, RunResult};
use coldcut_core::outcome::verdict::Standing;
use serde::de::DeserializeOwned;

use super::RunInfo;
use crate::host::files::Directory;

/// The largest `run.json` and `result.json` that are read, in bytes: some 10 KiB for each of 100,000 cells.
const LARGEST: u64 = 1 << 30;
/// The longest line of `events.jsonl` that is read, in bytes.
const LONGEST_LINE: u64 = 64 << 20;

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// There is no run of that name.
    #[error("there is no run `{wanted}` in {}{}", dir.display(), known(runs))]
    NoRun {
        /// What was asked for.
        wanted: String,
        /// Where it was looked for.
        dir: PathBuf,
        /// What there is.
        runs: Vec<String>,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be parsed.
    #[error("{} is not a file of coldcut's: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A newer coldcut wrote it.
    #[error("{} has format {found}; this coldcut reads up to {RESULT_FORMAT}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// Its parts do not fit together.
    #[error("the run in {} is damaged: {what}", path.display())]
    Strange {
        /// Its directory.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The run was interrupted before its first cell was done.
    #[error("no cell of the run in {} was finished", .0.display())]
    NothingFinished(PathBuf),
    /// The text is not of the form `RUN/CELL/STATE`.
    #[error("`{0}` does not name a crash state; expected RUN/CELL/STATE as the result table prints it")]
    BadState(String),
}

fn known(runs: &[String]) -> String {
    match runs.len() {
        0 => " (there are none)".to_owned(),
        n => format!(
            "; the last of {n} are: {}",
            runs[n.saturating_sub(5)..].join(", ")
        ),
    }
}

/// The directory of a run: a path to it, its id, an unambiguous beginning of its id, or `latest`.
///
/// # Errors
/// [`ResultsError::NoRun`].
pub fn find_run(results: &Path, wanted: &str) -> Result<PathBuf, ResultsError> {
    let direct = Path::new(wanted);
    if direct.join("run.json").is_file() {
        return Ok(direct.to_owned());
    }
    if !wanted.is_empty() && results.join(wanted).join("run.json").is_file() {
        return Ok(results.join(wanted));
    }
    let mut runs: Vec<String> = fs::read_dir(results)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| e.path().join("run.json").is_file() && e.file_type().is_ok_and(|t| t.is_dir()))
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    runs.sort();
    let mut matching = runs
        .iter()
        .filter(|r| !wanted.is_empty() && r.starts_with(wanted));
    match (matching.next(), matching.next()) {
        (Some(one), None) => Ok(results.join(one)),
        _ => Err(ResultsError::NoRun {
            wanted: wanted.to_owned(),
            dir: results.to_owned(),
            runs,
        }),
    }
}

/// `run.json` of a run's directory.
///
/// # Errors
/// [`ResultsError`].
pub fn load_run(dir: &Path) -> Result<RunInfo, ResultsError> {
    load(dir, "run.json")?.ok_or_else(|| ResultsError::Read {
        path: dir.join("run.json"),
        source: std::io::ErrorKind::NotFound.into(),
    })
}

/// What came of a run's cells: `result.json`, and the cells that a killed run finished after it wrote that, which its
/// `events.jsonl` has.
///
/// # Errors
/// [`ResultsError`], of which [`ResultsError::NothingFinished`] when there is neither.
pub fn load_result(dir: &Path) -> Result<RunResult, ResultsError> {
    let info = load_run(dir)?;
    let kept: Option<RunResult> = load(dir, "result.json")?;
    let wanted = info.cells.len();
    let result = match kept {
        Some(whole) if whole.cells.len() >= wanted => whole,
        kept => made_up(dir, &info, kept)?,
    };
    counted(dir, &info, result)
}

/// The result, with every sum counted anew, and every cell one of the run's.
fn counted(dir: &Path, info: &RunInfo, result: RunResult) -> Result<RunResult, ResultsError> {
    let strange = |what: String| ResultsError::Strange {
        path: dir.to_owned(),
        what,
    };
    let mut planned: HashSet<&CellRef> = info.cells.iter().collect();
    for cell in &result.cells {
        if !planned.remove(&cell.cell) {
            return Err(strange(format!(
                "cell {} is not one of the run's, or is there twice",
                cell.cell.id
            )));
        }
        let claimed = matches!(cell.standing, Standing::AsDeclared | Standing::Observed);
        if claimed && cell.standing != cell.declared.standing(&cell.verdict) {
            return Err(strange(format!(
                "the standing of cell {} is not what follows from its verdict",
                cell.cell.id
            )));
        }
    }
    Ok(RunResult::new(&info.run, result.cells))
}

/// The result of a killed run: `kept` of `result.json`, and the cells that only the events tell of.
fn made_up(dir: &Path, info: &RunInfo, kept: Option<RunResult>) -> Result<RunResult, ResultsError> {
    let known: HashSet<&str> = kept
        .iter()
        .flat_map(|result| &result.cells)
        .map(|c| c.cell.id.as_str())
        .collect();
    let mut missed = finished(dir)?;
    missed.retain(|result| !known.contains(result.cell.id.as_str()));
    if missed.is_empty() {
        return kept.ok_or_else(|| ResultsError::NothingFinished(dir.to_owned()));
    }
    let mut cells = kept.map_or_else(Vec::new, |result| result.cells);
    cells.append(&mut missed);
    let indices: HashMap<&str, usize> = info.cells.iter().map(|cell| cell.id.as_str()).zip(0..).collect();
    cells.sort_by_key(|result| indices.get(result.cell.id.as_str()).copied());
    Ok(RunResult::new(&info.run, cells))
}

/// The cells that a run's events tell of.
fn finished(dir: &Path) -> Result<Vec<CellResult>, ResultsError> {
    let mut cells = Vec::new();
    each_event(dir, "cell-finished", |event| {
        if let Event::CellFinished { result } = event {
            cells.push(*result);
        }
    })?;
    Ok(cells)
}

/// The cells of a run whose recordings came to their ends.
///
/// # Errors
/// When the run's events cannot be read.
pub fn recorded_cells(run: &Path) -> Result<HashSet<String>, ResultsError> {
    let mut cells = HashSet::new();
    each_event(run, "recorded", |event| {
        if let Event::Recorded { cell, .. } = event {
            cells.insert(cell);
        }
    })?;
    Ok(cells)
}

/// Reads those of a run's events whose lines have this word. A last line that a kill cut short is left out.
fn each_event(dir: &Path, word: &str, mut each: impl FnMut(Event)) -> Result<(), ResultsError> {
    let path = dir.join("events.jsonl");
    let read = |source| ResultsError::Read {
        path: path.clone(),
        source,
    };
    let opened = Directory::open(dir).and_then(|run| run.file(Path::new("events.jsonl")));
    let mut file = match opened {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(read(error)),
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut file).take(LONGEST_LINE);
        if bounded.read_until(b'\n', &mut line).map_err(read)? == 0 {
            return Ok(());
        }
        if !line.ends_with(b"\n") {
            if line.len() as u64 == LONGEST_LINE {
                return Err(read(std::io::ErrorKind::FileTooLarge.into()));
            }
            return Ok(());
        }
        // Most lines are about other things, and need not be read.
        if !String::from_utf8_lossy(&line).contains(word) {
            continue;
        }
        let stamped: Stamped = serde_json::from_slice(&line).map_err(|source| ResultsError::Parse {
            path: path.clone(),
            source,
        })?;
        each(stamped.event);
    }
}

/// Reads a file of a run's directory; `None` where there is none.
fn load<T: DeserializeOwned>(dir: &Path, name: &str) -> Result<Option<T>, ResultsError> {
    let path = dir.join(name);
    let text = match Directory::open(dir).and_then(|run| run.read(Path::new(name), LARGEST)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ResultsError::Read { path, source }),
    };
    let parse = |source| ResultsError::Parse {
        path: path.clone(),
        source,
    };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(parse)?;
    let found = value
        .get("format")
        .and_then(serde_json::Value::as_u64)
        .unwrap_or(0);
    if found > u64::from(RESULT_FORMAT) {
        return Err(ResultsError::Newer { path, found });
    }
    serde_json::from_value(value).map(Some).map_err(parse)
}

/// Splits `RUN/CELL/STATE`; the run may itself be a path.
///
/// # Errors
/// [`ResultsError::BadState`].
pub fn state_path(text: &str) -> Result<(&str, &str, &str), ResultsError> {
    let bad = || ResultsError::BadState(text.to_owned());
    let (rest, state) = text.rsplit_once('/').ok_or_else(bad)?;
    let (run, cell) = rest.rsplit_once('/').ok_or_else(bad)?;
    if run.is_empty() || cell.is_empty() || state.is_empty() {
        Err(bad())
    } else {
        Ok((run, cell, state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_paths_split_from_the_right() {
        assert_eq!(
            state_path("results/r1/cell.a/b3").unwrap(),
            ("results/r1", "cell.a", "b3")
        );
        assert!(state_path("r1/cell").is_err());
    }

    #[test]
    fn a_newer_format_is_refused_and_a_wrong_name_lists_what_there_is() {
        let base = tempfile::tempdir().unwrap();
        let run = base.path().join("20261122-aaaa");
        fs::create_dir(&run).unwrap();
        fs::write(run.join("run.json"), "{\"format\": 999}").unwrap();
        assert!(matches!(
            load_run(&run),
            Err(ResultsError::Newer { found: 999, .. })
        ));
        assert_eq!(find_run(base.path(), "20261122").unwrap(), run);
        let error = find_run(base.path(), "x").unwrap_err().to_string();
        assert!(error.contains("20261122-aaaa"), "{error}");
    }
}
