//! The image of a root file system: an ext4 without a journal, which nobody writes to.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::host::capture::{capture_blocking, within};
use crate::host::tool::last_words;

/// How long making it may take.
const LIMIT: Duration = Duration::from_secs(300);
/// What guests and programs mount on.
const MOUNT_POINTS: [&str; 8] = ["dev", "mnt", "proc", "programs", "run", "sys", "tmp", "var/tmp"];
/// 2026-01-01: the same files make the same image.
const TIME: &str = "1767225600";

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Its directory or its file.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// mke2fs.
    #[error("mke2fs makes no image of the root file system: {0}")]
    Tool(String),
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::File { what, path, source }
}

/// Makes an image of a directory, whose files become root's.
pub(super) fn make(dir: &Path, image: &Path) -> Result<(), ImageError> {
    for name in MOUNT_POINTS {
        let path = dir.join(name);
        if fs::symlink_metadata(&path).is_err() {
            fs::create_dir_all(&path).map_err(file("make", &path))?;
        }
    }
    let (bytes, entries) = size_of(dir).map_err(file("read", dir))?;
    // Inodes, directories and bitmaps besides; blocks that hold nothing take no room.
    let size = (bytes + bytes / 8 + entries * 1024 + (16 << 20)).next_multiple_of(1 << 20);
    let made = File::create(image).and_then(|made| made.set_len(size));
    made.map_err(file("make", image))?;
    let mut command = Command::new("mke2fs");
    command
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0"])
        .args(["-O", "^has_journal,^resize_inode,^metadata_csum"])
        .args(["-U", "c01dc007-0000-4000-8000-000000000000"])
        .args([
            "-E",
            "root_owner=0:0,hash_seed=c01dc007-0000-4000-8000-000000000000,lazy_itable_init=0",
        ])
        .args(["-N", &(entries + 64).to_string()])
        .arg("-d")
        .arg(dir)
        .arg(image)
        .env("PATH", path_with_sbin())
        .env("SOURCE_DATE_EPOCH", TIME)
        .env("LC_ALL", "C");
    let tool = |words: String| ImageError::Tool(words);
    match capture_blocking(command, within(LIMIT)).map_err(|error| tool(error.to_string()))? {
        None => Err(tool(format!("it was not done within {} s", LIMIT.as_secs()))),
        Some(output) if !output.status.success() => Err(tool(last_words(&output))),
        Some(_) => Ok(()),
    }
}

fn path_with_sbin() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

/// Bytes and entries below a directory; each file takes whole blocks.
fn size_of(dir: &Path) -> std::io::Result<(u64, u64)> {
    let (mut bytes, mut entries) = (0, 0);
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let meta = fs::symlink_metadata(&path)?;
            entries += 1;
            bytes += meta.size().next_multiple_of(4096);
            if meta.is_dir() {
                left.push(path);
            }
        }
    }
    Ok((bytes, entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_becomes_an_ext4() {
        let dir = tempfile::tempdir().unwrap();
        let make_one = |name: &str| {
            let tree = dir.path().join(name);
            fs::create_dir_all(tree.join("usr/bin")).unwrap();
            fs::write(tree.join("usr/bin/tool"), vec![7; 100_000]).unwrap();
            let image = dir.path().join(format!("{name}.img"));
            make(&tree, &image).unwrap();
            fs::read(image).unwrap()
        };
        let one = make_one("one");
        assert_eq!(one.len() % (1 << 20), 0);
        let magic = 1024 + 0x38;
        assert_eq!(
            one[magic..magic + 2],
            [0x53, 0xef],
            "the magic number of an ext filesystem"
        );
    }
}
