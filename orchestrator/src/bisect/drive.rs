//! Runs a search to its answer. Runs that the journal has already are not repeated.

use std::path::Path;

use coldcut_core::search::{Aim, Answer, Aspect, Behaviour, Next, Search, Sequential};

use super::conclusion::{Conclusion, Found};
use super::journal::{Journal, JournalError};
use super::line::{self, Candidate};
use super::question::{Probe, Question};
use super::report;

/// A search and its journal.
#[derive(Debug)]
pub struct Drive {
    /// Where runs are kept.
    pub journal: Journal,
    /// What is asked.
    pub question: Question,
    /// How many runs decide about a kernel.
    pub test: Sequential,
    /// Whether to look for every change: the oldest and the newest kernel of each series are tested, and wherever two
    /// of them in a row differ the changes between them are searched, one after the other.
    pub every_change: bool,
}

impl Drive {
    /// Runs the search; `say` shows a line of progress, `run` runs the kernel at an index.
    ///
    /// # Errors
    /// What `run` returns, or a journal that cannot be used. The search can be resumed.
    pub async fn run(
        &mut self,
        mut say: impl FnMut(&str),
        mut run: impl AsyncFnMut(usize, &Candidate, &Path) -> anyhow::Result<Probe>,
    ) -> anyhow::Result<Conclusion> {
        let mut probes = self.journal.probes()?;
        if !probes.is_empty() {
            say(&format!("going on after {} runs", probes.len()));
        }
        let last = self.question.line.len() - 1;
        let mut stops = if self.every_change {
            line::series_turns(&self.question.line)
        } else {
            vec![last]
        };
        stops.retain(|stop| *stop > 0);
        let (mut from, mut found) = (0, Vec::new());
        for to in stops {
            while from < to {
                let search = self.search(from, to, &probes)?;
                match search.next() {
                    Next::Run(index) => {
                        let index = from + index;
                        let candidate = &self.question.line[index];
                        say(&report::announce(
                            &self.question,
                            (from, to),
                            &search,
                            index,
                            &probes,
                        ));
                        let probe = run(index, candidate, self.journal.path()).await?;
                        self.keep(&mut probes, probe)?;
                        if let Some(last) = probes.last() {
                            say(&report::run_line(
                                &self.question,
                                last,
                                self.old((from, to), &probes),
                            ));
                        }
                    }
                    Next::Done(answer) => {
                        let change = match &answer {
                            Answer::Between { first_new, .. } => Some(from + first_new),
                            _ => None,
                        };
                        found.push(Found { from, search, answer });
                        match change {
                            Some(change) if self.every_change => from = change,
                            _ => break,
                        }
                    }
                }
            }
            // The next part begins where this one's last testable kernel is, so that no change falls between two.
            from = self.newest((from, to), &probes).unwrap_or(from);
        }
        Ok(Conclusion { found, probes })
    }

    fn keep(&mut self, probes: &mut Vec<Probe>, probe: Probe) -> Result<(), JournalError> {
        self.journal.keep(&probe)?;
        probes.push(probe);
        Ok(())
    }

    /// Builds the search over a part of the line, both ends included, from all runs so far.
    fn search(
        &self,
        from: usize,
        to: usize,
        probes: &[Probe],
    ) -> Result<Search, coldcut_core::search::TooFewKernels> {
        let mut search = Search::new(to + 1 - from, self.test)?;
        let old = self.old((from, to), probes);
        for probe in probes.iter().filter(|p| (from..=to).contains(&p.index)) {
            search.observe(probe.index - from, self.question.seen(probe, old));
        }
        Ok(search)
    }

    /// The behaviour that counts as old in a part: that of its oldest kernel with a conclusive run, in the first such
    /// run.
    fn old<'p>(&self, part: (usize, usize), probes: &'p [Probe]) -> Option<&'p Behaviour> {
        let Aim::FirstDifferent(aspect) = self.question.aim else {
            return None;
        };
        conclusive(aspect, part, probes)
            .min_by_key(|(index, _)| *index)
            .map(|(_, behaviour)| behaviour)
    }

    fn newest(&self, part: (usize, usize), probes: &[Probe]) -> Option<usize> {
        let Aim::FirstDifferent(aspect) = self.question.aim else {
            return None;
        };
        conclusive(aspect, part, probes).map(|(index, _)| index).max()
    }
}

/// The runs of a part of the line that say something about an aspect.
fn conclusive(
    aspect: Aspect,
    (from, to): (usize, usize),
    probes: &[Probe],
) -> impl Iterator<Item = (usize, &Behaviour)> {
    probes
        .iter()
        .filter(move |p| (from..=to).contains(&p.index))
        .filter_map(|p| p.behaviour.as_ref().map(|b| (p.index, b)))
        .filter(move |(_, behaviour)| behaviour.aspect(aspect).is_some())
}
