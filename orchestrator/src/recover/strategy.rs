//! Levels of trust: which contents are only screened, and which are given to a fresh kernel.
//!
//! Screening is cheap: one guest recovers content after content. It decides nothing by itself. A fresh kernel
//! verifies every content that looked wrong in screening (or about which screening said nothing), and one content of
//! every distinct recovered tree. If a fresh kernel sees another tree than the screening guest did, screening is not
//! to be trusted here, and every content of the cell is verified.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coldcut_core::outcome::recovery::{Recovery, Trust};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::recover::recoverer::{Recoverer, Screener};
use crate::vm::Unknown;
use crate::vm::pool::Pool;

/// How far contents are recovered by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Screened; what matters is verified on fresh clones.
    #[default]
    Tiered,
    /// Screened, and what could not be screened is tried on a fresh clone.
    Screen,
    /// Each on a fresh clone.
    Fresh,
    /// Each on a kernel booted for it.
    Cold,
}

/// A second guest is worth its start only for so many contents.
const WORTH_A_SCREENER: usize = 4;
/// How often a content is given to a fresh kernel before it counts as inconclusive.
const TRIES: u32 = 2;

/// What a machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To screen one content after another.
    Screen,
    /// To recover one as a clone that has done nothing before.
    Fresh,
    /// To recover one as a kernel booted for it.
    Cold,
    /// To try for the so-manyth time what failed.
    Again(u32),
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Screen => f.write_str("screen"),
            Self::Fresh => f.write_str("fresh"),
            Self::Cold => f.write_str("cold"),
            Self::Again(attempt) => write!(f, "again-{attempt}"),
        }
    }
}

/// Makes the job of a content.
pub(crate) type MakeJob<Job> = dyn Fn(usize, Purpose) -> Result<Job, Unknown> + Send + Sync;
/// Told of each recovery: the content, its outcome, and milliseconds.
pub(crate) type OnDone = dyn Fn(usize, &Result<Recovery, Unknown>, u64) + Send + Sync;

/// The contents of a cell, numbered from 0.
pub(crate) struct Work<Job> {
    pub(crate) count: usize,
    pub(crate) job: Arc<MakeJob<Job>>,
    pub(crate) done: Arc<OnDone>,
}

impl<Job> Clone for Work<Job> {
    fn clone(&self) -> Self {
        Self {
            count: self.count,
            job: Arc::clone(&self.job),
            done: Arc::clone(&self.done),
        }
    }
}

/// What became of the contents.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// By content.
    pub(crate) outcomes: Vec<Result<Recovery, Unknown>>,
    /// Contents whose tree a fresh kernel saw differently from the screening guest.
    pub(crate) disagreed: usize,
}

/// Recovers every content as the strategy says. `suspicious` says whether a recovery would break a promise.
pub(crate) async fn recover_all<R: Recoverer>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    work: &Work<R::Job>,
    strategy: Strategy,
    suspicious: impl Fn(usize, &Recovery) -> bool,
) -> Recovered {
    let all = 0..work.count;
    match strategy {
        Strategy::Cold | Strategy::Fresh => {
            let trust = if strategy == Strategy::Cold {
                Trust::Cold
            } else {
                Trust::Fresh
            };
            let mut outcomes = untried(work.count);
            for (place, outcome) in on_fresh(pool, recoverer, work, all.collect(), trust).await {
                outcomes[place] = outcome;
            }
            Recovered {
                outcomes,
                disagreed: 0,
            }
        }
        Strategy::Screen | Strategy::Tiered => {
            let mut outcomes = screen(pool, recoverer, work).await;
            let wanted: BTreeSet<usize> = all
                .clone()
                .filter(|place| match &outcomes[*place] {
                    Err(_) => true,
                    Ok(recovery) => strategy == Strategy::Tiered && suspicious(*place, recovery),
                })
                .collect();
            let wanted = match strategy {
                Strategy::Tiered => &wanted | &representatives(&outcomes),
                _ => wanted,
            };
            let mut disagreed = verify(pool, recoverer, work, wanted.clone(), &mut outcomes).await;
            if disagreed > 0 {
                let rest = all.filter(|place| !wanted.contains(place)).collect();
                disagreed += verify(pool, recoverer, work, rest, &mut outcomes).await;
            }
            Recovered { outcomes, disagreed }
        }
    }
}

fn untried(count: usize) -> Vec<Result<Recovery, Unknown>> {
    (0..count)
        .map(|_| Err(Unknown("it was not tried".into())))
        .collect()
}

