//! `coldcut bisect --git`: builds and runs commits.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use coldcut_core::scenario::SAME;
use coldcut_core::search::Aim;

use super::batch::Batch;
use super::bisect::{BisectArgs, nothing, probe_of, screen};
use super::kernel_build::output_of;
use crate::bisect::git::{GitDrive, Tree};
use crate::bisect::journal::{Journal, Probe, Question};
use crate::host::logged::{LoggedError, run_logged};
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::build::{Build, BuildError};
use crate::kernel::fragment::Fragment;
use crate::kernel::{Kernel, Silent, Store, StoreError};

/// How commits become kernels.
#[derive(Debug, clap::Args)]
pub(super) struct GitArgs {
    /// Search the commits of this work tree: --good and --bad are revisions. The tree is put back where it was
    #[arg(long, value_name = "TREE", conflicts_with_all = ["among", "stored", "newest_of_series", "every_change"])]
    git: Option<PathBuf>,
    /// Shell command that builds a commit, run in TREE, in place of `coldcut kernel build` with the scenario's
    /// filesystem; a commit whose build fails is untestable
    #[arg(long, value_name = "COMMAND", requires = "git")]
    build: Option<String>,
    /// What the build makes, below TREE; removed before each build unless git tracks it, so that no commit is taken
    /// for another
    #[arg(
        long,
        value_name = "FILE",
        requires = "git",
        default_value = "arch/x86/boot/bzImage"
    )]
    image: PathBuf,
    /// The lib/modules/RELEASE directory that it makes, below TREE; none when everything is built in
    #[arg(long, value_name = "DIR", requires = "git")]
    modules: Option<PathBuf>,
}

impl GitArgs {
    /// Whether commits are searched at all.
    pub(super) fn wanted(&self) -> bool {
        self.git.is_some()
    }
}

/// What came of a build.
enum Built {
    Kernel(Box<Kernel>),
    Failed(String),
}

pub(super) async fn run(
    args: &BisectArgs,
    file: Arc<ScenarioFile>,
    mut question: Question,
    store: Store,
) -> anyhow::Result<ExitCode> {
    let (Some(path), Some(good), Some(bad)) = (&args.git.git, &args.good, &args.bad) else {
        bail!("--git needs --good and --bad");
    };
    let variant = file
        .scenario
        .variant(&question.variant)
        .context("the scenario lacks this variant")?;
    let fragment = Fragment::guest(&[variant.filesystem.fstype.name().to_owned()]);
    let tree = Tree::open(path)?;
    let (old, new) = if question.aim == Aim::FirstGood {
        (bad, good)
    } else {
        (good, bad)
    };
    let ends = tree.ends(old, new, question.aim)?;
    question.ends = ends.iter().cloned().chain(args.git.build.clone()).collect();
    let results = &args.results.results;
    let journal = match &args.resume {
        Some(dir) => {
            let dir = (!dir.is_empty()).then(|| Path::new(dir));
            Journal::resume(results, dir, &question)?.0
        }
        None => Journal::create(results, &question, &file.text)?,
    };
    let count = tree.count(&ends[0], &ends[1])?;
    let (test, caution) = args
        .care
        .test(count.parse::<usize>().unwrap_or(1) + 1, question.aim)?;
    println!(
        "{count} commits in {}; {}",
        tree.path().display(),
        journal.path().display()
    );
    if let Some(caution) = caution {
        println!("{caution}");
    }

    let dir = std::path::absolute(journal.path())?;
    let variants = [question.variant.clone()];
    // A search is about one kernel at a time, which also recovers what it recorded.
    let one_kernel = vec![SAME.to_owned()];
    let mut drive = GitDrive {
        tree: tree.clone(),
        ends,
        journal,
        question,
        test,
    };
    let (answer, code) = drive
        .run(
            |line| println!("{line}"),
            async |commit, dir| {
                let started = Instant::now();
                let maker = match &args.git.build {
                    Some(command) => Maker::Command(command),
                    None => Maker::Own(fragment.as_ref().map_err(Clone::clone)?),
                };
                let mut probe = match kernel_of(&args.git, maker, &tree, &store, commit, dir).await? {
                    Built::Kernel(kernel) => {
                        let batch = Batch {
                            files: vec![Arc::clone(&file)],
                            kernels: vec![(kernel.name().to_owned(), Arc::new(*kernel))],
                            variants: &variants,
                            recover_on: Some(&one_kernel),
                            store: &store,
                            seed: args.seed,
                            strategy: args.trust.strategy(),
                            machines: &args.machines,
                            results: dir,
                            screen: screen(),
                            shard: None,
                            repeat: 1,
                        };
                        probe_of(&batch.run().await?)?
                    }
                    Built::Failed(why) => nothing(&why),
                };
                commit.clone_into(&mut probe.kernel);
                probe.seconds = started.elapsed().as_secs_f64();
                Ok::<Probe, anyhow::Error>(probe)
            },
        )
        .await
        .with_context(|| {
            format!(
                "the search stopped; the same command with --resume={} goes on with it",
                dir.display()
            )
        })?;
    drive.journal.finish(&answer)?;
    print!("\n{answer}");
    Ok(ExitCode::from(code))
}

