//! Recordings of an earlier run, with which another goes on.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use coldcut_core::crash::plan::CrashSpec;
use coldcut_core::scenario::Variant;

use crate::job::kept::KeptCell;
use crate::job::plan::PlannedRecording;
use crate::results::{ResultsError, RunInfo, inspect_cell, load_run, recorded_cells};

/// A run whose recordings are used again.
#[derive(Clone, Debug)]
pub struct Earlier {
    run: PathBuf,
    info: RunInfo,
    /// Cells that keep a recording that came to its end.
    recorded: HashSet<String>,
}

impl Earlier {
    /// The run in this directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(run: &Path) -> Result<Self, ResultsError> {
        // `latest` is soon another one.
        let run = &run.canonicalize().map_err(|source| ResultsError::Read {
            path: run.to_owned(),
            source,
        })?;
        Ok(Self {
            info: load_run(run)?,
            recorded: recorded_cells(run)?,
            run: run.to_owned(),
        })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.info.run
    }

    /// The directory of the cell that keeps the same recording; `None` where the run has none, or it is of another
    /// kernel, or the variant meant something else there. How states are chosen may differ: that has no part in what is
    /// recorded.
    pub fn recording(&self, wanted: &PlannedRecording) -> Option<PathBuf> {
        let (first, _) = wanted.cells.first()?;
        let cell = self.info.cells.iter().find(|cell| cell.id == first.id)?;
        let kernel = self
            .info
            .kernels
            .iter()
            .find(|kernel| kernel.name == cell.kernel)?;
        let kept = KeptCell::load(&self.run, cell).ok()?;
        let fits = self.recorded.contains(cell.id.as_str())
            && kernel.digest == wanted.kernel.digest()
            && uncut(&kept.variant) == uncut(&wanted.variant);
        if !fits {
            return None;
        }
        inspect_cell(&self.run, &cell.id).ok()
    }
}

/// What a variant records.
fn uncut(variant: &Variant) -> Variant {
    Variant {
        crash: CrashSpec::default(),
        ..variant.clone()
    }
}
