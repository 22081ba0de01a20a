//! Cutting recoveries off again: what a recovery writes is logged, and every state that a cut of it can leave is explored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_core::crash::reads::Exploration;
use coldcut_core::oracle::cell::{CellTally, Strategy};
use coldcut_core::outcome::completeness::Completeness;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};

use crate::record::loaded::LoadedRecording;
use crate::recover::explore::explore;
use crate::recover::images::{Gathered, Image, Recovering, budget};
use crate::recover::recoverer::{RecoverJob, Recoverer};
use crate::recover::remembered::Remembered;
use crate::vm::pool::Pool;

/// Recoveries to cut off, and who carries that out.
pub(crate) struct CutAgain<'a, R> {
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) recoverer: &'a Arc<R>,
    pub(crate) recovering: &'a Recovering<'a>,
    pub(crate) recording: &'a LoadedRecording,
    pub(crate) strategy: Strategy,
    pub(crate) remembered: Option<Arc<Remembered>>,
    pub(crate) start: Instant,
}

impl<R: Recoverer<Job = RecoverJob>> CutAgain<'_, R> {
    /// Cuts off the recovery of each image that was recovered, then those of what that left, as often as the plan says, and
    /// adds the states to what is gathered. `done` says how far it came. What the budget leaves out is a note in the tally; a
    /// recovery that could not be cut off is a doubt: nothing is known of what that would have left.
    ///
    /// # Errors
    /// [`Unknown`] when a log cannot be read.
    pub(crate) async fn add(
        &self,
        gathered: &mut Gathered,
        done: &mut Completeness,
        tally: &mut CellTally,
    ) -> Result<(), Unknown> {
        let spec = &self.recovering.variant.crash;
        for depth in 0..spec.recovery as usize {
            let outers = gathered.recovered(depth);
            let all = outers.len();
            for (number, outer) in outers.iter().enumerate() {
                let left = budget(spec).saturating_sub(done.recoveries);
                let late = spec
                    .seconds
                    .is_some_and(|most| self.start.elapsed() >= Duration::from_secs(most));
                if left < 2 || late {
                    let cuts = depth + 1;
                    tally.notes.push(format!(
                        "the budget leaves {} of {all} recoveries uncut (cut {cuts})",
                        all - number
                    ));
                    return Ok(());
                }
                self.cut(outer, left - 1, gathered, done, tally).await?;
            }
        }
        Ok(())
    }

    /// Cuts off the recovery of one image.
    async fn cut(
        &self,
        outer: &Image,
        budget: u64,
        gathered: &mut Gathered,
        done: &mut Completeness,
        tally: &mut CellTally,
    ) -> Result<(), Unknown> {
        done.recoveries += 1;
        if let Err(unknown) = self.log(outer).await {
            tally.doubts.push(format!(
                "the recovery of state {} was not cut off: {unknown}",
                outer.1.id()
            ));
            return Ok(());
        }
        let recording = self.recording.again(&outer.1)?;
        let plans = self
            .recovering
            .variant
            .crash
            .complete(&recording.log)
            .or_unknown("the crash plan")?;
        let exploration = Exploration::new(&recording.index, &recording.sources, &plans, budget);
        let exploring = self.recovering.exploring(
            self.pool,
            self.recording,
            self.strategy,
            Some(&outer.1),
            self.remembered.clone(),
        );
        let explored = explore(self.pool, self.recoverer, exploring, exploration).await?;
        tally
            .notes
            .extend(explored.notes.iter().chain(&explored.differing).cloned());
        done.add(&explored.completeness);
        done.cut_again += 1;
        gathered.add(&recording, Some(outer), explored)
    }

    /// Recovers an image once more, and logs what that writes.
    async fn log(&self, outer: &Image) -> Result<(), Unknown> {
        let job = self.recovering.to_log(self.recording, &outer.1)?;
        if job.mount.repair {
            return Err(Unknown::new(
                "a checker repairs the disk before it is mounted, and its writes are not logged",
            ));
        }
        let (log, sidecar) = self.recovering.dir.again(&outer.1.id().to_string());
        let dir = log.parent().unwrap_or(&log);
        std::fs::create_dir_all(dir).or_unknown(&format!("making {}", dir.display()))?;
        let _room = self.pool.room(true).await?;
        self.recoverer.record(self.pool, &job, (&log, &sidecar)).await
    }
}
