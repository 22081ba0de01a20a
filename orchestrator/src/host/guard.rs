//! Cleans up after us when we are killed: a shell in a session of its own notices our end.
//!
//! The parent-death signal reaches our children and not theirs (the compilers of a make, the programs of a shell), so
//! one shell knows the process group of every child that runs, and kills those that are left when we end.

use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// Reads `+ GROUP NUMBER`, `- GROUP` and `x NUMBER`; at the end of its input it kills the groups that were not taken
/// back.
const GROUPS: &str = r#"
trap '' INT TERM HUP
groups=
while read -r what name number; do
  case $what in
    +) groups="$groups $name.$number" ;;
    *) rest=
       for one in $groups; do
         case $what.$one in
           -.$name.*|x.*.$name) ;;
           *) rest="$rest $one" ;;
         esac
       done
       groups=$rest ;;
  esac
done
for one in $groups; do kill -KILL "-${one%.*}" 2>/dev/null; done
"#;

/// A shell that outlives us, until its standard input, which we hold, is closed. It has no parent-death signal.
pub(super) fn command(script: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "coldcut-guard"])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: setsid is safe between fork and exec.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
    command
}

/// The shell that kills the process groups we leave.
#[derive(Debug)]
pub(super) struct GroupGuard {
    /// If it is killed itself, our own children still get the parent-death signal.
    #[cfg_attr(not(test), expect(dead_code, reason = "kept for its descriptors alone"))]
    child: Child,
    input: ChildStdin,
    next: AtomicU64,
}

/// A child about to be started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    input: RawFd,
    number: u64,
}

impl Entry {
    /// Kills the group of this process, which leads it, when the process that made the guard ends. For between fork and
    /// exec: it allocates nothing, and makes only system calls that are safe there.
    pub(super) fn enter(self) {
        let mut line = [0; 64];
        let mut rest = &mut line[..];
        let written = writeln!(rest, "+ {} {}", std::process::id(), self.number);
        let len = 64 - rest.len();
        if written.is_ok() {
            // SAFETY: plain system calls on a descriptor that the parent keeps open. A guard that is dead must not be
            // the end of the child, which has the signal's default by now.
            unsafe {
                libc::signal(libc::SIGPIPE, libc::SIG_IGN);
                libc::write(self.input, line.as_ptr().cast(), len);
                libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            }
        }
    }
}

impl GroupGuard {
    /// Starts it by `spawn`.
    pub(super) fn start(spawn: impl FnOnce(Command) -> io::Result<Child>) -> io::Result<Self> {
        let mut child = spawn(command(GROUPS))?;
        let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            child,
            input,
            next: AtomicU64::new(0),
        })
    }

    /// What a child is to do before it becomes its program.
    pub(super) fn entry(&self) -> Entry {
        Entry {
            input: self.input.as_raw_fd(),
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Forgets a group. Call it while the number still belongs to the group.
    pub(super) fn remove(&self, group: i32) {
        self.tell(&format!("- {group}\n"));
    }

    /// Forgets a child that did not become its program.
    pub(super) fn cancel(&self, entry: Entry) {
        self.tell(&format!("x {}\n", entry.number));
    }

    /// Sends a line in one write, so that lines do not mix.
    fn tell(&self, line: &str) {
        // Somebody killed it: there is nobody to tell.
        let _ = (&self.input).write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A child that leads a group and has entered it.
    fn entered(guard: &GroupGuard) -> (Child, Entry) {
        let entry = guard.entry();
        let mut command = Command::new("sleep");
        command.arg("600").process_group(0);
        // SAFETY: `enter` is made for this place.
        unsafe {
            command.pre_exec(move || {
                entry.enter();
                Ok(())
            });
        }
        (command.spawn().unwrap(), entry)
    }

    #[test]
    fn groups_that_were_not_taken_back_are_killed_at_our_end() {
        let guard = GroupGuard::start(|mut command| command.spawn()).unwrap();
        let [(mut left, _), (mut taken, _), (mut cancelled, entry)] = [0; 3].map(|_| entered(&guard));
        guard.remove(i32::try_from(taken.id()).unwrap());
        guard.cancel(entry);
        let GroupGuard {
            child: mut shell,
            input,
            ..
        } = guard;
        drop(input); // what the kernel does when we end
        shell.wait().unwrap();
        assert!(!left.wait().unwrap().success());
        for child in [&mut taken, &mut cancelled] {
            assert!(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_child_outlives_a_guard_that_was_killed() {
        let mut guard = GroupGuard::start(|mut command| command.spawn()).unwrap();
        guard.child.kill().unwrap();
        guard.child.wait().unwrap();
        let (mut child, _) = entered(&guard);
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
