//! `coldcut log check`: a checker of the user's over every crash state.

use std::collections::HashSet;
use std::num::NonZero;
use std::process::ExitCode;

use coldcut_core::crash::index::Digest;
use coldcut_core::crash::plan::States;
use serde_json::json;

use super::list::summary;
use super::opened::{BaseArg, LogArgs, Opened};
use super::spec::SpecArgs;
use crate::checker::{CheckAnswer, CheckCommand, Checked, Checks, Said, Via};
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
    /// when the state is good. The files $COLDCUT_ACKED and $COLDCUT_MARKS have the lines that programs acknowledged
    /// before the cut, and all marks
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
    /// Ask about each content once, with the marks of the first state that has it: what a later cut would show to be lost goes
    /// unseen
    #[arg(long)]
    per_content: bool,
    /// Stop at the first bad state
    #[arg(long)]
    first: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Answers so far.
#[derive(Default)]
struct Tally {
    good: u64,
    bad: u64,
    unknown: u64,
    distinct: HashSet<Digest>,
}

pub(super) async fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let opened = args.log.open(args.base.base.as_deref())?;
    let states = args.spec.spec().states(&opened.log)?;
    let scratch = Scratch::new()?;
    let mut checks = args.checks(&opened, states.clone(), &scratch)?;
    let mut tally = Tally::default();
    while let Some(checked) = checks.next().await? {
        tally.add(&checked);
        report(args.json, &checked)?;
        if args.first && tally.bad > 0 {
            break;
        }
    }
    checks.end().await;
    if !args.json {
        summary(&states);
        outln!(
            "{} good, {} bad, {} inconclusive; {} distinct contents",
            tally.good,
            tally.bad,
            tally.unknown,
            tally.distinct.len()
        )?;
    }
    Ok(ExitCode::from(tally.exit_code()))
}

impl CheckArgs {
    fn checks<'a>(
        &self,
        opened: &Opened,
        states: States<'a>,
        scratch: &Scratch,
    ) -> anyhow::Result<Checks<'a>> {
        let checker = CheckCommand {
            exec: self.exec.clone(),
            via: self.via,
            seconds: self.timeout,
        };
        let jobs = self.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, NonZero::get),
            usize::from,
        );
        let checks = Checks::new(
            checker,
            opened.index(),
            opened.sources().clone(),
            states,
            jobs,
            scratch,
        )?;
        Ok(checks.per_content(self.per_content))
    }
}

impl Tally {
    fn add(&mut self, checked: &Checked) {
        match checked.said.answer {
            CheckAnswer::Good => self.good += 1,
            CheckAnswer::Bad { .. } => self.bad += 1,
            CheckAnswer::Inconclusive { .. } => self.unknown += 1,
        }
        self.distinct.insert(checked.digest);
    }

    fn exit_code(&self) -> u8 {
        match (self.bad, self.unknown, self.good) {
            (1.., _, _) => 1,
            (0, 1.., _) | (0, 0, 0) => 3,
            (0, 0, 1..) => 0,
        }
    }
}

fn report(as_json: bool, checked: &Checked) -> Result<(), OutputError> {
    let Checked {
        id,
        digest,
        again,
        said: Said { answer, output },
    } = checked;
    // What it printed is said once.
    let output = if *again { "" } else { output.as_str() };
    if as_json {
        let object =
            json!({"state": id, "digest": digest, "answer": answer, "again": again, "output": output});
        outln!("{object}")?;
    } else if !again {
        match answer {
            CheckAnswer::Good => {}
            CheckAnswer::Bad { code } => outln!("{id}: bad, exit code {code}{}", indented(output))?,
            CheckAnswer::Inconclusive { cause } => outln!("{id}: inconclusive, {cause}{}", indented(output))?,
        }
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["\n    ", line]).collect()
}
