//! Exploring complete plans: machines recover the states that an [`Exploration`] asks for, and tell it what was read.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coldcut_core::crash::reads::{Answer, Ask, BlockRead, Exploration, Next, Reader, Reads, Sample};
use coldcut_core::crash::state::CrashState;
use coldcut_core::outcome::completeness::{Completeness, Count};
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::outcome::unknown::Unknown;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::disk::Noted;
use crate::recover::recoverer::{Recoverer, Screener};
use crate::recover::remembered::Remembered;
use crate::vm::pool::Pool;

/// A second machine is worth its start only after so many recoveries.
const WORTH_A_MACHINE: u64 = 4;
/// How often a state is tried before it counts as unknown.
const TRIES: u32 = 2;

/// Makes the job of a state, and gives the notes of what is read of its disk.
pub(crate) type MakeJob<Job> = dyn Fn(&CrashState) -> Result<(Job, Arc<Noted>), Unknown> + Send + Sync;
/// Told of each recovery: the state, its outcome, milliseconds, how many are done, and how many more there are at least.
pub(crate) type OnDone = dyn Fn(&CrashState, Result<&Recovery, &Unknown>, u64, (u64, u64)) + Send + Sync;

/// How to explore.
pub(crate) struct Exploring<Job> {
    pub(crate) job: Arc<MakeJob<Job>>,
    pub(crate) done: Arc<OnDone>,
    /// Who recovers.
    pub(crate) trust: Trust,
    /// Who recovers the sample: a guest that kept something of one state would show it in another too.
    pub(crate) sampler: Trust,
    /// How long recoveries are asked for.
    pub(crate) time: Option<Duration>,
    /// How many states that were inferred are recovered all the same, given the number of classes.
    pub(crate) samples: Box<dyn Fn(u64) -> u64 + Send + Sync>,
    /// Decides which.
    pub(crate) seed: u64,
    /// Where recoveries of earlier runs are, and where those of this one are kept.
    pub(crate) remembered: Option<Arc<Remembered>>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Explored {
    /// What is to be judged.
    pub(crate) answers: Vec<Answer>,
    /// The recoveries, by number, each with the state that was recovered; without one where an earlier run did that.
    pub(crate) recovered: Vec<(Option<CrashState>, Recovery)>,
    /// States that are judged by themselves, for what they are: those of the sample, and those whose recovery came to
    /// nothing.
    pub(crate) besides: Vec<(CrashState, Result<Recovery, Unknown>)>,
    /// How far it came.
    pub(crate) completeness: Completeness,
    /// What a reader should know besides.
    pub(crate) notes: Vec<String>,
    /// How a state recovered otherwise than was inferred, one line each.
    pub(crate) differing: Vec<String>,
    /// Blocks that a recovery read, on average, and for what.
    pub(crate) reads: Vec<(Reader, usize)>,
    /// How long it took, without the sample.
    pub(crate) time: Duration,
}

struct Shared {
    exploration: Exploration,
    explored: Explored,
    asked: u64,
    /// Drawn once everything is explored.
    samples: Option<Vec<Sample>>,
    /// What kept the recording from being read.
    broken: Option<Unknown>,
}

struct Crew<R: Recoverer> {
    pool: Arc<Pool>,
    recoverer: Arc<R>,
    exploring: Exploring<R::Job>,
    shared: Mutex<Shared>,
    /// Something became known.
    news: Notify,
    start: Instant,
}

/// What a machine does next.
enum Work {
    Ask(Box<Ask>),
    Sample(Sample),
    Wait,
    Done,
}

/// Explores until everything is covered or the budget is spent, and recovers a sample of what was inferred.
///
/// # Errors
/// [`Unknown`] when the recording cannot be read.
pub(crate) async fn explore<R: Recoverer>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    exploring: Exploring<R::Job>,
    exploration: Exploration,
) -> Result<Explored, Unknown> {
    let earlier = match exploring.remembered.clone() {
        Some(remembered) => tokio::task::spawn_blocking(move || remembered.load())
            .await
            .unwrap_or_default(),
        None => Vec::new(),
    };
    let mut shared = Shared::new(exploration);
    for (reads, recovery) in earlier {
        shared.remember(reads, recovery);
    }
    let crew = Arc::new(Crew {
        pool: Arc::clone(pool),
        recoverer: Arc::clone(recoverer),
        exploring,
        shared: Mutex::new(shared),
        news: Notify::new(),
        start: Instant::now(),
    });
    let mut machines = JoinSet::new();
    for number in 0..pool.jobs {
        machines.spawn(Arc::clone(&crew).work(number));
    }
    while let Some(ended) = machines.join_next().await {
        if let Err(error) = ended {
            // Whoever waits for its state would wait for ever.
            crew.give_up(Unknown::while_doing("recovering", error));
        }
    }
    let mut shared = crew.lock();
    match shared.broken.take() {
        Some(broken) => Err(broken),
        None => Ok(shared.finish()),
    }
}

