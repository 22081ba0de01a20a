//! What a recording is made of.

use std::path::Path;

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

/// How a variant is mounted.
pub fn mount_of(variant: &Variant) -> Mount {
    let fs = &variant.filesystem;
    Mount {
        fstype: fs.fstype.name().to_owned(),
        data: fs.mount.clone(),
        flags: fs.flags.iter().map(|f| f.name().to_owned()).collect(),
        repair: fs.repair,
    }
}
