//! One kernel of the store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StoreError;
use super::manifest::{BootKind, FORMAT, Flavour, FormatOnly, Manifest};
use super::verified::Verified;
use super::version::{KernelVersion, debian_cmp};
use crate::host::cache::{Cache, Held};
use crate::host::files;

/// The largest manifest that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// A kernel of the store. While it lives, the entry is not removed.
#[derive(Debug, Clone)]
pub struct Kernel {
    pub(super) dir: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) verified: Arc<Verified>,
    _held: Arc<Held>,
}

impl Kernel {
    /// Reads an entry, checks it against its manifest (names and sizes, not contents), and locks it.
    ///
    /// None when the entry vanished meanwhile.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = dir.join("manifest.json");
        let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound && !dir.exists();
        let damaged = |what: String| StoreError::Damaged {
            path: dir.to_owned(),
            what,
        };
        let (Some(kernels), Some(name)) = (dir.parent(), dir.file_name().and_then(|name| name.to_str()))
        else {
            return Err(damaged("it is no entry of a store".to_owned()));
        };
        let Some(held) = Cache::at(kernels.to_owned()).hold(name)? else {
            return Ok(None);
        };
        let text = match files::read(&path, LARGEST) {
            Ok(text) => text,
            Err(error) if gone(&error) => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        let FormatOnly { format } =
            serde_json::from_slice(&text).map_err(|e| damaged(format!("manifest.json: {e}")))?;
        if format > FORMAT {
            return Err(StoreError::NewerFormat {
                path,
                found: format,
                known: FORMAT,
            });
        }
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|e| damaged(format!("manifest.json: {e}")))?;
        if !manifest.paths_are_plain() {
            return Err(damaged("manifest.json names files outside the entry".to_owned()));
        }
        if dir.file_name().and_then(|n| n.to_str()) != Some(&manifest.digest)
            || manifest.compute_digest() != manifest.digest
        {
            return Err(damaged(
                "manifest.json does not have the digest that the entry is named by".to_owned(),
            ));
        }
        for file in &manifest.files {
            match fs::metadata(dir.join(&file.path)) {
                Ok(meta) if meta.is_file() && meta.len() == file.size => {}
                Ok(meta) => {
                    return Err(damaged(format!(
                        "{} has {} bytes, expected {}",
                        file.path,
                        meta.len(),
                        file.size
                    )));
                }
                Err(error) if file.derived && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(damaged(format!("{}: {error}", file.path))),
            }
        }
        Ok(Some(Self {
            dir: dir.to_owned(),
            manifest,
            verified: Arc::default(),
            _held: Arc::new(held),
        }))
    }

    /// Reads every file and compares its hash. One that is made of others when it is wanted is compared then.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for the first file that has changed, or [`StoreError::Io`].
    pub fn verify(&self) -> Result<(), StoreError> {
        for file in &self.manifest.files {
            let path = self.dir.join(&file.path);
            if file.derived && !path.exists() {
                continue;
            }
            let bytes = files::read(&path, file.size).map_err(StoreError::io("read", &path))?;
            if blake3::hash(&bytes).to_hex().as_str() != file.blake3 {
                let what = format!("the contents of {} have changed", file.path);
                return Err(StoreError::Damaged {
                    path: self.dir.clone(),
                    what,
                });
            }
        }
        Ok(())
    }

    /// What the entry is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// `uname -r`.
    pub fn release(&self) -> &str {
        &self.manifest.release
    }

    /// Its digest, 64 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.manifest.digest
    }

    /// Its upstream version.
    pub fn version(&self) -> KernelVersion {
        KernelVersion::leading(&self.manifest.version).unwrap_or(KernelVersion {
            major: 0,
            minor: 0,
            patch: 0,
        })
    }

    /// The directory of the entry.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes that the entry takes on disk.
    pub fn disk_usage(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        let of = |path: &str| fs::metadata(self.dir.join(path)).map_or(0, |meta| meta.blocks() * 512);
        self.manifest.files.iter().map(|f| of(&f.path)).sum()
    }

    /// The file to give to QEMU's `-kernel`: `vmlinux` for a PVH boot, else `bzImage`. Its contents are those that the entry
    /// was stored with.
    ///
    /// # Errors
    /// When it has changed; when the vmlinux has to be unpacked for it, and cannot.
    pub fn boot_image(&self) -> Result<PathBuf, StoreError> {
        match self.manifest.boot {
            BootKind::Pvh => self.vmlinux(),
            BootKind::BzImage => {
                self.check_path("bzImage")?;
                Ok(self.dir.join("bzImage"))
            }
        }
    }

    /// The bzImage, when there is one.
    pub fn bzimage(&self) -> Option<PathBuf> {
        self.manifest
            .files
            .iter()
            .any(|f| f.path == "bzImage")
            .then(|| self.dir.join("bzImage"))
    }

    /// The kernel's configuration, when it is known.
    pub fn config(&self) -> Option<PathBuf> {
        self.manifest
            .files
            .iter()
            .any(|f| f.path == "config")
            .then(|| self.dir.join("config"))
    }

    /// Whether the kernel has what a set of modules provides, loadable or built in.
    pub fn has_set(&self, set: &str) -> bool {
        self.manifest.sets.contains_key(set)
    }

    /// The module files of these sets in load order, each once: name and path.
    ///
    /// A kernel that was added without modules answers with none for every set: all of it is built in.
    ///
    /// # Errors
    /// [`StoreError::NoSet`] when the kernel has no such set; [`StoreError::Damaged`] when a file has changed.
    pub fn modules(&self, sets: &[&str]) -> Result<Vec<(String, PathBuf)>, StoreError> {
        let mut out: Vec<(String, PathBuf)> = Vec::new();
        if self.manifest.sets.is_empty() {
            return Ok(out);
        }
        for set in sets {
            let order = self.manifest.sets.get(*set).ok_or_else(|| self.no_set(set))?;
            for file in order {
                if !out.iter().any(|(name, _)| name == file) {
                    self.check_path(&format!("modules/{file}"))?;
                    out.push((file.clone(), self.dir.join("modules").join(file)));
                }
            }
        }
        Ok(out)
    }

    fn no_set(&self, set: &str) -> StoreError {
        let have: Vec<_> = self.manifest.sets.keys().cloned().collect();
        let hint = match self.manifest.flavour {
            Flavour::Cloud => format!(
                "; try the full build: coldcut kernel pull {}:full",
                self.manifest.series
            ),
            _ => String::new(),
        };
        StoreError::NoSet {
            kernel: self.manifest.name.clone(),
            set: set.to_owned(),
            have: have.join(", "),
            hint,
        }
    }

    pub(super) fn describe(&self) -> String {
        format!("{} ({})", self.manifest.name, &self.manifest.digest[..8])
    }

    /// Lowest version first; the one that a series means comes last.
    pub(super) fn order(a: &Self, b: &Self) -> std::cmp::Ordering {
        let rank = |k: &Self| match k.manifest.flavour {
            Flavour::Custom => 0,
            Flavour::Full => 1,
            Flavour::Cloud => 2,
        };
        a.version()
            .cmp(&b.version())
            .then_with(|| rank(a).cmp(&rank(b)))
            .then_with(|| debian_cmp(a.manifest.package_version(), b.manifest.package_version()))
            .then_with(|| a.manifest.stored_at.cmp(&b.manifest.stored_at))
            .then_with(|| a.manifest.digest.cmp(&b.manifest.digest))
    }
}
