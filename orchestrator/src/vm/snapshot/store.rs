//! The template cache: one directory a template, in `templates` of the cache.
//!
//! A template is made in a directory of its own and renamed into place, so that a half-made one is never found. Whoever
//! uses one holds a shared lock on its `template.json`; only unlocked ones are removed. Making takes an exclusive lock
//! on `KEY.lock`, so that two coldcuts make one once.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use coldcut_wire::Hello;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::TemplateKey;
use super::digest::digest;
use super::key::unknowing;
use crate::vm::machine::{MachineSpec, Ram, Saved};

const FORMAT: u32 = 1;
const META: &str = "template.json";
const RAM: &str = "ram";
const STATE: &str = "state";
const MAKING: &str = ".making-";

/// Why there is no template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The cache.
    #[error("the template cache: {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

fn at(what: &str, path: &Path) -> impl FnOnce(io::Error) -> TemplateError {
    let what = format!("{what} {}", path.display());
    move |source| TemplateError::Io { what, source }
}

/// What `template.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    format: u32,
    key: String,
    hello: Hello,
    ram: String,
    state: String,
}

/// A template that may be used: while this lives, it is not removed.
#[derive(Debug)]
pub struct Template {
    dir: PathBuf,
    hello: Hello,
    _lock: File,
}

impl Template {
    /// The machine that goes on where the template was saved, as a clone of it like `spec`.
    pub fn clone_spec(&self, spec: &MachineSpec) -> MachineSpec {
        let mut spec = spec.clone();
        spec.ram = Ram::Restored(self.dir.join(RAM));
        spec
    }

    /// What a clone starts from.
    pub fn saved(&self) -> Saved {
        Saved {
            state: self.dir.join(STATE),
            hello: self.hello.clone(),
        }
    }
}

/// A template of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its directory.
    pub path: PathBuf,
    /// The kernel's release.
    pub release: String,
    /// Bytes on the disk.
    pub bytes: u64,
    /// When it was last used.
    pub used: SystemTime,
}

/// Where templates are.
#[derive(Clone, Debug)]
pub struct TemplateStore {
    root: PathBuf,
}

/// A template in the making. Dropping it removes what is there of it.
#[derive(Debug)]
pub struct Building {
    key: TemplateKey,
    root: PathBuf,
    dir: PathBuf,
    _lock: File,
}

