//! The store on disk: `kernels/<digest>/{manifest.json, bzImage, vmlinux, config, modules/}`.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::archive::ArchiveOptions;
use super::entry::Kernel;
use super::error::StoreError;
use super::manifest::Flavour;
use super::spec::{Spec, Wanted};
use crate::host::cache::{self, Cache};

/// Shortest digest prefix that names a kernel.
const MIN_PREFIX: usize = 8;

/// The kernel store.
///
/// Any number of coldcuts may use one store: entries appear by rename and never change, and whoever uses an
/// entry holds a shared lock on it, so that it is not removed meanwhile.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    kernels: Cache,
    /// Where [`Store::pull`] gets kernels from.
    pub archive: ArchiveOptions,
}

impl Store {
    /// Opens the store in `root`, and makes it when there is none. What interrupted pulls left is removed.
    ///
    /// The archive is taken from the environment: see [`ArchiveOptions::from_env`].
    ///
    /// # Errors
    /// [`StoreError::Io`] when the directory cannot be made.
    pub fn open(root: PathBuf) -> Result<Self, StoreError> {
        Ok(Self {
            kernels: Cache::open(root.join("kernels"))?,
            root,
            archive: ArchiveOptions::from_env(),
        })
    }

    /// Opens the store in its usual place.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::default_root`].
    pub fn open_default() -> Result<Self, StoreError> {
        Self::open(Self::default_root()?)
    }

    /// `$COLDCUT_CACHE`, or `coldcut` in `$XDG_CACHE_HOME`, or in `~/.cache`.
    ///
    /// # Errors
    /// [`StoreError::NoCacheDir`] when none of the variables holds an absolute path.
    pub fn default_root() -> Result<PathBuf, StoreError> {
        let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        absolute("COLDCUT_CACHE")
            .or_else(|| absolute("XDG_CACHE_HOME").map(|p| p.join("coldcut")))
            .or_else(|| absolute("HOME").map(|p| p.join(".cache/coldcut")))
            .ok_or(StoreError::NoCacheDir)
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The entries.
    pub(super) fn kernels(&self) -> &Cache {
        &self.kernels
    }

    /// The directory of the entries.
    pub(crate) fn kernels_dir(&self) -> &Path {
        self.kernels.root()
    }

    /// Waits until no other coldcut changes the store; held until dropped.
    pub(crate) fn write_lock(&self) -> Result<File, StoreError> {
        self.lock_file("lock", || ())
    }

    /// Locks a file of the store's root; the file itself stays. `waiting` is called when it takes a while.
    pub(crate) fn lock_file(&self, name: &str, waiting: impl FnOnce()) -> Result<File, StoreError> {
        Ok(cache::lock(&self.root.join(name), waiting)?)
    }

    /// Every kernel, lowest version first. Entries of a newer format are left out.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn list(&self) -> Result<Vec<Kernel>, StoreError> {
        self.scan().map(|(kernels, _)| kernels)
    }

    /// Every kernel, and an error for every entry that a newer coldcut has made.
    ///
    /// A damaged entry is an error: were it skipped, an older kernel would silently take its place.
    ///
    /// # Errors
    /// [`StoreError`] when an entry is damaged or the directory cannot be read.
    pub fn scan(&self) -> Result<(Vec<Kernel>, Vec<StoreError>), StoreError> {
        let dir = self.kernels_dir();
        let (mut kernels, mut newer) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(dir).map_err(StoreError::io("read", dir))? {
            let path = entry.map_err(StoreError::io("read", dir))?.path();
            if is_entry(&path) {
                match Kernel::load(&path) {
                    Ok(kernel) => kernels.extend(kernel),
                    Err(error @ StoreError::NewerFormat { .. }) => newer.push(error),
                    Err(error) => return Err(error),
                }
            }
        }
        kernels.sort_by(Kernel::order);
        Ok((kernels, newer))
    }

    /// Finds a kernel by name, release, version, series, `newest`, or the start of its digest.
    ///
    /// Of several kernels of a series the newest is taken, and the cloud build before the full one.
    ///
    /// # Errors
    /// [`StoreError`] when no stored kernel fits, several do, or the store is damaged.
    pub fn find(&self, spec: &str) -> Result<Kernel, StoreError> {
        Spec::parse_one(spec)?;
        let found = self.find_all(spec)?.pop();
        found.ok_or_else(|| self.not_in_store(spec, &[]))
    }

