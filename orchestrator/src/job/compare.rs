//! Compares cells that are kept: what kernels sent to the disk, and what they recovered.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use coldcut_core::crash::index::{Digest, DigestCursor};
use coldcut_core::crash::state::{CrashState, PlanKind, Set};
use coldcut_core::outcome::diff::{Difference, IoProfile, common, recoveries};
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::outcome::result::{CellRef, CellResult};
use coldcut_core::recording::log::Cut;

use crate::job::kept::KeptCell;
use crate::kernel::Kernel;
use crate::record::job::mount_of;
use crate::record::loaded::LoadedRecording;
use crate::recover::recoverer::{Machines, RecoverJob, Recoverer as _};
use crate::results::{CellDir, RunInfo, find_run, load_result, load_run};
use crate::vm::pool::Pool;

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
    /// As a replay command names it.
    pub name: String,
}

/// What was recovered at several places, compared.
#[derive(Debug, Default)]
pub struct Compared {
    /// Each place that both have, and what differs there.
    pub places: Vec<(String, Vec<Difference>)>,
    /// How many places were not recovered on both.
    pub missing: usize,
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
        let place = results.iter().position(|result| result.cell.id == cell.id);
        let result = place.map(|place| results.swap_remove(place));
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

    /// Whether it is made of the same recording as another: the very file, or one with the same bytes.
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

/// Which cells are compared: of the same scenario and variant. Within a run each with the first that has the same
/// recording, else with the first. Of two runs those on the same kernels where both have them, else each with each.
pub fn pairs<'c>(
    left: &'c [RecordedCell],
    right: Option<&'c [RecordedCell]>,
) -> Vec<(&'c RecordedCell, &'c RecordedCell)> {
    let same = |a: &RecordedCell, b: &RecordedCell| {
        (&a.kept.cell.scenario, &a.kept.cell.variant) == (&b.kept.cell.scenario, &b.kept.cell.variant)
    };
    let mut out = Vec::new();
    for (place, a) in left.iter().enumerate() {
        if let Some(right) = right {
            let of: Vec<&RecordedCell> = right.iter().filter(|b| same(a, b)).collect();
            let kernels = |cell: &RecordedCell| (cell.release.clone(), cell.recovered.clone());
            match of.iter().find(|b| kernels(b) == kernels(a)) {
                Some(b) if of.len() > 1 => out.push((a, *b)),
                _ => out.extend(of.into_iter().map(|b| (a, b))),
            }
        } else {
            let mut earlier = left[..place].iter().filter(|b| same(a, b));
            let first = earlier.clone().next();
            out.extend(earlier.find(|b| b.same_recording(a)).or(first).map(|b| (b, a)));
        }
    }
    out
}

/// What two kernels recovered at the same points of a workload that each recorded.
///
/// # Errors
/// When what is kept cannot be read.
pub fn compare_points(a: &RecordedCell, b: &RecordedCell) -> anyhow::Result<Compared> {
    let (mut left, mut right) = (Recoveries::new(a)?, Recoveries::new(b)?);
    let mut compared = Compared::default();
    for (name, cut_a, cut_b) in common(&a.recording.log, &b.recording.log) {
        for (set, what) in [
            (Set::Durable, "what is durable alone"),
            (Set::Completed, "all that completed"),
        ] {
            match (left.at(cut_a, set.clone())?, right.at(cut_b, set)?) {
                (Some(x), Some(y)) => compared.add(format!("{name}, {what}"), recoveries(&x, &y)),
                _ => compared.missing += 1,
            }
        }
    }
    Ok(compared)
}

/// What two kernels made of the same disks.
///
/// # Errors
/// When what is kept cannot be read.
pub fn compare_contents(a: &RecordedCell, b: &RecordedCell) -> anyhow::Result<Compared> {
    let mut compared = Compared::default();
    for (digest, state) in contents(a)? {
        let kept = |cell: &RecordedCell| read(&cell.dir.recovery(&digest.to_string()));
        match (kept(a)?, kept(b)?) {
            (Some(x), Some(y)) => {
                let name = format!("coldcut replay {}/{}", b.name, state.id());
                compared.add(name, recoveries(&x, &y));
            }
            _ => compared.missing += 1,
        }
    }
    Ok(compared)
}

