//! Shares large files between cells and runs: they exist once, where the filesystem can link them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use coldcut_core::outcome::name::FileName;
use rustix::fs::FileType;

use super::CellDir;
use crate::disk::{FileImage, export_sparse};
use crate::host::files::Directory;

/// Files of so many bytes share their blocks with the copy.
const LARGE: u64 = 1 << 16;
/// How deep the directories of a cell go.
const DEEPEST: usize = 4;

/// Links a file that nobody writes to any more to a second path, or else copies it with its holes.
///
/// # Errors
/// When it can be neither.
pub fn share_file(source: &Path, target: &Path) -> io::Result<()> {
    if fs::hard_link(source, target).is_err() {
        export_sparse(&FileImage::open(source)?, target)?;
    }
    Ok(())
}

/// Gives a cell the recording of another.
///
/// # Errors
/// When it cannot be linked nor copied.
pub fn share_recording(from: &CellDir, to: &CellDir) -> io::Result<()> {
    share_file(&from.base(), &to.base())?;
    share_file(&from.log(), &to.log())?;
    share_file(&from.sidecar(), &to.sidecar())?;
    for (source, target) in [(from.measurements(), to.measurements()), (from.seal(), to.seal())] {
        if source.is_file() {
            share_file(&source, &target)?;
        }
    }
    Ok(())
}

/// The directory of a cell, in which there is nothing but regular files and directories: what is written there, and read
/// from there, is nowhere else. It need not be there.
///
/// # Errors
/// When it cannot be read, or somebody laid a symbolic link, a FIFO or a device there.
pub fn inspect_cell(run: &Path, cell: &FileName) -> io::Result<PathBuf> {
    let path = run.join("cells").join(cell);
    let mut at = Directory::open(run)?;
    for name in [Path::new("cells"), cell.as_ref()] {
        match at.kind(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            kind => plain(kind?, &at.path().join(name), FileType::Directory)?,
        }
        at = at.directory(name)?;
    }
    inspect(&at, 0)?;
    Ok(path)
}

fn inspect(directory: &Directory, depth: usize) -> io::Result<()> {
    for name in directory.names()? {
        let kind = directory.kind(&name)?;
        if kind == FileType::Directory && depth < DEEPEST {
            inspect(&directory.directory(&name)?, depth + 1)?;
        } else {
            plain(kind, &directory.path().join(&name), FileType::RegularFile)?;
        }
    }
    Ok(())
}

fn plain(kind: FileType, path: &Path, wanted: FileType) -> io::Result<()> {
    if kind == wanted {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{} is nothing that coldcut keeps there: {kind:?}", path.display()),
    ))
}

/// Copies what is kept of a cell, as far as it is there: large files share their blocks where the filesystem can link
/// them (nothing writes to them again), or are copied with their holes.
///
/// # Errors
/// When something that is there cannot be copied.
pub fn copy_cell(run: &Path, cell: &FileName, to: &Path) -> io::Result<()> {
    copy_tree(&inspect_cell(run, cell)?, to)
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_file() {
            if entry.metadata()?.len() >= LARGE {
                share_file(&source, &target)?;
            } else {
                fs::copy(&source, &target)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_recording_is_shared_and_the_rest_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let cell = |name: &str| CellDir::open(&dir.path().join(name)).unwrap();
        let (a, b) = (cell("a"), cell("b"));
        assert!(share_recording(&a, &b).is_err(), "there is nothing yet");
        for (file, text) in [(a.base(), "base"), (a.log(), "log"), (a.sidecar(), "order")] {
            fs::write(file, text).unwrap();
        }
        fs::write(a.recovery("d"), "{}").unwrap();
        share_recording(&a, &b).unwrap();
        assert_eq!(fs::read(b.log()).unwrap(), b"log");
        let number = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(number(&a.log()), number(&b.log()));
        assert!(!b.recovery("d").exists() && !b.measurements().exists());
    }
}
