//! `coldcut bisect`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum;
use coldcut_core::search::{Aim, Aspect, By};

use super::ResultsArg;
use super::kernel::ArchiveArgs;
use super::machines::{MachineArgs, TrustArgs};
use super::terminal::Terminal;
use crate::bisect::care::Care;
use crate::bisect::commits::{self, Commits};
use crate::bisect::releases::{self, Kernels};
use crate::bisect::request::{Ends, Listener, ResumeFrom, SearchRequest, variant_of};
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::{self, Store};
use crate::report::stdout::{errln, out, outln};
use crate::report::{LiveProgress, Reporter};

/// Find the kernel that changed how a scenario comes out
///
/// A kernel is good when the variant's verdict on it is `holds`, and bad when it is `violates`, whichever kinds; with
/// `--by declared` it is good when it does what the variant declares, and bad when not. Whatever is inconclusive (a
/// kernel that does not boot, mount or answer; a time-out; nothing judged) is untestable: it is never good or bad, and
/// its neighbours are tried in its place.
///
/// Searched are the kernels that the store and the configured archives have between the two ends, in version order,
/// one build of each version; each is pulled when it is needed. Both ends are tested first. Of n kernels at most
/// ⌈log2(n − 1)⌉ + 2 are tested, both ends counted, when nothing is flaky or untestable.
///
/// Every run is kept in RESULTS/bisect-…/; the same command with `--resume` goes on after an interruption.
/// Exit codes: 0 found, 1 nothing to find (both ends alike, or the wrong way round), 2 usage, 3 untestable.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)] // options, each by itself
pub(super) struct BisectArgs {
    /// Scenario file
    #[arg(value_name = "SCENARIO")]
    file: PathBuf,
    /// Its variant; may be left away when there is only one
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// A good kernel: a series (its newest), version, release, name or digest
    #[arg(
        long,
        value_name = "KERNEL",
        required_unless_present = "among",
        requires = "bad"
    )]
    good: Option<String>,
    /// A bad kernel
    #[arg(long, value_name = "KERNEL", requires = "good")]
    bad: Option<String>,
    /// Search these kernels of the store, in this order, in place of --good and --bad
    #[arg(long, value_name = "KERNEL", value_delimiter = ',', conflicts_with_all = ["good", "bad"])]
    among: Vec<String>,
    /// Find the first good kernel: the older end is the bad one
    #[arg(long)]
    first_good: bool,
    /// Find the first kernel that behaves otherwise than the older end, be it good or bad: `barriers` are the flushes
    /// and FUA requests that each step sends (use --repeat with it: timing may change them)
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "kinds",
          conflicts_with = "first_good")]
    until_different: Option<What>,
    /// With --until-different: find every change; the oldest and the newest kernel of each series are tested, and where
    /// two in a row differ the changes between them are searched
    #[arg(long, requires = "until_different")]
    every_change: bool,
    /// What makes a kernel good or bad
    #[arg(long, value_enum, default_value_t = Word::Verdict)]
    by: Word,
    #[command(flatten)]
    care: CareArgs,
    /// Only the newest kernel of each series between the ends
    #[arg(long)]
    newest_of_series: bool,
    /// Only kernels that are stored already
    #[arg(long)]
    stored: bool,
    /// Go on with the last unfinished search that asked the same, or with the one in DIR
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    resume: Option<String>,
    /// Seed of everything that is sampled
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    git: GitArgs,
    #[command(flatten)]
    archive: ArchiveArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    results: ResultsArg,
}

/// How much flaky kernels are cared about.
#[derive(Debug, clap::Args)]
struct CareArgs {
    /// Run each kernel up to N times: one bad run makes it bad, N good ones make it good. Without --miss this covers
    /// bad kernels that look good in some runs; how many, the search says
    #[arg(long, value_name = "N")]
    repeat: Option<u32>,
    /// How often at most a run of a bad kernel comes out good [default: never, or what --repeat covers]
    #[arg(long, value_name = "RATE")]
    miss: Option<f64>,
    /// How often at most a run of a good kernel comes out bad [default: never]
    #[arg(long, value_name = "RATE")]
    false_alarm: Option<f64>,
    /// Probability, at most, that the answer is wrong when these rates hold
    #[arg(long, value_name = "P", default_value_t = 0.01)]
    error: f64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Verdict,
    Kinds,
    Barriers,
}

