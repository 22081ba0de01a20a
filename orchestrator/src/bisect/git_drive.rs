//! Searches commits: git chooses the next one (`git bisect`); we build it, run it, and tell git the outcome.
//!
//! The journal holds every run by its commit, so a search that was interrupted starts git's part anew and answers from
//! the journal.

use std::fmt::Write as _;
use std::path::Path;

use coldcut_core::search::{Aim, Behaviour, Decision, Runs, Sequential, Side};

use super::git::{Bisection, NextCommit, WorkTree};
use super::journal::Journal;
use super::question::{Probe, Question};
use super::report;

/// A search over commits and its journal.
#[derive(Debug)]
pub struct GitDrive {
    /// The tree.
    pub tree: WorkTree,
    /// The old end and the new one, as full commit ids.
    pub ends: [String; 2],
    /// Where runs are kept, each with its commit as the kernel.
    pub journal: Journal,
    /// What is asked.
    pub question: Question,
    /// How often commits are run.
    pub test: Sequential,
}

/// What is known while a search goes on.
struct State<'d> {
    drive: &'d mut GitDrive,
    probes: Vec<Probe>,
}

impl GitDrive {
    /// Runs the search; `say` shows each line of progress, `run` builds and runs the commit that is checked out. Gives
    /// the answer and the exit code.
    ///
    /// # Errors
    /// What `run` returns, or a git command that failed. The search can be resumed.
    pub async fn run(
        &mut self,
        mut say: impl FnMut(&str),
        mut run: impl AsyncFnMut(&str, &Path) -> anyhow::Result<Probe>,
    ) -> anyhow::Result<(String, u8)> {
        let tree = self.tree.clone();
        let ends = self.ends.clone();
        let probes = self.journal.probes()?;
        if !probes.is_empty() {
            say(&format!("going on after {} runs", probes.len()));
        }
        let mut state = State { drive: self, probes };
        let bisection = Bisection::start(&tree).await?;
        let mut sides = [None, None];
        for (end, side) in ends.iter().zip(&mut sides) {
            bisection.checkout(end).await?;
            *side = state.decide(&tree, end, &mut say, &mut run).await?;
        }
        let (answer, code) = match sides {
            [Some(Side::Old), Some(Side::New)] => {
                bisection.tell("new", &ends[1]).await?;
                let mut step = bisection.tell("old", &ends[0]).await?;
                while let NextCommit::Test(commit) = step {
                    let word = match state.decide(&tree, &commit, &mut say, &mut run).await? {
                        Some(Side::Old) => "old",
                        Some(Side::New) => "new",
                        None => "skip",
                    };
                    step = bisection.tell(word, &commit).await?;
                }
                (found(&tree, state.drive.question.aim, &step).await, 0)
            }
            sides => nothing_found(&tree, state.drive.question.aim, &ends, sides).await,
        };
        let log = bisection.log().await;
        drop(bisection);
        let dir = state.drive.journal.path().to_owned();
        let path = dir.join("git-bisect.log");
        if let Err(error) = std::fs::write(&path, log) {
            say(&format!("note: {} cannot be written: {error}", path.display()));
        }
        let text = state.conclusion(&tree, answer, &dir).await;
        Ok((text, code))
    }
}

/// What git found, in words.
async fn found(tree: &WorkTree, aim: Aim, step: &NextCommit) -> String {
    let [old, new] = report::side_names(aim);
    match step {
        NextCommit::Found(commit) | NextCommit::Test(commit) => {
            let parent = tree.describe(&format!("{commit}^")).await;
            format!(
                "first {new}: {} (last {old}: {parent})",
                tree.describe(commit).await
            )
        }
        NextCommit::OneOf(commits) => {
            let mut names = String::new();
            for commit in commits {
                let _ = write!(names, "\n  {}", tree.describe(commit).await);
            }
            format!(
                "the first {new} commit is one of these, of which only the {new} one could be tested:{names}"
            )
        }
    }
}

/// Why there is nothing to find between the ends, and the exit code.
async fn nothing_found(
    tree: &WorkTree,
    aim: Aim,
    ends: &[String; 2],
    sides: [Option<Side>; 2],
) -> (String, u8) {
    let [old, new] = report::side_names(aim);
    let [first, second] = ends;
    let (first, second) = (tree.describe(first).await, tree.describe(second).await);
    match sides {
        [None, _] => (format!("the older end is untestable: {first}"), 3),
        [_, None] => (format!("the newer end is untestable: {second}"), 3),
        [Some(Side::New), Some(Side::Old)] => (
            format!("the wrong way round: {first} is {new}, and {second} is {old}"),
            1,
        ),
        [Some(side), Some(_)] => {
            let both = if side == Side::Old { old } else { new };
            (
                format!("both ends are {both}: {first} and {second}; there is nothing to find between them"),
                1,
            )
        }
    }
}

impl State<'_> {
    /// The behaviour that counts as the old one: of the old end, in its first conclusive run.
    fn old(&self) -> Option<&Behaviour> {
        let Aim::FirstDifferent(aspect) = self.drive.question.aim else {
            return None;
        };
        self.probes
            .iter()
            .filter(|p| p.kernel == self.drive.ends[0])
            .filter_map(|p| p.behaviour.as_ref())
            .find(|b| b.aspect(aspect).is_some())
    }

    fn runs(&self, commit: &str) -> Runs {
        let mut runs = Runs::default();
        for probe in self.probes.iter().filter(|p| p.kernel == commit) {
            runs.add(self.drive.question.seen(probe, self.old()));
        }
        runs
    }

    /// Runs the commit that is checked out until its side is decided; `None` when it is untestable.
    async fn decide(
        &mut self,
        tree: &WorkTree,
        commit: &str,
        say: &mut impl FnMut(&str),
        run: &mut impl AsyncFnMut(&str, &Path) -> anyhow::Result<Probe>,
    ) -> anyhow::Result<Option<Side>> {
        loop {
            match self.drive.test.decide(self.runs(commit)) {
                Decision::Is(side) => return Ok(Some(side)),
                Decision::Untestable => return Ok(None),
                Decision::Open => {
                    say(&format!(
                        "run {}: {}",
                        self.probes.len() + 1,
                        tree.describe(commit).await
                    ));
                    let probe = run(commit, self.drive.journal.path()).await?;
                    self.drive.journal.keep(&probe)?;
                    self.probes.push(probe);
                    if let Some(last) = self.probes.last() {
                        say(&report::run_line(&self.drive.question, last, self.old()));
                    }
                }
            }
        }
    }

    async fn conclusion(&self, tree: &WorkTree, answer: String, dir: &Path) -> String {
        let mut text = answer;
        text.push('\n');
        let mut commits: Vec<&str> = self.probes.iter().map(|p| p.kernel.as_str()).collect();
        commits.dedup();
        for commit in &commits {
            let Some(probe) = self.probes.iter().find(|p| p.kernel == *commit) else {
                continue;
            };
            let what = report::run_line(&self.drive.question, probe, self.old());
            let _ = writeln!(text, "  {}\n  {what}", tree.describe(commit).await);
            if let (Some((run, cell)), Some((state, _))) = (&probe.run, &probe.violation) {
                let _ = writeln!(
                    text,
                    "      coldcut replay {}/{cell}/{state}",
                    dir.join(run).display()
                );
            }
        }
        let _ = writeln!(
            text,
            "{} commits tested, {} runs; every run, the builds' logs and git's own log: {}",
            commits.len(),
            self.probes.len(),
            dir.display()
        );
        text
    }
}
