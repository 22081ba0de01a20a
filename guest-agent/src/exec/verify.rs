//! Running a program that judges what is mounted: it gets what was acknowledged, and leaves nothing behind.
//!
//! One guest judges many filesystems, one after the other, so what a program leaves in the guest must not reach the next
//! one: the programs' directory is read-only, whatever still runs is killed, and `/tmp` is emptied.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use coldcut_wire::{Done, Failure, RequestId, VerifySpec};
use rustix::mount::{MountFlags, mount_bind, mount_remount};

use super::{command, name_of, reap_orphans, run};
use crate::failure::Tried;
use crate::link::Sender;
use crate::state::{Role, State};

/// What chroots have of the guest's own, which must be there before they are made read-only.
const SHARED: [&str; 5] = ["mnt", "proc", "sys", "dev", "tmp"];
/// How long processes may take to end that were killed.
const REAPED: Duration = Duration::from_secs(5);

/// Runs the program of `spec` to its end, and ends all that it started.
pub(crate) fn verify(
    state: &State,
    id: RequestId,
    spec: &VerifySpec,
    sender: &Sender,
) -> Result<Done, Failure> {
    let files = Files::write(state.role, spec)?;
    if state.role == Role::Init {
        protect()?;
    }
    let mut command = command::prepare(state, &spec.exec, name_of(&spec.exec)?)?;
    command
        .env("COLDCUT_ACKED", files.path("acknowledged"))
        .env("COLDCUT_BEGUN", files.path("begun"))
        .stdin(Stdio::from(files.open("stdin")?));
    let result = run(state, id, &spec.exec, (command, None), spec.most_output, sender);
    if state.role == Role::Init {
        end_everything(state);
        empty(Path::new("/tmp"));
    }
    result
}

/// Makes the programs' directory read-only, once.
fn protect() -> Result<(), Failure> {
    let programs = Path::new(command::PROGRAMS);
    let read_only = rustix::fs::statvfs(programs).tried(|| format!("statvfs {}", command::PROGRAMS))?;
    if read_only.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    for name in SHARED {
        // What is there and no directory fails the bind mount on it.
        let _ = fs::create_dir_all(programs.join(name));
    }
    mount_bind(programs, programs).tried(|| format!("bind {}", command::PROGRAMS))?;
    mount_remount(programs, MountFlags::BIND | MountFlags::RDONLY, "")
        .tried(|| format!("make {} read-only", command::PROGRAMS))
}

/// Kills every process but this one, and waits until they are gone.
fn end_everything(state: &State) {
    state.end_programs();
    // Where the kernel has no namespaces for them, they are this process's to end.
    // SAFETY: a system call without pointers. As PID 1 it reaches every process but the kernel's threads and itself.
    unsafe { libc::kill(-1, libc::SIGKILL) };
    let deadline = Instant::now() + REAPED;
    while has_children() && Instant::now() < deadline {
        state.when_childless(reap_orphans);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether any process is left, ended or not.
fn has_children() -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::All, look).is_ok()
}

/// Removes everything in a directory; what cannot be removed stays.
fn empty(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if fs::remove_dir_all(&path).is_err() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// The files in which a program finds what was acknowledged. They go with this.
struct Files(PathBuf);

impl Files {
    fn write(role: Role, spec: &VerifySpec) -> Result<Self, Failure> {
        // Chroots share this directory with the guest.
        let name = match role {
            Role::Init => "/tmp/coldcut".to_owned(),
            Role::Process => format!("/tmp/coldcut-verify-{}", std::process::id()),
        };
        let files = Self(PathBuf::from(name));
        fs::create_dir_all(&files.0).tried(|| format!("mkdir {}", files.0.display()))?;
        files.lines("acknowledged", spec.acknowledged.iter().map(|line| ("", line)))?;
        files.lines("begun", spec.begun.iter().map(|line| ("", line)))?;
        let acknowledged = spec.acknowledged.iter().map(|line| ("acknowledged ", line));
        let begun = spec.begun.iter().map(|line| ("begun ", line));
        files.lines("stdin", acknowledged.chain(begun))?;
        Ok(files)
    }

    fn lines<'a>(
        &self,
        name: &str,
        lines: impl Iterator<Item = (&'static str, &'a String)>,
    ) -> Result<(), Failure> {
        let mut text = Vec::new();
        for (word, line) in lines {
            // Writing to memory cannot fail.
            let _ = writeln!(text, "{word}{line}");
        }
        fs::write(self.path(name), text).tried(|| format!("write {}", self.path(name).display()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn open(&self, name: &str) -> Result<File, Failure> {
        File::open(self.path(name)).tried(|| format!("open {}", self.path(name).display()))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
