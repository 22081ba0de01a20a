//! Child processes that never outlive us.
//!
//! The parent-death signal of Linux (`PR_SET_PDEATHSIG`) fires when the *thread* that spawned the child exits, so all
//! children are spawned by one thread that lives as long as the process. Each child leads a process group of its
//! own. The group is killed when its leader ends, when its [`Process`] is dropped, and by a [guard](super::guard) when
//! we are killed.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::sync::watch;

use super::guard::GroupGuard;

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

/// Kills what our children leave when we are killed; `None` where no shell can be started.
static GUARD: LazyLock<Option<GroupGuard>> = LazyLock::new(|| GroupGuard::start(spawn_on_thread).ok());

/// Spawns a command on the spawning thread, as it is.
pub(super) fn spawn_on_thread(command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the spawning thread is gone");
    let (reply, answer) = mpsc::sync_channel(1);
    SPAWNER.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// Spawns a command in its own process group, with a parent-death signal, and known to the guard.
fn spawn_child(mut command: Command) -> io::Result<Child> {
    let parent = rustix::process::getpid();
    let guard = GUARD.as_ref();
    let entry = guard.map(GroupGuard::entry);
    command.process_group(0);
    // SAFETY: the closure only makes system calls that are safe between fork and exec, and does not allocate.
    unsafe {
        command.pre_exec(move || {
            // First, so that nothing of its own can be started before the guard knows it.
            if let Some(entry) = entry {
                entry.enter();
            }
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            if rustix::process::getppid() == Some(parent) {
                Ok(())
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        });
    }
    spawn_on_thread(command).inspect_err(|_| {
        if let (Some(guard), Some(entry)) = (guard, entry) {
            guard.cancel(entry);
        }
    })
}

/// The state of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// Reaped, so that its number may belong to another process. `None` when its status is unknown.
    Ended(Option<ExitStatus>),
}

#[derive(Debug)]
struct Shared {
    life: Mutex<Life>,
    ended: Condvar,
}

impl Shared {
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running child that leads its own process group.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    shared: Arc<Shared>,
    end: watch::Receiver<bool>,
}

/// Our ends of a child's output pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

impl Process {
    /// Starts `command`. Its standard input, output and error are as the command has them. Pipes are closed at
    /// once, so use none.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn(command: Command) -> io::Result<Self> {
        Self::spawn_piped(command).map(|(process, _)| process)
    }

    /// Starts `command` and gives our ends of its pipes.
    pub(super) fn spawn_piped(command: Command) -> io::Result<(Self, Pipes)> {
        let mut child = spawn_child(command)?;
        let pid = Pid::from_child(&child);
        let pipes = Pipes {
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
        };
        let shared = Arc::new(Shared {
            life: Mutex::new(Life::Running),
            ended: Condvar::new(),
        });
        let (sender, end) = watch::channel(false);
        let reaped = Arc::clone(&shared);
        let reaper = thread::Builder::new().name("reaper".into()).spawn(move || {
            reap(child, pid, &reaped);
            let _ = sender.send(true);
        });
        if let Err(error) = reaper {
            // Nobody reaps it, so its number stays its own.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            return Err(error);
        }
        Ok((Self { pid, shared, end }, pipes))
    }

    /// The process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends SIGKILL to the whole group; does nothing when the leader is reaped.
    pub fn kill(&self) {
        if *self.shared.life() == Life::Running {
            // Fails only when the group is gone already.
            let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// The exit status if it has ended.
    pub fn status(&self) -> Option<ExitStatus> {
        match *self.shared.life() {
            Life::Running => None,
            Life::Ended(status) => status,
        }
    }

    /// Waits until it has ended and is reaped; `None` when its status could not be had.
    pub async fn wait(&self) -> Option<ExitStatus> {
        // An error says that the reaper is gone, and so is the child.
        let _ = self.end.clone().wait_for(|ended| *ended).await;
        self.status()
    }

    /// As [`Self::wait`], for callers that may block: waits for so long at most, and says whether it has ended.
    pub fn wait_blocking(&self, limit: Duration) -> bool {
        let running = |life: &mut Life| *life == Life::Running;
        let waited = self
            .shared
            .ended
            .wait_timeout_while(self.shared.life(), limit, running);
        let (life, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *life != Life::Running
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

/// Waits for the end of a child, ends what is left of its group, and reaps it.
fn reap(mut child: Child, pid: Pid, shared: &Shared) {
    // Wait without reaping first, so that the number stays ours until it says otherwise.
    while let Err(rustix::io::Errno::INTR) =
        rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
    {}
    let mut life = shared.life();
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    if let Some(guard) = &*GUARD {
        guard.remove(pid.as_raw_nonzero().get());
    }
    *life = Life::Ended(child.wait().ok());
    shared.ended.notify_all();
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    /// Waits until a process is gone. A zombie that belongs to init counts as gone.
    fn gone(pid: Pid) {
        let start = Instant::now();
        let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
        while rustix::process::test_kill_process(pid).is_ok()
            && !std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "))
        {
            assert!(start.elapsed() < Duration::from_secs(10), "{pid:?} still runs");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A shell that starts a child, writes the child's number and goes on with `rest`.
    fn with_grandchild(rest: &str) -> (Process, Pid) {
        let mut command = shell(&format!("sleep 1000 >/dev/null & echo $!; {rest}"));
        command.stdout(Stdio::piped());
        let (process, pipes) = Process::spawn_piped(command).unwrap();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(pipes.stdout.unwrap()), &mut line).unwrap();
        (process, Pid::from_raw(line.trim().parse().unwrap()).unwrap())
    }

    #[test]
    fn a_dropped_process_is_killed_with_its_group() {
        let (process, grandchild) = with_grandchild("wait");
        drop(process);
        gone(grandchild);
    }

    #[test]
    fn what_a_child_leaves_in_its_group_ends_with_it() {
        let (process, grandchild) = with_grandchild("exit 3");
        assert!(process.wait_blocking(Duration::from_secs(10)));
        assert_eq!(process.status().unwrap().code(), Some(3));
        gone(grandchild);
    }

    #[tokio::test]
    async fn waiting_gives_the_exit_status() {
        let process = Process::spawn(shell("exit 7")).unwrap();
        assert_eq!(process.wait().await.unwrap().code(), Some(7));
        process.kill(); // reaped: must do nothing
    }

    #[test]
    fn waiting_does_not_go_on_for_ever() {
        let process = Process::spawn(shell("sleep 1000")).unwrap();
        assert!(!process.wait_blocking(Duration::from_millis(20)));
        assert!(process.status().is_none());
        process.kill();
        assert!(process.wait_blocking(Duration::from_secs(10)));
    }
}
