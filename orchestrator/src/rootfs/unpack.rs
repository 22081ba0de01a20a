//! Taking files out of an archive into a directory, whoever made the archive: nothing is written outside the directory, and
//! there are bounds on how much.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use crate::kernel::deb::DebError;
use crate::kernel::package::{Entry, entries_of_package};

/// Most bytes of all files of one root file system.
const MOST_BYTES: u64 = 4 << 30;
/// Most entries.
const MOST_ENTRIES: u64 = 500_000;
/// Directories that have moved below `/usr`, where the root has links to them.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is damaged, or too large.
    #[error(transparent)]
    Package(#[from] DebError),
    /// A name in it leads out of the directory.
    #[error("an archive's `{0}` leads out of its root directory, or through a symbolic link")]
    Outside(String),
    /// There is too much.
    #[error("its files are more than {} GiB, or more than {MOST_ENTRIES}", MOST_BYTES >> 30)]
    TooMuch,
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Unpacks archives one over the other.
#[derive(Debug)]
pub(super) struct Unpacker {
    root: PathBuf,
    bytes: u64,
    entries: u64,
}

impl Unpacker {
    /// Into this directory, which is empty. The directories that Debian has merged into `/usr` become links.
    pub(super) fn new(root: &Path) -> Result<Self, UnpackError> {
        for name in MERGED {
            make_dir(&root.join("usr").join(name))?;
            let link = root.join(name);
            symlink(Path::new("usr").join(name), &link).map_err(write(&link))?;
        }
        Ok(Self {
            root: root.to_owned(),
            bytes: MOST_BYTES,
            entries: MOST_ENTRIES,
        })
    }

    /// Adds all files of a package.
    pub(super) fn add_package(&mut self, deb: &Path) -> Result<(), UnpackError> {
        entries_of_package(deb, &mut |entry| self.add(entry))
    }

    fn add(&mut self, entry: &mut Entry<'_>) -> Result<(), UnpackError> {
        let name = entry.name.display().to_string();
        let Some(below) = inside(entry.name) else {
            return Err(UnpackError::Outside(name));
        };
        if below.as_os_str().is_empty() {
            return Ok(());
        }
        let target = self.place(&below, &name)?;
        self.entries = self.entries.checked_sub(1).ok_or(UnpackError::TooMuch)?;
        self.bytes = self.bytes.checked_sub(entry.size).ok_or(UnpackError::TooMuch)?;
        self.one(entry, &target, &name)
    }

    /// Adds a file with this text.
    pub(super) fn file(&mut self, name: &str, text: &[u8], mode: u32) -> Result<(), UnpackError> {
        let outside = || UnpackError::Outside(name.to_owned());
        let below = inside(Path::new(name)).filter(|below| !below.as_os_str().is_empty());
        let target = self.place(&below.ok_or_else(outside)?, name)?;
        let _ = fs::remove_file(&target);
        fs::write(&target, text).map_err(write(&target))?;
        set_mode(&target, mode)
    }

    /// The text of a file that was unpacked, if it is there and a file.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.place(&inside(Path::new(name))?, name).ok()?;
        fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
        fs::read(path).ok()
    }

    fn one(&self, entry: &mut Entry<'_>, target: &Path, name: &str) -> Result<(), UnpackError> {
        let (mode, kind) = (entry.mode & 0o7777, entry.kind);
        if kind == EntryType::Directory {
            make_dir(target)?;
            // Whoever unpacks this must be able to write into it, and to read it again.
            return set_mode(target, mode | 0o700);
        }
        if fs::symlink_metadata(target).is_ok_and(|meta| !meta.is_dir()) {
            fs::remove_file(target).map_err(write(target))?;
        }
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mut file = File::create(target).map_err(write(target))?;
                io::copy(entry.data, &mut file).map_err(write(target))?;
                set_mode(target, mode | 0o400)
            }
            EntryType::Symlink => match entry.link {
                Some(to) => symlink(to, target).map_err(write(target)),
                None => Ok(()),
            },
            EntryType::Link => {
                let outside = || UnpackError::Outside(name.to_owned());
                let below = entry.link.and_then(inside).ok_or_else(outside)?;
                let source = self.place(&below, name)?;
                fs::hard_link(&source, target).map_err(write(target))
            }
            // Devices are made by whoever mounts /dev; the rest is not for files.
            _ => Ok(()),
        }
    }

    /// Where a name of an archive is, its directories made. None of them is a link, but for those that are known.
    fn place(&self, below: &Path, name: &str) -> Result<PathBuf, UnpackError> {
        let below = merged(below);
        let mut at = self.root.clone();
        for part in below.parent().into_iter().flat_map(Path::components) {
            at.push(part);
            match fs::symlink_metadata(&at) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(UnpackError::Outside(name.to_owned())),
                Err(_) => make_dir(&at)?,
            }
        }
        Ok(self.root.join(below))
    }
}

