//! What any search is asked, and how it reports.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use coldcut_core::oracle::cell::Strategy;
use coldcut_core::scenario::SAME;
use coldcut_core::search::{Aim, By};

use super::care::Care;
use super::journal::{Journal, JournalError};
use super::question::{FORMAT, Probe, Question};
use crate::job::plan::RunSelection;
use crate::job::run::{RunSettings, run};
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::{Kernel, Progress, Store};
use crate::report::Reporter;
use crate::vm::open::MachineSettings;

/// What is asked of a search.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// The scenario.
    pub file: Arc<ScenarioFile>,
    /// Its variant.
    pub variant: String,
    /// What is looked for.
    pub aim: Aim,
    /// What is good and what bad.
    pub by: By,
    /// How certain the answer must be.
    pub care: Care,
    /// Which search to resume.
    pub resume: ResumeFrom,
    /// Seed of everything that is sampled.
    pub seed: u64,
    /// Which machines recover which images.
    pub strategy: Strategy,
    /// How machines are run.
    pub machines: MachineSettings,
    /// Directory of all runs.
    pub results: PathBuf,
}

/// Which search to resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResumeFrom {
    /// None: a new one begins.
    No,
    /// The last unfinished one that asked the same.
    Last,
    /// The one in this directory.
    In(PathBuf),
}

/// A good and a bad kernel, or commit, as the user named them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The good one.
    pub good: String,
    /// The bad one.
    pub bad: String,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchAnswer {
    /// The answer as text.
    pub text: String,
    /// The exit code that says the same.
    pub code: u8,
}

/// Receives the progress of a search.
pub trait Listener {
    /// A line of progress.
    fn line(&self, text: &str);
    /// Something else that the user should know.
    fn note(&self, text: &str);
    /// Receives the progress of fetching a kernel.
    fn fetching(&self) -> Box<dyn Progress + Send>;
    /// Receives the events of a run.
    fn reporters(&self) -> Vec<Box<dyn Reporter>>;
}

impl Ends {
    /// The older end and the newer one.
    pub fn in_order(&self, aim: Aim) -> [&str; 2] {
        match aim {
            Aim::FirstGood => [&self.bad, &self.good],
            _ => [&self.good, &self.bad],
        }
    }
}

impl SearchRequest {
    /// The question as the journal keeps it.
    pub(super) fn question(&self, ends: Vec<String>) -> Question {
        Question {
            format: FORMAT,
            scenario: self.file.scenario.name.clone(),
            digest: self.file.scenario.digest().to_hex().to_string(),
            variant: self.variant.clone(),
            aim: self.aim,
            by: self.by,
            ends,
            seed: self.seed,
            line: Vec::new(),
            command_line: std::env::args().collect(),
        }
    }

    /// The journal of the search to resume, and its question; `None` for a new search.
    pub(super) fn resumed(&self, question: &Question) -> Result<Option<(Journal, Question)>, JournalError> {
        let dir = match &self.resume {
            ResumeFrom::No => return Ok(None),
            ResumeFrom::Last => None,
            ResumeFrom::In(dir) => Some(dir.as_path()),
        };
        Journal::resume(&self.results, dir, question).map(Some)
    }

    /// Runs the variant on one kernel, which also recovers what it recorded.
    pub(super) async fn run_on(
        &self,
        name: &str,
        kernel: Kernel,
        store: &Store,
        results: &std::path::Path,
        listener: &dyn Listener,
    ) -> anyhow::Result<Probe> {
        let selection = RunSelection {
            files: vec![Arc::clone(&self.file)],
            kernels: vec![(name.to_owned(), Arc::new(kernel))],
            variants: vec![self.variant.clone()],
            recover_on: vec![SAME.to_owned()],
            repeat: 1,
            shard: None,
        };
        let settings = RunSettings {
            seed: self.seed,
            strategy: self.strategy,
            machines: self.machines,
            results,
            resume: None,
            until: None,
        };
        let plan = selection.plan(store)?;
        let ran = run(&plan, &settings, store, listener.reporters()).await?;
        Probe::of(&ran.dir, &ran.result)
    }
}

/// The variant that is meant: the one that is named, or the only one.
///
/// # Errors
/// When the scenario has none of that name, or several.
pub fn variant_of(file: &ScenarioFile, wanted: Option<&str>) -> anyhow::Result<String> {
    let names: Vec<&str> = file.scenario.variants().iter().map(|v| v.name.as_str()).collect();
    match (wanted, &names[..]) {
        (Some(wanted), _) if names.contains(&wanted) => Ok(wanted.to_owned()),
        (Some(wanted), _) => bail!(
            "{} has no variant `{wanted}`; it has {}",
            file.path.display(),
            names.join(", ")
        ),
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => bail!(
            "{} has several variants: name one with --variant: {}",
            file.path.display(),
            names.join(", ")
        ),
    }
}
