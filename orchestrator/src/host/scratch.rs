//! The private directory of one run of coldcut: sockets and images that must not outlive it.
//!
//! It is removed on drop; by a guard process when coldcut is killed; and, should the guard be killed too, by the next
//! coldcut, which knows an abandoned directory by its unlocked `owner` file.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Child;

use rustix::fs::FlockOperation;
use tempfile::TempDir;

use super::guard;
use super::process::spawn_on_thread;
use crate::report::stdout::errln;

const PREFIX: &str = "coldcut-";
const OWNER: &str = "owner";
/// Longest base path that still leaves room for a socket's name below the 108 bytes of `sun_path`.
const LONGEST_BASE: usize = 70;

/// A directory with mode 0700 that is removed when we end.
#[derive(Debug)]
pub struct Scratch {
    _dir: TempDir,
    path: PathBuf,
    _owner: File,
    guard: Child,
}

impl Scratch {
    /// Makes one, and removes those that dead runs left.
    ///
    /// # Errors
    /// When the directory, its lock or its guard cannot be made.
    pub fn new() -> io::Result<Self> {
        let base = base_dir();
        sweep(&base);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&base)?;
        let owner = File::create(dir.path().join(OWNER))?;
        rustix::fs::flock(&owner, FlockOperation::NonBlockingLockExclusive)?;
        let guard = guard(dir.path())?;
        let path = dir.path().to_owned();
        Ok(Self {
            _dir: dir,
            path,
            _owner: owner,
            guard,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // First the directory, then the guard: whatever kills us in between, one of them does it.
        let _ = fs::remove_dir_all(&self.path);
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn base_dir() -> PathBuf {
    let set = ["XDG_RUNTIME_DIR", "TMPDIR"];
    let named = set
        .iter()
        .find_map(|name| Some((*name, PathBuf::from(std::env::var_os(name)?))));
    let Some((name, wanted)) = named else {
        return PathBuf::from("/tmp");
    };
    match unusable(&wanted) {
        None => wanted,
        Some(why) => {
            // A small XDG_RUNTIME_DIR is nothing that anybody chose.
            if name == "TMPDIR" {
                errln!("note: {name} is {}, which {why}: /tmp is used", wanted.display());
            }
            PathBuf::from("/tmp")
        }
    }
}

/// Why a directory cannot have the private one.
fn unusable(path: &Path) -> Option<&'static str> {
    if !path.is_dir() {
        Some("is no directory")
    } else if path.as_os_str().len() > LONGEST_BASE {
        Some("is too long for the names of sockets")
    } else if !has_room(path) {
        Some("has less than 1 GiB of room")
    } else {
        None
    }
}

/// `XDG_RUNTIME_DIR` may be a small tmpfs; images want space.
fn has_room(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|s| s.f_bavail.saturating_mul(s.f_frsize) >= 1 << 30)
}

/// Removes the directory when its input, which we hold, is closed.
const REMOVE: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for i in 1 2 3; do rm -rf -- "$1" && exit; sleep 1; done
"#;

/// Starts a shell that removes the directory when we end.
fn guard(dir: &Path) -> io::Result<Child> {
    let mut command = guard::command(REMOVE);
    command.arg(dir);
    spawn_on_thread(command)
}

/// Removes directories of ours below `base` whose owner is dead.
fn sweep(base: &Path) {
    let uid = rustix::process::getuid().as_raw();
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let ours = fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir() && m.uid() == uid);
        if !named || !ours {
            continue;
        }
        let Ok(owner) = File::open(path.join(OWNER)) else {
            continue;
        };
        if rustix::fs::flock(&owner, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Unlocked: its owner is dead. What cannot be removed now is the next run's.
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_used_has_a_reason() {
        let base = tempfile::tempdir().unwrap();
        assert_eq!(unusable(&base.path().join("none")), Some("is no directory"));
        let long = base.path().join("n".repeat(LONGEST_BASE));
        fs::create_dir(&long).unwrap();
        assert_eq!(unusable(&long), Some("is too long for the names of sockets"));
    }

    #[test]
    fn is_private_and_goes_away() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn sweeps_what_the_dead_left_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let dead = base.path().join("coldcut-dead");
        let alive = base.path().join("coldcut-alive");
        let other = base.path().join("something");
        for dir in [&dead, &alive, &other] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join(OWNER), "").unwrap();
        }
        let lock = File::open(alive.join(OWNER)).unwrap();
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        sweep(base.path());
        assert!(!dead.exists() && alive.exists() && other.exists());
    }

    #[test]
    fn the_guard_removes_the_directory_of_a_killed_owner() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("coldcut-x");
        fs::create_dir(&dir).unwrap();
        let mut guard = guard(&dir).unwrap();
        drop(guard.stdin.take()); // what the kernel does when the owner dies
        guard.wait().unwrap();
        assert!(!dir.exists());
    }
}
