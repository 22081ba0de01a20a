//! Whether the files of an entry still are what its manifest says, before they are booted or loaded.
//!
//! A file is hashed once per boot of the host. After that it is known by device, inode, size and the times of its last changes:
//! who writes to a file, or puts another in its place, changes one of them. What is known is kept in the entry
//! (`.verified.json`), and in memory where the entry cannot be written to.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::entry::Kernel;
use super::error::StoreError;
use super::manifest::FileRecord;
use crate::host::{cache, files};

/// Where an entry keeps what is known.
const KNOWN: &str = ".verified.json";
/// The largest such file, in bytes.
const LARGEST: u64 = 4 << 20;

/// What is known of an entry's files, by path.
#[derive(Debug, Default)]
pub(super) struct Verified(Mutex<BTreeMap<String, Stamp>>);

/// A file as it was when it was hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    /// The boot of the host: inodes and times are compared within one only.
    boot: String,
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of the last change of the contents, and of the inode.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            boot: boot_id().to_owned(),
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// The boot of the host (proc(5), `random/boot_id`).
fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default())
}

impl Kernel {
    /// Makes sure that a file of the entry has the contents that the manifest says.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where it has others, or [`StoreError::Io`].
    pub(super) fn check(&self, record: &FileRecord) -> Result<(), StoreError> {
        let path = self.dir.join(&record.path);
        let file = files::open_regular(&path).map_err(StoreError::io("read", &path))?;
        let meta = file.metadata().map_err(StoreError::io("read", &path))?;
        let mut known = self.verified.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&record.path) == Some(&Stamp::of(&meta)) {
            return Ok(());
        }
        if known.is_empty() {
            *known = load(&self.dir);
            if known.get(&record.path) == Some(&Stamp::of(&meta)) {
                return Ok(());
            }
        }
        let found = hash(&file).map_err(StoreError::io("read", &path))?;
        if found.to_hex().as_str() != record.blake3 {
            return Err(StoreError::Damaged {
                path: self.dir.clone(),
                what: format!("the contents of {} have changed", record.path),
            });
        }
        // What changed while it was hashed differs from this, and is hashed again.
        known.insert(record.path.clone(), Stamp::of(&meta));
        save(&self.dir, &known);
        Ok(())
    }

    /// As [`Self::check`], for a file that the manifest lists under this path.
    pub(super) fn check_path(&self, path: &str) -> Result<(), StoreError> {
        match self.manifest.files.iter().find(|file| file.path == path) {
            Some(record) => self.check(record),
            None => Err(StoreError::Damaged {
                path: self.dir.clone(),
                what: format!("its manifest lists no {path}"),
            }),
        }
    }

    /// Notes that a file which was checked has only been given new times, by [`cache::note_use`].
    pub(super) fn touched(&self, record: &FileRecord) {
        let Ok(meta) = fs::metadata(self.dir.join(&record.path)) else {
            return;
        };
        let mut known = self.verified.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Stamp::of(&meta);
        let same = |then: &Stamp| (then.device, then.inode, then.size) == (now.device, now.inode, now.size);
        if known
            .get(&record.path)
            .is_some_and(|then| same(then) && *then != now)
        {
            known.insert(record.path.clone(), now);
            save(&self.dir, &known);
        }
    }
}

fn load(dir: &Path) -> BTreeMap<String, Stamp> {
    let text = files::read(&dir.join(KNOWN), LARGEST).unwrap_or_default();
    // What cannot be read is not known.
    serde_json::from_slice(&text).unwrap_or_default()
}

fn save(dir: &Path, known: &BTreeMap<String, Stamp>) {
    let text = serde_json::to_vec(known).unwrap_or_default();
    // Where it cannot be kept, it is found out again.
    let _ = cache::replace_file(&dir.join(KNOWN), |file| std::io::Write::write_all(file, &text));
}

fn hash(mut file: &File) -> std::io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match std::io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.finalize()),
            count => hasher.update(&buffer[..count]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::bzimage::tests::bzimage;
    use super::super::decompress::tests::xz;
    use super::super::elf::tests::vmlinux;
    use super::super::progress::Silent;
    use super::super::store::Store;
    use super::super::unpacked::VMLINUX;
    use super::*;

    fn store(dir: &Path) -> Store {
        let store = Store::open(dir.join("store")).unwrap();
        let inner = vmlinux(&vec![7; 100_000], Some(0x1000));
        let image = bzimage("6.1.0", &xz(&inner), Some(inner.len() as u32));
        fs::write(dir.join("a"), image).unwrap();
        store.add(&dir.join("a"), None, "a", &Silent).unwrap();
        store
    }

    /// Another byte in the middle, in place and under the same size and time of modification.
    fn change(path: &Path) {
        let before = fs::metadata(path).unwrap().modified().unwrap();
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        fs::write(path, bytes).unwrap();
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(before)
            .unwrap();
    }

    #[test]
    fn a_changed_kernel_is_not_booted() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let kernel = store.find("a").unwrap();
        let image = kernel.boot_image().unwrap();
        assert!(image.ends_with(VMLINUX) && kernel.dir().join(KNOWN).exists());
        let sound = fs::read(&image).unwrap();
        change(&image);
        // It is made again of the bzImage, whichever coldcut finds out.
        for kernel in [kernel.clone(), store.find("a").unwrap()] {
            assert_eq!(fs::read(kernel.boot_image().unwrap()).unwrap(), sound);
        }
        change(&image);
        let packed = kernel.dir().join("bzImage");
        fs::write(&packed, vec![0; fs::metadata(&packed).unwrap().len() as usize]).unwrap();
        let error = store.find("a").unwrap().boot_image().unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { .. } | StoreError::Image { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_file_is_hashed_once_and_again_when_it_was_touched() {
        let dir = tempfile::tempdir().unwrap();
        let kernel = store(dir.path()).find("a").unwrap();
        let record = kernel
            .manifest
            .files
            .iter()
            .find(|file| file.path == "bzImage")
            .unwrap();
        kernel.check(record).unwrap();
        let known = load(&kernel.dir);
        assert_eq!(known.len(), 1);
        // What is known counts, of whichever file it is: so nothing is hashed again.
        let mut other = record.clone();
        other.blake3 = "0".repeat(64);
        kernel.check(&other).unwrap();
        change(&kernel.dir.join("bzImage"));
        assert!(matches!(kernel.check(record), Err(StoreError::Damaged { .. })));
        // Another boot of the host knows nothing.
        let mut stamp = known["bzImage"].clone();
        stamp.boot = "another".to_owned();
        assert_ne!(stamp, known["bzImage"]);
    }
}
