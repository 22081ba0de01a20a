//! `coldcut log check`: anybody's checker over every crash state.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use coldcut_core::export::export_qcow2;
use coldcut_core::index::{Digest, DigestCursor, StateImage};
use serde::Serialize;
use serde_json::json;

use super::list::summary;
use super::opened::{BaseArg, LogArgs};
use super::spec::SpecArgs;
use crate::device::{Device, export_sparse};
use crate::process::Process;
use crate::scratch::Scratch;

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
    /// Stop at the first bad state
    #[arg(long)]
    first: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Via {
    /// A raw sparse file
    Raw,
    /// A qcow2 file
    Qcow2,
    /// The path of a unix socket that speaks NBD; writes are kept for this state alone
    Nbd,
}

/// What a checker said of a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Good,
    Bad {
        code: i32,
    },
    /// It was killed, or took too long: nothing is known.
    Inconclusive {
        cause: String,
    },
}

pub(super) async fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let opened = args.log.open(args.base.base.as_deref())?;
    let states = args.spec.spec().states(&opened.log)?;
    let index = opened.index();
    let mut cursor = DigestCursor::new(Arc::clone(&index), opened.sources().clone())?;
    let scratch = Scratch::new()?;
    let mut answers: HashMap<Digest, Answer> = HashMap::new();
    let (mut bad, mut unknown, mut good) = (0_u64, 0_u64, 0_u64);
    for state in states.clone() {
        let id = state.id();
        let digest = cursor.digest(&state)?;
        let known = answers.get(&digest).cloned();
        let again = known.is_some();
        let (answer, said) = if let Some(answer) = known {
            (answer, String::new())
        } else {
            let image = index.image(&state, opened.sources())?;
            run_one(&args, &scratch, image, &id.to_string()).await?
        };
        answers.entry(digest).or_insert_with(|| answer.clone());
        match &answer {
            Answer::Good => good += 1,
            Answer::Bad { .. } => bad += 1,
            Answer::Inconclusive { .. } => unknown += 1,
        }
        if args.json {
            let object =
                json!({"state": id, "digest": digest, "answer": answer, "again": again, "output": said});
            println!("{object}");
        } else if !again {
            match &answer {
                Answer::Good => {}
                Answer::Bad { code } => println!("{id}: bad, exit code {code}{}", indented(&said)),
                Answer::Inconclusive { cause } => println!("{id}: inconclusive, {cause}{}", indented(&said)),
            }
        }
        if args.first && bad > 0 {
            break;
        }
    }
    if !args.json {
        summary(&states);
        println!(
            "{good} good, {bad} bad, {unknown} inconclusive; {} distinct contents",
            answers.len()
        );
    }
    Ok(ExitCode::from(match (bad, unknown, good) {
        (1.., _, _) => 1,
        (0, 1.., _) | (0, 0, 0) => 3,
        (0, 0, 1..) => 0,
    }))
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["\n    ", line]).collect()
}

async fn run_one(
    args: &CheckArgs,
    scratch: &Scratch,
    image: StateImage,
    id: &str,
) -> anyhow::Result<(Answer, String)> {
    let path = scratch.path().join("state");
    let output = scratch.path().join("output");
    let _ = fs::remove_file(&path);
    let device = match args.via {
        Via::Raw => {
            export_sparse(&image, &path).context("cannot write the state to a file")?;
            None
        }
        Via::Qcow2 => {
            export_qcow2(&image, &mut File::create(&path)?)?;
            None
        }
        Via::Nbd => Some(Device::bind(&path, Arc::new(image))?),
    };
    let answer = run_checker(args, &path, &output, id).await?;
    if let Some(device) = device {
        device.shutdown()?;
    }
    Ok((answer, tail(&output)))
}

async fn run_checker(args: &CheckArgs, path: &Path, output: &PathBuf, id: &str) -> anyhow::Result<Answer> {
    let shown = path.to_string_lossy();
    let text = args.exec.replace("{state}", id).replace("{}", &shown);
    let out = File::create(output)?;
    let mut command = Command::new("sh");
    command
        .args(["-c", &text])
        .env("COLDCUT_STATE", id)
        .stdin(Stdio::null())
        .stderr(out.try_clone()?)
        .stdout(out);
    let process = Process::spawn(command).context("cannot start a shell")?;
    let limit = Duration::from_secs(args.timeout);
    let status = tokio::time::timeout(limit, process.wait()).await;
    Ok(match status {
        Err(_) => Answer::Inconclusive {
            cause: format!("no answer in {} s", args.timeout),
        },
        Ok(None) => Answer::Inconclusive {
            cause: "its end was not seen".to_owned(),
        },
        Ok(Some(status)) => match status.code() {
            Some(0) => Answer::Good,
            // What a shell says of a command that it cannot run, or that a signal ended.
            Some(code @ (126.. | ..0)) => Answer::Inconclusive {
                cause: format!("the checker could not be run, or was killed (exit code {code})"),
            },
            Some(code) => Answer::Bad { code },
            None => Answer::Inconclusive {
                cause: format!("the checker was killed ({status})"),
            },
        },
    })
}

/// The last lines that a checker printed.
fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let start = bytes.len().saturating_sub(2000);
    String::from_utf8_lossy(&bytes[start..]).trim().to_owned()
}
