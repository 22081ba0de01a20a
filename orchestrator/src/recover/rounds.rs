//! Carrying out rounds: recovering the images that a strategy asks for, on machines.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use coldcut_core::oracle::cell::{Recoveries, Round};
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::outcome::unknown::Unknown;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::recover::recoverer::{Recoverer, Screener};
use crate::vm::pool::Pool;

/// A second guest is worth its start only for so many images.
const WORTH_A_SCREENER: usize = 4;
/// How often an image is given to a fresh kernel before it counts as inconclusive.
const TRIES: u32 = 2;

/// What a machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To screen one image after another.
    Screen,
    /// To recover one as a clone that has done nothing before.
    Fresh,
    /// To recover one as a kernel booted for it.
    Cold,
    /// To try what failed once more; which try it is.
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

/// Makes the job of an image.
pub(crate) type MakeJob<Job> = dyn Fn(usize, Purpose) -> Result<Job, Unknown> + Send + Sync;
/// Told of each recovery: the image, its outcome, and milliseconds.
pub(crate) type OnDone = dyn Fn(usize, &Result<Recovery, Unknown>, u64) + Send + Sync;

/// The images of a cell, numbered from 0, as work for machines.
pub(crate) struct Work<Job> {
    pub(crate) job: Arc<MakeJob<Job>>,
    pub(crate) done: Arc<OnDone>,
}

impl<Job> Clone for Work<Job> {
    fn clone(&self) -> Self {
        Self {
            job: Arc::clone(&self.job),
            done: Arc::clone(&self.done),
        }
    }
}

/// Recovers images as `next` asks for them, given what is known so far, until it asks for no more.
pub(crate) async fn recover_all<R: Recoverer>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    work: &Work<R::Job>,
    known: &mut Recoveries,
    next: impl Fn(&Recoveries) -> Option<Round>,
) {
    while let Some(round) = next(known) {
        recover_round(pool, recoverer, work, known, &round).await;
    }
}

/// Recovers the images of one round.
pub(crate) async fn recover_round<R: Recoverer>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    work: &Work<R::Job>,
    known: &mut Recoveries,
    round: &Round,
) {
    let outcomes = match round.trust {
        Trust::Screened => screen(pool, recoverer, work, &round.images).await,
        Trust::Fresh | Trust::Cold => on_fresh(pool, recoverer, work, round).await,
    };
    known.learn(round, outcomes);
}

/// Recovers images, each on a kernel of its own, several at once.
async fn on_fresh<R: Recoverer>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    work: &Work<R::Job>,
    round: &Round,
) -> Vec<(usize, Result<Recovery, Unknown>)> {
    let mut tasks = JoinSet::new();
    let trust = round.trust;
    for image in round.images.iter().copied() {
        let (pool, recoverer, work) = (Arc::clone(pool), Arc::clone(recoverer), work.clone());
        tasks.spawn(async move {
            let outcome = on_one(&pool, &*recoverer, &work, image, trust).await;
            (image, outcome)
        });
    }
    let mut outcomes = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        // A task that panicked leaves its image untried.
        outcomes.extend(ended.ok());
    }
    outcomes.sort_by_key(|(image, _)| *image);
    outcomes
}

async fn on_one<R: Recoverer>(
    pool: &Pool,
    recoverer: &R,
    work: &Work<R::Job>,
    image: usize,
    trust: Trust,
) -> Result<Recovery, Unknown> {
    let mut outcome = Err(Unknown::new("it was not tried"));
    for attempt in 1..=TRIES {
        let purpose = match (trust, attempt) {
            (Trust::Cold, 1) => Purpose::Cold,
            (_, 1) => Purpose::Fresh,
            (_, attempt) => Purpose::Again(attempt),
        };
        // A clone that fails is given up for a kernel that boots.
        let trust = if attempt == 1 { trust } else { Trust::Cold };
        let _room = pool.room(trust != Trust::Cold).await?;
        let start = Instant::now();
        outcome = match (work.job)(image, purpose) {
            Ok(job) => recoverer.recover(pool, &job, trust).await,
            Err(error) => Err(error),
        };
        (work.done)(image, &outcome, start.elapsed().as_millis() as u64);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Recovers images in screening guests, as many as there is room for. What ends a guest costs that guest and its image
/// only.
async fn screen<R: Recoverer>(
    pool: &Arc<Pool>,
    recoverer: &Arc<R>,
    work: &Work<R::Job>,
    images: &BTreeSet<usize>,
) -> Vec<(usize, Result<Recovery, Unknown>)> {
    let left = Arc::new(Mutex::new(images.clone()));
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for number in 0..pool.jobs.min(images.len().div_ceil(WORTH_A_SCREENER)) {
        let (pool, recoverer, work) = (Arc::clone(pool), Arc::clone(recoverer), work.clone());
        let (left, outcomes) = (Arc::clone(&left), Arc::clone(&outcomes));
        tasks.spawn(async move {
            let Ok(_room) = pool.room(true).await else { return };
            if number > 0 && left.lock().await.len() < WORTH_A_SCREENER {
                return;
            }
            let mut guest = None;
            loop {
                let Some(image) = left.lock().await.pop_first() else {
                    return;
                };
                let start = Instant::now();
                let outcome = screen_one(&pool, &*recoverer, &work, image, &mut guest).await;
                if outcome.is_err() || guest.as_ref().is_some_and(Screener::<R::Job>::spoiled) {
                    guest = None;
                }
                (work.done)(image, &outcome, start.elapsed().as_millis() as u64);
                outcomes.lock().await.push((image, outcome));
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
    image: usize,
    guest: &mut Option<R::Screener>,
) -> Result<Recovery, Unknown> {
    let job = (work.job)(image, Purpose::Screen)?;
    let guest = match guest {
        Some(guest) => guest,
        none => none.insert(recoverer.screener(pool, &job).await?),
    };
    guest.recover(pool, &job).await
}

#[cfg(test)]
mod tests;
