//! What is done after us when we are killed: a shell in a session of its own that notices our end.
//!
//! The parent-death signal reaches our children and not theirs (the compilers of a make, the programs of a shell), so
//! one shell knows the process group of every child that runs, and kills those that are left when we end.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;

/// Reads `+ GROUP` and `- GROUP`; at the end of its input it kills the groups that were not taken back.
const GROUPS: &str = r#"
trap '' INT TERM HUP
groups=
while read -r what group; do
  case $what in
    +) groups="$groups $group" ;;
    -) rest=
       for one in $groups; do [ "$one" = "$group" ] || rest="$rest $one"; done
       groups=$rest ;;
  esac
done
for one in $groups; do kill -KILL "-$one" 2>/dev/null; done
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
    child: Mutex<Child>,
    input: Mutex<Option<ChildStdin>>,
}

impl GroupGuard {
    /// Starts it by `spawn`.
    pub(super) fn start(spawn: impl FnOnce(Command) -> io::Result<Child>) -> io::Result<Self> {
        let mut child = spawn(command(GROUPS))?;
        let input = child.stdin.take();
        Ok(Self {
            child: Mutex::new(child),
            input: Mutex::new(input),
        })
    }

    /// Kills this group when we end.
    pub(super) fn add(&self, group: i32) {
        self.tell('+', group);
    }

    /// Forgets a group. To be told while the number still is that group's.
    pub(super) fn remove(&self, group: i32) {
        self.tell('-', group);
    }

    fn tell(&self, what: char, group: i32) {
        let mut input = self
            .input
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let told = input.as_mut().map(|input| writeln!(input, "{what} {group}"));
        if let Some(Err(_)) = told {
            // Somebody killed it. The parent-death signal still holds for our own children.
            *input = None;
            let mut child = self
                .child
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let _ = child.try_wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, test_kill_process_group};

    fn group() -> (Child, Pid) {
        let child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let pid = Pid::from_child(&child);
        (child, pid)
    }

    #[test]
    fn groups_that_were_not_taken_back_are_killed_at_our_end() {
        let guard = GroupGuard::start(|mut command| command.spawn()).unwrap();
        let (mut left, left_pid) = group();
        let (mut taken, taken_pid) = group();
        for pid in [taken_pid, left_pid] {
            guard.add(pid.as_raw_nonzero().get());
        }
        guard.remove(taken_pid.as_raw_nonzero().get());
        drop(guard.input.lock().unwrap().take()); // what the kernel does when we end
        guard.child.lock().unwrap().wait().unwrap();
        assert!(!left.wait().unwrap().success());
        assert!(taken.try_wait().unwrap().is_none());
        assert!(test_kill_process_group(taken_pid).is_ok());
        taken.kill().unwrap();
        taken.wait().unwrap();
    }
}
