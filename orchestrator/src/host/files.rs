//! Reading files that others may have laid: in runs, bundles, caches, and wherever a command line points.
//!
//! Only regular files are read. Opening neither waits (for a FIFO's writer, say) nor makes a terminal ours, and no more is
//! read than a caller says. [`Directory`] opens only what is beneath a directory: neither names with `..` nor symbolic links
//! lead out of it (`RESOLVE_BENEATH`, openat2(2)).

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK);

/// Opens a regular file for reading.
///
/// # Errors
/// When it cannot be opened, or is anything else.
pub fn open_regular(path: &Path) -> io::Result<File> {
    regular(rustix::fs::openat(CWD, path, READ, Mode::empty())?)
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// When it cannot be read, is anything else, or has more.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    bounded(&open_regular(path)?, most)
}

/// As [`read`], for text.
///
/// # Errors
/// As [`read`]; and where it is not UTF-8, saying in which line and column.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    text(read(path, most)?)
}

/// A directory, of which only what is beneath it can be opened.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory at `path`, wherever that leads.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = READ.union(OFlags::DIRECTORY);
        Ok(Self {
            fd: rustix::fs::openat(CWD, path, flags, Mode::empty())?,
            path: path.to_owned(),
        })
    }

    /// Its path, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory beneath.
    ///
    /// # Errors
    /// When it cannot be opened, or is not beneath this one.
    pub fn directory(&self, relative: &Path) -> io::Result<Self> {
        Ok(Self {
            fd: self.beneath(relative, READ.union(OFlags::DIRECTORY))?,
            path: self.path.join(relative),
        })
    }

    /// Opens a regular file beneath, for reading.
    ///
    /// # Errors
    /// When it cannot be opened, is anything else, or is not beneath the directory.
    pub fn file(&self, relative: &Path) -> io::Result<File> {
        regular(self.beneath(relative, READ)?)
    }

    /// Reads a regular file beneath of at most `most` bytes.
    ///
    /// # Errors
    /// As [`Self::file`]; and when it has more.
    pub fn read(&self, relative: &Path, most: u64) -> io::Result<Vec<u8>> {
        bounded(&self.file(relative)?, most)
    }

    /// As [`Self::read`], for text.
    ///
    /// # Errors
    /// As [`Self::read`] and [`read_text`].
    pub fn read_text(&self, relative: &Path, most: u64) -> io::Result<String> {
        text(self.read(relative, most)?)
    }

    /// The names in it, in order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> io::Result<Vec<PathBuf>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
                names.push(PathBuf::from(name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// What kind of file a name in it is; a symbolic link is a symbolic link.
    ///
    /// # Errors
    /// When there is none.
    pub fn kind(&self, name: &Path) -> io::Result<rustix::fs::FileType> {
        let stat = rustix::fs::statat(&self.fd, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode))
    }

    fn beneath(&self, relative: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
        match rustix::fs::openat2(&self.fd, relative, flags, Mode::empty(), resolve) {
            // Linux before 5.6, or a filter that does not know it.
            Err(Errno::NOSYS | Errno::PERM) => self.step_by_step(relative, flags),
            Err(Errno::XDEV) => Err(outside(&self.path, relative)),
            other => Ok(other?),
        }
    }

    /// What [`Self::beneath`] does, following no symbolic link at all.
    fn step_by_step(&self, relative: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let mut at: Option<OwnedFd> = None;
        let mut components = relative.components().peekable();
        while let Some(component) = components.next() {
            let Component::Normal(name) = component else {
                return Err(outside(&self.path, relative));
            };
            let flags = if components.peek().is_some() {
                READ.union(OFlags::DIRECTORY)
            } else {
                flags
            };
            let from = at.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
            at = Some(rustix::fs::openat(
                from,
                name,
                flags.union(OFlags::NOFOLLOW),
                Mode::empty(),
            )?);
        }
        at.ok_or_else(|| outside(&self.path, relative))
    }
}

fn outside(directory: &Path, relative: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{} is not beneath {}", relative.display(), directory.display()),
    )
}

fn regular(fd: OwnedFd) -> io::Result<File> {
    let file = File::from(fd);
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    let kind = if kind.is_dir() {
        "a directory"
    } else {
        "a device, a FIFO or a socket"
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {kind}; expected a regular file"),
    ))
}

fn bounded(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    let too_large = || {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {most} bytes"),
        )
    };
    if size > most {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large());
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("line {line}, column {column}: expected UTF-8"),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_nothing_waits() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let start = Instant::now();
        for path in [&fifo, Path::new("/dev/zero"), dir.path()] {
            let error = open_regular(path).unwrap_err().to_string();
            assert!(error.contains("expected a regular file"), "{error}");
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        let file = dir.path().join("file");
        fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert!(read(&file, 4).is_err());
    }

    #[test]
    fn text_that_is_none_is_shown_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.yaml");
        fs::write(&file, b"a: b\nc\xc3\xa4: \xff\n").unwrap();
        let error = read_text(&file, 100).unwrap_err().to_string();
        assert_eq!(error, "line 2, column 5: expected UTF-8");
    }

    #[test]
    fn nothing_leads_out_of_a_directory() {
        let base = tempfile::tempdir().unwrap();
        let (inside, outside) = (base.path().join("in"), base.path().join("out"));
        for dir in [&inside, &outside, &inside.join("sub")] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("file"), "x").unwrap();
        }
        symlink(&outside, inside.join("away")).unwrap();
        symlink("../out/file", inside.join("link")).unwrap();
        symlink("sub/file", inside.join("within")).unwrap();
        let directory = Directory::open(&inside).unwrap();
        assert_eq!(directory.read(Path::new("sub/file"), 1).unwrap(), b"x");
        assert_eq!(directory.read(Path::new("within"), 1).unwrap(), b"x");
        let absolute = outside.join("file");
        for path in ["../out/file", "away/file", "link", absolute.to_str().unwrap()] {
            assert!(directory.file(Path::new(path)).is_err(), "{path}");
            let step_by_step = directory.step_by_step(Path::new(path), READ);
            assert!(step_by_step.is_err(), "{path}");
        }
        assert!(directory.directory(Path::new("away")).is_err());
        assert!(directory.step_by_step(Path::new("sub/file"), READ).is_ok());
        assert_eq!(directory.names().unwrap().len(), 5);
    }
}
