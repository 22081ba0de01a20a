//! Searches the commits of a kernel's tree: builds each that git chooses, and runs it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

use super::git::WorkTree;
use super::git_drive::GitDrive;
use super::journal::Journal;
use super::question::Probe;
use super::report;
use super::request::{Ends, Listener, SearchAnswer, SearchRequest};
use crate::host::logged::{LoggedError, run_logged};
use crate::kernel::build::{Build, BuildError, output_of};
use crate::kernel::fragment::{Fragment, FragmentError};
use crate::kernel::{Kernel, Silent, Store, StoreError};

/// The tree, and how its commits become kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commits {
    /// The work tree.
    pub tree: PathBuf,
    /// Revisions.
    pub ends: Ends,
    /// A shell command that builds a commit, in place of our own build.
    pub build: Option<String>,
    /// What that command makes, below the tree.
    pub image: PathBuf,
    /// The modules that it makes, below the tree.
    pub modules: Option<PathBuf>,
}

/// What came of a build.
enum Built {
    Kernel(Box<Kernel>),
    Failed(String),
}

/// What a build left: files that the store takes.
enum Made {
    /// A kernel, and its modules.
    Files {
        image: PathBuf,
        modules: Option<PathBuf>,
    },
    /// The directory of the objects.
    Output(PathBuf),
    /// Nothing, and why not.
    Failed(String),
}

/// Builds commits and stores their kernels.
struct Builder<'a> {
    commits: &'a Commits,
    tree: &'a WorkTree,
    store: &'a Store,
    /// Our own configuration, or why there is none. Unused where the user gave a command.
    fragment: Result<Fragment, FragmentError>,
}

/// Searches commits for the one that changed something.
///
/// # Errors
/// What stopped the search; it can be resumed.
pub async fn search(
    request: &SearchRequest,
    commits: &Commits,
    store: &Store,
    listener: &dyn Listener,
) -> anyhow::Result<SearchAnswer> {
    let variant = request.file.scenario.variant(&request.variant);
    let variant = variant.context("the scenario lacks this variant")?;
    let fragment = Fragment::guest(&[variant.filesystem.fstype.name().to_owned()]);
    let tree = WorkTree::open(&commits.tree).await?;
    let [old, new] = commits.ends.in_order(request.aim);
    let ends = tree.ends(old, new, request.aim).await?;
    let question = request.question(ends.iter().cloned().chain(commits.build.clone()).collect());
    let journal = match request.resumed(&question)? {
        Some((journal, _)) => journal,
        None => Journal::create(&request.results, &question, &request.file.text)?,
    };
    let count = tree.count(&ends[0], &ends[1]).await?;
    let kernels = count.parse::<usize>().unwrap_or(1) + 1;
    let (test, caution) = request.care.test(kernels, request.aim)?;
    listener.line(&format!(
        "{count} commits in {}; {}",
        tree.path().display(),
        journal.path().display()
    ));
    if let Some(caution) = caution {
        listener.line(&caution);
    }

    let dir = std::path::absolute(journal.path())?;
    let builder = Builder {
        commits,
        tree: &tree,
        store,
        fragment,
    };
    let mut drive = GitDrive {
        tree: tree.clone(),
        ends,
        journal,
        question,
        test,
    };
    let probe = async |commit: &str, dir: &Path| {
        let started = Instant::now();
        let mut probe = match builder.kernel_of(commit, dir).await? {
            Built::Kernel(kernel) => {
                let name = kernel.name().to_owned();
                request.run_on(&name, *kernel, store, dir, listener).await?
            }
            Built::Failed(why) => Probe::untestable(&why),
        };
        commit.clone_into(&mut probe.kernel);
        probe.seconds = started.elapsed().as_secs_f64();
        Ok(probe)
    };
    let ran = drive.run(|line| listener.line(line), probe).await;
    let (text, code) = ran.with_context(|| report::stopped(&dir))?;
    drive.journal.finish(&text)?;
    Ok(SearchAnswer { text, code })
}

impl Builder<'_> {
    /// Builds the commit that is checked out and stores its kernel, unless this search did so before.
    async fn kernel_of(&self, commit: &str, dir: &Path) -> anyhow::Result<Built> {
        let search = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let short: String = commit.chars().take(12).collect();
        let name = format!("git-{short}-{}", search.rsplit('-').next().unwrap_or_default());
        if let Ok(kernel) = self.store.find(&name) {
            return Ok(Built::Kernel(Box::new(kernel)));
        }
        let made = match &self.commits.build {
            None => self.own_build().await?,
            Some(command) => self.build_by(command, commit, dir).await?,
        };
        self.keep(made, name).await
    }

    /// Builds as `coldcut kernel build` does.
    async fn own_build(&self) -> anyhow::Result<Made> {
        let build = Build {
            output: output_of(self.store, self.tree.path()),
            tree: self.tree.path().to_owned(),
            fragment: self.fragment.clone()?,
            jobs: std::thread::available_parallelism().map_or(1, Into::into),
            configure_only: false,
        };
        match build.run(|_| ()).await {
            Ok(_) => Ok(Made::Output(build.output)),
            Err(error @ (BuildError::Make(LoggedError::Failed { .. }) | BuildError::Fragment(_))) => {
                Ok(Made::failed(&error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Builds with the user's own command.
    async fn build_by(&self, command: &str, commit: &str, dir: &Path) -> anyhow::Result<Made> {
        let (tree, image) = (self.tree.path(), &self.commits.image);
        let path = tree.join(image);
        if path.exists() && !self.tree.tracks(image).await {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {} before the build", path.display()))?;
        }
        let short: String = commit.chars().take(12).collect();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).current_dir(tree);
        shell.env("COLDCUT_COMMIT", commit);
        match run_logged(shell, &dir.join(format!("build-{short}.log")), |_| ()).await {
            Ok(()) => {}
            Err(error @ LoggedError::Failed { .. }) => return Ok(Made::failed(&error)),
            Err(error) => return Err(error.into()),
        }
        if !path.is_file() {
            bail!(
                "the build of {short} succeeded, but there is no {}; name what it makes with --image",
                path.display()
            );
        }
        let modules = self.commits.modules.as_ref().map(|modules| tree.join(modules));
        Ok(Made::Files { image: path, modules })
    }

    /// Stores what was built.
    async fn keep(&self, made: Made, name: String) -> anyhow::Result<Built> {
        let store = self.store.clone();
        let added = tokio::task::spawn_blocking(move || {
            let added = match made {
                Made::Output(output) => store.add_tree(&output, &name, &Silent),
                Made::Files { image, modules } => store.add(&image, modules.as_deref(), &name, &Silent),
                Made::Failed(why) => return Ok(Built::Failed(why)),
            };
            let kernel = match added {
                // Two commits may well give the same kernel.
                Err(StoreError::SameKernel { digest, .. }) => store.find(&digest)?,
                added => added?,
            };
            Ok(Built::Kernel(Box::new(kernel)))
        });
        match added.await? {
            Err(error @ (StoreError::Image { .. } | StoreError::Modules { .. })) => {
                Ok(Built::Failed(format!("what was built cannot be booted: {error}")))
            }
            kept => Ok(kept?),
        }
    }
}

impl Made {
    fn failed(error: &dyn std::fmt::Display) -> Self {
        Self::Failed(format!("the build failed: {error}"))
    }
}