impl<R: Recoverer> Crew<R> {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until there is nothing to do.
    async fn work(self: Arc<Self>, number: usize) {
        let _room = match self.pool.room(self.exploring.trust != Trust::Cold).await {
            Ok(room) => room,
            Err(unknown) => return self.give_up(unknown),
        };
        let mut guest = None;
        loop {
            // Registered before looking, so that nothing that becomes known in between is missed.
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let crew = Arc::clone(&self);
            let next = tokio::task::spawn_blocking(move || crew.next(number)).await;
            let next = match next {
                Ok(next) => next,
                Err(error) => return self.give_up(Unknown::while_doing("exploring", error)),
            };
            match next {
                Work::Ask(ask) => {
                    let outcome = self.tried(&ask.state, self.exploring.trust, &mut guest).await;
                    if let Ok((recovery, reads)) = &outcome {
                        self.keep(reads, recovery).await;
                    }
                    self.learn(*ask, outcome);
                }
                Work::Sample(sample) => {
                    let outcome = self
                        .tried(&sample.state, self.exploring.sampler, &mut guest)
                        .await;
                    self.lock().compare(&sample, outcome);
                }
                Work::Wait => news.await,
                Work::Done => break,
            }
            self.news.notify_waiters();
        }
        self.news.notify_waiters();
    }

    /// Has every machine end.
    fn give_up(&self, unknown: Unknown) {
        self.lock().broken.get_or_insert(unknown);
        self.news.notify_waiters();
    }

    fn next(&self, number: usize) -> Work {
        let mut shared = self.lock();
        if shared.broken.is_some() {
            return Work::Done;
        }
        if let Some(samples) = &mut shared.samples {
            return samples.pop().map_or(Work::Done, Work::Sample);
        }
        if number as u64 * WORTH_A_MACHINE > shared.asked {
            // The first machine asks before this one is worth its start, or finds that there is nothing.
            return Work::Wait;
        }
        if self
            .exploring
            .time
            .is_some_and(|most| self.start.elapsed() >= most)
        {
            shared.exploration.stop();
        }
        match shared.exploration.advance() {
            Ok(Next::Recover(ask)) => {
                shared.asked += 1;
                Work::Ask(ask)
            }
            Ok(Next::Wait) => Work::Wait,
            Ok(Next::Done) => {
                let classes = shared.exploration.coverage().classes;
                let count = (self.exploring.samples)(classes) as usize;
                let mut samples = shared.exploration.samples(count, self.exploring.seed);
                let first = samples.pop();
                shared.explored.time = self.start.elapsed();
                shared.samples = Some(samples);
                first.map_or(Work::Done, Work::Sample)
            }
            Err(error) => {
                shared.broken = Some(Unknown::while_doing("reading the recording", error));
                Work::Done
            }
        }
    }

