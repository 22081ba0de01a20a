//! What is known to have happened before a cut, from the marks in the log.

use std::collections::HashSet;

use crate::recording::mark::Mark;
use crate::scenario::{Expectation, Moment};

/// Which steps had begun, succeeded or failed, and what programs had acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    begun: HashSet<String>,
    done: HashSet<String>,
    failed: HashSet<String>,
    lines: HashSet<String>,
}

impl History {
    /// The history that these marks tell: those of the log up to the cut.
    pub fn from_marks<'a>(marks: impl IntoIterator<Item = &'a Mark>) -> Self {
        let mut history = Self::default();
        for mark in marks {
            history.push(mark);
        }
        history
    }

    /// Adds the next mark.
    pub fn push(&mut self, mark: &Mark) {
        let (set, text) = match mark {
            Mark::Begin(step) => (&mut self.begun, &step.name),
            Mark::Done(step) => (&mut self.done, &step.name),
            Mark::Failed(step, _) => (&mut self.failed, &step.name),
            Mark::Line { text, .. } => (&mut self.lines, text),
            Mark::End | Mark::Other(_) => return,
        };
        set.insert(text.clone());
    }

    /// Whether the step's success was acknowledged.
    pub fn done(&self, step: &str) -> bool {
        self.done.contains(step) && !self.failed.contains(step)
    }

    /// Whether the step may have had an effect: it was begun, however it ended.
    pub fn begun(&self, step: &str) -> bool {
        [&self.begun, &self.done, &self.failed]
            .iter()
            .any(|set| set.contains(step))
    }

    /// Whether a program acknowledged something with this line.
    pub fn line(&self, text: &str) -> bool {
        self.lines.contains(text)
    }

    /// Whether an expectation is a promise at this cut.
    pub fn applies(&self, expectation: &Expectation) -> bool {
        let after = match &expectation.after {
            None => true,
            Some(Moment::Step(step)) => self.done(step),
            Some(Moment::Line(text)) => self.line(text),
        };
        after && expectation.before.as_ref().is_none_or(|step| !self.begun(step))
    }
}
