//! `coldcut bisect`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use coldcut_core::outcome::diff::Recording;
use coldcut_core::outcome::verdict::Verdict;
use coldcut_core::scenario::SAME;
use coldcut_core::search::{Aim, Aspect, Behaviour, By, Flakiness, Sequential, Side};

use super::ResultsArg;
use super::batch::{Batch, Ran};
use super::bisect_git::{self, GitArgs};
use super::kernel::{ArchiveArgs, on_terminal};
use super::machines::{MachineArgs, TrustArgs};
use crate::bisect::drive::Drive;
use crate::bisect::journal::{self, Journal, Probe, Question};
use crate::bisect::line::{self, Candidate};
use crate::bisect::obtain::{self, Obtained};
use crate::bisect::report;
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::Store;
use crate::record::loaded::LoadedRecording;
use crate::report::{Progress, Reporter};
use crate::results::CellDir;

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
    pub(super) good: Option<String>,
    /// A bad kernel
    #[arg(long, value_name = "KERNEL", requires = "good")]
    pub(super) bad: Option<String>,
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
    pub(super) care: CareArgs,
    /// Only the newest kernel of each series between the ends
    #[arg(long)]
    newest_of_series: bool,
    /// Only kernels that are stored already
    #[arg(long)]
    stored: bool,
    /// Go on with the last unfinished search that asked the same, or with the one in DIR
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(super) resume: Option<String>,
    /// Seed of everything that is sampled
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) git: GitArgs,
    #[command(flatten)]
    archive: ArchiveArgs,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
    #[command(flatten)]
    pub(super) machines: MachineArgs,
    #[command(flatten)]
    pub(super) results: ResultsArg,
}

