//! What is known to have happened before a cut, from the marks in the log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::asked::Asked;
use crate::recording::log::{Cut, PlacedMark, WriteLog};
use crate::recording::mark::Mark;
use crate::scenario::{Expectation, Moment, Variant};

/// Which steps had begun, succeeded or failed, and what programs had acknowledged.
///
/// It is cheap to make and to clone: the histories of one recording share what its marks say, and each looks at them
/// up to its own cut.
#[derive(Clone, Debug)]
pub struct History {
    firsts: Arc<Firsts>,
    /// How many marks have happened.
    until: usize,
}

impl History {
    /// How many marks have happened, as a time of [`crate::model::When`].
    pub(super) fn marks_until(&self) -> u32 {
        u32::try_from(self.until).map_or(u32::MAX - 1, |until| until.min(u32::MAX - 1))
    }

    /// Every mark of the recording, also of what comes after the cut.
    pub(super) fn marks(&self) -> &[Mark] {
        &self.firsts.marks
    }

    /// What is shared by the histories of one recording.
    pub(super) fn firsts(&self) -> &Arc<Firsts> {
        &self.firsts
    }
}

/// The histories of one recording, one for every cut.
///
/// Building it reads each mark once; [`Histories::at`] then takes a binary search among the marks, however many there
/// are.
#[derive(Clone, Debug)]
pub struct Histories {
    firsts: Arc<Firsts>,
    /// For each mark, the first cut at which it has happened. It never falls.
    happened: Vec<Cut>,
}

/// For each step and each line of a program, the index of the first mark that says so.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    /// Every mark, in order.
    marks: Vec<Mark>,
    begun: HashMap<String, usize>,
    done: HashMap<String, usize>,
    failed: HashMap<String, usize>,
    lines: HashMap<String, usize>,
    /// Each line once, in the order in which they came, with the step whose program said it.
    said: Vec<(usize, u32, String)>,
    /// When each step began, by its index.
    started: HashMap<u32, usize>,
    /// Steps that began and did not end.
    open: HashSet<u32>,
}

impl Firsts {
    fn add(&mut self, index: usize, mark: &Mark) {
        match mark {
            Mark::Begin(step) => {
                self.started.entry(step.index).or_insert(index);
                self.open.insert(step.index);
            }
            Mark::Done(step) | Mark::Failed(step, _) => {
                self.open.remove(&step.index);
            }
            Mark::Line { index: step, text } if !self.lines.contains_key(text) => {
                self.said.push((index, *step, text.clone()));
            }
            Mark::Line { .. } | Mark::End | Mark::Other(_) => {}
        }
        self.marks.push(mark.clone());
        let (firsts, text) = match mark {
            Mark::Begin(step) => (&mut self.begun, &step.name),
            Mark::Done(step) => (&mut self.done, &step.name),
            Mark::Failed(step, _) => (&mut self.failed, &step.name),
            Mark::Line { text, .. } => (&mut self.lines, text),
            Mark::End | Mark::Other(_) => return,
        };
        if !firsts.contains_key(text) {
            firsts.insert(text.clone(), index);
        }
    }
}

impl Histories {
    /// The histories of a recording.
    pub fn new(log: &WriteLog) -> Self {
        let mut firsts = Firsts::default();
        for (index, placed) in log.marks().iter().enumerate() {
            firsts.add(index, &placed.mark);
        }
        Self {
            firsts: Arc::new(firsts),
            happened: log.marks().iter().map(PlacedMark::after).collect(),
        }
    }

    /// The history at a cut: what every mark until then tells.
    pub fn at(&self, cut: Cut) -> History {
        History {
            firsts: Arc::clone(&self.firsts),
            until: self.happened.partition_point(|happened| *happened <= cut),
        }
    }
}

impl History {
    /// The history that these marks tell. For the cuts of a recording, use [`Histories`].
    pub fn from_marks<'a>(marks: impl IntoIterator<Item = &'a Mark>) -> Self {
        let mut firsts = Firsts::default();
        for (index, mark) in marks.into_iter().enumerate() {
            firsts.add(index, mark);
        }
        Self {
            firsts: Arc::new(firsts),
            until: usize::MAX,
        }
    }

    fn has(&self, firsts: &HashMap<String, usize>, text: &str) -> bool {
        firsts.get(text).is_some_and(|first| *first < self.until)
    }

    /// Whether the step's success was acknowledged.
    pub fn done(&self, step: &str) -> bool {
        self.has(&self.firsts.done, step) && !self.has(&self.firsts.failed, step)
    }

    /// Whether the step may have had an effect: it had begun, however it ended.
    pub fn begun(&self, step: &str) -> bool {
        [&self.firsts.begun, &self.firsts.done, &self.firsts.failed]
            .iter()
            .any(|firsts| self.has(firsts, step))
    }

    /// Whether a program acknowledged something with this line.
    pub fn line(&self, text: &str) -> bool {
        self.has(&self.firsts.lines, text)
    }

    /// What the programs of a variant are to be asked about at this cut; `None` where it asks none.
    pub fn asked(&self, variant: &Variant) -> Option<Asked> {
        let applying = |(index, _): &(usize, _)| {
            let expectation = variant.expect.get(*index);
            expectation.is_some_and(|expectation| self.applies(expectation))
        };
        let verifiers: Vec<usize> = variant
            .verifiers()
            .filter(applying)
            .map(|(index, _)| index)
            .collect();
        variant.verifiers().next()?;
        let mut asked = Asked {
            verifiers,
            acknowledged: Vec::new(),
            begun: Vec::new(),
            open: !self.firsts.open.is_empty(),
        };
        if asked.verifiers.is_empty() {
            return Some(asked);
        }
        for (first, step, text) in &self.firsts.said {
            let began = self.firsts.started.get(step);
            if *first < self.until {
                asked.acknowledged.push(text.clone());
            } else if began.is_none_or(|began| *began < self.until) {
                asked.begun.push(text.clone());
            }
        }
        Some(asked)
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
