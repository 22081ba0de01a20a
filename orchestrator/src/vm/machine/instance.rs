//! A running machine.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use coldcut_wire::Hello;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};

use super::args::{disk_node, fds};
use super::{Console, Guest, GuestError, MachineSpec, Qemu, Qmp, QmpError, qemu_args};
use crate::host::process::Process;

/// Why there is no machine, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// QEMU could not be started.
    #[error("QEMU could not be started: {0}")]
    Spawn(#[source] std::io::Error),
    /// A file or socket of the machine could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// QEMU ended at once.
    #[error("QEMU ended ({}): {message}", status_text(*status))]
    Ended {
        /// Its status.
        status: Option<ExitStatus>,
        /// The end of its standard error.
        message: String,
    },
    /// Its monitor.
    #[error(transparent)]
    Qmp(#[from] QmpError),
    /// The guest did not come up, with the last lines of its console.
    #[error("the guest did not come up: {why}{}", tail(console))]
    Boot {
        /// What happened.
        why: String,
        /// Last lines of its console.
        console: Vec<String>,
    },
    /// The guest's state could not be written.
    #[error("saving the guest did not succeed: QEMU says `{0}`")]
    Save(String),
    /// The agent failed after it had greeted.
    #[error(transparent)]
    Guest(#[from] GuestError),
}

fn tail(lines: &[String]) -> String {
    if lines.is_empty() {
        return "; its console is empty".to_owned();
    }
    format!("; its console ends with:\n    {}", lines.join("\n    "))
}

/// How QEMU ended, in words.
fn status_text(status: Option<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status {
        None => "unknown status".to_owned(),
        // Its memory may be a file's, and the first use of a page may find no room for it.
        Some(status) if status.signal() == Some(libc::SIGBUS) => {
            format!("{status}: the filesystem that has its memory is full, or its file was cut")
        }
        Some(status) => status.to_string(),
    }
}

/// A guest that was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The file with all of its state but its memory.
    pub state: PathBuf,
    /// How its agent greeted.
    pub hello: Hello,
}

/// A guest that answers, and the QEMU around it. Dropping it kills it.
#[derive(Debug)]
pub struct Machine {
    /// The agent.
    pub guest: Guest,
    /// The serial console.
    pub console: Console,
    /// The monitor.
    pub qmp: Qmp,
    /// From the start of QEMU to the agent's greeting.
    pub boot_time: Duration,
    process: Process,
    qemu_log: PathBuf,
}

impl Machine {
    /// Starts QEMU and waits until the agent answers.
    ///
    /// `console_log` receives the serial console, and QEMU's standard error goes to the same path with `.qemu` added.
    ///
    /// # Errors
    /// [`MachineError`]; QEMU is then gone.
    pub async fn boot(
        qemu: &Qemu,
        spec: &MachineSpec,
        console_log: &Path,
        limit: Duration,
    ) -> Result<Self, MachineError> {
        let Started { parts, qmp, agent } = start(qemu, spec, console_log)?;
        let come_up = async {
            let qmp = Qmp::connect(qmp, limit).await?;
            let guest = Guest::connect(agent, limit).await?;
            Ok((qmp, guest))
        };
        parts.come_up(come_up).await
    }

    /// Starts QEMU with a saved guest, which goes on where it was saved. `spec` must be the saved machine's but for
    /// its memory ([`Ram::Restored`](super::Ram)) and what is behind its disks.
    ///
    /// Its disks get their capacities, and the guest waits for that when it is told to resume
    /// ([`coldcut_wire::Request::Resume`]). The state goes to QEMU
    /// through a socket at `socket`, a path that nobody else uses: QEMU reads files by itself only since 8.2.
    ///
    /// # Errors
    /// [`MachineError`]; QEMU is then gone.
    pub async fn restore(
        qemu: &Qemu,
        spec: &MachineSpec,
        saved: &Saved,
        socket: &Path,
        console_log: &Path,
        limit: Duration,
    ) -> Result<Self, MachineError> {
        let Started { parts, qmp, agent } = start(qemu, spec, console_log)?;
        let come_up = async {
            let mut qmp = Qmp::connect(qmp, limit).await?;
            qmp.execute(&ignore_shared(), limit).await?;
            let incoming = qapi::qmp::migrate_incoming {
                channels: None,
                // Since QEMU 9.1; ending is the default, and older ones know no other way.
                exit_on_error: None,
                uri: Some(unix_uri(socket)),
            };
            qmp.execute(&incoming, limit).await?;
            // QEMU listens now.
            give(&saved.state, socket)
                .await
                .map_err(io(format!("cannot give QEMU {}", saved.state.display())))?;
            // What is sent to the guest before it runs is lost.
            qmp.wait_event("RESUME", limit).await?;
            for (number, disk) in spec.disks.iter().enumerate() {
                // The device already has this size. Resizing it to that tells the guest.
                let resize = qapi::qmp::block_resize {
                    device: None,
                    node_name: Some(disk_node(number)),
                    size: i64::try_from(disk.size).unwrap_or(i64::MAX),
                };
                qmp.execute(&resize, limit).await?;
            }
            let guest = Guest::adopt(agent, saved.hello.clone());
            Ok((qmp, guest))
        };
        parts.come_up(come_up).await
    }

    /// Stops the guest, writes all of its state but its memory to `state`, and ends QEMU: running on would change
    /// the memory in the file ([`Ram::Kept`](super::Ram)). The guest must have released its disks. The state comes
    /// through a socket at `socket`, a path that nobody else uses.
    ///
    /// # Errors
    /// [`MachineError`]; QEMU is gone either way.
    pub async fn save(mut self, state: &Path, socket: &Path, limit: Duration) -> Result<Saved, MachineError> {
        let saved = self.write_state(state, socket, limit).await;
        let hello = self.guest.hello.clone();
        self.kill().await;
        saved?;
        let state = state.to_owned();
        Ok(Saved { state, hello })
    }

    async fn write_state(
        &mut self,
        state: &Path,
        socket: &Path,
        limit: Duration,
    ) -> Result<(), MachineError> {
        let qmp = &mut self.qmp;
        let listener =
            UnixListener::bind(socket).map_err(io(format!("cannot listen at {}", socket.display())))?;
        qmp.execute(&ignore_shared(), limit).await?;
        // The guest is stopped by this, not before it: a guest that was paused would be restored paused.
        let migrate = qapi::qmp::migrate {
            channels: None,
            detach: None,
            resume: None,
            uri: Some(unix_uri(socket)),
        };
        qmp.execute(&migrate, limit).await?;
        tokio::time::timeout(limit, take(&listener, state))
            .await
            .map_err(|_| MachineError::Save("nothing more came".into()))?
            .map_err(io(format!("cannot write {}", state.display())))?;
        // Not needed any more, whoever fails to remove it.
        let _ = std::fs::remove_file(socket);
        let deadline = Instant::now() + limit;
        loop {
            match qmp.migration_status(limit).await?.as_str() {
                "completed" => return Ok(()),
                status @ ("failed" | "cancelled") => return Err(MachineError::Save(status.to_owned())),
                status if Instant::now() > deadline => return Err(MachineError::Save(status.to_owned())),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Kills QEMU and waits until it is reaped: this is how the power is cut.
    pub async fn kill(self) {
        self.process.end().await;
    }

    /// Ends when QEMU does, saying why as far as the console and QEMU's standard error tell.
    pub async fn ended(&self) -> String {
        let status = self.process.wait().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(panic) = self.console.panic() {
            return format!("the guest's kernel panicked: {panic}");
        }
        let words = stderr_end(&self.qemu_log);
        let status = status_text(status);
        if words.is_empty() {
            format!("QEMU ended ({status})")
        } else {
            format!("QEMU ended ({status}): {words}")
        }
    }

    /// The oops by which the guest's kernel panicked, if it did; asked when the guest has failed to answer. Waits a
    /// moment for QEMU to end, which a panic makes it do (`panic=-1`, `-no-reboot`). Words on the console are not enough:
    /// QEMU must have seen the guest reset itself, or panic.
    pub async fn oops(&mut self) -> Option<String> {
        tokio::time::timeout(Duration::from_secs(1), self.ended())
            .await
            .ok()?;
        let oops = self.console.oops()?;
        let reason = self.qmp.shutdown_reason(Duration::from_secs(1)).await?;
        ["guest-reset", "guest-panic"]
            .contains(&reason.as_str())
            .then_some(oops)
    }

    /// QEMU's process id, for measurements.
    pub fn pid(&self) -> i32 {
        self.process.id()
    }
}

/// QEMU right after its start.
struct Started {
    parts: Parts,
    qmp: UnixStream,
    agent: UnixStream,
}

/// What a machine consists of before its guest answers.
struct Parts {
    started: Instant,
    process: Process,
    console: Console,
    qemu_log: PathBuf,
}

impl Parts {
    /// Waits for the guest; if QEMU ends first, says why.
    async fn come_up(
        self,
        work: impl Future<Output = Result<(Qmp, Guest), MachineError>>,
    ) -> Result<Machine, MachineError> {
        let result = tokio::select! {
            biased;
            result = work => result,
            status = self.process.wait() => Err(MachineError::Ended { status, message: String::new() }),
        };
        match result {
            Ok((qmp, guest)) => Ok(Machine {
                guest,
                console: self.console,
                qmp,
                boot_time: self.started.elapsed(),
                process: self.process,
                qemu_log: self.qemu_log,
            }),
            Err(error) => Err(explain(error, &self.process, &self.console, &self.qemu_log).await),
        }
    }
}

fn start(qemu: &Qemu, spec: &MachineSpec, console_log: &Path) -> Result<Started, MachineError> {
    let started = Instant::now();
    let mut log_name = console_log.as_os_str().to_owned();
    log_name.push(".qemu");
    let qemu_log = PathBuf::from(log_name);
    let log =
        std::fs::File::create(&qemu_log).map_err(io(format!("cannot create {}", qemu_log.display())))?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for number in [fds::QMP, fds::AGENT, fds::CONSOLE] {
        let (a, b) = StdStream::pair().map_err(io("cannot make a socket pair".into()))?;
        a.set_nonblocking(true)
            .map_err(io("cannot use a socket".into()))?;
        ours.push(UnixStream::from_std(a).map_err(io("cannot use a socket".into()))?);
        theirs.push((OwnedFd::from(b), number));
    }
    let Ok([qmp, agent, serial]) = <[UnixStream; 3]>::try_from(ours) else {
        unreachable!("three were made")
    };
    let mut command = Command::new(&qemu.path);
    command
        .args(qemu_args(spec))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    inherit(&mut command, theirs).map_err(io("cannot pass a socket on".into()))?;
    let process = Process::spawn(command).map_err(MachineError::Spawn)?;
    let console = Console::start(serial, console_log)
        .map_err(io(format!("cannot create {}", console_log.display())))?;
    let parts = Parts {
        started,
        process,
        console,
        qemu_log,
    };
    Ok(Started { parts, qmp, agent })
}

/// Memory that lives in a shared file stays out of a saved state.
fn ignore_shared() -> qapi::qmp::migrate_set_capabilities {
    qapi::qmp::migrate_set_capabilities {
        capabilities: vec![qapi::qmp::MigrationCapabilityStatus {
            capability: qapi::qmp::MigrationCapability::x_ignore_shared,
            state: true,
        }],
    }
}

fn unix_uri(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn io(what: String) -> impl FnOnce(std::io::Error) -> MachineError {
    move |source| MachineError::Io { what, source }
}

/// Sends a file to whoever listens at `socket`, and removes the socket's name.
async fn give(file: &Path, socket: &Path) -> std::io::Result<()> {
    let bytes = tokio::fs::read(file).await?;
    let mut stream = UnixStream::connect(socket).await?;
    std::fs::remove_file(socket)?;
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

/// Writes what the first client sends, until it closes, to a file.
async fn take(listener: &UnixListener, file: &Path) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept().await?;
    let mut file = tokio::fs::File::create(file).await?;
    tokio::io::copy(&mut stream, &mut file).await?;
    file.flush().await
}

/// Turns the first symptom into the best explanation there is, and makes sure QEMU is gone.
async fn explain(error: MachineError, process: &Process, console: &Console, log: &Path) -> MachineError {
    // A QEMU that refuses its arguments closes the monitor a moment before it ends.
    let _ = tokio::time::timeout(Duration::from_millis(500), process.wait()).await;
    let status = process.status();
    process.end().await;
    let lines = console.tail(15);
    if let Some(panic) = console.panic() {
        return MachineError::Boot {
            why: format!("its kernel panicked: {panic}"),
            console: lines,
        };
    }
    let message = stderr_end(log);
    if status.is_some() && (lines.is_empty() || !message.is_empty()) {
        return MachineError::Ended { status, message };
    }
    match error {
        MachineError::Guest(error) => MachineError::Boot {
            why: error.to_string(),
            console: lines,
        },
        MachineError::Ended { .. } => MachineError::Boot {
            why: "it ended".into(),
            console: lines,
        },
        other => other,
    }
}

fn stderr_end(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned();
    text.trim().to_owned()
}

/// Lets the child have each descriptor under its number.
fn inherit(command: &mut Command, theirs: Vec<(OwnedFd, i32)>) -> std::io::Result<()> {
    let highest = theirs.iter().map(|(_, number)| *number).max().unwrap_or(2);
    // First out of the way of the numbers wanted, so that no dup2 overwrites one that is still needed.
    let parked = theirs
        .into_iter()
        .map(|(fd, number)| Ok((rustix::io::fcntl_dupfd_cloexec(&fd, highest + 1)?, number)))
        .collect::<std::io::Result<Vec<_>>>()?;
    // SAFETY: dup2 is safe between fork and exec; it clears the close-on-exec flag of the copy.
    unsafe {
        command.pre_exec(move || {
            for (fd, number) in &parked {
                if libc::dup2(fd.as_raw_fd(), *number) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    Ok(())
}
