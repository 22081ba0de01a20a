//! What a search asks, and what each run of a kernel showed: the lines of its journal.

use std::path::Path;

use anyhow::Context as _;
use coldcut_core::outcome::diff::IoProfile;
use coldcut_core::outcome::result::RunResult;
use coldcut_core::outcome::verdict::Verdict;
use coldcut_core::search::{Aim, Behaviour, By, Observation};
use serde::{Deserialize, Serialize};

use super::line::Candidate;
use crate::record::loaded::LoadedRecording;
use crate::results::CellDir;

/// Version of the files. A reader refuses a newer one.
pub const FORMAT: u32 = 1;

/// What is asked, in `bisect.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// [`FORMAT`].
    pub format: u32,
    /// The scenario's name.
    pub scenario: String,
    /// Digest of what it says.
    pub digest: String,
    /// The variant.
    pub variant: String,
    /// What is looked for.
    pub aim: Aim,
    /// What makes a kernel good or bad.
    pub by: By,
    /// The ends as the user gave them.
    pub ends: Vec<String>,
    /// Seed of everything that is sampled.
    pub seed: u64,
    /// The kernels, the oldest first.
    pub line: Vec<Candidate>,
    /// Words of the command line.
    pub command_line: Vec<String>,
}

impl Question {
    /// Whether an earlier search asked the same, so that its runs count.
    pub fn same(&self, other: &Self) -> bool {
        let key = |q: &Self| {
            (
                q.digest.clone(),
                q.variant.clone(),
                q.aim,
                q.by,
                q.ends.clone(),
                q.seed,
            )
        };
        key(self) == key(other)
    }

    /// Says what a run means to the search; `old` is the behaviour that counts as old.
    pub fn seen(&self, probe: &Probe, old: Option<&Behaviour>) -> Observation {
        match &probe.behaviour {
            Some(behaviour) => behaviour.seen(self.aim, self.by, old),
            None => Observation::Untestable,
        }
    }
}

/// One run of one kernel, a line of `probes.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The kernel's index in the line.
    #[serde(rename = "place")]
    pub index: usize,
    /// Its name.
    pub kernel: String,
    /// Its digest, if it was available.
    pub digest: Option<String>,
    /// How it behaved; `None` when it could not be run.
    pub behaviour: Option<Behaviour>,
    /// Why nothing is known, where that is so.
    pub cause: Option<String>,
    /// The run's id below the search's directory, and the cell's.
    pub run: Option<(String, String)>,
    /// The first violation: state and evidence.
    pub violation: Option<(String, String)>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Probe {
    /// A probe of a kernel that could not be run, with the reason.
    pub fn untestable(why: &str) -> Self {
        Self {
            index: 0,
            kernel: String::new(),
            digest: None,
            behaviour: None,
            cause: Some(why.to_owned()),
            run: None,
            violation: None,
            seconds: 0.0,
        }
    }

    /// Reads what a run of one cell showed from its directory.
    ///
    /// # Errors
    /// When the run has no cell.
    pub fn of(dir: &Path, result: &RunResult) -> anyhow::Result<Self> {
        let cell = result.cells.first().context("the run has no cell")?;
        let id = &cell.cell.id;
        // A kernel that panicked left no recording.
        let recording = CellDir::open(&dir.join("cells").join(id))
            .ok()
            .and_then(|dir| LoadedRecording::load(&dir).ok())
            .map(|recording| IoProfile::of(&recording.log));
        let run = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let first = cell.violations.first();
        Ok(Self {
            digest: Some(cell.kernel.digest.clone()),
            behaviour: Some(Behaviour::of(cell, recording)),
            cause: match &cell.verdict {
                Verdict::Inconclusive { cause } => Some(cause.clone()),
                _ => None,
            },
            run: Some((run, id.to_string())),
            violation: first.map(|v| (v.state.to_string(), format!("{}: {}", v.kind, v.evidence))),
            ..Self::untestable("")
        })
    }
}
