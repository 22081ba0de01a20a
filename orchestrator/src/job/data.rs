//! Cells as data: enough to run them anywhere that has the kernels and the directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coldcut_core::outcome::result::{CellRef, KernelRef};
use coldcut_core::scenario::Variant;
use serde::{Deserialize, Serialize};

use crate::job::cell;
use crate::job::plan::{PlannedRecording, reference};
use crate::job::scenario_file::{ScenarioFile, ScenarioFileError};
use crate::kernel::{Kernel, Store, StoreError};
use crate::recover::strategy::Strategy;
use crate::results::CellDir;

/// Version of a job as data. A reader refuses a newer one.
pub const JOB_FORMAT: u32 = 1;

/// A recording to make and the cells that are made of it, as data. [`Resolver`] makes work of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellsJob {
    /// [`JOB_FORMAT`].
    pub format: u32,
    /// The scenario's text.
    pub text: String,
    /// The file that the text came from: programs and images that it names are found beside it.
    pub file: PathBuf,
    /// The variant, by name.
    pub variant: String,
    /// Digest of what the variant means, which must be the same where it is run.
    pub digest: String,
    /// The kernel that records.
    pub kernel: KernelRef,
    /// Who recovers what.
    pub strategy: Strategy,
    /// The run's directory. Cells are kept below it.
    pub run: PathBuf,
    /// The cells. The first keeps the recording, and each of the others has it too.
    pub cells: Vec<JobCell>,
}

/// A cell of a [`CellsJob`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCell {
    /// Its name.
    pub cell: CellRef,
    /// The kernel that recovers.
    pub kernel: KernelRef,
}

/// Why a job cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A newer coldcut made it.
    #[error("the job has format {0}; this coldcut reads up to {JOB_FORMAT}")]
    Newer(u32),
    /// Its scenario is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioFileError),
    /// The scenario has no such variant.
    #[error("{} has no variant `{variant}`", file.display())]
    NoVariant {
        /// The file.
        file: PathBuf,
        /// The variant.
        variant: String,
    },
    /// The variant means something else to this coldcut.
    #[error("variant `{variant}` of {} means something else here than where the job was made", file.display())]
    OtherVariant {
        /// The file.
        file: PathBuf,
        /// The variant.
        variant: String,
    },
    /// A kernel is not stored here.
    #[error(transparent)]
    Kernel(#[from] StoreError),
    /// A cell's directory cannot be made.
    #[error("cannot make {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl CellsJob {
    /// A planned recording as data, to be kept in the run's directory.
    pub fn new(recording: &PlannedRecording, strategy: Strategy, run: &Path) -> Self {
        let cell = |(cell, kernel): &(CellRef, Arc<Kernel>)| JobCell {
            cell: cell.clone(),
            kernel: reference(cell.recovered_on.as_ref().unwrap_or(&cell.kernel), kernel),
        };
        let cells: Vec<JobCell> = recording.cells.iter().map(cell).collect();
        let name = cells.first().map_or("", |first| &first.cell.kernel);
        Self {
            format: JOB_FORMAT,
            text: recording.file.text.clone(),
            file: recording.file.path.clone(),
            variant: recording.variant.name.clone(),
            digest: digest(&recording.variant),
            kernel: reference(name, &recording.kernel),
            strategy,
            run: run.to_owned(),
            cells,
        }
    }
}

/// Digest of what a variant means.
fn digest(variant: &Variant) -> String {
    // Serialising these types cannot fail: no maps with keys other than strings, no fallible impls.
    let canonical = serde_json::to_vec(variant).unwrap_or_default();
    blake3::hash(&canonical).to_hex().to_string()
}

/// Makes work of data: finds kernels in a store, reads scenarios, makes directories. Each kernel and scenario is looked
/// for once.
#[derive(Debug)]
pub struct Resolver<'s> {
    store: &'s Store,
    kernels: HashMap<String, Arc<Kernel>>,
    files: HashMap<(PathBuf, String), Arc<ScenarioFile>>,
}

impl<'s> Resolver<'s> {
    /// A resolver that takes kernels from a store.
    pub fn new(store: &'s Store) -> Self {
        Self {
            store,
            kernels: HashMap::new(),
            files: HashMap::new(),
        }
    }

    /// Uses a kernel that is at hand in place of looking for its digest in the store.
    pub fn know(&mut self, kernel: &Arc<Kernel>) {
        let known = self.kernels.entry(kernel.digest().to_owned());
        known.or_insert_with(|| Arc::clone(kernel));
    }

    /// What runs the job.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub fn resolve(&mut self, job: &CellsJob) -> Result<cell::CellsJob, ResolveError> {
        if job.format > JOB_FORMAT {
            return Err(ResolveError::Newer(job.format));
        }
        let file = self.file(job)?;
        let about = || (job.file.clone(), job.variant.clone());
        let variant = file.scenario.find_variant(&job.variant).ok_or_else(|| {
            let (file, variant) = about();
            ResolveError::NoVariant { file, variant }
        })?;
        if digest(&variant) != job.digest {
            let (file, variant) = about();
            return Err(ResolveError::OtherVariant { file, variant });
        }
        let mut cells = Vec::with_capacity(job.cells.len());
        for cell in &job.cells {
            let path = job.run.join("cells").join(&cell.cell.id);
            cells.push(cell::CellJob {
                cell: cell.cell.clone(),
                kernel: self.kernel(&cell.kernel)?,
                dir: CellDir::open(&path).map_err(|source| ResolveError::Directory { path, source })?,
            });
        }
        Ok(cell::CellsJob {
            file,
            variant,
            kernel: self.kernel(&job.kernel)?,
            strategy: job.strategy,
            cells,
        })
    }

    fn kernel(&mut self, wanted: &KernelRef) -> Result<Arc<Kernel>, StoreError> {
        if let Some(known) = self.kernels.get(&wanted.digest) {
            return Ok(Arc::clone(known));
        }
        let kernel = Arc::new(self.store.find(&wanted.digest)?);
        self.know(&kernel);
        Ok(kernel)
    }

    fn file(&mut self, job: &CellsJob) -> Result<Arc<ScenarioFile>, ScenarioFileError> {
        let key = (job.file.clone(), job.text.clone());
        if let Some(known) = self.files.get(&key) {
            return Ok(Arc::clone(known));
        }
        let file = Arc::new(ScenarioFile::parse(&job.file, &job.text)?);
        self.files.insert(key, Arc::clone(&file));
        Ok(file)
    }
}