/// One content of each distinct recovered tree: the first.
fn representatives(outcomes: &[Result<Recovery, Unknown>]) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let first = |(place, outcome): (usize, &Result<Recovery, Unknown>)| {
        let fingerprint = outcome.as_ref().ok()?.fingerprint();
        seen.insert(fingerprint).then_some(place)
    };
    outcomes.iter().enumerate().filter_map(first).collect()
}

/// Replaces screened outcomes by what fresh kernels see; says in how many contents the two differ.
async fn verify<R: Recoverer>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    work: &Work<R::Job>,
    places: BTreeSet<usize>,
    outcomes: &mut [Result<Recovery, Unknown>],
) -> usize {
    let mut differ = 0;
    for (place, fresh) in on_fresh(pool, recoverer, work, places, Trust::Fresh).await {
        if let (Ok(screened), Ok(fresh)) = (&outcomes[place], &fresh)
            && !screened.same_as(fresh)
        {
            differ += 1;
        }
        outcomes[place] = fresh;
    }
    differ
}

/// Recovers contents, each on a kernel of its own, several at once.
pub(crate) async fn on_fresh<R: Recoverer>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    work: &Work<R::Job>,
    places: BTreeSet<usize>,
    trust: Trust,
) -> Vec<(usize, Result<Recovery, Unknown>)> {
    let mut tasks = JoinSet::new();
    for place in places {
        let (pool, recoverer, work) = (Arc::clone(pool), Arc::clone(recoverer), work.clone());
        tasks.spawn(async move {
            let outcome = on_one(&pool, &*recoverer, &work, place, trust).await;
            (place, outcome)
        });
    }
    let mut outcomes = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        // A task that panicked leaves its content untried.
        outcomes.extend(ended.ok());
    }
    outcomes.sort_by_key(|(place, _)| *place);
    outcomes
}

async fn on_one<R: Recoverer>(
    pool: &Pool,
    recoverer: &R,
    work: &Work<R::Job>,
    place: usize,
    trust: Trust,
) -> Result<Recovery, Unknown> {
    let mut outcome = Err(Unknown("it was not tried".into()));
    for attempt in 1..=TRIES {
        let purpose = match (trust, attempt) {
            (Trust::Cold, 1) => Purpose::Cold,
            (_, 1) => Purpose::Fresh,
            (_, attempt) => Purpose::Again(attempt),
        };
        // A clone that fails is given up for a kernel that boots.
        let trust = if attempt == 1 { trust } else { Trust::Cold };
        let _room = pool.room(trust != Trust::Cold).await?;
        let start = std::time::Instant::now();
        outcome = match (work.job)(place, purpose) {
            Ok(job) => recoverer.recover(pool, &job, trust).await,
            Err(error) => Err(error),
        };
        (work.done)(place, &outcome, start.elapsed().as_millis() as u64);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Recovers every content in screening guests, as many as there is room for. What ends a guest costs that guest and
/// its content only.
async fn screen<R: Recoverer>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    work: &Work<R::Job>,
) -> Vec<Result<Recovery, Unknown>> {
    let next = Arc::new(AtomicUsize::new(0));
    let outcomes = Arc::new(Mutex::new(untried(work.count)));
    let mut tasks = JoinSet::new();
    for number in 0..pool.jobs.min(work.count.div_ceil(WORTH_A_SCREENER)) {
        let (pool, recoverer, work) = (Arc::clone(pool), Arc::clone(recoverer), work.clone());
        let (next, outcomes) = (Arc::clone(&next), Arc::clone(&outcomes));
        tasks.spawn(async move {
            let Ok(_room) = pool.room(true).await else { return };
            let left = work.count.saturating_sub(next.load(Ordering::Relaxed));
            if number > 0 && left < WORTH_A_SCREENER {
                return;
            }
            let mut guest = None;
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                if place >= work.count {
                    return;
                }
                let start = std::time::Instant::now();
                let outcome = screen_one(&pool, &*recoverer, &work, place, &mut guest).await;
                if outcome.is_err() || guest.as_ref().is_some_and(Screener::<R::Job>::spoiled) {
                    guest = None;
                }
                (work.done)(place, &outcome, start.elapsed().as_millis() as u64);
                outcomes.lock().await[place] = outcome;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    std::mem::take(&mut *outcomes.lock().await)
}

async fn screen_one<R: Recoverer>(
    pool: &Pool,
    recoverer: &R,
    work: &Work<R::Job>,
    place: usize,
    guest: &mut Option<R::Screener>,
) -> Result<Recovery, Unknown> {
    let job = (work.job)(place, Purpose::Screen)?;
    let guest = match guest {
        Some(guest) => guest,
        none => none.insert(recoverer.screener(pool, &job).await?),
    };
    guest.recover(pool, &job).await
}

#[cfg(test)]
mod tests;
