//! What can go wrong in the kernel store.

use std::io;
use std::path::{Path, PathBuf};

use super::ar::ArError;
use super::bzimage::ImageError;
use super::deb::DebError;
use super::decompress::DecompressError;
use super::modules::ModuleError;
use super::recipe::RecipeError;
use super::spec::SpecError;
use crate::host::cache::CacheError;

/// An error of the kernel store. Every message says what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or directory could not be used.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried: "read", "create", ….
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// Neither a cache directory nor a home directory is known.
    #[error("no place for the kernel store: set COLDCUT_CACHE, XDG_CACHE_HOME or HOME to an absolute path")]
    NoCacheDir,
    /// The store was written by a later coldcut.
    #[error(
        "{} has format {found}; this coldcut knows formats up to {known}: use a newer coldcut, or pull the kernel again into another COLDCUT_CACHE",
        path.display()
    )]
    NewerFormat {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known format.
        known: u32,
    },
    /// An entry of the store is not what its manifest says.
    #[error("the stored kernel {} is damaged: {what}; remove that directory and pull or add the kernel again", path.display())]
    Damaged {
        /// The directory of the entry.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// No stored kernel fits.
    #[error("kernel `{spec}` is not in the store {}; {have}. To get it: coldcut kernel pull {spec}", store.display())]
    NotInStore {
        /// What was asked for.
        spec: String,
        /// The store.
        store: PathBuf,
        /// "stored: a, b" or "the store is empty".
        have: String,
    },
    /// Several stored kernels fit a digest prefix.
    #[error("`{spec}` fits several stored kernels: {matches}; give more of the digest, or the name")]
    Ambiguous {
        /// What was asked for.
        spec: String,
        /// The kernels that fit.
        matches: String,
    },
    /// The stored kernel has no such set of modules.
    #[error("kernel {kernel} has no modules for `{set}`; it has: {have}{hint}")]
    NoSet {
        /// The kernel's name.
        kernel: String,
        /// The set asked for.
        set: String,
        /// The sets it has.
        have: String,
        /// What could be done.
        hint: String,
    },
    /// A name is in use by another kernel.
    #[error("the name `{name}` is taken by the stored kernel {digest}; choose another --name")]
    NameTaken {
        /// The name.
        name: String,
        /// Digest of its owner.
        digest: String,
    },
    /// The name belongs to a pulled kernel.
    #[error("the name `{0}` belongs to a pulled kernel; choose another --name")]
    PulledName(String),
    /// The same kernel is there under another name.
    #[error("this very kernel is stored already, as `{name}` ({digest}); use that name")]
    SameKernel {
        /// Its name.
        name: String,
        /// Its digest.
        digest: String,
    },
    /// A name that cannot be used.
    #[error(
        "`{0}` cannot be a kernel's name: expected 1 to 100 letters, digits, `.`, `_`, `+`, `~` or `-`, not starting with `-` or `.`, and no kernel version or series"
    )]
    BadName(String),
    /// A spec that does not parse.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// No archive offers the kernel.
    #[error("no configured archive offers a {flavour} kernel `{spec}`; offered: {offered}{missing}")]
    NotOffered {
        /// What was asked for.
        spec: String,
        /// The flavour asked for.
        flavour: String,
        /// Offered series.
        offered: String,
        /// Suites that could not be read.
        missing: String,
    },
    /// The machine's package sources name no Debian archive.
    #[error("{0}")]
    NoArchive(String),
    /// apt is missing or failed.
    #[error("{0}")]
    Apt(String),
    /// A downloaded package is not the one that the signed list describes.
    #[error(
        "{package}: {what} is {found}, expected {expected} from the signed package list; nothing was stored"
    )]
    BadDownload {
        /// The package.
        package: String,
        /// "size" or "SHA-256".
        what: &'static str,
        /// What the file has.
        found: String,
        /// What the list says.
        expected: String,
    },
    /// A package cannot be unpacked.
    #[error("{}: {cause}", path.display())]
    Deb {
        /// The package file.
        path: PathBuf,
        /// The cause.
        cause: DebError,
    },
    /// A file is no kernel.
    #[error("{}: {cause}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: ImageError,
    },
    /// The modules of a kernel cannot be used.
    #[error("modules of {kernel}: {cause}")]
    Modules {
        /// The kernel's release.
        kernel: String,
        /// The cause.
        cause: ModuleError,
    },
    /// `images/kernels.yaml` (or its override) is not valid.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Something is in use.
    #[error("{0}")]
    Busy(String),
}

impl StoreError {
    /// Makes a function that wraps an I/O error with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { action, path, cause }
    }

    /// True when the archive could not be reached or used, as opposed to a bad request or a bad store.
    pub fn is_archive_failure(&self) -> bool {
        matches!(self, Self::Apt(_) | Self::NoArchive(_) | Self::NotOffered { .. })
    }
}

impl From<CacheError> for StoreError {
    fn from(error: CacheError) -> Self {
        Self::Io {
            action: error.action,
            path: error.path,
            cause: error.source,
        }
    }
}

impl From<ArError> for DebError {
    fn from(error: ArError) -> Self {
        Self::Ar(error)
    }
}

impl From<DecompressError> for ImageError {
    fn from(error: DecompressError) -> Self {
        Self::Payload(error)
    }
}
