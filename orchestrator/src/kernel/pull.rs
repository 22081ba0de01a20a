//! Fetches kernels from the archives.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::apt::{Apt, Lists};
use super::archive::{self, Archives};
use super::deb::Contents;
use super::entry::Kernel;
use super::error::StoreError;
use super::index::{self, Offer};
use super::ingest::Identity;
use super::manifest::{Flavour, Origin, PackageRecord};
use super::progress::Progress;
use super::recipe::Recipe;
use super::spec::Spec;
use super::staging::Staging;
use super::store::Store;
use super::version::KernelVersion;

/// An archive ready to pull from: apt's state, locked, with the package lists read.
#[derive(Debug)]
pub struct Puller<'s> {
    store: &'s Store,
    apt: Apt,
    lists: Lists,
    _lock: File,
}

impl Store {
    /// Reads the package lists. Other coldcuts that want to pull wait until the puller is dropped.
    ///
    /// # Errors
    /// [`StoreError`] when no archive can be used.
    pub fn puller(&self, progress: &dyn Progress) -> Result<Puller<'_>, StoreError> {
        let archives: Archives = archive::choose(&self.archive, &Recipe::built_in()?)?;
        let lock = self.lock_file("apt.lock", || {
            progress.stage("waiting for another coldcut's downloads");
        })?;
        let apt = Apt::new(&self.root().join("apt"), &archives)?;
        let lists = apt.update(&archives, progress)?;
        if let Some(trouble) = &lists.trouble {
            progress.note(&format!("some package lists could not be read: {trouble}"));
        }
        for suite in &lists.missing {
            progress.note(&format!(
                "suite {suite} could not be read; its kernels are not offered"
            ));
        }
        Ok(Puller {
            store: self,
            apt,
            lists,
            _lock: lock,
        })
    }

    /// Fetches the newest kernel that fits `spec`, or returns the stored one when that is the same.
    ///
    /// When no archive can be reached and a stored kernel fits, that one is returned, with a note.
    ///
    /// # Errors
    /// [`StoreError`] when no kernel fits, or it cannot be fetched, unpacked or stored.
    pub fn pull(&self, spec: &str, progress: &dyn Progress) -> Result<Kernel, StoreError> {
        Spec::parse_one(spec)?;
        let pulled = self.pull_all(&[spec.to_owned()], false, progress)?;
        pulled
            .into_iter()
            .next_back()
            .map(|(_, kernel)| kernel)
            .ok_or_else(|| StoreError::Damaged {
                path: self.root().to_owned(),
                what: format!("{spec} vanished while it was pulled"),
            })
    }

    /// Fetches the kernels that each spec (or named set of the recipe) means; see [`Self::pull`].
    ///
    /// With `if_missing` the archive is not asked about a spec that a stored kernel fits. Returns what each
    /// spec came to. At the first spec that fails the rest is not tried; what was fetched stays.
    ///
    /// # Errors
    /// As [`Self::pull`], for the first spec that fails.
    pub fn pull_all(
        &self,
        specs: &[String],
        if_missing: bool,
        progress: &dyn Progress,
    ) -> Result<Vec<(String, Kernel)>, StoreError> {
        let specs = Recipe::built_in()?.expand(specs);
        for spec in &specs {
            Spec::parse(spec)?;
        }
        let mut puller: Option<Puller> = None;
        let mut out = Vec::new();
        for spec in specs {
            let stored = self.find_all(&spec);
            let kernels = match &stored {
                Ok(kernels) if if_missing => kernels.clone(),
                _ => {
                    let pulled = match &puller {
                        Some(puller) => puller.pull(&spec, progress),
                        None => self
                            .puller(progress)
                            .and_then(|s| puller.insert(s).pull(&spec, progress)),
                    };
                    match (pulled, stored) {
                        (Err(error), Ok(kernels)) if error.is_archive_failure() => {
                            let names: Vec<_> = kernels.iter().map(Kernel::name).collect();
                            progress.note(&format!("using the stored {}: {error}", names.join(", ")));
                            kernels
                        }
                        (pulled, _) => pulled?,
                    }
                }
            };
            out.extend(kernels.into_iter().map(|kernel| (spec.clone(), kernel)));
        }
        Ok(out)
    }
}

