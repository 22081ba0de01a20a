//! Compares what kernels recovered in kept cells.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use coldcut_core::crash::index::{Digest, DigestCursor};
use coldcut_core::crash::state::{CrashState, PlanKind, Set};
use coldcut_core::outcome::diff::{Difference, common, recoveries};
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::recording::log::Cut;

use crate::job::recorded::RecordedCell;
use crate::kernel::Kernel;
use crate::recover::programs::Asking;
use crate::recover::recoverer::{Machines, RecoverJob, Recoverer as _};
use crate::vm::pool::Pool;

/// What two kernels recovered from several crash states, compared.
#[derive(Debug, Default)]
pub struct Compared {
    /// Each crash state that both have, and what differs there.
    pub states: Vec<(String, Vec<Difference>)>,
    /// How many crash states were not recovered on both.
    pub missing: usize,
}

/// What two kernels recovered at the same points of a workload that each recorded.
///
/// # Errors
/// When a kept file cannot be read.
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
/// When a kept file cannot be read.
pub fn compare_images(a: &RecordedCell, b: &RecordedCell) -> anyhow::Result<Compared> {
    let mut compared = Compared::default();
    for (digest, state) in images(a)? {
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

/// Recovers at most `most` of a cell's images on another kernel, which the user calls `spec`, and compares; `note` is
/// told of what could not be recovered.
///
/// # Errors
/// When a kept file cannot be read.
pub async fn compare_on(
    cell: &RecordedCell,
    pool: &Pool,
    (spec, kernel): (&str, &Arc<Kernel>),
    most: usize,
    mut note: impl FnMut(String),
) -> anyhow::Result<Compared> {
    let images = images(cell)?;
    let mut compared = Compared {
        states: Vec::new(),
        missing: images.len().saturating_sub(most),
    };
    for (digest, state) in images.into_iter().take(most) {
        let Some(before) = read(&cell.dir.recovery(&digest.to_string()))? else {
            compared.missing += 1;
            continue;
        };
        let id = state.id();
        let job = RecoverJob {
            image: Arc::new(cell.recording.image(&state)?),
            disks: cell.recording.log.disks().clone(),
            noted: None,
            kernel: Arc::clone(kernel),
            mount: cell.recording.mount(&cell.kept.variant),
            patterns: Arc::new(cell.kept.variant.patterns()),
            console: cell.dir.console(&format!("diff-{id}")),
            fsck: before.fsck.is_some(),
            programs: None,
            asked: None,
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
    fn add(&mut self, state: String, differences: Vec<Difference>) {
        self.states.push((state, differences));
    }

    /// How many states differ.
    pub fn differing(&self) -> usize {
        self.states
            .iter()
            .filter(|(_, differences)| !differences.is_empty())
            .count()
    }

    /// The states that differ, those with the same differences together.
    pub fn groups(&self) -> Vec<(&[Difference], Vec<&str>)> {
        let mut groups: Vec<(&[Difference], Vec<&str>)> = Vec::new();
        for (name, differences) in self
            .states
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
    asking: Option<Arc<Asking>>,
}

impl<'c> Recoveries<'c> {
    fn new(cell: &'c RecordedCell) -> anyhow::Result<Self> {
        let recording = &cell.recording;
        Ok(Self {
            cell,
            cursor: DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())?,
            asking: Asking::of(&cell.kept.variant, &recording.log),
        })
    }

    /// What was recovered at a cut, if the run's plan went there.
    fn at(&mut self, cut: Cut, set: Set) -> anyhow::Result<Option<Recovery>> {
        let digest = self
            .cursor
            .digest(&CrashState::new(PlanKind::Barriers, cut, set))?;
        let asking = self.asking.as_ref();
        let digest = asking.map_or(digest, |asking| asking.with(digest, cut));
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

/// The distinct images of a cell's plan, each with the first state that has it.
fn images(cell: &RecordedCell) -> anyhow::Result<Vec<(Digest, CrashState)>> {
    let recording = &cell.recording;
    let mut cursor = DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())?;
    let asking = Asking::of(&cell.kept.variant, &recording.log);
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for state in cell.kept.variant.crash.states(&recording.log)? {
        let digest = cursor.digest(&state)?;
        let digest = asking
            .as_ref()
            .map_or(digest, |asking| asking.with(digest, state.cut));
        if seen.insert(digest) {
            out.push((digest, state));
        }
    }
    Ok(out)
}
