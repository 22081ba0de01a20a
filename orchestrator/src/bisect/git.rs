//! A git work tree, and a `git bisect` in it.
//!
//! The tree is always put back to where it was, unless coldcut is killed by SIGKILL; then use `git bisect reset`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use coldcut_core::search::Aim;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::host::capture::{Captured, capture_blocking, within};
use crate::host::tool::last_words;
use crate::report::stdout::errln;

/// How long one git command may take. Checking out a large tree on a slow disk takes minutes.
const LIMIT: Duration = Duration::from_secs(3600);

/// Why a git command failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It cannot be run.
    #[error("cannot run git: {0} (package git)")]
    Run(#[from] std::io::Error),
    /// It refused.
    #[error("git {what} failed: {said}")]
    Refused {
        /// What was asked.
        what: String,
        /// What it said.
        said: String,
    },
    /// A search is going on in the tree already.
    #[error("{} is in the middle of a `git bisect`; end it with `git bisect reset`, or give another tree (git worktree add)", .0.display())]
    Busy(PathBuf),
    /// The tree has changes that switching commits could lose.
    #[error("{} has changes that are not committed:\n{said}", path.display())]
    Dirty {
        /// The tree.
        path: PathBuf,
        /// What git says of them.
        said: String,
    },
    /// Both ends are one commit.
    #[error("both ends are the commit {0}: expected two")]
    OneCommit(String),
    /// The ends are the wrong way round.
    #[error("the wrong way round: {new} is an ancestor of {old}{hint}")]
    WrongWay {
        /// What should be the older end.
        old: String,
        /// What should be the newer end.
        new: String,
        /// What to do.
        hint: &'static str,
    },
}

/// A work tree.
#[derive(Clone, Debug)]
pub struct WorkTree {
    path: PathBuf,
    /// Allows one git command at a time. Commands are not interrupted: half a checkout would leave the index locked.
    turn: Arc<Mutex<()>>,
}

/// What git wants next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextCommit {
    /// This commit is to be tested.
    Test(String),
    /// This is the first commit of the new side.
    Found(String),
    /// Only untestable commits are left: the change is in one of these.
    OneOf(Vec<String>),
}

impl WorkTree {
    /// A tree that can be searched: a git work tree without changes, in which no search is going on.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn open(path: &Path) -> Result<Self, GitError> {
        let tree = Self {
            path: path.to_owned(),
            turn: Arc::default(),
        };
        let top = tree.git(&["rev-parse", "--show-toplevel"]).await?;
        let tree = Self {
            path: PathBuf::from(top),
            turn: tree.turn,
        };
        let started = tree.git(&["rev-parse", "--git-path", "BISECT_START"]).await?;
        if tree.path.join(started).exists() {
            return Err(GitError::Busy(tree.path));
        }
        let said = tree
            .git(&["status", "--porcelain", "--untracked-files=no"])
            .await?;
        if said.is_empty() {
            Ok(tree)
        } else {
            Err(GitError::Dirty {
                path: tree.path,
                said,
            })
        }
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The commit that a name means.
    async fn commit(&self, name: &str) -> Result<String, GitError> {
        let name_of_commit = format!("{name}^{{commit}}");
        let args = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &name_of_commit,
        ];
        self.git(&args).await.map_err(|_| GitError::Refused {
            what: "rev-parse".to_owned(),
            said: format!("{} has no commit `{name}`", self.path.display()),
        })
    }

    /// The commits that two names mean: the old end and the new one.
    ///
    /// # Errors
    /// [`GitError`], also when they are the wrong way round.
    pub async fn ends(&self, old: &str, new: &str, aim: Aim) -> Result<[String; 2], GitError> {
        let (first, second) = (self.commit(old).await?, self.commit(new).await?);
        if first == second {
            return Err(GitError::OneCommit(first));
        }
        if self
            .run(&["merge-base", "--is-ancestor", &second, &first])
            .await?
            .status
            .success()
        {
            return Err(GitError::WrongWay {
                old: old.to_owned(),
                new: new.to_owned(),
                hint: match aim {
                    Aim::FirstBad => "; the first good commit is found with --first-good",
                    Aim::FirstGood => "; with --first-good the bad end is the older one",
                    Aim::FirstDifferent(_) => "",
                },
            });
        }
        Ok([first, second])
    }

    /// How many commits are between two, the second one counted.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn count(&self, old: &str, new: &str) -> Result<String, GitError> {
        self.git(&["rev-list", "--count", &format!("{old}..{new}")]).await
    }

    /// Whether git tracks a file of the tree.
    pub async fn tracks(&self, file: &Path) -> bool {
        let file = file.to_string_lossy();
        self.run(&["ls-files", "--error-unmatch", "--", &*file])
            .await
            .is_ok_and(|output| output.status.success())
    }

    /// A commit's short name and subject.
    pub async fn describe(&self, commit: &str) -> String {
        self.git(&["show", "-s", "--format=%h %s", commit])
            .await
            .unwrap_or_else(|_| commit.to_owned())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.path).args(args).env("LC_ALL", "C");
        // A hook or alias that calls us must not make git look at another repository.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs git to its end, also where this future is dropped meanwhile.
    async fn run(&self, args: &[&str]) -> Result<Captured, GitError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let command = self.command(args);
        let ran = tokio::task::spawn_blocking(move || run_blocking(command, &turn)).await;
        whole(args, ran.map_err(std::io::Error::other)??)
    }

    async fn git(&self, args: &[&str]) -> Result<String, GitError> {
        said(args, &self.run(args).await?)
    }

    /// As [`Self::git`], in a destructor: waits for the git that still runs.
    fn git_blocking(&self, args: &[&str]) -> Result<String, GitError> {
        let turn = loop {
            match Arc::clone(&self.turn).try_lock_owned() {
                Ok(turn) => break turn,
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        said(args, &whole(args, run_blocking(self.command(args), &turn)?)?)
    }
}

/// Runs git, whose turn it is.
fn run_blocking(command: Command, _: &OwnedMutexGuard<()>) -> std::io::Result<Option<Captured>> {
    capture_blocking(command, within(LIMIT))
}

/// All that git printed, if it ended in time.
fn whole(args: &[&str], output: Option<Captured>) -> Result<Captured, GitError> {
    let refused = |said: String| GitError::Refused {
        what: args.join(" "),
        said,
    };
    match output {
        Some(output) if output.cut_short => Err(refused("it printed more than is read".to_owned())),
        Some(output) => Ok(output),
        None => Err(refused(format!("it did not end within {} s", LIMIT.as_secs()))),
    }
}

/// What git printed, if it succeeded.
fn said(args: &[&str], output: &Captured) -> Result<String, GitError> {
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(GitError::Refused {
            what: args.join(" "),
            said: last_words(output),
        })
    }
}

