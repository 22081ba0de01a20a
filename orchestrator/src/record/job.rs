//! What a recording is made of.

use std::path::Path;
use std::sync::Arc;

use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::disks::Disks;
use coldcut_core::scenario::{Rootfs, Variant};

use crate::kernel::Kernel;
use crate::results::CellDir;
use crate::rootfs;
use crate::vm::client::Mount;
use crate::vm::programs::GuestPrograms;

/// Bytes that a device writes atomically, as told to the guest and assumed of crash states.
pub const ATOMIC_UNIT: u32 = 4096;

/// What a recording is made of.
#[derive(Debug)]
pub(crate) struct RecordJob<'a> {
    /// The cell's id, for events.
    pub cell: &'a str,
    /// What to do.
    pub variant: &'a Variant,
    /// On which kernel.
    pub kernel: &'a Kernel,
    /// Directory of the scenario's file, which paths on the host are relative to.
    pub home: &'a Path,
    /// Where everything is kept.
    pub dir: &'a CellDir,
    /// Whether a kernel is booted for it, in place of a clone.
    pub(crate) cold: bool,
}

/// Where each disk of a recording starts: at a multiple of this.
const DISK_ALIGN: u64 = 1 << 20;

/// The disks of a recording, of which the first has so many bytes.
///
/// # Errors
/// [`Unknown`] when there can be no such disks.
pub(crate) fn disks_of(variant: &Variant, first: u64) -> Result<Disks, Unknown> {
    let others = &variant.filesystem.disks;
    if others.is_empty() {
        return Ok(Disks::one(first));
    }
    let sizes: Vec<u64> = [first]
        .into_iter()
        .chain(others.iter().map(|disk| disk.size))
        .collect();
    Disks::laid_out(&sizes, DISK_ALIGN).or_unknown("laying out the disks")
}

/// How a variant is mounted, by whatever clock the guest has.
pub fn mount_of(variant: &Variant) -> Mount {
    let fs = &variant.filesystem;
    Mount {
        fstype: fs.fstype.name().to_owned(),
        data: fs.mount.clone(),
        flags: fs.flags.iter().map(|f| f.name().to_owned()).collect(),
        others: fs.disks.len(),
        repair: fs.repair,
        clock: None,
    }
}

/// Where guests have the programs of a variant from, whose scenario is in this directory; a root file system of packages is
/// made where it is not in the cache.
///
/// # Errors
/// [`Unknown`] when it cannot be made.
pub(crate) async fn programs_of(variant: &Variant, home: &Path) -> Result<Option<GuestPrograms>, Unknown> {
    let programs = &variant.programs;
    let dir = match (&programs.programs, &programs.rootfs) {
        (_, Some(Rootfs::Debian { .. })) => {
            let (programs, home) = (programs.clone(), home.to_owned());
            let made = tokio::task::spawn_blocking(move || rootfs::find_or_make(&programs, &home));
            let doing = "making the root file system";
            let root = made.await.or_unknown(doing)?.or_unknown(doing)?;
            return Ok(root.map(|root| GuestPrograms::Disk(Arc::new(root))));
        }
        (Some(_), Some(Rootfs::Directory(_))) => {
            return Err(Unknown::new(
                "`programs` and a directory as `rootfs` cannot be used together",
            ));
        }
        (dir, Some(Rootfs::Directory(root))) => dir.as_ref().or(Some(root)),
        (dir, None) => dir.as_ref(),
    };
    Ok(dir.map(|dir| GuestPrograms::Directory(home.join(dir))))
}
