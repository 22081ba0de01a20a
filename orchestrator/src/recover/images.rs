//! The crash states of a recording, and their different images as work for machines.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coldcut_core::crash::index::{BLOCK, Digest, DigestCursor};
use coldcut_core::crash::plan::{Complete, CrashSpec};
use coldcut_core::crash::reads::{BlockDigest, Exploration};
use coldcut_core::crash::state::CrashState;
use coldcut_core::oracle::cell::{Recoveries, Round, StateOf, Strategy};
use coldcut_core::outcome::event::{Event, Phase};
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::outcome::result::StateCounts;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::block::ReadAt as _;
use coldcut_core::scenario::Variant;
use coldcut_wire::PatternName;

use crate::disk::Noted;
use crate::kernel::Kernel;
use crate::record::job::mount_of;
use crate::record::loaded::LoadedRecording;
use crate::record::timings::Timings;
use crate::recover::explore::{Explored, Exploring};
use crate::recover::programs::{Asking, Programs};
use crate::recover::recoverer::{RecoverJob, machine_key};
use crate::recover::remembered::{Questions, Remembered};
use crate::recover::rounds::{Purpose, Work};
use crate::results::CellDir;
use crate::vm::pool::Pool;

/// Recoveries of complete plans, unless a budget says otherwise.
const MOST_RECOVERIES: u64 = 2000;

/// An image, by the digest of its bytes and the first crash state that has it.
pub(crate) type Image = (Digest, CrashState);

/// The crash states that a variant's plans list, and the plans whose states are covered by what recoveries read.
pub(crate) struct Planned {
    /// All that are listed.
    pub(crate) states: Vec<StateOf>,
    /// The different images of those.
    pub(crate) images: Arc<Vec<Image>>,
    /// How many there are.
    pub(crate) counts: StateCounts,
    /// What programs are asked about them.
    pub(crate) asking: Option<Arc<Asking>>,
    complete: Vec<Complete>,
}

/// The crash states of a cell, as far as anything is known of them before its rounds.
pub(crate) struct Covered {
    /// What is to be judged.
    pub(crate) states: Vec<StateOf>,
    /// Their different images.
    pub(crate) images: Arc<Vec<Image>>,
    /// What is known of these.
    pub(crate) known: Recoveries,
}

/// Images by what they hold.
#[derive(Default)]
struct Indices(HashMap<Digest, usize>);

impl Indices {
    /// The index of a state's image, which is added where it is new.
    fn of(&mut self, images: &mut Vec<Image>, digest: Digest, state: &CrashState) -> usize {
        *self.0.entry(digest).or_insert_with(|| {
            images.push((digest, state.clone()));
            images.len() - 1
        })
    }
}

impl Planned {
    /// Enumerates them.
    ///
    /// # Errors
    /// [`Unknown`] when the recording cannot be read.
    pub(crate) fn new(recording: &LoadedRecording, variant: &Variant) -> Result<Self, Unknown> {
        let mut cursor = DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())
            .or_unknown("reading the recording")?;
        let complete = variant
            .crash
            .complete(&recording.log)
            .or_unknown("the crash plan")?;
        let planned = variant
            .crash
            .states(&recording.log)
            .or_unknown("the crash plan")?;
        let asking = Asking::of(variant, &recording.log);
        let left_out = planned.left_out();
        let mut indices = Indices::default();
        let (mut states, mut images) = (Vec::new(), Vec::new());
        let mut cuts = BTreeSet::new();
        for state in planned {
            let digest = cursor.digest(&state).or_unknown("reading the recording")?;
            let digest = asking
                .as_ref()
                .map_or(digest, |asking| asking.with(digest, state.cut));
            cuts.insert(state.cut);
            let image = indices.of(&mut images, digest, &state);
            states.push((state, image));
        }
        cuts.extend(complete.iter().flat_map(|plan| &plan.cuts).map(|(cut, _)| *cut));
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
            asking,
            complete,
        })
    }

    /// What complete plans ask for; `None` where there are none.
    pub(crate) fn exploration(&self, recording: &LoadedRecording, spec: &CrashSpec) -> Option<Exploration> {
        let budget = budget(spec);
        (!self.complete.is_empty())
            .then(|| Exploration::new(&recording.index, &recording.sources, &self.complete, budget))
            .map(|exploration| match &self.asking {
                Some(asking) => exploration.asking(|cut| asking.digest(cut)),
                None => exploration,
            })
    }

    /// The listed states alone.
    pub(crate) fn listed(&self) -> Covered {
        Covered {
            states: self.states.clone(),
            images: Arc::clone(&self.images),
            known: Recoveries::new(self.images.len()),
        }
    }

    /// The listed states, to which those that are explored are added.
    pub(crate) fn gather(&self) -> Gathered {
        let mut gathered = Gathered {
            states: self.states.clone(),
            images: self.images.to_vec(),
            asking: self.asking.clone(),
            ..Gathered::default()
        };
        let numbered = gathered.images.iter().enumerate();
        gathered.indices = Indices(numbered.map(|(index, (digest, _))| (*digest, index)).collect());
        gathered
    }
}

