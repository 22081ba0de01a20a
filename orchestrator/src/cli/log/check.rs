//! `coldcut log check`: anybody's checker over every crash state.
//!
//! Several checkers run at once, but what is reported is as if they had run one after the other: states in the plan's
//! order, each content checked once, nothing after the first bad state where that is asked for.

use std::collections::{HashMap, VecDeque};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use coldcut_core::crash::index::{BlockIndex, Digest, DigestCursor};
use coldcut_core::crash::plan::States;
use coldcut_core::crash::state::{CrashState, StateId};
use serde_json::json;
use tokio::task::JoinSet;

use super::checker::{Answer, Checker, Said, Via};
use super::list::summary;
use super::opened::{BaseArg, LogArgs, Opened};
use super::spec::SpecArgs;
use crate::host::scratch::Scratch;
use crate::report::stdout::{OutputError, outln};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CheckArgs {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    base: BaseArg,
    #[command(flatten)]
    spec: SpecArgs,
    /// The checker, a shell command: {} is the state's file or socket, {state} its name. It must exit with 0 exactly
    /// when the state is good
    #[arg(long, value_name = "COMMAND")]
    exec: String,
    /// How the checker gets the state
    #[arg(long, value_enum, default_value_t = Via::Raw)]
    via: Via,
    /// How long one state may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// How many checkers run at once; as many as there are processors unless given
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Stop at the first bad state
    #[arg(long)]
    first: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// States whose answers are awaited, at most: those that come after a slow one are checked meanwhile.
const AHEAD: usize = 4096;

/// A state in the order of the plan.
struct Next {
    id: StateId,
    digest: Digest,
    /// An earlier state has the same content.
    again: bool,
}

/// Answers so far.
#[derive(Default)]
struct Tally {
    good: u64,
    bad: u64,
    unknown: u64,
    distinct: u64,
}

pub(super) async fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let opened = args.log.open(args.base.base.as_deref())?;
    let states = args.spec.spec().states(&opened.log)?;
    let scratch = Scratch::new()?;
    let mut checking = Checking::new(&args, &opened, states.clone(), &scratch)?;
    let mut tally = Tally::default();
    'all: loop {
        checking.start()?;
        while let Some((next, said)) = checking.answered() {
            report(&args, &mut tally, &next, &said?)?;
            if args.first && tally.bad > 0 {
                break 'all;
            }
        }
        if !checking.wait().await? {
            break;
        }
    }
    checking.running.shutdown().await;
    if !args.json {
        summary(&states);
        outln!(
            "{} good, {} bad, {} inconclusive; {} distinct contents",
            tally.good,
            tally.bad,
            tally.unknown,
            tally.distinct
        )?;
    }
    Ok(ExitCode::from(match (tally.bad, tally.unknown, tally.good) {
        (1.., _, _) => 1,
        (0, 1.., _) | (0, 0, 0) => 3,
        (0, 0, 1..) => 0,
    }))
}

/// Checkers at work on the states of a plan.
struct Checking<'a> {
    opened: &'a Opened,
    index: Arc<BlockIndex>,
    cursor: DigestCursor,
    checker: Arc<Checker>,
    /// States that were not looked at yet.
    left: States<'a>,
    exhausted: bool,
    /// A state that waits for a checker.
    ready: Option<(CrashState, Next)>,
    /// States whose answers are awaited, in order.
    waiting: VecDeque<Next>,
    /// By content: `None` while it is checked.
    answers: HashMap<Digest, Option<Result<Said, Failed>>>,
    /// Places for checkers to work in, each a directory of its own.
    places: Vec<PathBuf>,
    running: JoinSet<(PathBuf, Digest, anyhow::Result<Said>)>,
}

