//! What a recording is made of.

use std::path::Path;

use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::disks::Disks;
use coldcut_core::scenario::Variant;

use crate::kernel::Kernel;
use crate::results::CellDir;
use crate::vm::client::Mount;

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
