//! The store on disk: `kernels/<digest>/{manifest.json, bzImage, vmlinux, config, modules/}`.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::ArchiveOptions;
use super::error::StoreError;
use super::manifest::{BootKind, FORMAT, Flavour, FormatOnly, Manifest};
use super::spec::{Spec, Wanted};
use super::staging;
use super::version::{KernelVersion, debian_cmp};

/// Shortest digest prefix that names a kernel.
const MIN_PREFIX: usize = 8;

/// The kernel store.
///
/// Any number of coldcuts may use one store: entries appear by rename and never change, and whoever uses an
/// entry holds a shared lock on it, so that it is not removed meanwhile.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    /// Where [`Store::pull`] gets kernels from.
    pub archive: ArchiveOptions,
}

/// A kernel of the store. While it lives, the entry is not removed.
#[derive(Debug, Clone)]
pub struct Kernel {
    dir: PathBuf,
    manifest: Manifest,
    _lock: Arc<File>,
}

impl Store {
    /// Opens the store in `root`, and makes it when there is none. What interrupted pulls left is removed.
    ///
    /// The archive is taken from the environment: see [`ArchiveOptions::from_env`].
    pub fn open(root: PathBuf) -> Result<Self, StoreError> {
        let store = Self {
            root,
            archive: ArchiveOptions::from_env(),
        };
        let kernels = store.kernels_dir();
        fs::create_dir_all(&kernels).map_err(StoreError::io("create", &kernels))?;
        staging::sweep(&kernels);
        Ok(store)
    }

    /// Opens the store in its usual place.
    pub fn open_default() -> Result<Self, StoreError> {
        Self::open(Self::default_root()?)
    }

    /// `$COLDCUT_CACHE`, or `coldcut` in `$XDG_CACHE_HOME`, or in `~/.cache`.
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

    /// The directory of the entries.
    pub(crate) fn kernels_dir(&self) -> PathBuf {
        self.root.join("kernels")
    }

    /// Waits until no other coldcut changes the store; held until dropped.
    pub(crate) fn write_lock(&self) -> Result<File, StoreError> {
        self.lock_file("lock")
    }

    /// Locks a file of the store's root; the file itself stays.
    pub(crate) fn lock_file(&self, name: &str) -> Result<File, StoreError> {
        let path = self.root.join(name);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        lock.lock().map_err(StoreError::io("lock", &path))?;
        Ok(lock)
    }

    /// Every kernel, lowest version first.
    pub fn list(&self) -> Result<Vec<Kernel>, StoreError> {
        let dir = self.kernels_dir();
        let mut kernels = Vec::new();
        for entry in fs::read_dir(&dir).map_err(StoreError::io("read", &dir))? {
            let path = entry.map_err(StoreError::io("read", &dir))?.path();
            let is_digest = |n: &str| n.len() == 64 && n.bytes().all(|b| b.is_ascii_hexdigit());
            if path.file_name().and_then(|n| n.to_str()).is_some_and(is_digest)
                && let Some(kernel) = Kernel::load(&path)?
            {
                kernels.push(kernel);
            }
        }
        kernels.sort_by(Kernel::order);
        Ok(kernels)
    }

    /// Finds a kernel by name, release, version, series, `newest`, or the start of its digest.
    ///
    /// Of several kernels of a series the newest is taken, and the cloud build before the full one.
    pub fn find(&self, spec: &str) -> Result<Kernel, StoreError> {
        Spec::parse_one(spec)?;
        let found = self.find_all(spec)?.pop();
        found.ok_or_else(|| self.not_in_store(spec, &[]))
    }

    /// Finds every stored kernel that a spec means (a range may mean several), lowest version first; at least
    /// one.
    pub fn find_all(&self, spec: &str) -> Result<Vec<Kernel>, StoreError> {
        let parsed = Spec::parse(spec)?;
        let kernels = self.list()?;
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
        Err(self.not_in_store(spec, &kernels))
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
    pub fn remove(&self, digest: &str) -> Result<(), StoreError> {
        let path = self.kernels_dir().join(digest);
        let dir = File::open(&path).map_err(StoreError::io("open", &path))?;
        if dir.try_lock().is_err() {
            return Err(StoreError::Busy(format!(
                "kernel {digest} is in use by another coldcut; not removed"
            )));
        }
        // Renamed first: a half removed entry is swept later, and is never listed.
        let aside = self
            .kernels_dir()
            .join(format!("{}gone-{digest}", staging::PREFIX));
        fs::rename(&path, &aside).map_err(StoreError::io("remove", &path))?;
        fs::remove_dir_all(&aside).map_err(StoreError::io("remove", &aside))
    }
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
        let lock = match File::open(dir) {
            Ok(lock) => lock,
            Err(error) if gone(&error) => return Ok(None),
            Err(error) => return Err(StoreError::io("open", dir)(error)),
        };
        lock.lock_shared().map_err(StoreError::io("lock", dir))?;
        let text = match fs::read(&path) {
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
                Err(error) => return Err(damaged(format!("{}: {error}", file.path))),
            }
        }
        Ok(Some(Self {
            dir: dir.to_owned(),
            manifest,
            _lock: Arc::new(lock),
        }))
    }

    /// Reads every file and compares its hash.
    pub fn verify(&self) -> Result<(), StoreError> {
        for file in &self.manifest.files {
            let path = self.dir.join(&file.path);
            let bytes = fs::read(&path).map_err(StoreError::io("read", &path))?;
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

    /// The file to give to QEMU's `-kernel`: `vmlinux` for a PVH boot, else `bzImage`.
    pub fn boot_image(&self) -> PathBuf {
        self.dir.join(match self.manifest.boot {
            BootKind::Pvh => "vmlinux",
            BootKind::BzImage => "bzImage",
        })
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
    pub fn modules(&self, sets: &[&str]) -> Result<Vec<(String, PathBuf)>, StoreError> {
        let mut out: Vec<(String, PathBuf)> = Vec::new();
        if self.manifest.sets.is_empty() {
            return Ok(out);
        }
        for set in sets {
            let order = self.manifest.sets.get(*set).ok_or_else(|| self.no_set(set))?;
            for file in order {
                if !out.iter().any(|(name, _)| name == file) {
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

    fn describe(&self) -> String {
        format!("{} ({})", self.manifest.name, &self.manifest.digest[..MIN_PREFIX])
    }

    /// Lowest version first; the one that a series means comes last.
    fn order(a: &Self, b: &Self) -> std::cmp::Ordering {
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
