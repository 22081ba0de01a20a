//! Debian's packages as a root file system: chosen with all that they need by apt, in a state of its own, and unpacked.
//! apt checks the lists' signatures, and the packages against the lists. Nothing of a package is run: what its scripts would
//! make on an installed system (users, alternatives, data) is not there.

use std::fs;
use std::path::Path;

use super::unpack::{UnpackError, Unpacker};
use crate::kernel::archive::{self, ArchiveOptions};
use crate::kernel::recipe::{ArchiveKind, Recipe, Suite};
use crate::kernel::{Silent, Store, StoreError, apt::Apt};

/// Most packages of one root file system.
const MOST_PACKAGES: usize = 2000;
/// What a system has that no package's files bring.
const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";

/// Why packages cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DebianError {
    /// The archives, or the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A package that cannot be unpacked.
    #[error("the package {package} cannot be unpacked: {why}")]
    Package {
        /// Its file.
        package: String,
        /// Why.
        why: String,
    },
    /// A name that is none.
    #[error("`{0}` is no name of a Debian package or suite")]
    Name(String),
    /// Too many.
    #[error("these packages need more than {MOST_PACKAGES} others")]
    TooMany,
}

/// Whether this may be a package, perhaps with `=VERSION`, or a suite: never an option.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.:~=".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain)
}

/// Unpacks packages of a suite, and all that they depend on; returns each with its version, by name.
pub(super) fn unpack(
    store: &Store,
    suite: &str,
    packages: &[String],
    into: &mut Unpacker,
    work: &Path,
) -> Result<Vec<String>, DebianError> {
    for name in packages.iter().map(String::as_str).chain([suite]) {
        if !is_name(name) {
            return Err(DebianError::Name(name.to_owned()));
        }
    }
    let suites = [
        (suite.to_owned(), ArchiveKind::Main),
        (format!("{suite}-security"), ArchiveKind::Security),
    ];
    let rolling = ["sid", "unstable", "experimental"].contains(&suite);
    let recipe = Recipe {
        suites: suites
            .into_iter()
            .take(if rolling { 1 } else { 2 })
            .map(|(suite, archive)| Suite { suite, archive })
            .collect(),
        modules: std::collections::BTreeMap::new(),
        kernels: std::collections::BTreeMap::new(),
    };
    let archives = archive::choose(&ArchiveOptions::from_env(), &recipe)?;
    let _lock = store.lock_file("apt.lock", || ())?;
    let apt = Apt::new(&store.root().join("apt-packages").join(suite), &archives)?;
    apt.refresh(&Silent)?;
    let needed = apt.needed(packages)?;
    if needed.len() > MOST_PACKAGES {
        return Err(DebianError::TooMany);
    }
    let debs = apt.download_all(&needed, work)?;
    for deb in debs {
        let name = deb.file_name().unwrap_or_default().to_string_lossy().into_owned();
        into.add_package(&deb).map_err(|error| DebianError::Package {
            package: name,
            why: error.to_string(),
        })?;
        let _ = fs::remove_file(&deb);
    }
    add_accounts(into).map_err(|error| DebianError::Package {
        package: "accounts".to_owned(),
        why: error.to_string(),
    })?;
    Ok(needed)
}

/// The accounts that every Debian system has, which a package's script would make.
fn add_accounts(into: &mut Unpacker) -> Result<(), UnpackError> {
    for (file, master, least) in [
        ("etc/passwd", "usr/share/base-passwd/passwd.master", PASSWD),
        ("etc/group", "usr/share/base-passwd/group.master", GROUP),
    ] {
        let text = into.read(master).unwrap_or_else(|| least.as_bytes().to_vec());
        if into.read(file).is_none() {
            into.file(file, &text, 0o644)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_no_names() {
        for name in ["sqlite3", "libc6=2.41-12+deb13u1", "python3.13", "libc6:amd64"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["-o", "", "a b", "a;b", "../x", "a/b", "a\nb"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
