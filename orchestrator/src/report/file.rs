//! Reports in files, written anew whenever a cell is done: a run that is killed leaves one that says so.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use coldcut_core::outcome::event::{Event, Stamped};
use coldcut_core::outcome::result::{CellRef, CellResult, RunResult};

use super::Reporter;

/// What a report is about: a run, what it consists of, and what is known of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The run's id.
    pub run: String,
    /// Every cell, in order.
    pub planned: Vec<CellRef>,
    /// What came of those that are done, in the same order.
    pub result: RunResult,
}

impl Summary {
    /// Of a run whose cells are these.
    pub fn new(run: &str, planned: &[CellRef], mut cells: Vec<CellResult>) -> Self {
        let place = |cell: &CellResult| planned.iter().position(|planned| *planned == cell.cell);
        cells.sort_by_key(|cell| place(cell).unwrap_or(usize::MAX));
        Self {
            run: run.to_owned(),
            planned: planned.to_vec(),
            result: RunResult::new(run, cells),
        }
    }

    /// The cells that are not done.
    pub fn unfinished(&self) -> impl Iterator<Item = &CellRef> {
        let done = |cell: &CellRef| self.result.cells.iter().any(|result| result.cell == *cell);
        self.planned.iter().filter(move |cell| !done(cell))
    }
}

/// How a report looks.
pub type Render = fn(&Summary) -> String;

/// Keeps a file up to date with the events.
pub struct FileReport {
    path: PathBuf,
    render: Render,
    run: String,
    planned: Vec<CellRef>,
    cells: Vec<CellResult>,
    failed: bool,
}

impl FileReport {
    /// A report to this file; fails at once where it cannot be written.
    ///
    /// # Errors
    /// As writing the file does.
    pub fn new(path: &Path, render: Render) -> std::io::Result<Self> {
        let report = Self {
            path: path.to_owned(),
            render,
            run: String::new(),
            planned: Vec::new(),
            cells: Vec::new(),
            failed: false,
        };
        report.write()?;
        Ok(report)
    }

    fn write(&self) -> std::io::Result<()> {
        let summary = Summary::new(&self.run, &self.planned, self.cells.clone());
        write_text(&self.path, &(self.render)(&summary))
    }
}

/// Writes a file whole or not at all; what is no regular file (such as /dev/stdout) is written to.
///
/// # Errors
/// As writing does.
pub fn write_text(path: &Path, text: &str) -> std::io::Result<()> {
    if path.exists() && !path.is_file() {
        return std::fs::write(path, text);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

impl Reporter for FileReport {
    fn event(&mut self, event: &Stamped) {
        match &event.event {
            Event::RunStarted { run, cells, .. } => {
                self.run.clone_from(run);
                self.planned.clone_from(cells);
            }
            Event::CellFinished { result } => self.cells.push((**result).clone()),
            _ => return,
        }
        if let Err(error) = self.write()
            && !std::mem::replace(&mut self.failed, true)
        {
            eprintln!("coldcut: {} cannot be written: {error}", self.path.display());
        }
    }
}
