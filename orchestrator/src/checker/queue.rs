//! Checkers at work on the states of a plan.
//!
//! Several checkers run at once, but their answers come as if they had run one after the other: in the plan's order,
//! with each content checked once for each history that it may have.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use coldcut_core::crash::index::{BlockIndex, Digest, DigestCursor, Sources};
use coldcut_core::crash::plan::States;
use coldcut_core::crash::state::{CrashState, StateId};
use tokio::task::JoinSet;

use super::command::{CheckCommand, Happened, Said};
use crate::host::scratch::Scratch;

/// How many states may wait for their answers: those that follow a slow one are checked meanwhile.
const AHEAD: usize = 4096;

/// A checked state.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The state.
    pub id: StateId,
    /// The digest of its content.
    pub digest: Digest,
    /// Whether an earlier state has the same content and the same marks before its cut, and so the same answer.
    pub again: bool,
    /// What the checker said of it.
    pub said: Said,
}

/// A checker could not be asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// A state in the order of the plan.
/// What an answer is to: a content, and how many marks are before the cut; without that where answers are to contents alone.
type Asked = (Digest, Option<usize>);

struct Next {
    id: StateId,
    asked: Asked,
    again: bool,
}

/// Checkers at work on the states of a plan. Dropping it ends them.
pub struct Checks<'a> {
    index: Arc<BlockIndex>,
    sources: Sources,
    cursor: DigestCursor,
    checker: Arc<CheckCommand>,
    /// States that were not looked at yet.
    left: States<'a>,
    exhausted: bool,
    /// A state that waits for a checker.
    ready: Option<(CrashState, Next)>,
    /// States whose answers are awaited, in order.
    waiting: VecDeque<Next>,
    /// By content: `None` while it is checked.
    answers: HashMap<Asked, Option<Result<Said, Failed>>>,
    /// Whether a content is asked about once, whatever was acknowledged.
    per_content: bool,
    /// Directories in which no checker works at the moment.
    idle: Vec<PathBuf>,
    running: JoinSet<(PathBuf, Asked, anyhow::Result<Said>)>,
}

impl<'a> Checks<'a> {
    /// Prepares to check `states` with `jobs` checkers at once, each in a directory of its own below `scratch`.
    ///
    /// # Errors
    /// When a directory cannot be made, or the sources do not fit the log.
    pub fn new(
        checker: CheckCommand,
        index: Arc<BlockIndex>,
        sources: Sources,
        states: States<'a>,
        jobs: usize,
        scratch: &Scratch,
    ) -> anyhow::Result<Self> {
        let idle: Vec<PathBuf> = (0..jobs)
            .map(|job| scratch.path().join(format!("j{job}")))
            .collect();
        for dir in &idle {
            std::fs::create_dir(dir).with_context(|| dir.display().to_string())?;
        }
        Ok(Self {
            cursor: DigestCursor::new(Arc::clone(&index), sources.clone())?,
            checker: Arc::new(checker),
            index,
            sources,
            left: states,
            exhausted: false,
            ready: None,
            waiting: VecDeque::new(),
            answers: HashMap::new(),
            per_content: false,
            idle,
            running: JoinSet::new(),
        })
    }

    /// Asks about each content once, with the marks of its first state.
    #[must_use]
    pub fn per_content(mut self, per_content: bool) -> Self {
        self.per_content = per_content;
        self
    }

    /// Waits for the next state of the plan to be checked; `None` after the last one.
    ///
    /// # Errors
    /// When a state cannot be read, or a checker cannot be asked.
    pub async fn next(&mut self) -> anyhow::Result<Option<Checked>> {
        loop {
            if let Some(checked) = self.answered()? {
                return Ok(Some(checked));
            }
            self.start()?;
            if let Some(checked) = self.answered()? {
                return Ok(Some(checked));
            }
            if !self.wait().await? {
                return Ok(None);
            }
        }
    }

    /// Ends the checkers that are still at work.
    pub async fn end(mut self) {
        self.running.shutdown().await;
    }

    /// Gives states to checkers, as long as a directory is idle.
    fn start(&mut self) -> anyhow::Result<()> {
        while self.waiting.len() < AHEAD {
            let Some((state, next)) = self.take()? else {
                return Ok(());
            };
            if !next.again {
                let Some(dir) = self.idle.pop() else {
                    self.ready = Some((state, next));
                    return Ok(());
                };
                let image = self.index.image(&state, &self.sources)?;
                let (checker, asked, id) = (Arc::clone(&self.checker), next.asked, next.id.to_string());
                let marks = self.index.log().marks_until(state.cut);
                let happened = Happened::of(marks.iter().map(|placed| &placed.mark));
                self.answers.insert(asked, None);
                self.running.spawn(async move {
                    let said = checker.ask(&dir, image, &id, &happened).await;
                    (dir, asked, said)
                });
            }
            self.waiting.push_back(next);
        }
        Ok(())
    }

    /// Takes the next state of the plan that is to be given to a checker, or has the content of an earlier one.
    fn take(&mut self) -> anyhow::Result<Option<(CrashState, Next)>> {
        if let Some(ready) = self.ready.take() {
            return Ok(Some(ready));
        }
        let Some(state) = self.left.next() else {
            self.exhausted = true;
            return Ok(None);
        };
        let digest = self.cursor.digest(&state)?;
        let marks = self.index.log().marks_until(state.cut).len();
        let asked = (digest, (!self.per_content).then_some(marks));
        let again = self.answers.contains_key(&asked);
        let id = state.id();
        Ok(Some((state, Next { id, asked, again })))
    }

    /// Takes the first state that waits, once its answer is there.
    fn answered(&mut self) -> Result<Option<Checked>, Failed> {
        let first = self.waiting.front();
        let answer = first.and_then(|first| self.answers.get(&first.asked)?.clone());
        let Some(said) = answer.transpose()? else {
            return Ok(None);
        };
        let first = self.waiting.pop_front();
        Ok(first.map(|Next { id, asked, again }| Checked {
            id,
            digest: asked.0,
            again,
            said,
        }))
    }

    /// Waits for an answer; `false` when none is to come.
    async fn wait(&mut self) -> anyhow::Result<bool> {
        if self.waiting.is_empty() && self.ready.is_none() && self.exhausted {
            return Ok(false);
        }
        if let Some(joined) = self.running.join_next().await {
            let (dir, asked, said) = joined.context("a checker's task died; this is a defect of coldcut")?;
            self.idle.push(dir);
            let said = said.map_err(|error| Failed(format!("{error:#}")));
            self.answers.insert(asked, Some(said));
        }
        Ok(true)
    }
}
