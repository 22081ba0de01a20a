//! A new entry, written aside and renamed into place when it is whole and on disk.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::error::StoreError;
use super::manifest::{FileRecord, Manifest};
use crate::host::cache::{Cache, Staged, sync_dir};

/// A directory of the store that is being filled. It is removed when dropped.
#[derive(Debug)]
pub struct Staging {
    staged: Staged,
    files: Vec<FileRecord>,
}

impl Staging {
    /// Makes an empty one in `kernels`.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn new(kernels: &Cache) -> Result<Self, StoreError> {
        Ok(Self {
            staged: kernels.stage()?,
            files: Vec::new(),
        })
    }

    /// The directory, for downloads and the like in a subdirectory that is removed before [`Self::commit`].
    pub fn path(&self) -> &Path {
        self.staged.path()
    }

    /// Writes one file at a relative path and makes it durable.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_file(path, bytes, false)
    }

    /// The same for a file that can be made of the others again.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write_derived(&mut self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_file(path, bytes, true)
    }

    fn write_file(&mut self, path: &str, bytes: &[u8], derived: bool) -> Result<(), StoreError> {
        let full = self.path().join(path);
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
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn commit(self, kernels: &Cache, manifest: &Manifest) -> Result<bool, StoreError> {
        let mut json = serde_json::to_vec_pretty(manifest)
            .map_err(|e| StoreError::io("write", self.path())(std::io::Error::other(e)))?;
        json.push(b'\n');
        write_durably(&self.path().join("manifest.json"), &json)?;
        let modules = self.path().join("modules");
        if modules.is_dir() {
            sync_dir(&modules)?;
        }
        Ok(kernels.commit(self.staged, &manifest.digest)?)
    }
}

/// Writes a new file and waits until it is on disk.
///
/// # Errors
/// [`StoreError::Io`].
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || {
        let mut file = File::create_new(path)?;
        write_sparsely(&mut file, bytes)?;
        file.sync_all()
    };
    write().map_err(StoreError::io("write", path))
}

/// Leaves holes where there are zeros: a third of a vmlinux is the padding between its segments.
pub(super) fn write_sparsely(file: &mut File, bytes: &[u8]) -> io::Result<()> {
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
}
