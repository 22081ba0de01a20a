//! A directory of entries that any number of coldcuts share, each entry a directory of its own.
//!
//! An entry is made in a private directory and renamed into place when it is whole, so a half-made one is never found.
//! Whoever makes one holds an exclusive lock on its directory, and whoever uses one a shared lock: an unlocked private
//! directory is what a dead maker left, and an entry that can be locked exclusively is in nobody's use. The locks are
//! those of flock(2), which end with the process, and need no permission to write: a read-only cache serves what it
//! has.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// Prefix of private directories: entries being made, and being removed.
const PRIVATE: &str = ".new-";
/// The same, of earlier coldcuts' templates.
const EARLIER: &str = ".making-";
/// The resolution of the time of the last use.
const RECENT: Duration = Duration::from_secs(60);

/// An operation on a cache that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct CacheError {
    /// What was tried.
    pub action: &'static str,
    /// The path.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError { action, path, source }
}

/// A cache.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// An entry in use: while this lives, it is not removed.
#[derive(Debug)]
pub struct Held {
    dir: PathBuf,
    _lock: File,
}

impl Held {
    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }
}

/// An entry being made. Dropping it removes what is there of it.
#[derive(Debug)]
pub struct Staged {
    dir: TempDir,
    _lock: File,
}

impl Staged {
    /// The private directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// An entry's size and age, for [`prune`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usage {
    /// When it was last used.
    pub used: SystemTime,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Its directory.
    pub path: PathBuf,
}

impl Cache {
    /// The cache in this directory, which need not be there yet.
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The cache in this directory, which is made if it is not there. What dead makers left is removed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: PathBuf) -> Result<Self, CacheError> {
        fs::create_dir_all(&root).map_err(at("create", &root))?;
        let cache = Self { root };
        cache.sweep();
        Ok(cache)
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of an entry, whether it is there or not.
    pub fn entry(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Begins to make an entry.
    ///
    /// # Errors
    /// When the cache cannot be written to.
    pub fn stage(&self) -> Result<Staged, CacheError> {
        // Between making and locking it, another coldcut may sweep it away: then it is made again.
        for _ in 0..100 {
            let dir = tempfile::Builder::new()
                .prefix(PRIVATE)
                .tempdir_in(&self.root)
                .map_err(at("create a directory in", &self.root))?;
            let lock = match File::open(dir.path()) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(at("open", dir.path())(error)),
            };
            if lock.try_lock().is_ok() && is_at(&lock, dir.path()) {
                return Ok(Staged { dir, _lock: lock });
            }
        }
        let error = io::Error::other("it is being swept again and again");
        Err(at("create a directory in", &self.root)(error))
    }

    /// Puts an entry in its place. Returns `false` when there is one of that name already: another coldcut was faster.
    ///
    /// # Errors
    /// When the cache cannot be written to.
    pub fn commit(&self, staged: Staged, name: &str) -> Result<bool, CacheError> {
        sync_dir(staged.path())?;
        let target = self.entry(name);
        match fs::rename(staged.path(), &target) {
            Ok(()) => {
                // The directory has moved: there is nothing left for TempDir to remove.
                let _ = staged.dir.keep();
                sync_dir(&self.root)?;
                Ok(true)
            }
            // A directory is not renamed to one that has something in it.
            Err(_) if target.is_dir() => Ok(false),
            Err(error) => Err(at("rename the new entry to", &target)(error)),
        }
    }

    /// Holds an entry; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be opened or locked.
    pub fn hold(&self, name: &str) -> Result<Option<Held>, CacheError> {
        let dir = self.entry(name);
        loop {
            let lock = match File::open(&dir) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(at("open", &dir)(error)),
            };
            lock.lock_shared().map_err(at("lock", &dir))?;
            // It may have been removed, and made again, before it was locked.
            if is_at(&lock, &dir) {
                return Ok(Some(Held { dir, _lock: lock }));
            }
        }
    }

    /// Removes an entry; returns `false` when it is in use.
    ///
    /// # Errors
    /// When it is not there or cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool, CacheError> {
        let dir = self.entry(name);
        let lock = File::open(&dir).map_err(at("open", &dir))?;
        if lock.try_lock().is_err() || !is_at(&lock, &dir) {
            return Ok(false);
        }
        // Renamed first: a half removed entry is swept later, and is never found.
        let aside = tempfile::Builder::new()
            .prefix(PRIVATE)
            .tempdir_in(&self.root)
            .map_err(at("remove", &dir))?;
        fs::rename(&dir, aside.path()).map_err(at("remove", &dir))?;
        match aside.close() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", &dir)(error)),
            _ => Ok(true),
        }
    }

    /// Removes what dead makers left, and returns how many there were.
    pub fn sweep(&self) -> usize {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return 0;
        };
        let is_private = |name: &str| name.starts_with(PRIVATE) || name.starts_with(EARLIER);
        let mut removed = 0;
        for entry in entries.flatten() {
            let path = entry.path();
            if !entry.file_name().to_str().is_some_and(is_private) || !path.is_dir() {
                continue;
            }
            let lock = File::open(&path);
            let dead = lock.as_ref().is_ok_and(|dir| dir.try_lock().is_ok());
            if dead && fs::remove_dir_all(&path).is_ok() {
                removed += 1;
            }
        }
        removed
    }

    /// Waits until nobody else makes the entry of this name; held until dropped.
    ///
    /// # Errors
    /// When the cache cannot be written to.
    pub fn turn(&self, name: &str) -> Result<File, CacheError> {
        lock(&self.root.join(format!("{name}.lock")), || ())
    }
}