/// The name with what has moved below `/usr` there.
fn merged(below: &Path) -> PathBuf {
    let first = below.components().next();
    let moved = first.is_some_and(|first| MERGED.iter().any(|name| first.as_os_str() == *name));
    if moved {
        Path::new("usr").join(below)
    } else {
        below.to_owned()
    }
}

/// The name without what leads to the root; `None` when it climbs.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut below = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => below.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(below)
}

fn write(path: &Path) -> impl FnOnce(io::Error) -> UnpackError {
    let path = path.to_owned();
    move |source| UnpackError::Write { path, source }
}

pub(super) fn make_dir(path: &Path) -> Result<(), UnpackError> {
    fs::create_dir_all(path).map_err(write(path))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), UnpackError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(write(path))
}

#[cfg(test)]
mod tests {
    use crate::kernel::package::entries_of_tar;

    use super::*;

    /// An archive whose names are written as they are, however hostile.
    fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, text) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            let link = matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link);
            if link {
                header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
            }
            let data = if link { &b""[..] } else { text.as_bytes() };
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;
    const LINK: tar::EntryType = tar::EntryType::Symlink;

    fn unpack(entries: &[(&str, tar::EntryType, &str)]) -> (tempfile::TempDir, Result<(), UnpackError>) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let result = Unpacker::new(&root).and_then(|mut unpacker| {
            entries_of_tar(archive(entries).as_slice(), &mut |entry| unpacker.add(entry))
        });
        (dir, result)
    }

    #[test]
    fn files_of_both_layouts_meet_below_usr() {
        let hard = ("./usr/bin/other", tar::EntryType::Link, "./bin/sh");
        let (dir, result) = unpack(&[("./bin/sh", FILE, "old"), ("./usr/bin/env", FILE, "new"), hard]);
        result.unwrap();
        for (name, text) in [("bin/env", "new"), ("usr/bin/sh", "old"), ("bin/other", "old")] {
            let found = fs::read_to_string(dir.path().join("root").join(name)).unwrap();
            assert_eq!(found, text, "{name}");
        }
    }

    #[test]
    fn nothing_is_written_outside() {
        for entries in [
            &[("../out", FILE, "x")][..],
            &[("a/../../out", FILE, "x")],
            &[("link", LINK, ".."), ("link/out", FILE, "x")],
            &[("link", LINK, "/tmp"), ("link/coldcut-out", FILE, "x")],
            &[("hard", tar::EntryType::Link, "../../out")],
        ] {
            let (dir, result) = unpack(entries);
            assert!(
                matches!(result, Err(UnpackError::Outside(_))),
                "{entries:?}: {result:?}"
            );
            assert!(!dir.path().join("out").exists());
        }
        assert!(!Path::new("/tmp/coldcut-out").exists());
    }

    #[test]
    fn a_name_without_end_is_refused() {
        let name = "n".repeat(64 << 10);
        for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink] {
            let (_dir, result) = unpack(&[("long", kind, &name), ("file", FILE, "text")]);
            assert!(
                matches!(result, Err(UnpackError::Package(DebError::LongName(_)))),
                "{result:?}"
            );
        }
    }

    #[test]
    fn a_link_that_is_replaced_is_not_followed() {
        let (dir, result) = unpack(&[("file", LINK, "../out"), ("file", FILE, "text")]);
        result.unwrap();
        assert!(!dir.path().join("out").exists());
        assert_eq!(fs::read_to_string(dir.path().join("root/file")).unwrap(), "text");
    }
}