/// States as they become known, with the recoveries of those that were explored.
#[derive(Default)]
pub(crate) struct Gathered {
    asking: Option<Arc<Asking>>,
    states: Vec<StateOf>,
    images: Vec<Image>,
    indices: Indices,
    outcomes: BTreeMap<usize, Result<Recovery, Unknown>>,
    /// Images for which others' recoveries answer.
    inferred: BTreeMap<usize, usize>,
    /// What was explored: each state that is judged, and the image whose recovery answers for it.
    answers: Vec<(Image, usize)>,
    differing: bool,
}

/// A state whose recovery may be cut off.
pub(crate) struct Outer {
    /// The state, and its image.
    pub(crate) image: Image,
    /// The image whose recovery is its own: two with the same write the same.
    pub(crate) source: usize,
}

/// Says what a state's image is called.
struct Digester<'a> {
    cursor: DigestCursor,
    /// The state whose recovery was cut off, and its image.
    outer: Option<&'a Image>,
    /// What programs are asked about it is a part of what tells an image from others.
    asking: Option<Arc<Asking>>,
}

impl<'a> Digester<'a> {
    fn new(
        recording: &LoadedRecording,
        outer: Option<&'a Image>,
        asking: Option<Arc<Asking>>,
    ) -> Result<Self, Unknown> {
        let cursor = DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())
            .or_unknown("reading the recording")?;
        Ok(Self {
            cursor,
            outer,
            asking,
        })
    }

    /// The state as one of the cell's recording, and its image's digest.
    fn of(&mut self, state: CrashState) -> Result<Image, Unknown> {
        let inner = self.cursor.digest(&state).or_unknown("reading the recording")?;
        Ok(match self.outer {
            None => match &self.asking {
                Some(asking) => (asking.with(inner, state.cut), state),
                None => (inner, state),
            },
            Some((digest, outer)) => {
                let both = BlockDigest::of(&[digest.0, inner.0].concat());
                (Digest(both.0), outer.cut_again(state))
            }
        })
    }
}

impl Gathered {
    /// Adds what was explored of a recording, or of what the recovery of `outer` wrote.
    ///
    /// # Errors
    /// [`Unknown`] when the recording cannot be read.
    pub(crate) fn add(
        &mut self,
        recording: &LoadedRecording,
        outer: Option<&Image>,
        explored: Explored,
    ) -> Result<(), Unknown> {
        let mut digester = Digester::new(recording, outer, self.asking.clone())?;
        let (mut own, mut earlier) = (Vec::new(), BTreeMap::new());
        for (number, (state, recovery)) in explored.recovered.into_iter().enumerate() {
            own.push(if let Some(state) = state {
                let image = self.index_of(&digester.of(state)?);
                self.outcomes.insert(image, Ok(recovery));
                Some(image)
            } else {
                earlier.insert(number, recovery);
                None
            });
        }
        for (state, outcome) in explored.besides {
            let named = digester.of(state)?;
            let image = self.index_of(&named);
            self.outcomes.entry(image).or_insert(outcome);
            self.states.push((named.1, image));
        }
        for answer in explored.answers {
            let (new, number) = (self.images.len(), answer.recovery as usize);
            let named = digester.of(answer.state)?;
            let image = self.index_of(&named);
            match (own[number], earlier.remove(&number)) {
                (Some(from), _) if image == new => {
                    self.inferred.insert(image, from);
                }
                // The first state for which an earlier run's recovery answers stands for what that one recovered.
                (None, Some(recovery)) => {
                    own[number] = Some(image);
                    if image == new {
                        self.outcomes.insert(image, Ok(recovery));
                    }
                }
                _ => {}
            }
            self.states.push((named.1.clone(), image));
            self.answers.push((named, own[number].unwrap_or(image)));
        }
        self.differing |= !explored.differing.is_empty();
        Ok(())
    }

    fn index_of(&mut self, (digest, state): &Image) -> usize {
        self.indices.of(&mut self.images, *digest, state)
    }

    /// The states that were recovered to a filesystem after so many cuts of recoveries, each at its own cut: what was
    /// acknowledged until then is what its recovery, cut off, must keep.
    pub(crate) fn outers(&self, depth: usize) -> Vec<Outer> {
        let mounted = |source: &usize| {
            let outcome = self.outcomes.get(source);
            outcome.is_some_and(|outcome| {
                let mounts = |found: &Recovery| found.mount_error.is_none() && found.panic.is_none();
                outcome.as_ref().is_ok_and(mounts)
            })
        };
        let answers = self.answers.iter();
        let answers = answers.filter(|((_, state), source)| state.again.len() == depth && mounted(source));
        answers
            .map(|(image, source)| Outer {
                image: image.clone(),
                source: *source,
            })
            .collect()
    }

