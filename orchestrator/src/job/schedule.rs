//! Runs jobs in order, at most as many at once as machines, so that the first verdicts come early.

use std::sync::Arc;
use std::time::Instant;

use coldcut_core::outcome::result::CellResult;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::job::cell::{ResolvedJob, run_cells};
use crate::recover::recoverer::Machines;
use crate::vm::pool::Pool;

/// Begins every job, or those for which there is time `until` then; gives cells' results as they come. Jobs stop when the
/// results are dropped and the runtime ends.
pub fn in_order(
    jobs: Vec<ResolvedJob>,
    pool: &Arc<Pool>,
    until: Option<Instant>,
) -> mpsc::Receiver<CellResult> {
    let count: usize = jobs.iter().map(|job| job.cells.len()).sum();
    let (sender, results) = mpsc::channel(count.max(1));
    let pool = Arc::clone(pool);
    tokio::spawn(async move {
        let turns = Arc::new(Semaphore::new(pool.jobs));
        let mut tasks = JoinSet::new();
        for job in jobs {
            let Ok(turn) = Arc::clone(&turns).acquire_owned().await else {
                break;
            };
            if until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            let (pool, sender) = (Arc::clone(&pool), sender.clone());
            tasks.spawn(async move {
                // There is room for every result; it fails only when nobody wants them any more.
                let done = move |result| drop(sender.try_send(result));
                Box::pin(run_cells(pool, Arc::new(Machines), job, done)).await;
                drop(turn);
            });
        }
        drop(sender);
        while tasks.join_next().await.is_some() {}
    });
    results
}