/// A `git bisect` in progress; it ends, and the tree is back where it was, when this is dropped.
pub(super) struct Bisection<'t>(&'t WorkTree);

impl<'t> Bisection<'t> {
    pub(super) async fn start(tree: &'t WorkTree) -> Result<Self, GitError> {
        tree.git(&["bisect", "start"]).await?;
        Ok(Self(tree))
    }

    pub(super) async fn checkout(&self, commit: &str) -> Result<(), GitError> {
        self.0
            .git(&["checkout", "--quiet", "--detach", commit])
            .await
            .map(drop)
    }

    pub(super) async fn tell(&self, word: &str, commit: &str) -> Result<NextCommit, GitError> {
        let args = ["bisect", word, commit];
        let output = self.0.run(&args).await?;
        let said = String::from_utf8_lossy(&output.stdout);
        match after(&said) {
            Some(step) => Ok(step),
            None if output.status.success() => {
                Ok(NextCommit::Test(self.0.git(&["rev-parse", "HEAD"]).await?))
            }
            None => Err(GitError::Refused {
                what: args.join(" "),
                said: last_words(&output),
            }),
        }
    }

    pub(super) async fn log(&self) -> String {
        self.0.git(&["bisect", "log"]).await.unwrap_or_default()
    }
}

impl Drop for Bisection<'_> {
    fn drop(&mut self) {
        if let Err(error) = self
            .0
            .git_blocking(&["bisect", "reset", "--quiet"])
            .or_else(|_| self.0.git_blocking(&["bisect", "reset"]))
        {
            errln!(
                "coldcut: {} is not back where it was: {error}",
                self.0.path.display()
            );
        }
    }
}

/// Whether git says that the search is over.
fn after(said: &str) -> Option<NextCommit> {
    let is_commit = |word: &str| word.len() >= 40 && word.bytes().all(|b| b.is_ascii_hexdigit());
    if said.contains("only 'skip'ped commits left") {
        let commits = said.lines().map(str::trim).filter(|line| is_commit(line));
        return Some(NextCommit::OneOf(commits.map(str::to_owned).collect()));
    }
    let line = said
        .lines()
        .find(|line| line.ends_with(" is the first new commit"))?;
    let commit = line.split(' ').next().filter(|word| is_commit(word))?;
    Some(NextCommit::Found(commit.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_understood() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(
            after(&format!(
                "{commit} is the first new commit\ncommit {commit}\nAuthor: A\n"
            )),
            Some(NextCommit::Found(commit.to_owned()))
        );
        let skipped = format!(
            "There are only 'skip'ped commits left to test.\nThe first new commit could be any of:\n{commit}\n{commit}\nWe cannot bisect more!\n"
        );
        assert_eq!(
            after(&skipped),
            Some(NextCommit::OneOf(vec![commit.to_owned(); 2]))
        );
        assert_eq!(
            after("Bisecting: 3 revisions left to test after this (roughly 2 steps)\n[0123] a subject"),
            None
        );
    }
}