/// Recovers at most `most` of a cell's contents on another kernel, which the user calls `spec`, and compares; `note` is
/// told of what could not be recovered.
///
/// # Errors
/// When what is kept cannot be read.
pub async fn compare_on(
    cell: &RecordedCell,
    pool: &Pool,
    (spec, kernel): (&str, &Arc<Kernel>),
    most: usize,
    mut note: impl FnMut(String),
) -> anyhow::Result<Compared> {
    let contents = contents(cell)?;
    let mut compared = Compared {
        places: Vec::new(),
        missing: contents.len().saturating_sub(most),
    };
    for (digest, state) in contents.into_iter().take(most) {
        let Some(before) = read(&cell.dir.recovery(&digest.to_string()))? else {
            compared.missing += 1;
            continue;
        };
        let id = state.id();
        let job = RecoverJob {
            image: Arc::new(cell.recording.image(&state)?),
            noted: None,
            kernel: Arc::clone(kernel),
            mount: mount_of(&cell.kept.variant),
            contents: Arc::new(cell.kept.variant.contents()),
            console: cell.dir.console(&format!("diff-{id}")),
            fsck: before.fsck.is_some(),
        };
        match Machines.recover(pool, &job, Trust::Fresh).await {
            Ok(after) => {
                let name = format!("coldcut replay {}/{id} --kernel {spec}", cell.name);
                compared.add(name, recoveries(&before, &after));
            }
            Err(error) => {
                compared.missing += 1;
                note(format!("{id} could not be recovered: {error}"));
            }
        }
    }
    Ok(compared)
}

impl Compared {
    fn add(&mut self, place: String, differences: Vec<Difference>) {
        self.places.push((place, differences));
    }

    /// How many places differ.
    pub fn differing(&self) -> usize {
        self.places
            .iter()
            .filter(|(_, differences)| !differences.is_empty())
            .count()
    }

    /// The places that differ, those with the same differences together.
    pub fn groups(&self) -> Vec<(&[Difference], Vec<&str>)> {
        let mut groups: Vec<(&[Difference], Vec<&str>)> = Vec::new();
        for (name, differences) in self
            .places
            .iter()
            .filter(|(_, differences)| !differences.is_empty())
        {
            match groups.iter_mut().find(|(of, _)| *of == differences.as_slice()) {
                Some((_, names)) => names.push(name),
                None => groups.push((differences, vec![name])),
            }
        }
        groups
    }
}

/// A cell's kept recoveries, found by crash state.
struct Recoveries<'c> {
    cell: &'c RecordedCell,
    cursor: DigestCursor,
}

impl<'c> Recoveries<'c> {
    fn new(cell: &'c RecordedCell) -> anyhow::Result<Self> {
        let recording = &cell.recording;
        Ok(Self {
            cell,
            cursor: DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())?,
        })
    }

    /// What was recovered at a cut, if the run's plan went there.
    fn at(&mut self, cut: Cut, set: Set) -> anyhow::Result<Option<Recovery>> {
        let digest = self
            .cursor
            .digest(&CrashState::new(PlanKind::Barriers, cut, set))?;
        read(&self.cell.dir.recovery(&digest.to_string()))
    }
}

fn read(path: &Path) -> anyhow::Result<Option<Recovery>> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("{} is not a recovery of coldcut's", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The distinct contents of a cell's plan with the first state that has each.
fn contents(cell: &RecordedCell) -> anyhow::Result<Vec<(Digest, CrashState)>> {
    let recording = &cell.recording;
    let mut cursor = DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())?;
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for state in cell.kept.variant.crash.states(&recording.log)? {
        let digest = cursor.digest(&state)?;
        if seen.insert(digest) {
            out.push((digest, state));
        }
    }
    Ok(out)
}
