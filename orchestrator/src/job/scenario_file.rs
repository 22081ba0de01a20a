//! Scenarios as files.

use std::path::{Path, PathBuf};

use coldcut_core::outcome::name::FileName;
use coldcut_core::scenario::{Scenario, ScenarioErrors, Variant};

use crate::host::files;

/// The largest scenario file, in bytes.
pub(crate) const LONGEST: u64 = 4 << 20;

/// A scenario and where it came from.
#[derive(Debug)]
pub struct ScenarioFile {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The scenario.
    pub scenario: Scenario,
}

/// Why a file gives no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioFileError {
    /// It cannot be read.
    #[error("cannot read scenario {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is too large.
    #[error("{} has {size} bytes; a scenario has at most {LONGEST}", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// Its contents are invalid.
    #[error(transparent)]
    Wrong(#[from] ScenarioErrors),
}

impl ScenarioFile {
    /// Reads and validates a file.
    ///
    /// # Errors
    /// [`ScenarioFileError`], which shows the line.
    pub fn read(path: &Path) -> Result<Self, ScenarioFileError> {
        let read = |source| ScenarioFileError::Read {
            path: path.to_owned(),
            source,
        };
        let size = std::fs::metadata(path).map_err(read)?.len();
        if size > LONGEST {
            return Err(ScenarioFileError::TooLong {
                path: path.to_owned(),
                size,
            });
        }
        let text = files::read_text(path, LONGEST).map_err(read)?;
        Self::parse(path, &text)
    }

    /// Reads and validates the text of a scenario that a run keeps; nothing outside of the run's directory is read.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn kept(run: &Path, name: &FileName) -> Result<Self, ScenarioFileError> {
        let relative = Path::new("scenarios").join(format!("{name}.yaml"));
        let path = run.join(&relative);
        let text = files::Directory::open(run).and_then(|run| run.read_text(&relative, LONGEST));
        let text = text.map_err(|source| ScenarioFileError::Read {
            path: path.clone(),
            source,
        })?;
        Self::parse(&path, &text)
    }

    /// Validates a text that came from a file.
    ///
    /// # Errors
    /// [`ScenarioFileError::Wrong`], which shows the line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ScenarioFileError> {
        Ok(Self {
            path: path.to_owned(),
            text: text.to_owned(),
            scenario: Scenario::parse(&path.display().to_string(), text)?,
        })
    }

    /// The same, judged by the automatic oracle besides. What is kept of it says so.
    ///
    /// # Errors
    /// [`ScenarioFileError::Wrong`], where its text does not take another key at its end.
    pub fn with_oracle(&self) -> Result<Self, ScenarioFileError> {
        let judged = |variant: &Variant| !variant.has_crash() || variant.is_judged_automatically();
        let text = self.text.trim_end();
        if self.scenario.variants().iter().all(judged) {
            return Self::parse(&self.path, text);
        }
        Self::parse(&self.path, &format!("{text}\noracle: auto\n"))
    }

    /// The directory that paths in it are relative to.
    pub fn home(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }
}
