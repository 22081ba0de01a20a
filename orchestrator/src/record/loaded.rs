//! A finished recording, read back from a cell's directory: everything that crash states are rebuilt from.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use coldcut_core::crash::index::{BlockIndex, Sources, StateImage};
use coldcut_core::crash::state::CrashState;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::log::{LoadOptions, WriteLog};
use coldcut_core::scenario::Variant;

use crate::disk::FileImage;
use crate::record::job::mount_of;
use crate::results::CellDir;
use crate::vm::client::Mount;

/// A recording that can be cut anywhere.
#[derive(Clone)]
pub struct LoadedRecording {
    /// What happened.
    pub log: Arc<WriteLog>,
    /// Which write each block holds at each cut.
    pub index: Arc<BlockIndex>,
    /// The files with the data.
    pub sources: Sources,
    /// What is doubtful about the log.
    pub warnings: Vec<String>,
    /// When it ended, in nanoseconds since 1970: what the clock shows in each recovery of it.
    ended: Option<u64>,
    dir: CellDir,
    /// What recoveries wrote, by the states that they recovered.
    again: Arc<Mutex<HashMap<String, LoadedRecording>>>,
}

impl LoadedRecording {
    /// Reads a cell's recording.
    ///
    /// # Errors
    /// [`Unknown`], naming the file.
    pub fn load(dir: &CellDir) -> Result<Self, Unknown> {
        let open = |path: std::path::PathBuf| {
            FileImage::open(&path)
                .map(Arc::new)
                .or_unknown(&format!("opening {}", path.display()))
        };
        let base = open(dir.base())?;
        Self::of_log(dir, base, &dir.log(), &dir.sidecar())
    }

    /// What the recovery of a state wrote, as a recording: its base is that state.
    ///
    /// # Errors
    /// [`Unknown`] when no such recovery is kept, or it cannot be read.
    pub fn again(&self, outer: &CrashState) -> Result<Self, Unknown> {
        let id = outer.id().to_string();
        let known = || self.again.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(&id) {
            return Ok(known.clone());
        }
        let base = Arc::new(self.image(outer)?);
        let (log, sidecar) = self.dir.again(&id);
        if !log.is_file() {
            return Err(Unknown::new(format!("no recovery of state {id} was logged")));
        }
        let loaded = Self::of_log(&self.dir, base, &log, &sidecar)?;
        known().insert(id, loaded.clone());
        Ok(loaded)
    }

    fn of_log(dir: &CellDir, base: Arc<dyn ReadAt>, log: &Path, sidecar: &Path) -> Result<Self, Unknown> {
        let open = |path: &Path| {
            FileImage::open(path)
                .map(Arc::new)
                .or_unknown(&format!("opening {}", path.display()))
        };
        let path = log;
        let ended = std::fs::metadata(path).and_then(|log| log.modified()).ok();
        let ended = ended.and_then(|ended| ended.duration_since(UNIX_EPOCH).ok());
        let (log, sidecar) = (open(log)?, open(sidecar)?);
        let loaded = WriteLog::load(&*log, Some(&*sidecar), &LoadOptions::default())
            .or_unknown(&format!("reading {}", path.display()))?;
        let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
        let log_of = Arc::new(loaded.log);
        let index = Arc::new(BlockIndex::build(Arc::clone(&log_of)));
        Ok(Self {
            log: log_of,
            index,
            sources: Sources {
                base,
                log,
                sidecar: Some(sidecar),
            },
            warnings,
            ended: ended.and_then(|ended| u64::try_from(ended.as_nanos()).ok()),
            dir: dir.clone(),
            again: Arc::default(),
        })
    }

    /// How the disks of a crash state are mounted: always at the same time, so that it makes no difference when.
    pub fn mount(&self, variant: &Variant) -> Mount {
        Mount {
            clock: self.ended,
            ..mount_of(variant)
        }
    }

    /// A crash state as a disk.
    ///
    /// # Errors
    /// [`Unknown`] when this recording has no such state.
    pub fn image(&self, state: &CrashState) -> Result<StateImage, Unknown> {
        if let Some((outer, inner)) = state.before_last_cut() {
            return self.again(&outer)?.image(inner);
        }
        self.index
            .image(state, &self.sources)
            .or_unknown(&format!("crash state {}", state.id()))
    }
}
