//! Root file systems by what they are made of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use coldcut_core::scenario::{Programs, Rootfs};
use serde::{Deserialize, Serialize};

use super::unpack::Unpacker;
use super::{RootError, debian, image};
use crate::host::cache::{self, Cache, Held};
use crate::kernel::Store;

/// Version of what is made of the same description.
const FORMAT: &str = "coldcut root file systems 1";
/// The file with the disk.
const IMAGE: &str = "root.img";
/// What it is made of.
const MANIFEST: &str = "manifest.json";
/// Digits of an entry's name.
const DIGITS: usize = 32;
/// Most bytes of the files that a scenario adds from its directory of programs.
const MOST_ADDED: u64 = 1 << 30;
/// Bytes of all that are kept.
const KEEP: u64 = 8 << 30;

/// A root file system in use.
#[derive(Debug)]
pub struct Root {
    /// The disk's image, which nobody writes to.
    pub image: PathBuf,
    /// What it is made of, such as `sqlite3=3.46.1-7`.
    pub versions: Vec<String>,
    _held: Held,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    versions: Vec<String>,
}

/// Finds the root file system of a variant whose scenario is in this directory, or makes it; `None` where it has none that is
/// on a disk of its own.
///
/// # Errors
/// [`RootError`].
pub fn find_or_make(programs: &Programs, home: &Path) -> Result<Option<Root>, RootError> {
    let Some(Rootfs::Debian { suite, packages }) = &programs.rootfs else {
        return Ok(None);
    };
    let store = Store::open_default()?;
    let cache = Cache::open(store.root().join("roots"))?;
    let added = added(programs, home)?;
    let name = name_of(suite, packages, &added);
    loop {
        if let Some(held) = cache.hold(&name)? {
            cache::note_use(&held.path().join(MANIFEST));
            let text = fs::read(held.path().join(MANIFEST)).map_err(file(&held.path().join(MANIFEST)))?;
            let manifest: Option<Manifest> = serde_json::from_slice(&text).ok();
            return Ok(Some(Root {
                image: held.path().join(IMAGE),
                versions: manifest.map_or_else(Vec::new, |manifest| manifest.versions),
                _held: held,
            }));
        }
        prune(&cache);
        // One coldcut makes it while the others wait.
        let _lock = store.lock_file("roots.lock", || ())?;
        if cache.entry(&name).is_dir() {
            continue;
        }
        let staged = cache.stage()?;
        let work = tempfile::tempdir_in(cache.root()).map_err(file(cache.root()))?;
        let (tree, debs) = (work.path().join("tree"), work.path().join("debs"));
        for dir in [&tree, &debs] {
            fs::create_dir(dir).map_err(file(dir))?;
        }
        let mut unpacker = Unpacker::new(&tree)?;
        let versions = debian::unpack(&store, suite, packages, &mut unpacker, &debs)?;
        for (path, (bytes, mode)) in &added {
            unpacker.file(path, bytes, *mode)?;
        }
        image::make(&tree, &staged.path().join(IMAGE))?;
        let manifest = serde_json::to_vec_pretty(&Manifest { versions }).unwrap_or_default();
        let path = staged.path().join(MANIFEST);
        fs::write(&path, manifest).map_err(file(&path))?;
        cache.commit(staged, &name)?;
    }
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> RootError {
    let path = path.to_owned();
    move |source| RootError::File { path, source }
}

/// Files that a scenario adds, by their paths in the root, each with its mode.
type Added = BTreeMap<String, (Vec<u8>, u32)>;

fn added(programs: &Programs, home: &Path) -> Result<Added, RootError> {
    let mut added = Added::new();
    if let Some(dir) = &programs.programs {
        let (dir, mut left) = (home.join(dir), MOST_ADDED);
        collect(&dir, "programs", &mut added, &mut left).map_err(file(&dir))?;
    }
    for (path, text) in &programs.files {
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        added.insert(path.clone(), (text.clone().into_bytes(), mode));
    }
    Ok(added)
}

/// Collects the files below a directory; links are what they lead to.
fn collect(dir: &Path, to: &str, added: &mut Added, left: &mut u64) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let meta = fs::metadata(&path)?;
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| std::io::Error::other("a name that is not UTF-8"))?;
        let to = format!("{to}/{name}");
        if to.matches('/').count() > 32 {
            return Err(std::io::Error::other("it is nested too deep"));
        }
        if meta.is_dir() {
            collect(&path, &to, added, left)?;
        } else if meta.is_file() {
            let rest = left.checked_sub(meta.len());
            *left = rest.ok_or_else(|| std::io::Error::other("its files are too large"))?;
            let mode = if meta.permissions().mode() & 0o111 == 0 {
                0o644
            } else {
                0o755
            };
            added.insert(to, (fs::read(&path)?, mode));
        }
    }
    Ok(())
}

/// What tells one root file system from another.
fn name_of(suite: &str, packages: &[String], added: &Added) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(FORMAT);
    let mut word = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    word(suite.as_bytes());
    let mut packages: Vec<&String> = packages.iter().collect();
    packages.sort();
    packages.dedup();
    word(&(packages.len() as u64).to_le_bytes());
    for package in packages {
        word(package.as_bytes());
    }
    for (path, (bytes, mode)) in added {
        word(path.as_bytes());
        word(&mode.to_le_bytes());
        word(bytes);
    }
    hasher.finalize().to_hex()[..DIGITS].to_owned()
}

/// Removes what was not used for the longest time.
fn prune(cache: &Cache) {
    let Ok(entries) = fs::read_dir(cache.root()) else {
        return;
    };
    let usage = |entry: fs::DirEntry| {
        use std::os::unix::fs::MetadataExt as _;
        let used = fs::metadata(entry.path().join(MANIFEST)).ok()?.modified().ok()?;
        Some(cache::Usage {
            used,
            bytes: fs::metadata(entry.path().join(IMAGE)).ok()?.blocks() * 512,
            path: entry.path(),
        })
    };
    let all = entries.flatten().filter_map(usage).collect();
    cache::prune(all, KEEP, |path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| cache.remove(name).unwrap_or(false))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_is_made_of_is_its_name() {
        let name = |suite: &str, packages: &[&str], files: &[(&str, &str)]| {
            let packages: Vec<String> = packages.iter().map(|name| (*name).to_owned()).collect();
            let added = files.iter();
            let added = added.map(|(path, text)| ((*path).to_owned(), (text.as_bytes().to_vec(), 0o644)));
            name_of(suite, &packages, &added.collect())
        };
        let one = name("trixie", &["dash", "sqlite3"], &[("a", "1")]);
        assert_eq!(one, name("trixie", &["sqlite3", "dash", "dash"], &[("a", "1")]));
        for other in [
            name("bookworm", &["dash", "sqlite3"], &[("a", "1")]),
            name("trixie", &["dash"], &[("a", "1")]),
            name("trixie", &["dash", "sqlite3"], &[("a", "2")]),
            name("trixie", &["dash", "sqlite3"], &[]),
        ] {
            assert_ne!(one, other);
        }
    }
}
