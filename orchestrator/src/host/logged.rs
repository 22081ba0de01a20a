//! Long commands, such as builds: their output goes to a file, and a failure ends with their last words.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::process::Process;

/// Lines of a failure's last words at most, and bytes that are looked at for them.
const LAST_LINES: usize = 12;
const LAST_BYTES: u64 = 8192;
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum LoggedError {
    /// It cannot be run.
    #[error("cannot run `{command}`: {source}")]
    Run {
        /// The command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// Its log cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It failed.
    #[error("`{command}` ended with {how}; its last words (all of them: {}):\n{words}", log.display())]
    Failed {
        /// The command.
        command: String,
        /// Exit code or signal.
        how: String,
        /// The log.
        log: PathBuf,
        /// The end of it.
        words: String,
    },
}

/// Runs a command to its end, its output appended to `log`. `show` gets the last line now and then. When this future is
/// dropped, the command and all that it started are killed.
///
/// # Errors
/// [`LoggedError`].
pub async fn run_logged(
    mut command: Command,
    log: &Path,
    mut show: impl FnMut(&str),
) -> Result<(), LoggedError> {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let name = words.join(" ");
    let log_error = |source| LoggedError::Log {
        path: log.to_owned(),
        source,
    };
    let file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .map_err(log_error)?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(log_error)?)
        .stderr(file);
    let process = Process::spawn(command).map_err(|source| LoggedError::Run {
        command: name.clone(),
        source,
    })?;
    let status = loop {
        match tokio::time::timeout(LOOK, process.wait()).await {
            Ok(status) => break status,
            Err(_) => {
                if let Some(line) = last_words(log).unwrap_or_default().lines().last() {
                    show(line);
                }
            }
        }
    };
    match status {
        Some(status) if status.success() => Ok(()),
        status => Err(LoggedError::Failed {
            command: name,
            how: status.map_or_else(|| "an unknown status".to_owned(), |s| s.to_string()),
            log: log.to_owned(),
            words: last_words(log).map_err(log_error)?,
        }),
    }
}

/// The last lines of a log.
fn last_words(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LAST_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    Ok(lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_failure_ends_with_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        run_logged(shell("echo one; echo two >&2"), &log, |_| ())
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "one\ntwo\n");
        let script =
            "for i in $(seq 100); do echo line $i; done; echo 'fs.c:7: error: expected `;`' >&2; exit 3";
        let error = run_logged(shell(script), &log, |_| ())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("exit status: 3") && error.ends_with("error: expected `;`"),
            "{error}"
        );
        assert!(
            error.contains("line 100") && !error.contains("line 80\n"),
            "{error}"
        );
        let killed = run_logged(shell("kill -9 $$"), &log, |_| ())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            killed.contains("signal: 9"),
            "a command that is killed is no success: {killed}"
        );
        let missing = run_logged(Command::new("/nonexistent/make"), &log, |_| ())
            .await
            .unwrap_err();
        assert!(matches!(missing, LoggedError::Run { .. }), "{missing}");
    }

    #[tokio::test]
    async fn dropped_it_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (log, pid) = (dir.path().join("log"), dir.path().join("pid"));
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let work = run_logged(shell(&script), &log, |_| ());
        assert!(tokio::time::timeout(Duration::from_secs(2), work).await.is_err());
        let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        for _ in 0..100 {
            if rustix::process::test_kill_process(pid).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A zombie of init is gone for all purposes.
        let state =
            std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        assert!(state.contains(") Z "), "the command's child lives on: {state}");
    }
}
