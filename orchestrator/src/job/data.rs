//! Cells as data: enough to run them anywhere that has the kernels and the directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coldcut_core::oracle::cell::Strategy;
use coldcut_core::outcome::result::{CellRef, KernelRef};
use coldcut_core::scenario::Variant;
use serde::{Deserialize, Serialize};

use crate::job::cell;
use crate::job::plan::{PlannedRecording, reference};
use crate::job::scenario_file::{ScenarioFile, ScenarioFileError};
use crate::kernel::{Kernel, Store, StoreError};
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
    /// The directory of a cell that keeps a recording to go on with, in place of making one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<PathBuf>,
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
            resume: None,
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
    pub fn resolve(&mut self, job: &CellsJob) -> Result<cell::ResolvedJob, ResolveError> {
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
            cells.push(cell::ResolvedCell {
                cell: cell.cell.clone(),
                kernel: self.kernel(&cell.kernel)?,
                dir: CellDir::open(&path).map_err(|source| ResolveError::Directory { path, source })?,
            });
        }
        Ok(cell::ResolvedJob {
            file,
            variant,
            kernel: self.kernel(&job.kernel)?,
            strategy: job.strategy,
            resume: job.resume.clone(),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::job::plan::RunSelection;
    use crate::kernel::manifest::Origin;
    use crate::kernel::{BootKind, Flavour, Manifest};

    const SCENARIO: &str = "
format: 1
name: round
filesystem: {type: ext4, size: 16MiB}
expect: [{exists: {path: new}, after: saved}]
variants:
  kept:
    recover_on: [same, '6.1']
    workload: [{create: {path: new}}, {fsync_dir: /}, {mark: saved}]
    outcome: holds
  lost:
    workload: [{create: {path: new}}, {mark: saved}]
    outcome: {violates: missing}
";

    /// A store with entries that have a manifest and nothing to boot.
    fn store(root: &Path, names: &[&str]) -> Store {
        let store = Store::open(root.to_owned()).unwrap();
        for name in names {
            let mut manifest = Manifest {
                format: 1,
                digest: String::new(),
                name: format!("{name}.9"),
                release: format!("{name}.9"),
                version: format!("{name}.9"),
                series: (*name).to_owned(),
                flavour: Flavour::Cloud,
                boot: BootKind::BzImage,
                boot_note: None,
                origin: Origin::File { file: "b".into() },
                files: Vec::new(),
                sets: BTreeMap::new(),
                stored_at: 0,
                coldcut: String::new(),
            };
            manifest.digest = manifest.compute_digest();
            let dir = store.kernels_dir().join(&manifest.digest);
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
        }
        store
    }

    fn jobs(store: &Store, run: &Path) -> Vec<CellsJob> {
        let kernel = |name: &str| (name.to_owned(), Arc::new(store.find(name).unwrap()));
        let file = ScenarioFile::parse(Path::new("dir/round.yaml"), SCENARIO).unwrap();
        let selection = RunSelection {
            files: vec![Arc::new(file)],
            kernels: vec![kernel("6.12")],
            variants: Vec::new(),
            recover_on: Vec::new(),
            repeat: 2,
            shard: None,
        };
        let plan = selection.plan(store).unwrap();
        let job = |recording| CellsJob::new(recording, Strategy::Fresh, run);
        plan.recordings.iter().map(job).collect()
    }

    #[test]
    fn a_job_that_is_written_and_read_back_is_the_same_work() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let store = store(dir.path(), &["6.1", "6.12"]);
        let jobs = jobs(&store, &run);
        let ids: Vec<&str> = jobs
            .iter()
            .flat_map(|job| &job.cells)
            .map(|cell| cell.cell.id.as_str())
            .collect();
        let kept = ["round.kept.6.12", "round.kept.6.12.on-6.1"];
        let again = ["round.kept.6.12+r2", "round.kept.6.12.on-6.1+r2"];
        let lost = ["round.lost.6.12", "round.lost.6.12+r2"];
        assert_eq!(ids, [&kept[..], &again, &lost].concat());
        let text = serde_json::to_string_pretty(&jobs).unwrap();
        let read: Vec<CellsJob> = serde_json::from_str(&text).unwrap();
        assert_eq!(read, jobs);
        for job in &read {
            // Elsewhere nothing is at hand, and each kernel comes from the store by its digest.
            let work = Resolver::new(&store).resolve(job).unwrap();
            assert_eq!(work.file.text, SCENARIO);
            assert_eq!(work.file.home(), Path::new("dir"));
            assert_eq!(work.variant.name, job.variant);
            assert_eq!(work.kernel.release(), "6.12.9");
            assert_eq!(work.strategy, Strategy::Fresh);
            for (cell, planned) in work.cells.iter().zip(&job.cells) {
                assert_eq!(cell.cell, planned.cell);
                let other = planned.cell.recovered_on.is_some();
                assert_eq!(cell.kernel.release(), if other { "6.1.9" } else { "6.12.9" });
                assert_eq!(
                    cell.dir.log(),
                    run.join("cells").join(&cell.cell.id).join("write.log")
                );
            }
        }
    }

    #[test]
    fn a_job_that_means_something_else_here_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), &["6.1", "6.12"]);
        let job = jobs(&store, dir.path()).remove(0);
        let refused = |change: &dyn Fn(&mut CellsJob)| {
            let mut job = job.clone();
            change(&mut job);
            Resolver::new(&store).resolve(&job).unwrap_err()
        };
        let newer = refused(&|job| job.format += 1);
        assert!(matches!(newer, ResolveError::Newer(2)), "{newer}");
        let other = refused(&|job| job.text = job.text.replace("fsync_dir: /", "fsync: new"));
        assert!(matches!(other, ResolveError::OtherVariant { .. }), "{other}");
        let gone = refused(&|job| job.variant = "none".into());
        assert!(matches!(gone, ResolveError::NoVariant { .. }), "{gone}");
        let kernel = refused(&|job| job.kernel.digest = "0".repeat(64));
        assert!(matches!(kernel, ResolveError::Kernel(_)), "{kernel}");
        let wrong = refused(&|job| job.text.push_str("more: 1\n"));
        assert!(matches!(wrong, ResolveError::Scenario(_)), "{wrong}");
    }
}
