//! Runs a child to its end and captures what it prints.
//!
//! Both pipes are drained from the beginning, so that a child that prints much never waits for us, and only so much is
//! kept. Dropping the future kills the child.

use std::io::{self, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::process::Process;

/// Bytes kept of each of standard output and standard error.
const KEPT: usize = 4 << 20;
/// How often a blocking caller is asked whether to go on.
const ASK: Duration = Duration::from_millis(50);

/// How a child ended and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, the first 4 MiB of it.
    pub stdout: Vec<u8>,
    /// Its standard error, the first 4 MiB of it.
    pub stderr: Vec<u8>,
    /// Whether it printed more than that.
    pub cut_short: bool,
}

/// Runs `command` to its end, with a deadline; `None` when it did not end by then and was killed.
///
/// # Errors
/// As [`Command::spawn`]; or its status could not be had.
pub async fn capture(command: Command, limit: Duration) -> io::Result<Option<Captured>> {
    let (process, stdout, stderr) = start(command)?;
    let work = async {
        let status = process.wait().await;
        // The pipes are at their end when the last has closed them to whom the child gave them.
        captured(status, stdout.await.ok(), stderr.await.ok())
    };
    match tokio::time::timeout(limit, work).await {
        Ok(captured) => captured.map(Some),
        Err(_) => Ok(None),
    }
}

/// As [`capture`], for callers that may block. `go_on` is asked now and then; when it returns `false`, the child is
/// killed.
///
/// # Errors
/// As [`capture`].
pub fn capture_blocking(command: Command, mut go_on: impl FnMut() -> bool) -> io::Result<Option<Captured>> {
    let (process, mut stdout, mut stderr) = start(command)?;
    while !process.wait_blocking(ASK) {
        if !go_on() {
            return Ok(None);
        }
    }
    let mut printed = [None, None];
    for (pipe, printed) in [&mut stdout, &mut stderr].into_iter().zip(&mut printed) {
        loop {
            match pipe.try_recv() {
                Ok(kept) => break *printed = Some(kept),
                Err(oneshot::error::TryRecvError::Closed) => break,
                Err(oneshot::error::TryRecvError::Empty) if go_on() => thread::sleep(ASK / 50),
                Err(oneshot::error::TryRecvError::Empty) => return Ok(None),
            }
        }
    }
    let [stdout, stderr] = printed;
    captured(process.status(), stdout, stderr).map(Some)
}

/// Allows a child to run for so long.
pub fn within(time: Duration) -> impl FnMut() -> bool {
    let started = Instant::now();
    move || started.elapsed() < time
}

fn start(mut command: Command) -> io::Result<(Process, oneshot::Receiver<Kept>, oneshot::Receiver<Kept>)> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (process, pipes) = Process::spawn_piped(command)?;
    let stdout = drained(pipes.stdout)?;
    let stderr = drained(pipes.stderr)?;
    Ok((process, stdout, stderr))
}

/// Starts to read a pipe to its end.
fn drained(pipe: Option<impl Read + Send + 'static>) -> io::Result<oneshot::Receiver<Kept>> {
    let (sender, kept) = oneshot::channel();
    thread::Builder::new().name("drain".into()).spawn(move || {
        // Whoever wanted it may have given up.
        let _ = sender.send(pipe.map_or_else(Kept::default, drain));
    })?;
    Ok(kept)
}

/// The beginning of what came from a pipe.
#[derive(Clone, Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    cut_short: bool,
}

/// Reads a pipe to its end.
fn drain(mut pipe: impl Read) -> Kept {
    let mut kept = Kept::default();
    // An error of a pipe of ours is its end.
    let _ = pipe.by_ref().take(KEPT as u64).read_to_end(&mut kept.bytes);
    kept.cut_short = io::copy(&mut pipe, &mut io::sink()).is_ok_and(|more| more > 0);
    kept
}

fn captured(status: Option<ExitStatus>, stdout: Option<Kept>, stderr: Option<Kept>) -> io::Result<Captured> {
    let status = status.ok_or_else(|| io::Error::other("its exit status could not be had"))?;
    let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
        return Err(io::Error::other("what it printed could not be read"));
    };
    Ok(Captured {
        status,
        cut_short: stdout.cut_short || stderr.cut_short,
        stdout: stdout.bytes,
        stderr: stderr.bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(120);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn both_outputs_and_the_exit_code() {
        let script = "echo out; echo err >&2; exit 3";
        let blocking = capture_blocking(shell(script), || true).unwrap().unwrap();
        let captured = capture(shell(script), LONG).await.unwrap().unwrap();
        assert_eq!(blocking, captured);
        assert_eq!(
            (captured.stdout, captured.stderr),
            (b"out\n".to_vec(), b"err\n".to_vec())
        );
        assert!(captured.status.code() == Some(3) && !captured.cut_short);
    }

    #[tokio::test]
    async fn a_gibibyte_on_standard_error_is_drained_and_not_kept() {
        let script = "head -c 1073741824 /dev/zero >&2; echo done";
        let captured = capture(shell(script), LONG).await.unwrap().unwrap();
        assert!(captured.status.success() && captured.cut_short);
        assert_eq!(captured.stdout, b"done\n");
        assert_eq!(captured.stderr.len(), KEPT);
    }

    #[tokio::test]
    async fn one_that_ignores_its_deadline_is_killed() {
        let script = "trap '' TERM INT HUP; echo $$ >&2; while :; do sleep 1; done";
        let limit = Duration::from_millis(300);
        assert_eq!(capture(shell(script), limit).await.unwrap(), None);
        assert_eq!(capture_blocking(shell(script), within(limit)).unwrap(), None);
    }

    #[tokio::test]
    async fn a_program_in_the_background_does_not_hold_us_up() {
        let start = Instant::now();
        let captured = capture(shell("sleep 600 & echo done"), LONG)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(captured.stdout, b"done\n");
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
