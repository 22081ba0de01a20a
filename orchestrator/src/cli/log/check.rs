//! `coldcut log check`: anybody's checker over every crash state.
//!
//! Several checkers run at once, but what is reported is as if they had run one after the other: states in the plan's
//! order, each content checked once, nothing after the first bad state where that is asked for.

use std::collections::{HashMap, VecDeque};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use coldcut_core::crash::index::{Digest, DigestCursor};
use coldcut_core::crash::state::{CrashState, StateId};
use serde_json::json;
use tokio::task::JoinSet;

use super::checker::{Answer, Checker, Said, Via};
use super::list::summary;
use super::opened::{BaseArg, LogArgs};
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
    let index = opened.index();
    let mut cursor = DigestCursor::new(Arc::clone(&index), opened.sources().clone())?;
    let jobs = args.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, NonZero::get),
        usize::from,
    );
    let scratch = Scratch::new()?;
    let checker = Arc::new(Checker {
        exec: args.exec.clone(),
        via: args.via,
        seconds: args.timeout,
    });
    let mut tally = Tally::default();
    // Places for checkers to work in, each a directory of its own.
    let mut places: Vec<_> = (0..jobs)
        .map(|job| scratch.path().join(format!("j{job}")))
        .collect();
    for place in &places {
        std::fs::create_dir(place).with_context(|| place.display().to_string())?;
    }
    // Dropped before the directory, which ends the checkers that still run.
    let mut running = JoinSet::new();
    let (mut left, mut exhausted) = (states.clone(), false);
    let mut ready: Option<(CrashState, Next)> = None;
    let mut waiting: VecDeque<Next> = VecDeque::new();
    // By content: `None` while it is checked.
    let mut answers: HashMap<Digest, Option<anyhow::Result<Said>>> = HashMap::new();
    'all: loop {
        while waiting.len() < AHEAD {
            let (state, next) = if let Some(ready) = ready.take() {
                ready
            } else {
                let Some(state) = left.next() else {
                    exhausted = true;
                    break;
                };
                let digest = cursor.digest(&state)?;
                let again = answers.contains_key(&digest);
                let id = state.id();
                (state, Next { id, digest, again })
            };
            if !next.again {
                let Some(place) = places.pop() else {
                    ready = Some((state, next));
                    break;
                };
                let image = index.image(&state, opened.sources())?;
                let (checker, digest, id) = (Arc::clone(&checker), next.digest, next.id.to_string());
                answers.insert(digest, None);
                running.spawn(async move {
                    let said = checker.ask(&place, image, &id).await;
                    (place, digest, said)
                });
            }
            waiting.push_back(next);
        }
        while let Some(Some(said)) = waiting.front().and_then(|next| answers.get_mut(&next.digest)) {
            let Some(next) = waiting.pop_front() else { break };
            match said {
                Ok(said) => report(&args, &mut tally, &next, said)?,
                Err(error) => return Err(std::mem::replace(error, anyhow::anyhow!("reported"))),
            }
            if args.first && tally.bad > 0 {
                break 'all;
            }
        }
        if waiting.is_empty() && ready.is_none() && exhausted {
            break;
        }
        match running.join_next().await {
            Some(Ok((place, digest, said))) => {
                places.push(place);
                answers.insert(digest, Some(said));
            }
            Some(Err(error)) => {
                return Err(error).context("a checker's task died; this is a defect of coldcut");
            }
            None => {}
        }
    }
    running.shutdown().await;
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
