//! The template cache: one directory a template, in `templates` of the cache.
//!
//! How an entry is made, used and removed is [`crate::host::cache`]'s. Making takes the turn of the key, so that two
//! coldcuts make one template once.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use coldcut_wire::Hello;
use serde::{Deserialize, Serialize};

use super::TemplateKey;
use super::key::unknowing;
use crate::host::cache::{Cache, CacheError, Held, Staged, Usage, note_use, prune};
use crate::host::sparse::digest;
use crate::vm::machine::{MachineSpec, Ram, Saved};

const FORMAT: u32 = 1;
const META: &str = "template.json";
const RAM: &str = "ram";
const STATE: &str = "state";

/// Why there is no template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The cache.
    #[error("the template cache: {0}")]
    Cache(#[from] CacheError),
    /// A file of a template.
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
    held: Held,
    hello: Hello,
}

impl Template {
    /// The machine that goes on where the template was saved, as a clone of it like `spec`.
    pub fn clone_spec(&self, spec: &MachineSpec) -> MachineSpec {
        let mut spec = spec.clone();
        spec.ram = Ram::Restored(self.held.path().join(RAM));
        spec
    }

    /// What a clone starts from.
    pub fn saved(&self) -> Saved {
        Saved {
            state: self.held.path().join(STATE),
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
    cache: Cache,
}

/// A template in the making. Dropping it removes what is there of it.
#[derive(Debug)]
pub struct Building {
    key: TemplateKey,
    cache: Cache,
    staged: Staged,
    _turn: File,
}

impl TemplateStore {
    /// The store in this directory, which is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: PathBuf) -> Result<Self, TemplateError> {
        Ok(Self {
            cache: Cache::open(root)?,
        })
    }

    /// A template, if there is one and all of it is as it was saved; one that is damaged is removed.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn load(&self, key: &TemplateKey) -> Result<Option<Template>, TemplateError> {
        let Some(held) = self.cache.hold(key.as_str())? else {
            return Ok(None);
        };
        let dir = held.path();
        let sound = || -> io::Result<Option<Meta>> {
            let meta: Meta = serde_json::from_slice(&fs::read(dir.join(META))?)?;
            let whole = meta.format == FORMAT
                && meta.key == key.as_str()
                && meta.state == digest(&dir.join(STATE))?
                && meta.ram == digest(&dir.join(RAM))?;
            Ok(whole.then_some(meta))
        };
        if let Ok(Some(meta)) = sound() {
            note_use(&dir.join(META));
            let hello = meta.hello;
            return Ok(Some(Template { held, hello }));
        }
        tracing::warn!("the template {} is damaged and made anew", dir.display());
        drop(held);
        // Where it cannot be removed there is no template, and none can be made.
        if let Err(error) = self.cache.remove(key.as_str()) {
            tracing::warn!("{error}");
        }
        Ok(None)
    }

    /// Begins to make a template; waits for whoever is making the same. Ask [`Self::load`] again before making it.
    ///
    /// # Errors
    /// When the cache cannot be written to.
    pub fn begin(&self, key: &TemplateKey) -> Result<Building, TemplateError> {
        Ok(Building {
            _turn: self.cache.turn(key.as_str())?,
            key: key.clone(),
            cache: self.cache.clone(),
            staged: self.cache.stage()?,
        })
    }

    /// Every template, the most recently used first.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, TemplateError> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.cache.root())
            .map_err(at("read", self.cache.root()))?
            .flatten()
        {
            let path = entry.path();
            let private = entry.file_name().as_encoded_bytes().starts_with(b".");
            let Ok(meta) = fs::metadata(path.join(META)) else {
                continue;
            };
            if private {
                continue;
            }
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
        self.cache.sweep();
        let usage = |template: Listed| Usage {
            used: template.used,
            bytes: template.bytes,
            path: template.path,
        };
        let all = self.list()?.into_iter().map(usage).collect();
        Ok(prune(all, most, |path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| self.cache.remove(name).is_ok_and(|removed| removed))
        }))
    }
}

impl Building {
    /// The machine to boot and save, for machines like `spec`.
    pub fn spec(&self, spec: &MachineSpec) -> MachineSpec {
        unknowing(spec, &self.staged.path().join(RAM))
    }

    /// Where its state is to be saved.
    pub fn state(&self) -> PathBuf {
        self.staged.path().join(STATE)
    }

    /// Where its console goes.
    pub fn console(&self) -> PathBuf {
        self.staged.path().join("console.log")
    }

    /// Puts the saved guest into the cache.
    ///
    /// # Errors
    /// When the cache cannot be written to.
    pub fn finish(self, hello: &Hello) -> Result<(), TemplateError> {
        let dir = self.staged.path();
        let meta = Meta {
            format: FORMAT,
            key: self.key.as_str().to_owned(),
            hello: hello.clone(),
            ram: digest(&dir.join(RAM)).map_err(at("read", &dir.join(RAM)))?,
            state: digest(&self.state()).map_err(at("read", &self.state()))?,
        };
        let text = serde_json::to_vec_pretty(&meta).map_err(|e| at("write", dir)(e.into()))?;
        fs::write(dir.join(META), text).map_err(at("write", &dir.join(META)))?;
        if self.cache.commit(self.staged, self.key.as_str())? {
            return Ok(());
        }
        // It is our turn, so what is there was found to be damaged, and somebody used it.
        let error = io::Error::from(io::ErrorKind::ResourceBusy);
        Err(at("replace", &self.cache.entry(self.key.as_str()))(error))
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
            disks: Vec::new(),
            root: None,
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
        fs::write(building.staged.path().join(RAM), vec![1; bytes]).unwrap();
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
            let path = found.held.path().join(damage);
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
    fn what_earlier_coldcuts_left_half_made_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = TemplateStore::open(dir.path().to_owned()).unwrap();
        let building = store.begin(&key("a")).unwrap();
        let half = building.staged.path().to_owned();
        let orphan = dir.path().join(format!(".making-{}", key("b").as_str()));
        fs::create_dir(&orphan).unwrap();
        store.prune(u64::MAX).unwrap();
        assert!(half.exists(), "its maker lives");
        assert!(!orphan.exists());
        drop(building);
        assert!(!half.exists());
    }

    #[test]
    fn a_damaged_template_that_is_in_use_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = TemplateStore::open(dir.path().to_owned()).unwrap();
        make(&store, &key("a"), 1000);
        let held = store.load(&key("a")).unwrap().unwrap();
        fs::write(held.held.path().join(STATE), b"another").unwrap();
        assert!(store.load(&key("a")).unwrap().is_none());
        let building = store.begin(&key("a")).unwrap();
        fs::write(building.staged.path().join(RAM), b"ram").unwrap();
        fs::write(building.state(), b"state").unwrap();
        assert!(building.finish(&hello()).is_err());
        drop(held);
        assert!(store.load(&key("a")).unwrap().is_none());
        make(&store, &key("a"), 1000);
        assert!(store.load(&key("a")).unwrap().is_some());
    }
}