impl Puller<'_> {
    /// Every kernel that the archives offer, lowest version first.
    pub fn offers(&self) -> &[Offer] {
        &self.lists.offers
    }

    /// Fetches every kernel that `spec` means, unless it is stored: lowest version first, at least one.
    ///
    /// # Errors
    /// [`StoreError`] when no kernel fits, or it cannot be fetched, unpacked or stored.
    pub fn pull(&self, spec: &str, progress: &dyn Progress) -> Result<Vec<Kernel>, StoreError> {
        let parsed = Spec::parse(spec)?;
        let offers = index::select(&self.lists.offers, &parsed);
        if offers.is_empty() {
            return Err(self.not_offered(&parsed));
        }
        offers
            .into_iter()
            .map(|offer| self.pull_offer(offer, progress))
            .collect()
    }

    /// Fetches one offered kernel, unless it is stored.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be fetched, unpacked or stored.
    pub fn pull_offer(&self, offer: &Offer, progress: &dyn Progress) -> Result<Kernel, StoreError> {
        let same = |kernel: &&Kernel| match &kernel.manifest().origin {
            Origin::Debian { packages, .. } => *packages == offer.packages,
            Origin::File { .. } => false,
        };
        if let Some(kernel) = self.store.list()?.iter().find(same) {
            return Ok(kernel.clone());
        }
        let staging = Staging::new(self.store.kernels())?;
        let mut contents = Contents::default();
        let mut done = 0;
        for package in &offer.packages {
            progress.stage(&format!("downloading {}", package.package));
            let dir = staging.path().join("download");
            fs::create_dir(&dir).map_err(StoreError::io("create", &dir))?;
            let file = self.apt.download(package, &dir, done, offer.size(), progress)?;
            progress.stage(&format!("unpacking {}", package.package));
            check(&file, package)?;
            contents.add_deb(&file).map_err(|cause| StoreError::Deb {
                path: file.clone(),
                cause,
            })?;
            fs::remove_dir_all(&dir).map_err(StoreError::io("remove", &dir))?;
            done += package.size;
        }
        let identity = Identity {
            name: None,
            version: Some(offer.version),
            flavour: offer.flavour,
            origin: Origin::Debian {
                suite: if self.store.archive.insecure {
                    format!("{} (not verified)", offer.suite)
                } else {
                    offer.suite.clone()
                },
                packages: offer.packages.clone(),
            },
            label: offer.release.clone().into(),
        };
        self.store.ingest(staging, &contents, identity, progress)
    }

    fn not_offered(&self, spec: &Spec) -> StoreError {
        let flavour = spec.flavour.unwrap_or(Flavour::Cloud);
        let mut series: Vec<String> = self
            .lists
            .offers
            .iter()
            .filter(|o| o.flavour == flavour)
            .map(|o| o.version.series())
            .collect();
        series.dedup();
        let incomplete = |release: &&String| {
            let cloud = if release.contains("-cloud-") {
                Flavour::Cloud
            } else {
                Flavour::Full
            };
            cloud == flavour
                && KernelVersion::leading(release).is_some_and(|v| spec.fits(v, release, flavour))
        };
        let mut missing = Vec::new();
        if let Some(release) = self.lists.incomplete.iter().find(incomplete) {
            missing.push(format!(
                "; of {release} the archive has only some of the packages"
            ));
        }
        if !self.lists.missing.is_empty() {
            missing.push(format!("; could not be read: {}", self.lists.missing.join(", ")));
        }
        StoreError::NotOffered {
            spec: spec.to_string(),
            flavour: flavour.to_string(),
            offered: series.join(", "),
            missing: missing.concat(),
        }
    }
}

/// Compares a downloaded package with the signed list once more: apt did, but the file was ours since.
fn check(file: &Path, package: &PackageRecord) -> Result<(), StoreError> {
    let mut reader = File::open(file).map_err(StoreError::io("read", file))?;
    let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let n = reader.read(&mut buffer).map_err(StoreError::io("read", file))?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        size += n as u64;
    }
    let bad = |what, found: String, expected: String| {
        Err(StoreError::BadDownload {
            package: package.package.clone(),
            what,
            found,
            expected,
        })
    };
    if size != package.size {
        return bad("size", size.to_string(), package.size.to_string());
    }
    let found = format!("{:x}", hasher.finalize());
    if found != package.sha256 {
        return bad("SHA-256", found, package.sha256.clone());
    }
    Ok(())
}
