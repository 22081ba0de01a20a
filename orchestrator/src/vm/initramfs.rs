//! The initial file system of a guest: a newc archive, made in process.
//!
//! The same input makes the same bytes: entries in a fixed order, times 0, owner root, inode numbers by
//! order. Format: the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`.

use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cpio::newc::{self, ModeFileType};

/// Where the directory of programs is in the guest.
pub const PROGRAMS: &str = "/programs";
/// Most bytes that a directory of programs may have; all of it sits in the guest's memory.
pub const MAX_PROGRAMS: u64 = 128 << 20;
/// Most files in a directory of programs.
const MAX_PROGRAM_FILES: usize = 10_000;
/// Deepest directory below the programs.
const MAX_DEPTH: usize = 32;
/// Largest module.
const MAX_MODULE: u64 = 256 << 20;
/// Directories that the agent mounts on.
const DIRS: [&str; 6] = ["dev", "mnt", "proc", "run", "sys", "tmp"];

/// Why an initramfs cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The agent is empty or no program.
    #[error("the agent is no Linux program: expected an ELF file")]
    NotAProgram,
    /// A module name that cannot be a file name.
    #[error("`{0}` cannot be the name of a module file")]
    BadModuleName(String),
    /// The programs are too large.
    #[error("{} has more than {} MiB or {MAX_PROGRAM_FILES} files; programs live in the guest's memory", path.display(), MAX_PROGRAMS >> 20)]
    TooLarge {
        /// The directory.
        path: PathBuf,
    },
    /// Something that is no file, directory or symbolic link.
    #[error("{} is neither a file, a directory nor a symbolic link; only those go into the guest", .0.display())]
    BadKind(PathBuf),
    /// A name that is not UTF-8, or nested too deep.
    #[error("{} has a name that is not UTF-8, or lies more than {MAX_DEPTH} directories deep", .0.display())]
    BadName(PathBuf),
    /// The archive cannot be written.
    #[error("cannot build the initramfs: {0}")]
    Write(#[from] io::Error),
}

/// Builds the archive, uncompressed.
///
/// `agent` becomes `/init`. `modules` are (file name, path) in load order, as
/// [`Kernel::modules`](crate::kernel::Kernel::modules) gives them: they become `/modules/<file>`, and
/// `/modules/order` names them, one a line. `programs`, a directory, becomes `/programs`.
///
/// # Errors
/// [`InitramfsError`].
pub fn build(
    agent: &[u8],
    modules: &[(String, PathBuf)],
    programs: Option<&Path>,
) -> Result<Vec<u8>, InitramfsError> {
    if !agent.starts_with(b"\x7fELF") {
        return Err(InitramfsError::NotAProgram);
    }
    let mut archive = Archive {
        out: Vec::with_capacity(agent.len() + (1 << 20)),
        inode: 0,
    };
    for dir in DIRS {
        archive.dir(dir, 0o755)?;
    }
    // Without it the kernel starts /init with no standard output, and its words are lost.
    archive.add("dev/console", ModeFileType::Char, 0o600, &[], Some((5, 1)))?;
    archive.add("init", ModeFileType::Regular, 0o755, agent, None)?;
    archive.dir("modules", 0o755)?;
    let mut order = String::new();
    for (name, _) in modules {
        if name.is_empty() || name == "order" || name.contains(['/', '\n', '\0']) || name.starts_with('.') {
            return Err(InitramfsError::BadModuleName(name.clone()));
        }
        order.push_str(name);
        order.push('\n');
    }
    archive.add(
        "modules/order",
        ModeFileType::Regular,
        0o644,
        order.as_bytes(),
        None,
    )?;
    let mut sorted: Vec<_> = modules.iter().collect();
    sorted.sort();
    sorted.dedup_by(|a, b| a.0 == b.0);
    for (name, path) in sorted {
        let bytes = read(path, MAX_MODULE)?;
        archive.add(
            &format!("modules/{name}"),
            ModeFileType::Regular,
            0o644,
            &bytes,
            None,
        )?;
    }
    if let Some(dir) = programs {
        let mut budget = Budget {
            root: dir,
            bytes: MAX_PROGRAMS,
            files: MAX_PROGRAM_FILES,
        };
        archive.tree(dir, "programs", 0, &mut budget)?;
    }
    Ok(newc::trailer(archive.out)?)
}