impl TemplateStore {
    /// The store in this directory, which is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: PathBuf) -> Result<Self, TemplateError> {
        fs::create_dir_all(&root).map_err(at("make", &root))?;
        Ok(Self { root })
    }

    /// A template, if there is one and all of it is as it was saved; one that is damaged is removed.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn load(&self, key: &TemplateKey) -> Result<Option<Template>, TemplateError> {
        let dir = self.root.join(key.as_str());
        let path = dir.join(META);
        let lock = match File::options().read(true).write(true).open(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at("open", &path)(error)),
        };
        lock.lock_shared().map_err(at("lock", &path))?;
        let sound = || -> io::Result<Option<Meta>> {
            let meta: Meta = serde_json::from_slice(&fs::read(&path)?)?;
            let whole = meta.format == FORMAT
                && meta.key == key.as_str()
                && meta.state == digest(&dir.join(STATE))?
                && meta.ram == digest(&dir.join(RAM))?;
            Ok(whole.then_some(meta))
        };
        if let Ok(Some(meta)) = sound() {
            // Its time of last use. A cache that cannot be written to still serves.
            let _ = lock.set_modified(SystemTime::now());
            return Ok(Some(Template {
                dir,
                hello: meta.hello,
                _lock: lock,
            }));
        }
        drop(lock);
        tracing::warn!("the template {} is damaged and made anew", dir.display());
        remove(&dir)?;
        Ok(None)
    }

    /// Begins to make a template; waits for whoever is making the same. Ask [`Self::load`] again before making it.
    ///
    /// # Errors
    /// When the cache cannot be written to.
    pub fn begin(&self, key: &TemplateKey) -> Result<Building, TemplateError> {
        let path = self.root.join(format!("{}.lock", key.as_str()));
        let lock = File::create(&path).map_err(at("create", &path))?;
        lock.lock().map_err(at("lock", &path))?;
        let dir = self.root.join(format!("{MAKING}{}", key.as_str()));
        // What a dead builder left.
        remove(&dir)?;
        fs::create_dir(&dir).map_err(at("make", &dir))?;
        Ok(Building {
            key: key.clone(),
            root: self.root.clone(),
            dir,
            _lock: lock,
        })
    }

    /// Every template, the most recently used first.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, TemplateError> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.root)
            .map_err(at("read", &self.root))?
            .flatten()
        {
            let path = entry.path();
            let Ok(meta) = fs::metadata(path.join(META)) else {
                continue;
            };
            let release = fs::read(path.join(META))
                .ok()
                .and_then(|text| serde_json::from_slice::<Meta>(&text).ok())
                .map_or_else(|| "damaged".to_owned(), |meta| meta.hello.release);
            all.push(Listed {
                bytes: size_on_disk(&path),
                release,
                used: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                path,
            });
        }
        all.sort_by_key(|t| std::cmp::Reverse(t.used));
        Ok(all)
    }

    /// Removes what nobody uses, the least recently used first, until the rest has at most `most` bytes; and what
    /// dead builders left. Says how many bytes it freed.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn prune(&self, most: u64) -> Result<u64, TemplateError> {
        let mut freed = 0;
        let mut kept = 0;
        for template in self.list()? {
            if kept + template.bytes <= most {
                kept += template.bytes;
                continue;
            }
            let lock = File::open(template.path.join(META));
            let free = lock
                .as_ref()
                .is_ok_and(|lock| rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok());
            if free && remove(&template.path).is_ok() {
                freed += template.bytes;
            } else {
                kept += template.bytes;
            }
        }
        self.sweep();
        Ok(freed)
    }

    /// Half-made templates whose maker is dead: nobody holds their lock.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(key) = name.to_str().and_then(|n| n.strip_prefix(MAKING)) else {
                continue;
            };
            let lock = File::create(self.root.join(format!("{key}.lock")));
            let dead = lock
                .as_ref()
                .is_ok_and(|lock| rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok());
            if dead {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

impl Building {
    /// The machine to boot and save, for machines like `spec`.
    pub fn spec(&self, spec: &MachineSpec) -> MachineSpec {
        unknowing(spec, &self.dir.join(RAM))
    }

    /// Where its state is to be saved.
    pub fn state(&self) -> PathBuf {
        self.dir.join(STATE)
    }

    /// Where its console goes.
    pub fn console(&self) -> PathBuf {
        self.dir.join("console.log")
    }

    /// Puts the saved guest into the cache.
    ///
    /// # Errors
    /// When the cache cannot be written to.
    pub fn finish(self, hello: &Hello) -> Result<(), TemplateError> {
        let dir = &self.dir;
        let meta = Meta {
            format: FORMAT,
            key: self.key.as_str().to_owned(),
            hello: hello.clone(),
            ram: digest(&dir.join(RAM)).map_err(at("read", &dir.join(RAM)))?,
            state: digest(&self.state()).map_err(at("read", &self.state()))?,
        };
        let text = serde_json::to_vec_pretty(&meta).map_err(|e| at("write", dir)(e.into()))?;
        fs::write(dir.join(META), text).map_err(at("write", &dir.join(META)))?;
        let target = self.root.join(self.key.as_str());
        remove(&target)?;
        fs::rename(dir, &target).map_err(at("rename to", &target))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // After `finish` there is nothing of that name.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn remove(dir: &Path) -> Result<(), TemplateError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", dir)(error)),
        _ => Ok(()),
    }
}

fn size_on_disk(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files
        .filter_map(|f| f.metadata().ok())
        .map(|m| m.blocks() * 512)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::machine::{Accel, BootImage, Qemu};

    fn key(words: &str) -> TemplateKey {
        let qemu = Qemu {
            path: "/bin/sh".into(),
            version: "10.0.2".into(),
        };
        let spec = MachineSpec {
            kernel: BootImage { path: "/k".into() },
            initrd: "/i".into(),
            memory_mib: 256,
            ram: Ram::Anonymous,
            cpus: 1,
            accel: Accel::Tcg,
            disk: None,
            trimmed: true,
            extra_cmdline: words.into(),
        };
        TemplateKey::of(&qemu, &spec, "k", "i").unwrap()
    }

    fn hello() -> Hello {
        Hello {
            protocol: coldcut_wire::PROTOCOL,
            agent: "0".into(),
            release: "6.12.0".into(),
            uptime_ns: 1,
            problems: Vec::new(),
        }
    }

    fn make(store: &TemplateStore, key: &TemplateKey, bytes: usize) {
        let building = store.begin(key).unwrap();
        fs::write(building.dir.join(RAM), vec![1; bytes]).unwrap();
        fs::write(building.state(), b"state").unwrap();
        building.finish(&hello()).unwrap();
    }

    #[test]
    fn a_template_is_found_again_and_a_damaged_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = TemplateStore::open(dir.path().join("templates")).unwrap();
        let key = key("");
        assert!(store.load(&key).unwrap().is_none());
        for damage in [RAM, STATE, META] {
            make(&store, &key, 100_000);
            let found = store.load(&key).unwrap().expect("it is there");
            assert_eq!(found.hello, hello());
            let path = found.dir.join(damage);
            drop(found);
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert!(store.load(&key).unwrap().is_none(), "{damage}");
            assert!(!path.exists(), "a damaged template is removed");
        }
    }

    #[test]
    fn pruning_spares_what_is_in_use_and_what_was_used_last() {
        let dir = tempfile::tempdir().unwrap();
        let store = TemplateStore::open(dir.path().to_owned()).unwrap();
        let keys = [key("a"), key("b"), key("c")];
        for key in &keys {
            make(&store, key, 1 << 20);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let held = store.load(&keys[0]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        drop(store.load(&keys[2]).unwrap());
        assert!(store.prune(1 << 20).unwrap() >= 1 << 20);
        assert!(store.load(&keys[0]).unwrap().is_some(), "in use");
        assert!(
            store.load(&keys[1]).unwrap().is_none(),
            "the oldest that nobody uses"
        );
        drop(held);
        store.prune(0).unwrap();
        assert!(store.list().unwrap().is_empty());
    }

    #[test]
    fn a_maker_that_died_leaves_nothing_for_long() {
        let dir = tempfile::tempdir().unwrap();
        let store = TemplateStore::open(dir.path().to_owned()).unwrap();
        let building = store.begin(&key("a")).unwrap();
        let half = building.dir.clone();
        store.prune(u64::MAX).unwrap();
        assert!(half.exists(), "its maker lives");
        std::mem::forget(building);
        // The lock of a dead process is free; ours is not, so play dead by another key's directory.
        let orphan = dir.path().join(format!("{MAKING}{}", key("b").as_str()));
        fs::create_dir(&orphan).unwrap();
        store.prune(u64::MAX).unwrap();
        assert!(!orphan.exists());
    }
}
