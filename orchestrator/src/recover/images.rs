//! The crash states of a recording, and their different images as work for machines.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use coldcut_core::crash::index::{Digest, DigestCursor};
use coldcut_core::crash::state::CrashState;
use coldcut_core::oracle::cell::StateOf;
use coldcut_core::outcome::event::{Event, Phase};
use coldcut_core::outcome::recovery::Recovery;
use coldcut_core::outcome::result::StateCounts;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::scenario::Variant;

use crate::kernel::Kernel;
use crate::record::job::mount_of;
use crate::record::loaded::LoadedRecording;
use crate::record::timings::Timings;
use crate::recover::recoverer::RecoverJob;
use crate::recover::rounds::{Purpose, Work};
use crate::results::CellDir;
use crate::vm::pool::Pool;

/// An image, by the digest of its bytes and the first crash state that has it.
pub(crate) type Image = (Digest, CrashState);

/// The crash states that a variant's plan makes of a recording.
pub(crate) struct Planned {
    /// All of them.
    pub(crate) states: Vec<StateOf>,
    /// The different images.
    pub(crate) images: Arc<Vec<Image>>,
    /// How many there are.
    pub(crate) counts: StateCounts,
}

impl Planned {
    /// Enumerates them.
    ///
    /// # Errors
    /// [`Unknown`] when the recording cannot be read.
    pub(crate) fn new(recording: &LoadedRecording, variant: &Variant) -> Result<Self, Unknown> {
        let mut cursor = DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())
            .or_unknown("reading the recording")?;
        let planned = variant
            .crash
            .states(&recording.log)
            .or_unknown("the crash plan")?;
        let left_out = planned.left_out();
        let mut indices: HashMap<Digest, usize> = HashMap::new();
        let (mut states, mut images) = (Vec::new(), Vec::new());
        let mut cuts = BTreeSet::new();
        for state in planned {
            let digest = cursor.digest(&state).or_unknown("reading the recording")?;
            let image = *indices.entry(digest).or_insert_with(|| {
                images.push((digest, state.clone()));
                images.len() - 1
            });
            cuts.insert(state.cut);
            states.push((state, image));
        }
        let counts = StateCounts {
            cuts: cuts.len() as u64,
            total: states.len() as u64,
            distinct: images.len() as u64,
            left_out,
            ..StateCounts::default()
        };
        Ok(Self {
            states,
            images: Arc::new(images),
            counts,
        })
    }
}

/// Where images are recovered, and for which cell.
pub(crate) struct Recovering<'a> {
    pub(crate) cell: &'a str,
    pub(crate) variant: &'a Variant,
    pub(crate) kernel: &'a Arc<Kernel>,
    pub(crate) dir: &'a CellDir,
    pub(crate) timings: &'a Arc<Timings>,
}

impl Recovering<'_> {
    /// The images of a recording as work for machines with this kernel.
    pub(crate) fn work(
        &self,
        pool: &Arc<Pool>,
        recording: &LoadedRecording,
        images: &Arc<Vec<Image>>,
    ) -> Work<RecoverJob> {
        let patterns = Arc::new(self.variant.patterns());
        let (kernel, mount, wants_fsck) = (
            Arc::clone(self.kernel),
            mount_of(self.variant),
            self.variant.wants_fsck(),
        );
        let (recording, dir, all) = (recording.clone(), self.dir.clone(), Arc::clone(images));
        let make = move |image: usize, purpose: Purpose| {
            let state = &all[image].1;
            let screening = purpose == Purpose::Screen;
            Ok(RecoverJob {
                image: Arc::new(recording.image(state)?),
                kernel: Arc::clone(&kernel),
                mount: mount.clone(),
                patterns: Arc::clone(&patterns),
                console: dir.console(&format!("{}.{purpose}", state.id())),
                // Screening looks at every image: there the checker runs only where it decides something.
                fsck: wants_fsck || !screening,
            })
        };
        let (pool, cell, dir) = (Arc::clone(pool), self.cell.to_owned(), self.dir.clone());
        let (all, timings) = (Arc::clone(images), Arc::clone(self.timings));
        let done = Mutex::new(BTreeSet::new());
        let on_done = move |image: usize, outcome: &Result<Recovery, Unknown>, millis: u64| {
            let (digest, state) = &all[image];
            timings.add_millis(Phase::Recover, millis);
            if let Ok(recovery) = outcome {
                keep(&dir, &digest.to_string(), recovery, &pool, &cell);
            }
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.insert(image);
            pool.events.send(Event::Recovered {
                cell: cell.clone(),
                state: state.id().to_string(),
                trust: outcome.as_ref().ok().map(|recovery| recovery.trust),
                done: done.len() as u64,
                of: all.len() as u64,
                millis,
                inconclusive: outcome.as_ref().err().map(|u| u.words().to_owned()),
            });
        };
        Work {
            job: Arc::new(make),
            done: Arc::new(on_done),
        }
    }
}

/// Keeps a recovery beside its recording, for whoever wants to look.
fn keep(dir: &CellDir, digest: &str, recovery: &Recovery, pool: &Pool, cell: &str) {
    let written = serde_json::to_vec(recovery)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(dir.recovery(digest), text));
    if let Err(error) = written {
        pool.events.notice(
            Some(cell),
            format!("the recovery of content {digest} cannot be kept: {error}"),
        );
    }
}