/// What may still be read from the directory of programs.
struct Budget<'a> {
    root: &'a Path,
    bytes: u64,
    files: usize,
}

impl Budget<'_> {
    fn take(&mut self, bytes: u64) -> Result<(), InitramfsError> {
        match (self.bytes.checked_sub(bytes), self.files.checked_sub(1)) {
            (Some(bytes), Some(files)) => {
                (self.bytes, self.files) = (bytes, files);
                Ok(())
            }
            _ => Err(InitramfsError::TooLarge {
                path: self.root.to_owned(),
            }),
        }
    }
}

struct Archive {
    out: Vec<u8>,
    inode: u32,
}

impl Archive {
    fn dir(&mut self, path: &str, mode: u32) -> Result<(), InitramfsError> {
        self.add(path, ModeFileType::Directory, mode, &[], None)
    }

    fn add(
        &mut self,
        path: &str,
        kind: ModeFileType,
        mode: u32,
        data: &[u8],
        device: Option<(u32, u32)>,
    ) -> Result<(), InitramfsError> {
        self.inode += 1;
        let links = if matches!(kind, ModeFileType::Directory) {
            2
        } else {
            1
        };
        let mut entry = newc::Builder::new(path)
            .ino(self.inode)
            .mode(mode)
            .nlink(links)
            .set_mode_file_type(kind);
        if let Some((major, minor)) = device {
            entry = entry.rdev_major(major).rdev_minor(minor);
        }
        let mut writer = entry.write(&mut self.out, data.len() as u32);
        io::Write::write_all(&mut writer, data)?;
        writer.finish()?;
        Ok(())
    }

    /// Adds a directory and everything in it, by name. Symbolic links stay what they are.
    fn tree(
        &mut self,
        dir: &Path,
        to: &str,
        depth: usize,
        budget: &mut Budget,
    ) -> Result<(), InitramfsError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |cause| InitramfsError::Read { path, cause }
        };
        self.dir(to, 0o755)?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir).map_err(fail(dir))? {
            entries.push(entry.map_err(fail(dir))?.path());
        }
        entries.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
        for path in entries {
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .filter(|_| depth < MAX_DEPTH);
            let to = format!(
                "{to}/{}",
                name.ok_or_else(|| InitramfsError::BadName(path.clone()))?
            );
            let meta = fs::symlink_metadata(&path).map_err(fail(&path))?;
            if meta.is_dir() {
                budget.take(0)?;
                self.tree(&path, &to, depth + 1, budget)?;
            } else if meta.is_symlink() {
                budget.take(0)?;
                let target = fs::read_link(&path).map_err(fail(&path))?;
                self.add(
                    &to,
                    ModeFileType::Symlink,
                    0o777,
                    target.as_os_str().as_bytes(),
                    None,
                )?;
            } else if meta.is_file() {
                budget.take(meta.len())?;
                let bytes = read(&path, meta.len())?;
                let mode = if meta.permissions().mode() & 0o111 == 0 {
                    0o644
                } else {
                    0o755
                };
                self.add(&to, ModeFileType::Regular, mode, &bytes, None)?;
            } else {
                return Err(InitramfsError::BadKind(path));
            }
        }
        Ok(())
    }
}

