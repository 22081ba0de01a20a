//! Cutting recoveries off again: what a recovery writes is logged, and every state that a cut of it can leave is explored.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_core::crash::reads::Exploration;
use coldcut_core::crash::state::CrashState;
use coldcut_core::oracle::cell::{CellTally, Strategy};
use coldcut_core::outcome::completeness::Completeness;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};

use crate::record::loaded::LoadedRecording;
use crate::recover::explore::explore;
use crate::recover::images::{Gathered, Image, Outer, Recovering, budget};
use crate::recover::recoverer::{RecoverJob, Recoverer};
use crate::recover::remembered::Remembered;
use crate::results::share_file;
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
    /// Cuts off the recovery of each state that is judged, then those of what that left, as often as the plan says, and adds
    /// the states to what is gathered. States for which one recovery answers have their own cut and their own disk, and share
    /// the log of what it wrote. `done` says how far it came. What the budget leaves out is a note in the tally; a
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
            let outers = gathered.outers(depth);
            let all = outers.len();
            let mut logged = HashMap::new();
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
                if self.logged(outer, &mut logged, done, tally).await? {
                    self.explore(&outer.image, left - 1, gathered, done, tally)
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Has the log of what a state's recovery writes at hand; false where it could not be made, which is a doubt once.
    async fn logged(
        &self,
        outer: &Outer,
        logged: &mut HashMap<usize, Option<CrashState>>,
        done: &mut Completeness,
        tally: &mut CellTally,
    ) -> Result<bool, Unknown> {
        let state = &outer.image.1;
        match logged.get(&outer.source) {
            Some(Some(first)) => {
                self.share(first, state)?;
                return Ok(true);
            }
            Some(None) => return Ok(false),
            None => {}
        }
        done.recoveries += 1;
        let made = self.log(state).await;
        logged.insert(outer.source, made.is_ok().then(|| state.clone()));
        if let Err(unknown) = &made {
            let id = state.id();
            tally
                .doubts
                .push(format!("the recovery of state {id} was not cut off: {unknown}"));
        } else {
            done.cut_again += 1;
        }
        Ok(made.is_ok())
    }

    /// Gives a state the log of another, for which the same recovery answers.
    fn share(&self, first: &CrashState, state: &CrashState) -> Result<(), Unknown> {
        let files = |state: &CrashState| self.recovering.dir.again(&state.id().to_string());
        let (from, to) = (files(first), files(state));
        let sharing = "sharing the log of a recovery";
        make_parent(&to.0)?;
        share_file(&from.0, &to.0).or_unknown(sharing)?;
        share_file(&from.1, &to.1).or_unknown(sharing)
    }

    /// Explores what a recovery that is cut off leaves.
    async fn explore(
        &self,
        outer: &Image,
        budget: u64,
        gathered: &mut Gathered,
        done: &mut Completeness,
        tally: &mut CellTally,
    ) -> Result<(), Unknown> {
        let recording = self.recording.again(&outer.1)?;
        let plans = self
            .recovering
            .variant
            .crash
            .complete(&recording.log)
            .or_unknown("the crash plan")?;
        let exploration = Exploration::new(&recording.index, &recording.sources, &plans, budget);
        let exploration = match &self.recovering.asking {
            // What was acknowledged before the first cut is asked about.
            Some(asking) => {
                let asked = asking.digest(outer.1.cut);
                exploration.asking(|_| asked)
            }
            None => exploration,
        };
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
        gathered.add(&recording, Some(outer), explored)
    }

    /// Recovers a state once more, and logs what that writes.
    async fn log(&self, state: &CrashState) -> Result<(), Unknown> {
        let job = self.recovering.to_log(self.recording, state)?;
        if job.mount.repair {
            return Err(Unknown::new(
                "a checker repairs the disk before it is mounted, and its writes are not logged",
            ));
        }
        let (log, sidecar) = self.recovering.dir.again(&state.id().to_string());
        make_parent(&log)?;
        let _room = self.pool.room(true).await?;
        self.recoverer.record(self.pool, &job, (&log, &sidecar)).await
    }
}

fn make_parent(file: &Path) -> Result<(), Unknown> {
    let dir = file.parent().unwrap_or(file);
    std::fs::create_dir_all(dir).or_unknown(&format!("making {}", dir.display()))
}
