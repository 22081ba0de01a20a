//! Child processes that never outlive us.
//!
//! The parent-death signal of Linux (`PR_SET_PDEATHSIG`) fires when the *thread* that spawned the child exits, so all
//! children are spawned by one thread that lives as long as the process. Each child leads a process group of its
//! own, which is killed and reaped when its [`Process`] is dropped.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::sync::{oneshot, watch};

type Job = (Command, mpsc::SyncSender<io::Result<Child>>);

/// The one spawning thread.
static SPAWNER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (sender, jobs) = mpsc::channel::<Job>();
    thread::Builder::new()
        .name("spawner".into())
        .spawn(move || {
            for (mut command, reply) in jobs {
                // The receiver waits for this answer, so a failed send means that it is gone with the process.
                let _ = reply.send(command.spawn());
            }
        })
        .expect("a thread can be started");
    sender
});

/// Spawns a command in its own process group, with a parent-death signal.
fn spawn_child(mut command: Command) -> io::Result<Child> {
    let parent = rustix::process::getpid();
    command.process_group(0);
    // SAFETY: the closure only makes system calls that are safe between fork and exec, and does not allocate.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            if rustix::process::getppid() == Some(parent) {
                Ok(())
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        });
    }
    let (reply, answer) = mpsc::sync_channel(1);
    SPAWNER
        .send((command, reply))
        .map_err(|_| io::Error::other("the spawning thread is gone"))?;
    answer
        .recv()
        .map_err(|_| io::Error::other("the spawning thread is gone"))?
}

/// A running child that leads its own process group.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    /// False once reaped: after that the number may belong to somebody else.
    alive: Arc<Mutex<bool>>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts `command`.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn(command: Command) -> io::Result<Self> {
        let mut child = spawn_child(command)?;
        let pid = Pid::from_child(&child);
        let alive = Arc::new(Mutex::new(true));
        let (sender, exit) = watch::channel(None);
        let flag = Arc::clone(&alive);
        thread::Builder::new().name("reaper".into()).spawn(move || {
            // Wait without reaping first, so that the number stays ours until `alive` says otherwise.
            while let Err(rustix::io::Errno::INTR) =
                rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            {
            }
            let mut alive = flag.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let status = child.wait();
            *alive = false;
            drop(alive);
            let _ = sender.send(status.ok());
        })?;
        Ok(Self { pid, alive, exit })
    }

    /// The process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends SIGKILL to the whole group; does nothing when the leader is reaped.
    pub fn kill(&self) {
        let alive = self
            .alive
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if *alive {
            // Fails only when the group is gone already.
            let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// The exit status if it has ended.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits until it has ended and is reaped; `None` when its status could not be had.
    pub async fn wait(&self) -> Option<ExitStatus> {
        let mut exit = self.exit.clone();
        loop {
            if let Some(status) = *exit.borrow_and_update() {
                return Some(status);
            }
            if exit.changed().await.is_err() {
                return *exit.borrow();
            }
        }
    }

    /// Kills the group and waits until the leader is reaped.
    pub async fn end(&self) {
        self.kill();
        self.wait().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Why a host tool gave no usable result.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed.
    #[error("`{tool}` is not installed; `make setup` installs it, or install the Debian package `{package}`")]
    Missing {
        /// The program.
        tool: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// It could not be started or waited for.
    #[error("`{tool}` could not be run: {source}")]
    Run {
        /// The program.
        tool: String,
        /// Why.
        source: io::Error,
    },
    /// It did not end in time and was killed.
    #[error("`{tool}` did not end within {} s and was killed", limit.as_secs())]
    Timeout {
        /// The program.
        tool: String,
        /// The deadline.
        limit: Duration,
    },
    /// It ended badly.
    #[error("`{command}` failed with {status}: {message}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Its last words.
        message: String,
    },
}

/// Runs a host tool to its end and collects what it prints, with a deadline. Exit codes are the caller's to judge.
///
/// # Errors
/// [`ToolError`], but never `Failed`.
pub async fn run_tool(
    tool: &str,
    package: &'static str,
    configure: impl FnOnce(&mut Command),
    limit: Duration,
) -> Result<Output, ToolError> {
    let mut command = Command::new(tool);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    configure(&mut command);
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::NotFound {
            ToolError::Missing {
                tool: tool.to_owned(),
                package,
            }
        } else {
            ToolError::Run {
                tool: tool.to_owned(),
                source,
            }
        }
    };
    let child = spawn_child(command).map_err(failed)?;
    let pid = Pid::from_child(&child);
    let (sender, output) = oneshot::channel();
    thread::Builder::new()
        .name("tool".into())
        .spawn(move || {
            let _ = sender.send(child.wait_with_output());
        })
        .map_err(failed)?;
    match tokio::time::timeout(limit, output).await {
        Ok(Ok(output)) => output.map_err(failed),
        Ok(Err(_)) => Err(failed(io::Error::other("the waiting thread is gone"))),
        Err(_) => {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            Err(ToolError::Timeout {
                tool: tool.to_owned(),
                limit,
            })
        }
    }
}

/// The end of what a tool printed, for an error message: its standard error, else its output; 2000 bytes at most.
pub fn last_words(output: &Output) -> String {
    let text = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    let mut start = text.len().saturating_sub(2000);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_process_is_killed_with_its_group() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(Stdio::piped());
        let mut child = spawn_child(command).unwrap();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        let grandchild = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
        let gone = || {
            rustix::process::test_kill_process(grandchild).is_err()
                || std::fs::read_to_string(format!("/proc/{}/stat", line.trim()))
                    .is_ok_and(|s| s.contains(") Z "))
        };
        for _ in 0..200 {
            if gone() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the grandchild still runs");
    }

    #[tokio::test]
    async fn a_tool_that_hangs_is_killed_at_its_deadline() {
        let error = run_tool(
            "sleep",
            "coreutils",
            |c| {
                c.arg("1000");
            },
            Duration::from_millis(50),
        )
        .await
        .unwrap_err();
        assert!(matches!(error, ToolError::Timeout { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_missing_tool_names_its_package() {
        let error = run_tool("no-such-tool", "some-package", |_| {}, Duration::from_secs(5))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("some-package"), "{error}");
    }

    #[tokio::test]
    async fn waiting_gives_the_exit_status() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 7"]);
        let process = Process::spawn(command).unwrap();
        assert_eq!(process.wait().await.unwrap().code(), Some(7));
        process.kill(); // reaped: must do nothing
    }
}
