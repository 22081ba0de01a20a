//! The vmlinux of a bzImage: most of what an entry takes, and made of the rest in a second. A store keeps those that were
//! used last, and makes the others again when they are wanted.
//!
//! An entry's manifest says which vmlinux it is, by size and hash. It is made, and removed, under the store's lock; and
//! removed only from an entry that nobody uses.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::bzimage;
use super::entry::Kernel;
use super::error::StoreError;
use super::manifest::FileRecord;
use super::staging::write_sparsely;
use super::store::is_entry;
use crate::host::cache::{self, Usage};

/// The file's name in an entry.
pub const VMLINUX: &str = "vmlinux";
/// Bytes on disk of these files that a store keeps.
pub const KEEP: u64 = 512 << 20;

impl Kernel {
    fn made_vmlinux(&self) -> Option<&FileRecord> {
        let files = &self.manifest.files;
        files.iter().find(|file| file.path == VMLINUX && file.derived)
    }

    /// The vmlinux, made if it is not there. While this kernel lives it is not removed.
    pub(super) fn vmlinux(&self) -> Result<PathBuf, StoreError> {
        let path = self.dir.join(VMLINUX);
        let Some(record) = self.made_vmlinux() else {
            self.check_path(VMLINUX)?;
            return Ok(path);
        };
        // One that has changed is made again, as one that is absent.
        let there = || path.exists() && self.check(record).is_ok();
        if there() {
            cache::note_use(&path);
            self.touched(record);
            return Ok(path);
        }
        let kernels = self.dir.parent().unwrap_or(&self.dir);
        let lock = kernels.parent().unwrap_or(kernels).join("lock");
        let _lock = cache::lock(&lock, || ())?;
        // Another coldcut may have made it while we waited.
        if !there() {
            self.unpack(record, &path)?;
            self.check(record)?;
            prune(kernels, KEEP, Some(&self.dir));
        }
        Ok(path)
    }

    fn unpack(&self, record: &FileRecord, path: &Path) -> Result<(), StoreError> {
        let source = self.dir.join("bzImage");
        let packed = fs::read(&source).map_err(StoreError::io("read", &source))?;
        let bytes = bzimage::extract_vmlinux(&packed).map_err(|cause| StoreError::Image {
            path: source.clone(),
            cause,
        })?;
        if blake3::hash(&bytes).to_hex().as_str() != record.blake3 {
            return Err(StoreError::Damaged {
                path: self.dir.clone(),
                what: "its bzImage does not unpack to the vmlinux that the manifest names".to_owned(),
            });
        }
        Ok(cache::replace_file(path, |file| write_sparsely(file, &bytes))?)
    }
}

/// Removes those that were not used for the longest time, until the rest takes no more than `keep` bytes. Those of
/// entries in use stay, and that of `own`. The store is locked by the caller.
pub(super) fn prune(kernels: &Path, keep: u64, own: Option<&Path>) {
    let Ok(entries) = fs::read_dir(kernels) else {
        return;
    };
    let mut all = Vec::new();
    // Those that are being made are locked by their makers, who may be waiting for us.
    for dir in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|dir| is_entry(dir))
    {
        // What cannot be read is not ours to touch. The kernel goes at once, and its lock with it.
        let made = matches!(Kernel::load(&dir), Ok(Some(kernel)) if kernel.made_vmlinux().is_some());
        if made && let Ok(meta) = fs::metadata(dir.join(VMLINUX)) {
            all.push(Usage {
                used: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                bytes: meta.blocks() * 512,
                path: dir,
            });
        }
    }
    cache::prune(all, keep, |dir| {
        own != Some(dir) && cache::if_unused(dir, || fs::remove_file(dir.join(VMLINUX)).is_ok())
    });
}

#[cfg(test)]
mod tests {
    use super::super::bzimage::tests::bzimage;
    use super::super::decompress::tests::xz;
    use super::super::elf::tests::vmlinux;
    use super::super::manifest::FORMAT;
    use super::super::progress::Silent;
    use super::super::store::Store;
    use super::*;
    use std::fs::File;
    use std::time::Duration;

    /// A store with kernels of these names, each of which is used a second after the one before it.
    fn store(dir: &Path, names: &[&str]) -> Store {
        let store = Store::open(dir.join("store")).unwrap();
        for (second, name) in names.iter().enumerate() {
            let text: Vec<u8> = name.bytes().cycle().take(200_000).collect();
            let inner = vmlinux(&text, Some(0x1000));
            let path = dir.join(name);
            let image = bzimage(&format!("6.1.{second}"), &xz(&inner), Some(inner.len() as u32));
            fs::write(&path, image).unwrap();
            let kernel = store.add(&path, None, name, &Silent).unwrap();
            assert_eq!(kernel.manifest().format, FORMAT);
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(second as u64);
            let file = File::open(kernel.dir().join(VMLINUX)).unwrap();
            file.set_modified(then).unwrap();
        }
        store
    }

    fn there(store: &Store, name: &str) -> bool {
        store.find(name).unwrap().dir().join(VMLINUX).exists()
    }

    #[test]
    fn what_was_used_last_stays_and_the_rest_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), &["a", "b", "c"]);
        let b = store.find("b").unwrap();
        let before = fs::read(b.boot_image().unwrap()).unwrap();
        let size = fs::metadata(b.dir().join(VMLINUX)).unwrap().blocks() * 512;
        drop(b);
        // b was used now, and c before it.
        prune(store.kernels_dir(), size * 2, None);
        assert_eq!(
            ["a", "b", "c"].map(|name| there(&store, name)),
            [false, true, true]
        );
        // Whoever uses one keeps it.
        let b = store.find("b").unwrap();
        prune(store.kernels_dir(), 0, None);
        assert_eq!(
            ["a", "b", "c"].map(|name| there(&store, name)),
            [false, true, false]
        );
        drop(b);
        prune(store.kernels_dir(), 0, None);
        assert_eq!(store.list().unwrap().len(), 3);
        let b = store.find("b").unwrap();
        b.verify().unwrap();
        assert_eq!(fs::read(b.boot_image().unwrap()).unwrap(), before);
        b.verify().unwrap();
        assert!(!there(&store, "a") && !b.dir().join(".vmlinux").exists());
    }

    #[test]
    fn many_at_once_make_one_and_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), &["a", "b", "c"]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for name in ["a", "b", "c", "a", "c", "b"] {
                        // Each opens the entry anew, as another process would.
                        let kernel = store.find(name).unwrap();
                        let image = kernel.boot_image().unwrap();
                        prune(store.kernels_dir(), 0, None);
                        assert!(fs::read(image).unwrap().starts_with(b"\x7fELF"));
                    }
                });
            }
        });
    }

    #[test]
    fn another_image_in_its_place_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), &["a", "b"]);
        prune(store.kernels_dir(), 0, None);
        let [a, b] = ["a", "b"].map(|name| store.find(name).unwrap());
        fs::copy(b.dir().join("bzImage"), a.dir().join("bzImage")).unwrap();
        let error = a.boot_image().unwrap_err().to_string();
        assert!(error.contains("does not unpack to the vmlinux"), "{error}");
        assert!(!a.dir().join(VMLINUX).exists());
    }
}
