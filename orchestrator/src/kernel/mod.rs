//! The kernel store: images that coldcut boots, kept by digest outside git.
//!
//! A kernel comes from a Debian archive ([`Store::pull`]) or from a file ([`Store::add`]), is unpacked in
//! process, and is stored as one directory: the boot image, its configuration, and the few modules that a
//! guest needs, with their load order. What is stored is never changed afterwards, so a digest names exactly
//! what was booted.
//!
//! | file | idea |
//! |------|------|
//! | `spec`, `version` | what a user asks for, and how versions compare |
//! | `sources`, `archive` | which Debian archives this machine is set up for |
//! | `apt`, `index` | signed package lists and downloads, through apt with a private state |
//! | `ar`, `package`, `deb`, `decompress`, `lz4` | packages, read with every size bounded |
//! | `bzimage`, `elf` | boot images: the payload of a bzImage, PVH notes, module information |
//! | `modules` | which modules are needed, in load order |
//! | `manifest`, `staging`, `entry`, `store` | the directory on disk |
//! | `unpacked` | the vmlinux of a bzImage, kept while it is used |
//! | `verified` | that what is booted and loaded is what was stored |
//! | `fragment`, `build` | configuring and building a kernel of one's own |
//! | `ingest`, `pull` | from packages or files to an entry of the store |

pub mod apt;
pub mod ar;
pub mod archive;
pub mod build;
pub mod bzimage;
pub mod deb;
pub mod decompress;
pub mod elf;
pub mod entry;
pub mod error;
pub mod fragment;
pub mod index;
pub mod ingest;
mod lz4;
pub mod manifest;
pub mod modules;
pub(crate) mod package;
pub mod progress;
pub mod pull;
pub mod recipe;
pub mod sources;
pub mod spec;
pub mod staging;
pub mod store;
#[cfg(test)]
mod store_tests;
pub mod unpacked;
mod verified;
pub mod version;

pub use entry::Kernel;
pub use error::StoreError;
pub use manifest::{BootKind, Flavour, Manifest};
pub use progress::{Progress, Silent};
pub use store::Store;