/// How much flaky kernels are cared about.
#[derive(Debug, clap::Args)]
pub(super) struct CareArgs {
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

impl CareArgs {
    /// The test for each of `count` kernels, and what to say about it.
    pub(super) fn test(&self, count: usize, aim: Aim) -> anyhow::Result<(Sequential, Option<String>)> {
        // Each kernel is decided at most once, so the errors of all of them add up to no more than the whole.
        let error = self.error / count.max(1) as f64;
        let bad = if aim == Aim::FirstGood {
            Side::Old
        } else {
            Side::New
        };
        let (test, rates) = if let (Some(runs), None, None) = (self.repeat, self.miss, self.false_alarm) {
            Sequential::repeated(runs, error, bad)?
        } else {
            let (miss, alarm) = (self.miss.unwrap_or(0.0), self.false_alarm.unwrap_or(0.0));
            let rates = match bad {
                Side::New => Flakiness {
                    old_as_new: alarm,
                    new_as_old: miss,
                },
                Side::Old => Flakiness {
                    old_as_new: miss,
                    new_as_old: alarm,
                },
            };
            (Sequential::new(rates, error, self.repeat)?, rates)
        };
        if rates == Flakiness::NONE {
            return Ok((test, None));
        }
        let (miss, alarm) = match bad {
            Side::New => (rates.new_as_old, rates.old_as_new),
            Side::Old => (rates.old_as_new, rates.new_as_old),
        };
        let [good, bad] = match aim {
            Aim::FirstDifferent(_) => ["unchanged", "changed"],
            _ => ["good", "bad"],
        };
        Ok((
            test,
            Some(format!(
                "up to {} runs of a kernel: the answer is wrong with a probability of at most {} as long as at most \
                 {:.0} % of a {bad} kernel's runs look {good}, and {:.0} % of a {good} one's look {bad}",
                test.most(),
                self.error,
                miss * 100.0,
                alarm * 100.0,
            )),
        ))
    }
}

pub(super) async fn run(args: BisectArgs) -> anyhow::Result<ExitCode> {
    let file = Arc::new(ScenarioFile::read(&args.file)?);
    let variant = variant_of(&file, args.variant.as_deref())?;
    let mut store = Store::open_default()?;
    args.archive.clone().apply(&mut store);
    let aim = match (args.first_good, args.until_different) {
        (true, _) => Aim::FirstGood,
        (_, Some(What::Verdict)) => Aim::FirstDifferent(Aspect::Verdict),
        (_, Some(What::Kinds)) => Aim::FirstDifferent(Aspect::Kinds),
        (_, Some(What::Barriers)) => Aim::FirstDifferent(Aspect::Barriers),
        _ => Aim::FirstBad,
    };
    let mut question = Question {
        format: journal::FORMAT,
        scenario: file.scenario.name.clone(),
        digest: file.scenario.digest().to_hex().to_string(),
        variant,
        aim,
        by: args.by.into(),
        ends: ends(&args),
        seed: args.seed,
        line: Vec::new(),
        command_line: std::env::args().collect(),
    };
    if args.git.wanted() {
        return bisect_git::run(&args, file, question, store).await;
    }
    let results = &args.results.results;
    let journal = if let Some(dir) = &args.resume {
        let dir = (!dir.is_empty()).then(|| Path::new(dir));
        let (journal, asked) = Journal::resume(results, dir, &question)?;
        question = asked;
        journal
    } else {
        question.line = find_line(&args, &store, aim).await?;
        for dir in journal::unfinished(results) {
            if journal::read_question(&dir).is_ok_and(|asked| asked.same(&question)) {
                eprintln!(
                    "note: {} has an unfinished search that asked the same; --resume goes on with it",
                    dir.display()
                );
                break;
            }
        }
        Journal::create(results, &question, &file.text)?
    };
    let count = question.line.len();
    let (test, caution) = args.care.test(count, aim)?;
    let effort = if args.every_change {
        format!(
            "the oldest and the newest of {} series first, and what is between them where they differ",
            line::series_ends(&question.line).len()
        )
    } else {
        let most = (count - 1).next_power_of_two().ilog2() + 2;
        format!("at most {most} to test when nothing is flaky or untestable")
    };
    println!(
        "{} kernels from {} to {}: {effort}; {}",
        count,
        question.line[0].describe(),
        question.line[count - 1].describe(),
        journal.path().display()
    );
    if let Some(caution) = caution {
        println!("{caution}");
    }

    let dir = journal.path().to_owned();
    let mut drive = Drive {
        journal,
        question,
        test,
        every_change: args.every_change,
    };
    let variants = [drive.question.variant.clone()];
    // A search is about one kernel at a time, which also recovers what it recorded.
    let one_kernel = vec![SAME.to_owned()];
    let conclusion = drive
        .run(
            |line| println!("{line}"),
            async |place, candidate, dir| {
                let started = Instant::now();
                let kernel = pulled(&store, candidate).await?;
                let mut probe = match kernel {
                    Obtained::Kernel(kernel) => {
                        let batch = Batch {
                            files: vec![Arc::clone(&file)],
                            kernels: vec![(candidate.name.clone(), Arc::new(*kernel))],
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
                    Obtained::Gone(why) => nothing(&why),
                };
                probe.place = place;
                probe.kernel.clone_from(&candidate.name);
                probe.seconds = started.elapsed().as_secs_f64();
                Ok(probe)
            },
        )
        .await
        .with_context(|| {
            format!(
                "the search stopped; the same command with --resume={} goes on with it",
                dir.display()
            )
        })?;
    let answer = report::conclusion(&drive.question, &conclusion, &dir);
    drive.journal.finish(&answer)?;
    print!("\n{answer}");
    Ok(ExitCode::from(report::exit_code(&conclusion)))
}

/// The ends as the user gave them.
fn ends(args: &BisectArgs) -> Vec<String> {
    match (&args.good, &args.bad) {
        (Some(good), Some(bad)) => vec![good.clone(), bad.clone()],
        _ => args.among.clone(),
    }
}

/// The variant that is meant.
fn variant_of(file: &ScenarioFile, wanted: Option<&str>) -> anyhow::Result<String> {
    let names: Vec<&str> = file.scenario.variants().iter().map(|v| v.name.as_str()).collect();
    match (wanted, &names[..]) {
        (Some(wanted), _) if names.contains(&wanted) => Ok(wanted.to_owned()),
        (Some(wanted), _) => bail!(
            "{} has no variant `{wanted}`; it has {}",
            file.path.display(),
            names.join(", ")
        ),
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => bail!(
            "{} has several variants: name one with --variant: {}",
            file.path.display(),
            names.join(", ")
        ),
    }
}

/// The kernels between the ends.
async fn find_line(args: &BisectArgs, store: &Store, aim: Aim) -> anyhow::Result<Vec<Candidate>> {
    let (Some(good), Some(bad)) = (&args.good, &args.bad) else {
        let stored = |spec: &String| Ok(Candidate::stored(store.find(spec)?.manifest()));
        let line: Vec<Candidate> = args.among.iter().map(stored).collect::<anyhow::Result<_>>()?;
        if line.len() < 2 {
            bail!(
                "--among names {} kernel; expected at least two, the oldest first",
                line.len()
            );
        }
        return Ok(line);
    };
    let ends = match aim {
        Aim::FirstGood => [bad.as_str(), good.as_str()],
        _ => [good.as_str(), bad.as_str()],
    };
    let flavour = line::flavour_of(ends)?;
    let (store, ask) = (store.clone(), !args.stored);
    let (all, note) = tokio::task::spawn_blocking(move || {
        on_terminal(|progress| obtain::candidates(&store, ask, progress))
    })
    .await??;
    if let Some(note) = note {
        eprintln!("note: only stored kernels are searched: {note}");
    }
    let (line, forward) = line::between(&line::in_order(all, flavour), ends, flavour)?;
    if !forward {
        match aim {
            Aim::FirstBad => bail!(
                "the wrong way round: --good {good} is newer than --bad {bad}; the first good kernel is found with --first-good"
            ),
            Aim::FirstGood => bail!(
                "the wrong way round: with --first-good the bad end is the older one, and --bad {bad} is newer than --good {good}"
            ),
            Aim::FirstDifferent(_) => {}
        }
    }
    Ok(if args.newest_of_series {
        line::newest_of_series(line)
    } else {
        line
    })
}

async fn pulled(store: &Store, candidate: &Candidate) -> anyhow::Result<Obtained> {
    let (store, candidate) = (store.clone(), candidate.clone());
    Ok(tokio::task::spawn_blocking(move || {
        on_terminal(|progress| obtain::obtain(&store, &candidate, progress))
    })
    .await??)
}

/// Who shows a run while it goes on: only a terminal wants more than a line for it.
pub(super) fn screen() -> Vec<Box<dyn Reporter>> {
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        vec![Box::new(Progress::new())]
    } else {
        Vec::new()
    }
}

/// A run of nothing.
pub(super) fn nothing(why: &str) -> Probe {
    Probe {
        place: 0,
        kernel: String::new(),
        digest: None,
        behaviour: None,
        cause: Some(why.to_owned()),
        run: None,
        violation: None,
        seconds: 0.0,
    }
}

/// What a run of one cell showed.
pub(super) fn probe_of(ran: &Ran) -> anyhow::Result<Probe> {
    let cell = ran.result.cells.first().context("the run has no cell")?;
    let id = &cell.cell.id;
    let recording = CellDir::open(&ran.dir.join("cells").join(id))
        .map_err(anyhow::Error::from)
        .and_then(|dir| Ok(LoadedRecording::load(&dir)?))
        .ok()
        .map(|recording| Recording::of(&recording.log));
    Ok(Probe {
        digest: Some(cell.kernel.digest.clone()),
        behaviour: Some(Behaviour::of(cell, recording)),
        cause: match &cell.verdict {
            Verdict::Inconclusive { cause } => Some(cause.clone()),
            _ => None,
        },
        run: Some((file_name(&ran.dir), id.clone())),
        violation: cell
            .violations
            .first()
            .map(|v| (v.state.clone(), format!("{}: {}", v.kind, v.evidence))),
        ..nothing("")
    })
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