    /// Recovers a state, once more where that comes to nothing.
    async fn tried(
        &self,
        state: &CrashState,
        trust: Trust,
        guest: &mut Option<R::Screener>,
    ) -> Result<(Recovery, Reads), Unknown> {
        let mut outcome = Err(Unknown::new("it was not tried"));
        for _ in 0..TRIES {
            let start = Instant::now();
            outcome = self.once(state, trust, guest).await;
            if outcome.is_err() || guest.as_ref().is_some_and(Screener::<R::Job>::spoiled) {
                *guest = None;
            }
            let told = outcome.as_ref().map(|(recovery, _)| recovery);
            let progress = self.lock().progress();
            (self.exploring.done)(state, told, start.elapsed().as_millis() as u64, progress);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn once(
        &self,
        state: &CrashState,
        trust: Trust,
        guest: &mut Option<R::Screener>,
    ) -> Result<(Recovery, Reads), Unknown> {
        let (job, noted) = (self.exploring.job)(state)?;
        let recovery = if trust == Trust::Screened {
            let guest = match guest {
                Some(guest) => guest,
                none => none.insert(self.recoverer.screener(&self.pool, &job).await?),
            };
            guest.recover(&self.pool, &job).await?
        } else {
            self.recoverer.recover(&self.pool, &job, trust).await?
        };
        let reads = noted
            .take()
            .ok_or_else(|| Unknown::new("what it read was not noted"))?;
        Ok((recovery, reads))
    }

    /// Keeps a recovery for later runs.
    async fn keep(&self, reads: &Reads, recovery: &Recovery) {
        let Some(remembered) = self.exploring.remembered.clone() else {
            return;
        };
        let (reads, recovery) = (reads.clone(), recovery.clone());
        let kept = tokio::task::spawn_blocking(move || remembered.add(&reads, &recovery)).await;
        if let Ok(Err(error)) = kept {
            let mut shared = self.lock();
            let note = format!("recoveries are not kept for later runs: {error}");
            if !shared.explored.notes.contains(&note) {
                shared.explored.notes.push(note);
            }
        }
    }

    fn learn(&self, ask: Ask, outcome: Result<(Recovery, Reads), Unknown>) {
        let mut shared = self.lock();
        let state = ask.state.clone();
        match outcome {
            Ok((recovery, reads)) => shared.know(ask, state, recovery, reads),
            Err(unknown) => {
                shared.exploration.fail(ask);
                shared.explored.besides.push((state, Err(unknown)));
            }
        }
    }
}

impl Shared {
    fn new(exploration: Exploration) -> Self {
        Self {
            exploration,
            explored: Explored::default(),
            asked: 0,
            samples: None,
            broken: None,
        }
    }

    /// Adds a recovery of an earlier run.
    fn remember(&mut self, reads: Reads, recovery: Recovery) {
        self.exploration.know(reads);
        self.explored.recovered.push((None, recovery));
    }

    fn know(&mut self, ask: Ask, state: CrashState, recovery: Recovery, reads: Reads) {
        let (_, twin) = self.exploration.learn(ask, reads);
        if let Some(twin) = twin {
            self.explored.completeness.sampled += 1;
            let before = &self.explored.recovered[twin as usize];
            if !before.1.same_as(&unchecked(&recovery)) {
                let line = differs(&state, before.0.as_ref());
                self.explored.differing.push(line);
            }
        }
        self.explored.recovered.push((Some(state), recovery));
        self.explored.completeness.recoveries += 1;
    }

    fn compare(&mut self, sample: &Sample, outcome: Result<(Recovery, Reads), Unknown>) {
        let (recovery, reads) = match outcome {
            Ok(known) => known,
            Err(unknown) => {
                // A sample of which nothing is known is no pass.
                self.explored.besides.push((sample.state.clone(), Err(unknown)));
                return;
            }
        };
        self.watch(sample, &unchecked(&recovery), &reads);
        self.explored.besides.push((sample.state.clone(), Ok(recovery)));
    }

    /// Compares a sample's recovery with those that were said to answer for it.
    fn watch(&mut self, sample: &Sample, recovery: &Recovery, reads: &[BlockRead]) {
        self.explored.completeness.sampled += 1;
        let recovered = &self.explored.recovered;
        let answers: Vec<&Recovery> = sample.answers.iter().map(|n| &recovered[*n as usize].1).collect();
        if recovery.is_made_of(&answers) {
            return;
        }
        let first = sample.answers[0];
        let differs = differs(&sample.state, recovered[first as usize].0.as_ref());
        let read = self.exploration.reads(first);
        let place = read
            .iter()
            .zip(reads)
            .position(|(one, other)| !one.same_as(other));
        let reads = match place {
            Some(place) => format!(
                "; their reads part at number {place} of {}: block {} there, {} here",
                read.len(),
                read[place].block,
                reads[place].block
            ),
            None => format!(
                "; both read the same first blocks, {} there, {} here",
                read.len(),
                reads.len()
            ),
        };
        self.explored.differing.push(differs + &reads);
    }

    fn progress(&self) -> (u64, u64) {
        let done = self.explored.completeness.recoveries;
        (done, self.exploration.cuts_left() as u64)
    }

    fn finish(&mut self) -> Explored {
        let mut explored = std::mem::take(&mut self.explored);
        let coverage = self.exploration.coverage();
        let (cuts, whole_cuts) = self.exploration.cuts();
        explored.answers = self.exploration.answers().to_vec();
        let earlier = |number: &u32| explored.recovered[*number as usize].0.is_none();
        let used: BTreeSet<u32> = explored
            .answers
            .iter()
            .map(|answer| answer.recovery)
            .filter(earlier)
            .collect();
        explored.completeness.remembered = used.len() as u64;
        let known = self.exploration.known();
        let read = Reader::ALL.map(|reader| {
            let by = |read: &&BlockRead| read.by == Some(reader);
            let of = |number| self.exploration.reads(number).iter().filter(by).count();
            let read: usize = (0..known as u32).map(of).sum();
            (reader, read / known.max(1))
        });
        explored.reads = read.to_vec();
        let done = &mut explored.completeness;
        done.cuts = cuts as u64;
        done.whole_cuts = whole_cuts as u64;
        done.states = Count(coverage.states);
        done.covered = Count(coverage.covered);
        done.classes = coverage.classes;
        done.differing = explored.differing.len() as u64;
        if done.differing > 0 {
            // Nothing is inferred: what counts are the states that are recovered for themselves.
            let judged: HashSet<String> = explored
                .answers
                .iter()
                .map(|answer| answer.state.id().to_string())
                .collect();
            done.covered = Count(judged.len().into());
        }
        for refused in self.exploration.refused() {
            explored.notes.push(format!("a cut is left out: {refused}"));
        }
        if self.exploration.mixed() > 0 {
            explored.notes.push(format!(
                "in {} classes of states the kernel did more with file data than copy it: there every combination of \
                 it was tried",
                self.exploration.mixed()
            ));
        }
        explored
    }
}

/// A recovery without the checker's answer, which depends on more than the kernel read.
fn unchecked(recovery: &Recovery) -> Recovery {
    Recovery {
        fsck: None,
        ..recovery.clone()
    }
}

fn differs(state: &CrashState, from: Option<&CrashState>) -> String {
    let from = from.map_or("a state of an earlier run".to_owned(), |from| {
        format!("state {}", from.id())
    });
    format!(
        "state {} recovers otherwise than {from}, though it has all that the latter's recovery read",
        state.id()
    )
}

#[cfg(test)]
mod tests;
