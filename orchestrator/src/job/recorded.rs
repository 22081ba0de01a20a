//! Kept cells with their recordings, to be compared.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::bail;
use coldcut_core::outcome::diff::IoProfile;
use coldcut_core::outcome::result::{CellRef, CellResult};

use crate::job::kept::KeptCell;
use crate::record::loaded::LoadedRecording;
use crate::results::{CellDir, RunInfo, find_run, load_result, load_run};

/// A cell of a kept run, with its recording.
pub struct RecordedCell {
    /// The cell.
    pub kept: KeptCell,
    /// Release of the kernel that recorded.
    pub release: String,
    /// Release of the kernel that recovered.
    pub recovered: String,
    /// What came of it, if it was finished.
    pub result: Option<CellResult>,
    /// Its directory.
    pub dir: CellDir,
    /// Its recording.
    pub recording: LoadedRecording,
    /// Its name in a replay command.
    pub name: String,
}

/// The cells of a run, or the one cell, that `text` names and that have a recording; `note` is told of the others.
///
/// # Errors
/// When there is no such run, or no such cell.
pub fn recorded_cells(
    results: &Path,
    text: &str,
    mut note: impl FnMut(String),
) -> anyhow::Result<Vec<RecordedCell>> {
    let (dir, only) = match (find_run(results, text), text.rsplit_once('/')) {
        (Ok(dir), _) => (dir, None),
        (Err(_), Some((run, cell))) => (find_run(results, run)?, Some(cell)),
        (Err(error), None) => return Err(error.into()),
    };
    let info = load_run(&dir)?;
    let mut results: Vec<CellResult> = load_result(&dir).map_or_else(|_| Vec::new(), |result| result.cells);
    let mut found = Vec::new();
    for cell in info
        .cells
        .iter()
        .filter(|cell| only.is_none_or(|only| cell.id == only))
    {
        let index = results.iter().position(|result| result.cell.id == cell.id);
        let result = index.map(|index| results.swap_remove(index));
        match RecordedCell::load(&dir, &info, cell, result)? {
            Ok(cell) => found.push(cell),
            Err(why) => note(why),
        }
    }
    if found.is_empty() {
        let ids: Vec<&str> = info.cells.iter().map(|c| c.id.as_str()).collect();
        bail!(
            "{text} names no cell with a recording; the run has {}",
            ids.join(", ")
        );
    }
    Ok(found)
}

impl RecordedCell {
    /// Reads a cell; where it has no recording, why not.
    fn load(
        dir: &Path,
        info: &RunInfo,
        cell: &CellRef,
        result: Option<CellResult>,
    ) -> anyhow::Result<Result<Self, String>> {
        if !dir.join("cells").join(&cell.id).join("write.log").is_file() {
            return Ok(Err(format!("{} has no recording", cell.id)));
        }
        let kept = KeptCell::load(dir, cell)?;
        let cell_dir = kept.dir()?;
        let recording = match LoadedRecording::load(&cell_dir) {
            Ok(recording) => recording,
            Err(error) => return Ok(Err(format!("{}: {error}", cell.id))),
        };
        let release = |name: &String| {
            let kernel = info.kernels.iter().find(|k| k.name == *name);
            kernel.map_or_else(|| name.clone(), |k| k.release.clone())
        };
        Ok(Ok(Self {
            kept,
            release: release(&cell.kernel),
            recovered: release(cell.recovered_on.as_ref().unwrap_or(&cell.kernel)),
            result,
            dir: cell_dir,
            recording,
            name: format!("{}/{}", dir.display(), cell.id),
        }))
    }

    /// Its kernel's release, or both.
    pub fn kernels(&self) -> String {
        if self.kept.cell.recovered_on.is_none() {
            self.release.clone()
        } else {
            format!("{} → {}", self.release, self.recovered)
        }
    }

    /// What its kernel sent to the disk.
    pub fn profile(&self) -> IoProfile {
        IoProfile::of(&self.recording.log)
    }

    /// Whether it shares its recording with another: the same file, or one with the same bytes.
    pub fn same_recording(&self, other: &Self) -> bool {
        if self.kept.cell.kernel != other.kept.cell.kernel {
            return false;
        }
        let (a, b) = (self.dir.log(), other.dir.log());
        match (fs::metadata(&a), fs::metadata(&b)) {
            (Ok(x), Ok(y)) if (x.dev(), x.ino()) == (y.dev(), y.ino()) => true,
            (Ok(x), Ok(y)) if x.len() == y.len() => {
                matches!((digest_of(&a), digest_of(&b)), (Ok(a), Ok(b)) if a == b)
            }
            _ => false,
        }
    }
}

fn digest_of(path: &Path) -> std::io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut fs::File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize())
}

/// Pairs cells of the same scenario and variant. Within a run, each is paired with the first that has the same
/// recording, else with the first. Between two runs, cells on the same kernels are paired, else each with each.
pub fn pairs<'c>(
    left: &'c [RecordedCell],
    right: Option<&'c [RecordedCell]>,
) -> Vec<(&'c RecordedCell, &'c RecordedCell)> {
    let same = |a: &RecordedCell, b: &RecordedCell| {
        (&a.kept.cell.scenario, &a.kept.cell.variant) == (&b.kept.cell.scenario, &b.kept.cell.variant)
    };
    let mut out = Vec::new();
    for (index, a) in left.iter().enumerate() {
        if let Some(right) = right {
            let of: Vec<&RecordedCell> = right.iter().filter(|b| same(a, b)).collect();
            let kernels = |cell: &RecordedCell| (cell.release.clone(), cell.recovered.clone());
            match of.iter().find(|b| kernels(b) == kernels(a)) {
                Some(b) if of.len() > 1 => out.push((a, *b)),
                _ => out.extend(of.into_iter().map(|b| (a, b))),
            }
        } else {
            let mut earlier = left[..index].iter().filter(|b| same(a, b));
            let first = earlier.clone().next();
            out.extend(earlier.find(|b| b.same_recording(a)).or(first).map(|b| (b, a)));
        }
    }
    out
}