/// Locks a file, which is made and stays; held until dropped. `waiting` is called when it takes a while.
///
/// # Errors
/// When it cannot be made or locked.
pub fn lock(path: &Path, waiting: impl FnOnce()) -> Result<File, CacheError> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(at("open", path))?;
    if lock.try_lock().is_err() {
        waiting();
        lock.lock().map_err(at("lock", path))?;
    }
    Ok(lock)
}

/// Writes a file beside its place and renames it there. What a killed writer leaves is overwritten by the next one.
///
/// # Errors
/// When it cannot be written.
pub fn replace_file(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), CacheError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}"));
    loop {
        let mut file = lock(&new, || ())?;
        // Whoever had the lock before has renamed it.
        if is_at(&file, &new) {
            return file
                .set_len(0)
                .and_then(|()| write(&mut file))
                .and_then(|()| file.sync_all())
                .and_then(|()| fs::rename(&new, path))
                .map_err(at("write", path));
        }
    }
}

/// Removes, by `remove`, what was not used for the longest time, until the rest takes no more than `keep` bytes.
/// `remove` returns `false` for what is in use. Returns how many bytes that freed.
pub fn prune(mut all: Vec<Usage>, keep: u64, mut remove: impl FnMut(&Path) -> bool) -> u64 {
    all.sort();
    let mut bytes: u64 = all.iter().map(|usage| usage.bytes).sum();
    let before = bytes;
    for usage in all {
        if bytes <= keep {
            break;
        }
        if remove(&usage.path) {
            bytes -= usage.bytes;
        }
    }
    before - bytes
}

/// Does something to an entry that nobody uses; `act` returns whether it did.
pub fn if_unused(dir: &Path, act: impl FnOnce() -> bool) -> bool {
    File::open(dir).is_ok_and(|lock| lock.try_lock().is_ok() && is_at(&lock, dir) && act())
}

/// Notes that a file was used. Where that is impossible, as in a read-only cache, the file is only removed earlier.
pub fn note_use(path: &Path) {
    let now = SystemTime::now();
    let recent = |meta: fs::Metadata| {
        meta.modified()
            .is_ok_and(|then| now.duration_since(then).is_ok_and(|age| age < RECENT))
    };
    if !fs::metadata(path).is_ok_and(recent) {
        let _ = File::open(path).and_then(|file| file.set_modified(now));
    }
}

/// Waits until a directory's entries are on disk.
///
/// # Errors
/// When they cannot be written.
pub fn sync_dir(path: &Path) -> Result<(), CacheError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(at("sync", path))
}

/// Whether an open file or directory is the one of this path.
fn is_at(open: &File, path: &Path) -> bool {
    let place = |meta: fs::Metadata| (meta.dev(), meta.ino());
    match (open.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => place(open) == place(there),
        _ => false,
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
