//! What somebody without coldcut would do: copy the state to a file, mount it on the host, read it all, unmount.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::block::ReadAt;

use crate::disk::export_sparse;

/// Recovers one state on the host's own kernel.
pub(super) async fn recover(image: Arc<dyn ReadAt>, path: PathBuf, mount: PathBuf) -> Result<(), Unknown> {
    tokio::task::spawn_blocking(move || {
        export_sparse(&*image, &path)?;
        fs::create_dir_all(&mount)?;
        run(Command::new("mount")
            .args(["-t", "ext4", "-o", "loop"])
            .arg(&path)
            .arg(&mount))?;
        let walked = walk(&mount);
        run(Command::new("umount").arg(&mount))?;
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

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(words))
}
