//! A new entry, written aside and renamed into place when it is whole and on disk.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::StoreError;
use super::manifest::{FileRecord, Manifest};

/// Prefix of the directories of entries being made.
pub const PREFIX: &str = ".new-";

/// A directory of the store that is being filled.
///
/// It is removed when dropped. Its lock tells the living from the dead: see [`sweep`].
#[derive(Debug)]
pub struct Staging {
    dir: TempDir,
    files: Vec<FileRecord>,
    _lock: File,
}

impl Staging {
    /// Makes an empty one in `kernels`.
    pub fn new(kernels: &Path) -> Result<Self, StoreError> {
        // Between making and locking it, another coldcut may sweep it away: then it is made again.
        for _ in 0..100 {
            let dir = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(kernels)
                .map_err(StoreError::io("create a directory in", kernels))?;
            let lock = match File::open(dir.path()) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(StoreError::io("open", dir.path())(error)),
            };
            if lock.try_lock().is_ok() && dir.path().exists() {
                return Ok(Self {
                    dir,
                    files: Vec::new(),
                    _lock: lock,
                });
            }
        }
        Err(StoreError::Busy(format!(
            "{} is being swept again and again",
            kernels.display()
        )))
    }

    /// The directory, for downloads and the like in a subdirectory that is removed before [`Self::commit`].
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes one file at a relative path and makes it durable.
    pub fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_file(path, bytes, false)
    }

    /// The same for a file that can be made of the others again.
    pub fn write_derived(&mut self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_file(path, bytes, true)
    }

    fn write_file(&mut self, path: &str, bytes: &[u8], derived: bool) -> Result<(), StoreError> {
        let full = self.dir.path().join(path);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).map_err(StoreError::io("create", parent))?;
        }
        write_durably(&full, bytes)?;
        let blake3 = blake3::hash(bytes).to_hex().to_string();
        self.files.push(FileRecord {
            path: path.to_owned(),
            size: bytes.len() as u64,
            blake3,
            derived,
        });
        Ok(())
    }

    /// Completes `manifest` with the files and the digest.
    pub fn seal(&self, manifest: &mut Manifest) {
        manifest.files.clone_from(&self.files);
        if self.files.iter().all(|file| !file.derived) {
            manifest.format = 1;
        }
        manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        manifest.digest = manifest.compute_digest();
    }

    /// Moves the entry to `kernels/<digest>`. The manifest has been [sealed](Self::seal).
    ///
    /// Returns false when the same entry was there already (another coldcut may have been faster).
    pub fn commit(self, kernels: &Path, manifest: &Manifest) -> Result<bool, StoreError> {
        let mut json = serde_json::to_vec_pretty(manifest)
            .map_err(|e| StoreError::io("write", self.path())(std::io::Error::other(e)))?;
        json.push(b'\n');
        write_durably(&self.path().join("manifest.json"), &json)?;
        let modules = self.path().join("modules");
        if modules.is_dir() {
            sync_dir(&modules)?;
        }
        sync_dir(self.path())?;
        let target = kernels.join(&manifest.digest);
        match fs::rename(self.path(), &target) {
            Ok(()) => {
                // The directory has moved: there is nothing left for TempDir to remove.
                let _ = self.dir.keep();
                sync_dir(kernels)?;
                Ok(true)
            }
            Err(_) if target.join("manifest.json").is_file() => Ok(false),
            Err(error) => Err(StoreError::io("rename the new kernel to", &target)(error)),
        }
    }
}

/// Writes a new file and waits until it is on disk.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || {
        let mut file = File::create_new(path)?;
        write_sparsely(&mut file, bytes)?;
        file.sync_all()
    };
    write().map_err(StoreError::io("write", path))
}

/// Leaves holes where there are zeros: a third of a vmlinux is the padding between its segments.
fn write_sparsely(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    const CHUNK: usize = 64 << 10;
    for chunk in bytes.chunks(CHUNK) {
        if chunk.len() == CHUNK && chunk.iter().all(|b| *b == 0) {
            file.seek(SeekFrom::Current(CHUNK as i64))?;
        } else {
            file.write_all(chunk)?;
        }
    }
    file.set_len(bytes.len() as u64)
}

/// Waits until a directory's entries are on disk.
pub fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(StoreError::io("sync", path))
}

/// Removes what dead processes left half made. Whoever is at work holds a lock on its directory.
///
/// Returns how many were removed.
pub fn sweep(kernels: &Path) -> usize {
    let Ok(entries) = fs::read_dir(kernels) else {
        return 0;
    };
    let is_new = |path: &PathBuf| {
        path.file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|n| n.starts_with(PREFIX))
            && path.is_dir()
    };
    let mut removed = 0;
    for path in entries.flatten().map(|entry| entry.path()).filter(is_new) {
        let dead = File::open(&path).is_ok_and(|dir| dir.try_lock().is_ok());
        if dead && fs::remove_dir_all(&path).is_ok() {
            removed += 1;
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_become_holes_and_read_back() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = vec![0; 4 << 20];
        bytes[1 << 20] = 7;
        for len in [bytes.len(), bytes.len() - 1, 3 << 20, 10, 0] {
            let path = dir.path().join(len.to_string());
            write_durably(&path, &bytes[..len]).unwrap();
            assert_eq!(fs::read(&path).unwrap(), &bytes[..len]);
            assert!(fs::metadata(&path).unwrap().blocks() * 512 <= 128 << 10);
        }
    }

    #[test]
    fn sweeps_the_dead_only() {
        let kernels = tempfile::tempdir().unwrap();
        let living = Staging::new(kernels.path()).unwrap();
        let dead = kernels.path().join(".new-dead");
        fs::create_dir_all(dead.join("modules")).unwrap();
        fs::write(dead.join("modules/half"), b"x").unwrap();
        fs::create_dir(kernels.path().join("entry")).unwrap();
        assert_eq!(sweep(kernels.path()), 1);
        assert!(!dead.exists() && living.path().exists() && kernels.path().join("entry").exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
