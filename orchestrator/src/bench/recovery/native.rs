//! The way without coldcut: copy the state to a file, mount it on the host, read everything, unmount.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::block::ReadAt;

use crate::disk::export_sparse;
use crate::host::capture::{capture_blocking, within};
use crate::host::tool::last_words;

/// How long a mount or an unmount may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Recovers one state on the host's own kernel.
pub(super) async fn recover(
    image: Arc<dyn ReadAt>,
    fstype: &str,
    path: PathBuf,
    mount: PathBuf,
) -> Result<(), Unknown> {
    let fstype = fstype.to_owned();
    tokio::task::spawn_blocking(move || {
        export_sparse(&*image, &path)?;
        fs::create_dir_all(&mount)?;
        let mut command = Command::new("mount");
        command.args(["-t", &fstype, "-o", "loop"]).arg(&path).arg(&mount);
        run(command)?;
        let walked = walk(&mount);
        let mut command = Command::new("umount");
        command.arg(&mount);
        run(command)?;
        walked
    })
    .await
    .or_unknown("the host's loop mount")?
    .or_unknown("the host's loop mount")
}

fn walk(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_dir() {
            walk(&entry.path())?;
        } else if meta.is_file() {
            std::hint::black_box(blake3::hash(&fs::read(entry.path())?));
        }
    }
    Ok(())
}

/// Runs a command that must succeed.
fn run(command: Command) -> io::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    match capture_blocking(command, within(LIMIT))? {
        Some(output) if output.status.success() => Ok(()),
        Some(output) => Err(io::Error::other(last_words(&output))),
        None => Err(io::Error::other(format!("{name} did not end within {LIMIT:?}"))),
    }
}
