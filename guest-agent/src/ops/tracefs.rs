//! The kernel's own filesystems for traces and statistics, and their files.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use coldcut_wire::Failure;
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::failure::{Tried, refuse};

/// Where tracefs is mounted.
const TRACEFS: &str = "/sys/kernel/tracing";
/// Where debugfs is mounted.
const DEBUGFS: &str = "/sys/kernel/debug";
/// Longest text of a trace.
const MAX_TEXT: u64 = 64 << 20;

/// Mounts tracefs or debugfs where it is not mounted yet.
fn mounted(fstype: &str, at: &str, proof: &str) -> Result<(), Failure> {
    if Path::new(at).join(proof).exists() {
        return Ok(());
    }
    match rustix::mount::mount(fstype, at, fstype, MountFlags::NOSUID | MountFlags::NODEV, c"") {
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(errno) => Err(errno).tried(|| format!("mount {fstype} on {at}")),
    }
}

/// Mounts debugfs if need be, and returns its directory.
pub(super) fn debugfs() -> Result<&'static str, Failure> {
    mounted("debugfs", DEBUGFS, "bdi")?;
    Ok(DEBUGFS)
}

/// Mounts tracefs if need be.
pub(super) fn tracefs() -> Result<(), Failure> {
    mounted("tracefs", TRACEFS, "instances")
}

/// Returns where tracefs has its instances.
pub(super) fn instances() -> PathBuf {
    Path::new(TRACEFS).join("instances")
}

/// Writes a setting.
pub(super) fn put(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).tried(|| format!("write `{text}` to {}", path.display()))
}

/// Reads a short file.
pub(super) fn get(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).tried(|| format!("read {}", path.display()))
}

/// Reads a file of which the size is not known.
pub(super) fn bounded(path: &Path) -> Result<String, Failure> {
    let what = || format!("read {}", path.display());
    let mut bytes = Vec::new();
    let file = fs::File::open(path).tried(what)?;
    let read = file.take(MAX_TEXT + 1).read_to_end(&mut bytes).tried(what)?;
    if read as u64 > MAX_TEXT {
        return Err(refuse(format!("{}: more than {MAX_TEXT} bytes", what())));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a file that may not be there; any other error is a failure.
pub(super) fn optional(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).tried(|| format!("read {}", path.display())),
    }
}
