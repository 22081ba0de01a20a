//! Root file systems for programs in guests: made of Debian's packages, unpacked without root, and kept in the cache as the
//! image of a disk that all guests share and nobody writes to.
//!
//! [`debian`] says which packages there are and gets them, `unpack` takes files out of archives, `image` makes the disk.

mod cached;
mod debian;
mod image;
mod unpack;

pub use cached::{Root, find_or_make};
pub use debian::DebianError;
pub use image::ImageError;
pub use unpack::UnpackError;

use std::path::PathBuf;

use crate::host::cache::CacheError;
use crate::kernel::StoreError;

/// Why there is no root file system.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Debian's packages.
    #[error(transparent)]
    Debian(#[from] DebianError),
    /// An archive cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The disk's image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Where the cache is.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the scenario's.
    #[error("cannot add {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
