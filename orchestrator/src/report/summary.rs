//! A run as a whole, gathered from its events.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use coldcut_core::outcome::event::Event;
use coldcut_core::outcome::result::{CellRef, CellResult, RunResult};

/// What a report is about: a run, what it consists of, and what is known of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The run's id.
    pub run: String,
    /// Every cell, in order.
    pub planned: Vec<CellRef>,
    /// What came of those that are done, in the same order.
    pub result: RunResult,
    /// The run's directory, where it is at hand.
    pub dir: Option<PathBuf>,
}

/// Renders a report.
pub type Render = fn(&Summary) -> String;

impl Summary {
    /// The summary of a run with these cells.
    pub fn new(run: &str, planned: &[CellRef], cells: Vec<CellResult>) -> Self {
        Self::of(run.to_owned(), planned.to_vec(), cells, None)
    }

    fn of(run: String, planned: Vec<CellRef>, mut cells: Vec<CellResult>, dir: Option<PathBuf>) -> Self {
        let indices: HashMap<&str, usize> = planned.iter().map(|cell| cell.id.as_str()).zip(0..).collect();
        let index = |result: &CellResult| indices.get(result.cell.id.as_str()).copied();
        cells.sort_by_key(|result| index(result).unwrap_or(usize::MAX));
        Self {
            result: RunResult::new(&run, cells),
            run,
            planned,
            dir,
        }
    }

    /// The cells that are not done.
    pub fn unfinished(&self) -> impl Iterator<Item = &CellRef> {
        let done: HashSet<&str> = self
            .result
            .cells
            .iter()
            .map(|result| result.cell.id.as_str())
            .collect();
        self.planned
            .iter()
            .filter(move |cell| !done.contains(cell.id.as_str()))
    }
}

/// Gathers a [`Summary`] from events.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    run: String,
    planned: Vec<CellRef>,
    cells: Vec<CellResult>,
    dir: Option<PathBuf>,
}

impl Gathered {
    /// Takes the next event; says whether the summary is another now.
    pub fn take(&mut self, event: &Event) -> bool {
        match event {
            Event::RunStarted { run, cells, dir, .. } => {
                self.run.clone_from(run);
                self.dir.clone_from(dir);
                self.planned.clone_from(cells);
            }
            Event::CellFinished { result } => self.cells.push((**result).clone()),
            _ => return false,
        }
        true
    }

    /// How many cells are done.
    pub fn done(&self) -> usize {
        self.cells.len()
    }

    /// Renders the summary so far.
    pub fn render(&mut self, render: Render) -> String {
        let Self {
            run,
            planned,
            cells,
            dir,
        } = std::mem::take(self);
        let summary = Summary::of(run, planned, cells, dir);
        let text = render(&summary);
        *self = Self {
            run: summary.run,
            planned: summary.planned,
            cells: summary.result.cells,
            dir: summary.dir,
        };
        text
    }
}