    /// What is known of all of them, by recoveries of `trust`.
    pub(crate) fn covered(self, trust: Trust) -> Covered {
        let mut known = Recoveries::new(self.images.len());
        let round = Round {
            trust,
            images: self.outcomes.keys().copied().collect(),
        };
        known.learn(&round, self.outcomes.into_iter().collect());
        for (image, from) in self.inferred {
            known.infer(image, from);
        }
        if self.differing {
            known.distrust();
        }
        Covered {
            states: self.states,
            images: Arc::new(self.images),
            known,
        }
    }
}

/// Where images are recovered, and for which cell.
pub(crate) struct Recovering<'a> {
    pub(crate) cell: &'a str,
    pub(crate) variant: &'a Variant,
    pub(crate) kernel: &'a Arc<Kernel>,
    pub(crate) dir: &'a CellDir,
    pub(crate) timings: &'a Arc<Timings>,
    /// The programs that judge, if any do.
    pub(crate) programs: Option<Arc<Programs>>,
    /// What they are asked about.
    pub(crate) asking: Option<Arc<Asking>>,
}

impl Recovering<'_> {
    /// The images of a recording as work for machines with this kernel.
    pub(crate) fn work(
        &self,
        pool: &Arc<Pool>,
        recording: &LoadedRecording,
        images: &Arc<Vec<Image>>,
    ) -> Work<RecoverJob> {
        let (jobs, all) = (self.jobs(recording), Arc::clone(images));
        let make = move |image: usize, purpose: Purpose| {
            let state = &all[image].1;
            jobs.make(state, &purpose.to_string(), purpose == Purpose::Screen)
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

/// Makes jobs of crash states.
#[derive(Clone)]
struct Jobs {
    recording: LoadedRecording,
    variant: Arc<Variant>,
    patterns: Arc<Vec<PatternName>>,
    kernel: Arc<Kernel>,
    dir: CellDir,
    programs: Option<Arc<Programs>>,
    asking: Option<Arc<Asking>>,
}

impl Jobs {
    /// The recovery of a state, for this purpose.
    fn make(&self, state: &CrashState, purpose: &str, screening: bool) -> Result<RecoverJob, Unknown> {
        Ok(RecoverJob {
            image: Arc::new(self.recording.image(state)?),
            disks: self.recording.log.disks().clone(),
            noted: None,
            kernel: Arc::clone(&self.kernel),
            mount: self.recording.mount(&self.variant),
            patterns: Arc::clone(&self.patterns),
            console: self.dir.console(&format!("{}.{purpose}", state.id())),
            // Screening looks at every image: there the checker runs only where it decides something.
            fsck: self.variant.wants_fsck() || !screening,
            programs: self.programs.clone(),
            asked: self.asking.as_ref().and_then(|asking| asking.at(state.cut)),
        })
    }
}

impl Recovering<'_> {
    fn jobs(&self, recording: &LoadedRecording) -> Jobs {
        Jobs {
            recording: recording.clone(),
            variant: Arc::new(self.variant.clone()),
            patterns: Arc::new(self.variant.patterns()),
            kernel: Arc::clone(self.kernel),
            dir: self.dir.clone(),
            programs: self.programs.clone(),
            asking: self.asking.clone(),
        }
    }

    /// The recovery of a state, whose writes are to be logged.
    ///
    /// # Errors
    /// [`Unknown`] when this recording has no such state.
    pub(crate) fn to_log(
        &self,
        recording: &LoadedRecording,
        state: &CrashState,
    ) -> Result<RecoverJob, Unknown> {
        self.jobs(recording).make(state, "again", true)
    }

    /// Recoveries of earlier runs, by machines of this kind, of the same questions. There are none where each state is to
    /// have a kernel of its own, or where nothing of the sort can be kept, which is noticed.
    pub(crate) async fn remembered(
        &self,
        pool: &Pool,
        recording: &LoadedRecording,
        strategy: Strategy,
    ) -> Option<Arc<Remembered>> {
        let templates = pool
            .templates
            .as_ref()
            .filter(|_| strategy.first() == Trust::Screened)
            .filter(|_| self.asking.as_ref().is_none_or(|asking| asking.deterministic()))?;
        let size = recording.sources.base.size();
        let (mount, patterns) = (mount_of(self.variant), self.variant.patterns());
        let disks = recording.log.disks();
        let dir = self.programs.as_ref().map(|programs| &programs.guest);
        let machine = machine_key(pool, self.kernel, (&mount.fstype, dir), disks).await?;
        let verifiers: Vec<_> = self
            .variant
            .verifiers()
            .map(|(index, verifier)| (index, verifier.clone()))
            .collect();
        let (root, fsck) = (templates.cache().to_owned(), self.variant.wants_fsck());
        let opened = tokio::task::spawn_blocking(move || {
            let questions = Questions {
                machine: &machine,
                size,
                mount: (&mount.fstype, &mount.data, &mount.flags, mount.repair),
                patterns: &patterns,
                fsck,
                verifiers: &verifiers,
            };
            Remembered::open(&root, &questions)
        });
        match opened.await {
            Ok(Ok(remembered)) => Some(Arc::new(remembered)),
            Ok(Err(error)) => {
                let text = format!("recoveries of earlier runs are not at hand: {error}");
                pool.events.notice(Some(self.cell), text);
                None
            }
            Err(_) => None,
        }
    }

    /// Keeps what exploring found beside the recording, as rounds keep what they find.
    pub(crate) fn keep(&self, pool: &Pool, covered: &Covered) {
        for (image, (digest, _)) in covered.images.iter().enumerate() {
            let own = covered.known.inferred_from(image).is_none();
            if let (true, Ok(recovery)) = (own, covered.known.outcome(image)) {
                keep(self.dir, &digest.to_string(), recovery, pool, self.cell);
            }
        }
    }

    /// Where programs are no function of what they read: every block in which states may differ. A recovery that has read
    /// them all answers for its own content only.
    fn each_block(
        &self,
        recording: &LoadedRecording,
        outer: Option<&CrashState>,
    ) -> Result<Vec<u64>, Unknown> {
        if self.asking.as_ref().is_none_or(|asking| asking.deterministic()) {
            return Ok(Vec::new());
        }
        let log = match outer {
            Some(outer) => recording.again(outer)?.log,
            None => Arc::clone(&recording.log),
        };
        let blocks = log.requests().flat_map(|request| {
            let end = request.io.offset.saturating_add(request.io.len);
            request.io.offset / BLOCK..end.div_ceil(BLOCK)
        });
        Ok(blocks.collect::<BTreeSet<u64>>().into_iter().collect())
    }

    /// How to explore the recording's states, or those of the log of what the recovery of `outer` wrote.
    pub(crate) fn exploring(
        &self,
        pool: &Arc<Pool>,
        recording: &LoadedRecording,
        strategy: Strategy,
        outer: Option<&CrashState>,
        remembered: Option<Arc<Remembered>>,
    ) -> Exploring<RecoverJob> {
        let trust = strategy.first();
        let jobs = self.jobs(recording);
        let each = self.each_block(recording, outer);
        // What is cut off again is the same cell's.
        let few = if outer.is_some() { 1 } else { 4 };
        let outer = outer.cloned();
        let whole = move |state: &CrashState| match &outer {
            Some(outer) => outer.cut_again(state.clone()),
            None => state.clone(),
        };
        let of = whole.clone();
        let make = move |state: &CrashState| {
            let mut job = jobs.make(&of(state), "explore", trust == Trust::Screened)?;
            let noted = Arc::new(Noted::new(Arc::clone(&job.image)));
            if let Some(asked) = &job.asked {
                noted.ask(asked.digest());
            }
            for block in &each.clone()? {
                noted.read_block(*block).or_unknown("reading the recording")?;
            }
            job.image = Arc::clone(&noted) as _;
            job.noted = Some(Arc::clone(&noted));
            Ok((job, noted))
        };
        let (pool, cell) = (Arc::clone(pool), self.cell.to_owned());
        let timings = Arc::clone(self.timings);
        let on_done =
            move |state: &CrashState, outcome: Result<&Recovery, &Unknown>, millis, (done, more)| {
                timings.add_millis(Phase::Recover, millis);
                pool.events.send(Event::Recovered {
                    cell: cell.clone(),
                    state: whole(state).id().to_string(),
                    trust: outcome.ok().map(|recovery| recovery.trust),
                    done,
                    of: done + more,
                    millis,
                    inconclusive: outcome.err().map(|u| u.words().to_owned()),
                });
            };
        Exploring {
            job: Arc::new(make),
            done: Arc::new(on_done),
            trust,
            sampler: trust.max(Trust::Fresh),
            time: self.variant.crash.seconds.map(Duration::from_secs),
            samples: Box::new(move |classes| samples_of(classes, few)),
            seed: self.variant.crash.seed,
            remembered,
        }
    }
}

/// How many recoveries a complete plan may take.
pub(crate) fn budget(spec: &CrashSpec) -> u64 {
    spec.budget.unwrap_or(MOST_RECOVERIES)
}

/// One in a hundred of what was inferred is recovered all the same, and a few at least.
fn samples_of(classes: u64, few: u64) -> u64 {
    (classes / 100).max(few)
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
