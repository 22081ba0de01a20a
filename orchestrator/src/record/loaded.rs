//! A finished recording, read back from a cell's directory: everything that crash states are rebuilt from.

use std::sync::Arc;

use coldcut_core::crash::index::{BlockIndex, Sources, StateImage};
use coldcut_core::crash::state::CrashState;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::log::{LoadOptions, WriteLog};

use crate::disk::FileImage;
use crate::results::CellDir;

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
        let (base, log, sidecar) = (open(dir.base())?, open(dir.log())?, open(dir.sidecar())?);
        let loaded = WriteLog::load(&*log, Some(&*sidecar), &LoadOptions::default())
            .or_unknown(&format!("reading {}", dir.log().display()))?;
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
        })
    }

    /// A crash state as a disk.
    ///
    /// # Errors
    /// [`Unknown`] when this recording has no such state.
    pub fn image(&self, state: &CrashState) -> Result<StateImage, Unknown> {
        self.index
            .image(state, &self.sources)
            .or_unknown(&format!("crash state {}", state.id()))
    }
}
