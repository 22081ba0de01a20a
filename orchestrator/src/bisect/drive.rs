//! Runs a search to its answer: what the journal says counts, what is missing is run.

use std::path::Path;

use coldcut_core::bisect::{Aim, Answer, Aspect, Behaviour, Next, Search, Seen, Sequential};

use super::journal::{Journal, JournalError, Probe, Question};
use super::line::Candidate;
use super::report;

/// A change that was found, with the search that found it.
#[derive(Debug)]
pub struct Found {
    /// The place in the line of the search's first kernel.
    pub from: usize,
    /// The search.
    pub search: Search,
    /// Its answer; places count from `from`.
    pub answer: Answer,
}

/// What a search came to.
#[derive(Debug)]
pub struct Conclusion {
    /// The answers: one, or one for each change and a last one that found none.
    pub found: Vec<Found>,
    /// Every run.
    pub probes: Vec<Probe>,
}

/// A search and its journal.
#[derive(Debug)]
pub struct Drive {
    /// Where runs are kept.
    pub journal: Journal,
    /// What is asked.
    pub question: Question,
    /// How often kernels are run.
    pub test: Sequential,
    /// Whether to go on from the first change to the next, until the newest end behaves as the last one found.
    pub every_change: bool,
}

impl Drive {
    /// Runs the search; `say` shows each line of progress, `run` runs the kernel of a place.
    ///
    /// # Errors
    /// What `run` says, or a journal that cannot be used. The search can be gone on with.
    pub async fn run(
        &mut self,
        mut say: impl FnMut(&str),
        mut run: impl AsyncFnMut(usize, &Candidate, &Path) -> anyhow::Result<Probe>,
    ) -> anyhow::Result<Conclusion> {
        let mut probes = self.journal.probes()?;
        if !probes.is_empty() {
            say(&format!("going on after {} runs", probes.len()));
        }
        let (mut from, mut found) = (0, Vec::new());
        loop {
            let search = match self.search(from, &probes) {
                Ok(search) => search,
                // The newest kernel changed something, and nothing comes after it.
                Err(_) if !found.is_empty() => break,
                Err(error) => return Err(error.into()),
            };
            match search.next() {
                Next::Run(place) => {
                    let place = from + place;
                    let candidate = &self.question.line[place];
                    say(&report::announce(&self.question, from, &search, place, &probes));
                    let probe = run(place, candidate, self.journal.path()).await?;
                    self.keep(&mut probes, probe)?;
                    if let Some(last) = probes.last() {
                        say(&report::outcome(&self.question, last, self.old(from, &probes)));
                    }
                }
                Next::Done(answer) => {
                    let next = match &answer {
                        Answer::Between { first_new, .. } if self.every_change => Some(from + first_new),
                        _ => None,
                    };
                    found.push(Found { from, search, answer });
                    match next {
                        Some(next) => from = next,
                        None => break,
                    }
                }
            }
        }
        Ok(Conclusion { found, probes })
    }

    fn keep(&mut self, probes: &mut Vec<Probe>, probe: Probe) -> Result<(), JournalError> {
        self.journal.keep(&probe)?;
        probes.push(probe);
        Ok(())
    }

    /// The search over the line from a place on, with all that is known.
    fn search(&self, from: usize, probes: &[Probe]) -> Result<Search, coldcut_core::bisect::TooFewKernels> {
        let mut search = Search::new(self.question.line.len() - from, self.test)?;
        let old = self.old(from, probes);
        for probe in probes.iter().filter(|p| p.place >= from) {
            search.observe(probe.place - from, seen(&self.question, probe, old));
        }
        Ok(search)
    }

    /// The behaviour that counts as the old one: of the oldest kernel that showed any, in its first run.
    fn old<'p>(&self, from: usize, probes: &'p [Probe]) -> Option<&'p Behaviour> {
        let Aim::FirstDifferent(aspect) = self.question.aim else {
            return None;
        };
        oldest(aspect, from, probes)
    }
}

fn oldest(aspect: Aspect, from: usize, probes: &[Probe]) -> Option<&Behaviour> {
    let conclusive = probes
        .iter()
        .filter(|p| p.place >= from)
        .filter_map(|p| p.behaviour.as_ref().map(|b| (p.place, b)))
        .filter(|(_, behaviour)| behaviour.aspect(aspect).is_some());
    conclusive
        .min_by_key(|(place, _)| *place)
        .map(|(_, behaviour)| behaviour)
}

/// What a run means to the search.
pub fn seen(question: &Question, probe: &Probe, old: Option<&Behaviour>) -> Seen {
    match &probe.behaviour {
        Some(behaviour) => behaviour.seen(question.aim, question.by, old),
        None => Seen::Untestable,
    }
}
