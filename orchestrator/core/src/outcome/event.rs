//! The one stream of events that every reporter reads: terminal, JSON lines and files cannot disagree.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cell::{CellRef, CellResult};
use super::recovery::Trust;
use super::totals::Totals;

pub use super::phase::Phase;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// Its id: the name of its directory.
        run: String,
        /// Every cell that it consists of.
        cells: Vec<CellRef>,
        /// How many machines run at once.
        jobs: usize,
        /// `KVM` or `TCG`, and why.
        accel: String,
        /// Its directory, for reports that show what is kept there; not part of what is kept.
        #[serde(skip)]
        dir: Option<PathBuf>,
    },
    /// Something the user should know that is no verdict.
    Notice {
        /// The cell it concerns, if any.
        cell: Option<String>,
        /// One line.
        text: String,
    },
    /// A cell goes on to its next phase.
    Phase {
        /// The cell.
        cell: String,
        /// The phase.
        phase: Phase,
    },
    /// A step of the workload begins.
    Step {
        /// The cell.
        cell: String,
        /// From 0.
        index: usize,
        /// How many there are.
        of: usize,
        /// Its name.
        name: String,
    },
    /// The recording is complete.
    Recorded {
        /// The cell.
        cell: String,
        /// Write requests.
        writes: u64,
        /// Flush requests.
        flushes: u64,
        /// Marks.
        marks: u64,
    },
    /// The crash states are known.
    Planned {
        /// The cell.
        cell: String,
        /// Points in time at which the power is cut.
        cuts: u64,
        /// Crash states.
        states: u64,
        /// Different images among them: each is recovered once.
        distinct: u64,
    },
    /// An image was recovered, or could not be.
    Recovered {
        /// The cell.
        cell: String,
        /// Its first crash state's id.
        state: String,
        /// Who recovered it; none when nobody could.
        trust: Option<Trust>,
        /// How many images were recovered at least once, this one included.
        done: u64,
        /// Of how many.
        of: u64,
        /// Milliseconds that it took.
        millis: u64,
        /// Why nothing is known; `None` when it was recovered.
        inconclusive: Option<String>,
    },
    /// A cell is done.
    CellFinished {
        /// Everything about it.
        result: Box<CellResult>,
    },
    /// The run is done.
    RunFinished {
        /// The sums.
        totals: Totals,
        /// Seconds that it took.
        seconds: f64,
    },
}

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Seconds since the run began.
    pub at: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
