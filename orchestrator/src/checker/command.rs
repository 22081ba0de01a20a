//! The user's checker: a shell command that is asked about one crash state.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use coldcut_core::crash::export::export_qcow2;
use coldcut_core::crash::index::StateImage;
use coldcut_core::recording::mark::Mark;
use serde::Serialize;

use crate::disk::{Device, export_sparse};
use crate::host::process::Process;

/// Files in a checker's directory: the state, the marks until its cut, and what of these programs acknowledged.
const STATE: &str = "state";
const MARKS: &str = "marks";
const ACKNOWLEDGED: &str = "acknowledged";

/// What had happened until a cut, as marks of the log say.
#[derive(Clone, Debug, Default)]
pub struct Happened {
    marks: String,
    acknowledged: String,
}

impl Happened {
    /// What these marks say.
    pub fn of<'a>(marks: impl IntoIterator<Item = &'a Mark>) -> Self {
        let mut happened = Self::default();
        for mark in marks {
            let _ = writeln!(happened.marks, "{mark}");
            if let Mark::Line { text, .. } = mark {
                let _ = writeln!(happened.acknowledged, "{text}");
            }
        }
        happened
    }

    fn write(&self, dir: &Path) -> std::io::Result<()> {
        fs::write(dir.join(MARKS), &self.marks)?;
        fs::write(dir.join(ACKNOWLEDGED), &self.acknowledged)
    }
}

/// How a checker gets a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// A raw sparse file
    Raw,
    /// A qcow2 file
    Qcow2,
    /// The path of a unix socket that speaks NBD; writes are kept for this state alone
    Nbd,
}

/// What a checker's exit code means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckAnswer {
    /// It exited with 0.
    Good,
    /// It exited with something else.
    Bad {
        /// Its exit code.
        code: i32,
    },
    /// It was killed, or took too long: nothing is known.
    Inconclusive {
        /// What happened to it.
        cause: String,
    },
}

/// An answer, and the end of what was printed with it.
#[derive(Clone, Debug)]
pub struct Said {
    /// The answer.
    pub answer: CheckAnswer,
    /// The last lines that it printed.
    pub output: String,
}

/// The command, and how it is run.
#[derive(Clone, Debug)]
pub struct CheckCommand {
    /// A shell command: `{}` is the state's file or socket, `{state}` its name.
    pub exec: String,
    /// How it gets the state.
    pub via: Via,
    /// Seconds that one state may take.
    pub seconds: u64,
}

impl CheckCommand {
    /// Asks about a state, in a directory that nobody else uses meanwhile. Dropping the future ends the checker.
    ///
    /// # Errors
    /// When the state cannot be handed over, or no shell can be started.
    pub async fn ask(
        &self,
        dir: &Path,
        image: StateImage,
        id: &str,
        happened: &Happened,
    ) -> anyhow::Result<Said> {
        happened.write(dir).context("cannot write the marks to a file")?;
        let path = dir.join(STATE);
        let output = dir.join("output");
        let _ = fs::remove_file(&path);
        let device = if let Via::Nbd = self.via {
            Some(Device::bind(&path, Arc::new(image))?)
        } else {
            let (via, path) = (self.via, path.clone());
            tokio::task::spawn_blocking(move || write(&image, via, &path))
                .await
                .context("writing the state to a file was cut short")?
                .context("cannot write the state to a file")?;
            None
        };
        let answer = self.run(dir, &output, id).await?;
        if let Some(device) = device {
            device.shutdown()?;
        }
        Ok(Said {
            answer,
            output: tail(&output),
        })
    }

    async fn run(&self, dir: &Path, output: &Path, id: &str) -> anyhow::Result<CheckAnswer> {
        let path = dir.join(STATE);
        let shown = path.to_string_lossy();
        let text = self.exec.replace("{state}", id).replace("{}", &shown);
        let out = File::create(output)?;
        let mut command = Command::new("sh");
        command
            .args(["-c", &text])
            .env("COLDCUT_STATE", id)
            .env("COLDCUT_MARKS", dir.join(MARKS))
            .env("COLDCUT_ACKED", dir.join(ACKNOWLEDGED))
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out);
        let process = Process::spawn(command).context("cannot start a shell")?;
        let limit = Duration::from_secs(self.seconds);
        let Ok(status) = tokio::time::timeout(limit, process.wait()).await else {
            // The next state's checker works in the same place.
            process.end().await;
            let cause = format!("no answer in {} s", self.seconds);
            return Ok(CheckAnswer::Inconclusive { cause });
        };
        Ok(match status {
            None => CheckAnswer::Inconclusive {
                cause: "its end was not seen".to_owned(),
            },
            Some(status) => match status.code() {
                Some(0) => CheckAnswer::Good,
                // What a shell says of a command that it cannot run, or that a signal ended.
                Some(code @ (126.. | ..0)) => CheckAnswer::Inconclusive {
                    cause: format!("the checker could not be run, or was killed (exit code {code})"),
                },
                Some(code) => CheckAnswer::Bad { code },
                None => CheckAnswer::Inconclusive {
                    cause: format!("the checker was killed ({status})"),
                },
            },
        })
    }
}

fn write(image: &StateImage, via: Via, path: &Path) -> anyhow::Result<()> {
    match via {
        Via::Qcow2 => {
            export_qcow2(image, &mut File::create(path)?)?;
        }
        Via::Raw | Via::Nbd => {
            export_sparse(image, path)?;
        }
    }
    Ok(())
}

/// The last lines that a checker printed.
fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let start = bytes.len().saturating_sub(2000);
    String::from_utf8_lossy(&bytes[start..]).trim().to_owned()
}