    /// Finds every stored kernel that a spec means (a range may mean several), lowest version first; at least
    /// one.
    ///
    /// # Errors
    /// [`StoreError`] when no stored kernel fits, a digest is ambiguous, or the store is damaged.
    pub fn find_all(&self, spec: &str) -> Result<Vec<Kernel>, StoreError> {
        let parsed = Spec::parse(spec)?;
        let (kernels, newer) = self.scan()?;
        if let Wanted::Name(name) = &parsed.wanted {
            let flavour = |k: &&Kernel| parsed.flavour.is_none_or(|f| f == k.manifest.flavour);
            let named = |k: &&Kernel| k.manifest.name == *name || k.manifest.release == *name;
            if let Some(kernel) = kernels.iter().filter(flavour).rfind(named) {
                return Ok(vec![kernel.clone()]);
            }
            let hex = name.len() >= MIN_PREFIX && name.bytes().all(|b| b.is_ascii_hexdigit());
            let by_digest: Vec<_> = kernels
                .iter()
                .filter(|k| hex && k.manifest.digest.starts_with(name.as_str()))
                .collect();
            match by_digest[..] {
                [one] => return Ok(vec![one.clone()]),
                [] => {}
                ref many => {
                    let matches: Vec<_> = many.iter().map(|k| k.describe()).collect();
                    return Err(StoreError::Ambiguous {
                        spec: spec.to_owned(),
                        matches: matches.join(", "),
                    });
                }
            }
        } else {
            // A user's own kernel is meant only when it is called by its name.
            let fits = |k: &&Kernel| {
                k.manifest.flavour != Flavour::Custom
                    && parsed.fits(k.version(), &k.manifest.release, k.manifest.flavour)
            };
            let found = parsed.choose(kernels.iter().filter(fits).collect(), Kernel::version);
            if !found.is_empty() {
                return Ok(found.into_iter().cloned().collect());
            }
        }
        // One of a newer format might be the one.
        Err(newer
            .into_iter()
            .next()
            .unwrap_or_else(|| self.not_in_store(spec, &kernels)))
    }

    fn not_in_store(&self, spec: &str, kernels: &[Kernel]) -> StoreError {
        let names: Vec<_> = kernels.iter().map(Kernel::describe).collect();
        let have = if names.is_empty() {
            "the store is empty".to_owned()
        } else {
            format!("stored: {}", names.join(", "))
        };
        StoreError::NotInStore {
            spec: spec.to_owned(),
            store: self.root.clone(),
            have,
        }
    }

    /// Pulled kernels that no spec of `keep` means, lowest version first. A user's own are never among them.
    ///
    /// # Errors
    /// [`StoreError`] when a spec is not valid or the store is damaged.
    pub fn unneeded(&self, keep: &[String]) -> Result<Vec<Kernel>, StoreError> {
        let mut needed = Vec::new();
        for spec in keep {
            match self.find_all(spec) {
                Ok(kernels) => needed.extend(kernels.iter().map(|k| k.digest().to_owned())),
                Err(StoreError::NotInStore { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut kernels = self.list()?;
        kernels.retain(|k| k.manifest.flavour != Flavour::Custom && !needed.iter().any(|d| d == k.digest()));
        Ok(kernels)
    }

    /// Removes a kernel, unless somebody uses it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when it is in use, or [`StoreError::Io`].
    pub fn remove(&self, digest: &str) -> Result<(), StoreError> {
        if self.kernels.remove(digest)? {
            return Ok(());
        }
        Err(StoreError::Busy(format!(
            "kernel {digest} is in use by another coldcut; not removed"
        )))
    }
}

/// Whether a directory is one of an entry, by its name: a digest.
pub(super) fn is_entry(dir: &Path) -> bool {
    let is_digest = |n: &str| n.len() == 64 && n.bytes().all(|b| b.is_ascii_hexdigit());
    dir.file_name().and_then(|n| n.to_str()).is_some_and(is_digest)
}