/// `--by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Word {
    /// Good holds, bad violates
    Verdict,
    /// Good is as the variant declares, bad is not
    Declared,
}

impl From<Word> for By {
    fn from(word: Word) -> Self {
        match word {
            Word::Verdict => Self::Verdict,
            Word::Declared => Self::Declared,
        }
    }
}

/// How commits become kernels.
#[derive(Debug, clap::Args)]
struct GitArgs {
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

impl From<CareArgs> for Care {
    fn from(args: CareArgs) -> Self {
        Self {
            repeat: args.repeat,
            miss: args.miss,
            false_alarm: args.false_alarm,
            error: args.error,
        }
    }
}

pub(super) async fn run(args: BisectArgs) -> anyhow::Result<ExitCode> {
    let file = Arc::new(ScenarioFile::read(&args.file)?);
    let variant = variant_of(&file, args.variant.as_deref())?;
    let mut store = Store::open_default()?;
    args.archive.clone().apply(&mut store);
    let ends = args.good.clone().zip(args.bad.clone());
    let ends = ends.map(|(good, bad)| Ends { good, bad });
    let request = SearchRequest {
        file,
        variant,
        aim: args.aim(),
        by: args.by.into(),
        care: args.care.into(),
        resume: match args.resume {
            None => ResumeFrom::No,
            Some(dir) if dir.is_empty() => ResumeFrom::Last,
            Some(dir) => ResumeFrom::In(dir.into()),
        },
        seed: args.seed,
        strategy: args.trust.strategy(),
        machines: args.machines.settings(),
        results: args.results.results,
    };
    let answer = if let Some(tree) = args.git.git {
        let commits = Commits {
            tree,
            ends: ends.context("--git needs --good and --bad")?,
            build: args.git.build,
            image: args.git.image,
            modules: args.git.modules,
        };
        commits::search(&request, &commits, &store, &Shown).await?
    } else {
        let kernels = match ends {
            Some(ends) => Kernels::Between {
                ends,
                stored: args.stored,
                newest_of_series: args.newest_of_series,
            },
            None => Kernels::Among(args.among),
        };
        releases::search(&request, &kernels, args.every_change, &store, &Shown).await?
    };
    let _ = out!("\n{}", answer.text);
    Ok(ExitCode::from(answer.code))
}

impl BisectArgs {
    fn aim(&self) -> Aim {
        match (self.first_good, self.until_different) {
            (true, _) => Aim::FirstGood,
            (_, Some(What::Verdict)) => Aim::FirstDifferent(Aspect::Verdict),
            (_, Some(What::Kinds)) => Aim::FirstDifferent(Aspect::Kinds),
            (_, Some(What::Barriers)) => Aim::FirstDifferent(Aspect::Barriers),
            _ => Aim::FirstBad,
        }
    }
}

/// Shows a search: progress on standard output, notes on standard error.
struct Shown;

impl Listener for Shown {
    fn line(&self, text: &str) {
        // The search goes on, and is kept, whoever reads of it.
        let _ = outln!("{text}");
    }

    fn note(&self, text: &str) {
        errln!("note: {text}");
    }

    fn fetching(&self) -> Box<dyn kernel::Progress + Send> {
        if Terminal::is_there() {
            Box::new(Terminal::new())
        } else {
            Box::new(kernel::Silent)
        }
    }

    fn reporters(&self) -> Vec<Box<dyn Reporter>> {
        // Only a terminal wants more of a run than its line.
        if Terminal::is_there() {
            vec![Box::new(LiveProgress::new())]
        } else {
            Vec::new()
        }
    }
}
