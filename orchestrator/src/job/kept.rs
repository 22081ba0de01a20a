//! A cell of a run that is kept: what is needed to look at it, or to run it, again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use coldcut_core::outcome::result::CellRef;
use coldcut_core::outcome::unknown::Unknown;
use coldcut_core::scenario::Variant;

use crate::job::scenario_file::{ScenarioFile, ScenarioFileError};
use crate::kernel::{Kernel, Store, StoreError};
use crate::record::job::programs_of;
use crate::recover::programs::Programs;
use crate::results::{CellDir, RunInfo, check_seal, inspect_cell};

/// A cell of a run.
#[derive(Debug)]
pub struct KeptCell {
    /// Its name.
    pub cell: CellRef,
    /// The scenario, as the run keeps it.
    pub file: Arc<ScenarioFile>,
    /// The variant.
    pub variant: Variant,
    /// The run's directory.
    pub run: PathBuf,
}

/// Why a cell cannot be had again.
#[derive(Debug, thiserror::Error)]
pub enum KeptCellError {
    /// The run has no such cell.
    #[error("run {run} has no cell `{wanted}`; it has {}", known.join(", "))]
    NoCell {
        /// The run's id.
        run: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The run's scenario cannot be read.
    #[error(transparent)]
    Scenario(#[from] ScenarioFileError),
    /// The run's scenario lacks the cell's variant.
    #[error("the run's own scenario lacks this variant")]
    NoVariant,
}

impl KeptCell {
    /// The cell with this id.
    ///
    /// # Errors
    /// [`KeptCellError`].
    pub fn find(run: &Path, info: &RunInfo, id: &str) -> Result<Self, KeptCellError> {
        match info.cells.iter().find(|cell| cell.id == id) {
            Some(cell) => Self::load(run, cell),
            None => Err(KeptCellError::NoCell {
                run: info.run.to_string(),
                wanted: id.to_owned(),
                known: info.cells.iter().map(|cell| cell.id.to_string()).collect(),
            }),
        }
    }

    /// A cell of the run in this directory.
    ///
    /// # Errors
    /// [`KeptCellError`].
    pub fn load(run: &Path, cell: &CellRef) -> Result<Self, KeptCellError> {
        let file = ScenarioFile::kept(run, &cell.scenario)?;
        let variant = file.scenario.find_variant(&cell.variant);
        Ok(Self {
            variant: variant.ok_or(KeptCellError::NoVariant)?,
            file: Arc::new(file),
            cell: cell.clone(),
            run: run.to_owned(),
        })
    }

    /// The programs that judge it, as they are now where its scenario came from.
    ///
    /// # Errors
    /// [`Unknown`] when they cannot be had.
    pub async fn programs(&self, info: &RunInfo) -> Result<Option<Arc<Programs>>, Unknown> {
        let known = info
            .scenarios
            .iter()
            .find(|known| known.name == self.cell.scenario);
        let home = known.and_then(|known| Path::new(&known.file).parent());
        let home = home.unwrap_or_else(|| self.file.home());
        Ok(Programs::of(
            &self.variant,
            programs_of(&self.variant, home).await?,
        ))
    }

    /// The same, judged by the automatic oracle besides.
    ///
    /// # Errors
    /// [`KeptCellError`].
    pub fn with_oracle(self) -> Result<Self, KeptCellError> {
        let file = self.file.with_oracle()?;
        let variant = file.scenario.find_variant(&self.cell.variant);
        Ok(Self {
            variant: variant.ok_or(KeptCellError::NoVariant)?,
            file: Arc::new(file),
            ..self
        })
    }

    /// Where its files are.
    pub fn path(&self) -> PathBuf {
        self.run.join("cells").join(&self.cell.id)
    }

    /// Its directory, which may be written to: nothing in it leads elsewhere.
    ///
    /// # Errors
    /// When its folders cannot be made, or hold what coldcut does not make.
    pub fn dir(&self) -> std::io::Result<CellDir> {
        let dir = CellDir::open(&inspect_cell(&self.run, &self.cell.id)?)?;
        check_seal(&dir)?;
        Ok(dir)
    }
}

/// The kernel that had this name in a run, by its digest.
///
/// # Errors
/// When the store has it no more.
pub fn stored_kernel(store: &Store, info: &RunInfo, name: &str) -> Result<Arc<Kernel>, StoreError> {
    let known = info.kernels.iter().find(|kernel| kernel.name == name);
    let digest = known.map_or(name, |kernel| kernel.digest.as_str());
    store.find(digest).map(Arc::new)
}