/// Reads a whole file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, InitramfsError> {
    let fail = |cause| InitramfsError::Read {
        path: path.to_owned(),
        cause,
    };
    let mut bytes = Vec::new();
    fs::File::open(path)
        .map_err(fail)?
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    if bytes.len() as u64 > limit {
        return Err(fail(io::Error::other(
            "it is too large, or grew while it was read",
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What an archive holds, as text.
    fn listing(bytes: &[u8]) -> String {
        let mut text = String::new();
        let mut rest = bytes;
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                return text;
            }
            let head = format!(
                "{:>2} {:06o} {}:{} links {} time {} dev {},{} {:>3} bytes {}",
                entry.ino(),
                entry.mode(),
                entry.uid(),
                entry.gid(),
                entry.nlink(),
                entry.mtime(),
                entry.rdev_major(),
                entry.rdev_minor(),
                entry.file_size(),
                entry.name(),
            );
            let link = entry.mode() & 0o170_000 == 0o120_000;
            let mut data = Vec::new();
            reader.read_to_end(&mut data).unwrap();
            rest = reader.finish().unwrap();
            let target = if link {
                format!(" -> {}", String::from_utf8(data).unwrap())
            } else {
                String::new()
            };
            text.push_str(&(head + &target + "\n"));
        }
    }

    fn sample(dir: &Path) -> Vec<(String, PathBuf)> {
        fs::create_dir_all(dir.join("programs/lib")).unwrap();
        fs::write(dir.join("programs/run"), b"\x7fELF program").unwrap();
        fs::set_permissions(dir.join("programs/run"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::write(dir.join("programs/data"), b"data").unwrap();
        fs::write(dir.join("programs/lib/so"), b"library").unwrap();
        symlink("lib/so", dir.join("programs/so")).unwrap();
        symlink("/does/not/exist", dir.join("programs/dangling")).unwrap();
        ["virtio.ko", "a_second.ko"]
            .map(|name| {
                let path = dir.join(name);
                fs::write(&path, name).unwrap();
                (name.to_owned(), path)
            })
            .to_vec()
    }

    #[test]
    fn golden_listing() {
        let dir = tempfile::tempdir().unwrap();
        let modules = sample(dir.path());
        let bytes = build(b"\x7fELF agent", &modules, Some(&dir.path().join("programs"))).unwrap();
        insta::assert_snapshot!(listing(&bytes));
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            text.contains("virtio.ko\na_second.ko\n"),
            "the order file is in load order"
        );
    }

    #[test]
    fn the_same_input_makes_the_same_bytes() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let make = |dir: &Path| build(b"\x7fELF", &sample(dir), Some(&dir.join("programs"))).unwrap();
        let first = make(one.path());
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(first, make(two.path()));
        assert_eq!(first, make_again(one.path()));
    }

    fn make_again(dir: &Path) -> Vec<u8> {
        let modules = ["virtio.ko", "a_second.ko"].map(|n| (n.to_owned(), dir.join(n)));
        build(b"\x7fELF", &modules, Some(&dir.join("programs"))).unwrap()
    }

    #[test]
    fn bad_input_gets_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let says = |result: Result<Vec<u8>, InitramfsError>| result.unwrap_err().to_string();
        assert!(says(build(b"", &[], None)).contains("ELF"));
        let missing = [("x.ko".to_owned(), dir.path().join("x.ko"))];
        assert!(says(build(b"\x7fELF", &missing, None)).contains("x.ko: No such file"));
        for name in ["../x", "", "order", "a\nb", ".."] {
            let bad = [(name.to_owned(), dir.path().to_owned())];
            assert!(
                says(build(b"\x7fELF", &bad, None)).contains("cannot be the name"),
                "{name}"
            );
        }
        assert!(says(build(b"\x7fELF", &[], Some(&dir.path().join("none")))).contains("none: No such file"));
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        assert!(says(build(b"\x7fELF", &[], Some(dir.path()))).contains("neither a file"));
        fs::remove_file(dir.path().join("socket")).unwrap();
        fs::File::create(dir.path().join("huge"))
            .unwrap()
            .set_len(MAX_PROGRAMS + 1)
            .unwrap();
        assert!(says(build(b"\x7fELF", &[], Some(dir.path()))).contains("128 MiB"));
    }
}