/// Who builds.
enum Maker<'a> {
    /// A shell command.
    Command(&'a str),
    /// `coldcut kernel build`, with this configuration.
    Own(&'a Fragment),
}

/// Builds the commit that is checked out and stores its kernel, unless this search did so before.
async fn kernel_of(
    args: &GitArgs,
    maker: Maker<'_>,
    tree: &Tree,
    store: &Store,
    commit: &str,
    dir: &Path,
) -> anyhow::Result<Built> {
    let search = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let short: String = commit.chars().take(12).collect();
    let name = format!("git-{short}-{}", search.rsplit('-').next().unwrap_or_default());
    if let Ok(kernel) = store.find(&name) {
        return Ok(Built::Kernel(Box::new(kernel)));
    }
    let failed = |error: &dyn std::fmt::Display| Ok(Built::Failed(format!("the build failed: {error}")));
    let (image, modules, output) = match maker {
        Maker::Own(fragment) => {
            let build = Build {
                output: output_of(store, tree.path()),
                tree: tree.path().to_owned(),
                fragment: fragment.clone(),
                jobs: std::thread::available_parallelism().map_or(1, Into::into),
                configure_only: false,
            };
            match build.run(|_| ()).await {
                Ok(image) => (image, None, Some(build.output)),
                Err(error @ (BuildError::Make(LoggedError::Failed { .. }) | BuildError::Fragment(_))) => {
                    return failed(&error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Maker::Command(command) => {
            let image = tree.path().join(&args.image);
            if image.exists() && !tree.tracks(&args.image) {
                std::fs::remove_file(&image)
                    .with_context(|| format!("cannot remove {} before the build", image.display()))?;
            }
            let mut shell = Command::new("sh");
            shell
                .arg("-c")
                .arg(command)
                .current_dir(tree.path())
                .env("COLDCUT_COMMIT", commit);
            match run_logged(shell, &dir.join(format!("build-{short}.log")), |_| ()).await {
                Ok(()) => {}
                Err(error @ LoggedError::Failed { .. }) => return failed(&error),
                Err(error) => return Err(error.into()),
            }
            if !image.is_file() {
                bail!(
                    "the build of {short} succeeded, but there is no {}; name what it makes with --image",
                    image.display()
                );
            }
            let modules = args.modules.as_ref().map(|modules| tree.path().join(modules));
            (image, modules, None)
        }
    };
    let store = store.clone();
    let added = tokio::task::spawn_blocking(move || {
        let added = match output {
            Some(output) => store.add_tree(&output, &name, &Silent),
            None => store.add(&image, modules.as_deref(), &name, &Silent),
        };
        match added {
            // Two commits may well give the same kernel.
            Err(StoreError::SameKernel { digest, .. }) => store.find(&digest),
            added => added,
        }
    })
    .await?;
    match added {
        Ok(kernel) => Ok(Built::Kernel(Box::new(kernel))),
        Err(error @ (StoreError::Image { .. } | StoreError::Modules { .. })) => {
            Ok(Built::Failed(format!("what was built cannot be booted: {error}")))
        }
        Err(error) => Err(error.into()),
    }
}