impl<'a> Checking<'a> {
    fn new(
        args: &CheckArgs,
        opened: &'a Opened,
        left: States<'a>,
        scratch: &Scratch,
    ) -> anyhow::Result<Self> {
        let jobs = args.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, NonZero::get),
            usize::from,
        );
        let places: Vec<PathBuf> = (0..jobs)
            .map(|job| scratch.path().join(format!("j{job}")))
            .collect();
        for place in &places {
            std::fs::create_dir(place).with_context(|| place.display().to_string())?;
        }
        let index = opened.index();
        Ok(Self {
            cursor: DigestCursor::new(Arc::clone(&index), opened.sources().clone())?,
            checker: Arc::new(Checker {
                exec: args.exec.clone(),
                via: args.via,
                seconds: args.timeout,
            }),
            opened,
            index,
            left,
            exhausted: false,
            ready: None,
            waiting: VecDeque::new(),
            answers: HashMap::new(),
            places,
            running: JoinSet::new(),
        })
    }

    /// Gives states to checkers, as long as there are places.
    fn start(&mut self) -> anyhow::Result<()> {
        while self.waiting.len() < AHEAD {
            let Some((state, next)) = self.next()? else {
                return Ok(());
            };
            if !next.again {
                let Some(place) = self.places.pop() else {
                    self.ready = Some((state, next));
                    return Ok(());
                };
                let image = self.index.image(&state, self.opened.sources())?;
                let (checker, digest, id) = (Arc::clone(&self.checker), next.digest, next.id.to_string());
                self.answers.insert(digest, None);
                self.running.spawn(async move {
                    let said = checker.ask(&place, image, &id).await;
                    (place, digest, said)
                });
            }
            self.waiting.push_back(next);
        }
        Ok(())
    }

    /// The next state of the plan that is given to a checker, or has the content of an earlier one.
    fn next(&mut self) -> anyhow::Result<Option<(CrashState, Next)>> {
        if let Some(ready) = self.ready.take() {
            return Ok(Some(ready));
        }
        let Some(state) = self.left.next() else {
            self.exhausted = true;
            return Ok(None);
        };
        let digest = self.cursor.digest(&state)?;
        let again = self.answers.contains_key(&digest);
        let id = state.id();
        Ok(Some((state, Next { id, digest, again })))
    }

    /// The first state that is waiting, once its answer is there.
    fn answered(&mut self) -> Option<(Next, Result<Said, Failed>)> {
        let first = self.waiting.front()?;
        let said = self.answers.get(&first.digest)?.clone()?;
        Some((self.waiting.pop_front()?, said))
    }

    /// Waits for an answer; `false` when none is to come.
    async fn wait(&mut self) -> anyhow::Result<bool> {
        if self.waiting.is_empty() && self.ready.is_none() && self.exhausted {
            return Ok(false);
        }
        if let Some(joined) = self.running.join_next().await {
            let (place, digest, said) =
                joined.context("a checker's task died; this is a defect of coldcut")?;
            self.places.push(place);
            let said = said.map_err(|error| Failed(format!("{error:#}")));
            self.answers.insert(digest, Some(said));
        }
        Ok(true)
    }
}

/// A checker could not be asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

fn report(args: &CheckArgs, tally: &mut Tally, next: &Next, said: &Said) -> Result<(), OutputError> {
    let Next { id, digest, again } = next;
    let answer = &said.answer;
    match answer {
        Answer::Good => tally.good += 1,
        Answer::Bad { .. } => tally.bad += 1,
        Answer::Inconclusive { .. } => tally.unknown += 1,
    }
    tally.distinct += u64::from(!again);
    // What it printed is said once.
    let output = if *again { "" } else { said.output.as_str() };
    if args.json {
        let object =
            json!({"state": id, "digest": digest, "answer": answer, "again": again, "output": output});
        outln!("{object}")?;
    } else if !again {
        match answer {
            Answer::Good => {}
            Answer::Bad { code } => outln!("{id}: bad, exit code {code}{}", indented(output))?,
            Answer::Inconclusive { cause } => outln!("{id}: inconclusive, {cause}{}", indented(output))?,
        }
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["\n    ", line]).collect()
}
