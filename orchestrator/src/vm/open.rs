//! Opens a pool: finds QEMU, decides on the accelerator, makes the private directory.

use std::path::PathBuf;

use crate::host::quota::{Quota, QuotaSettings};
use crate::host::scratch::Scratch;
use crate::kernel::{Kernel, Store, StoreError};
use crate::report::EventSink;
use crate::vm::machine::{Accel, AccelChoice, AccelDecision, Qemu, QemuError, decide_accel};
use crate::vm::pool::{InitrdError, Pool, machine_spec, write_initrd};
use crate::vm::snapshot::TemplateError;
use crate::vm::templates::Templates;

/// How machines are run.
#[derive(Clone, Copy, Debug)]
pub struct MachineSettings {
    /// How guests run: under KVM or emulated.
    pub accel: AccelChoice,
    /// How many machines run at once.
    pub jobs: usize,
    /// How much they may write.
    pub quota: QuotaSettings,
}

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
pub enum OpenPoolError {
    /// There is no usable QEMU.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// No private directory can be made.
    #[error("cannot make a private directory")]
    Scratch(#[from] std::io::Error),
    /// The kernel that shows whether KVM works has no initial ramdisk.
    #[error(transparent)]
    Initrd(#[from] InitrdError),
    /// That kernel cannot be booted.
    #[error(transparent)]
    Kernel(#[from] StoreError),
    /// The templates cannot be used.
    #[error(transparent)]
    Templates(#[from] TemplateError),
}

impl Pool {
    /// A pool without templates. `kernel` is booted where the accelerator is to be found out.
    ///
    /// # Errors
    /// [`OpenPoolError`].
    pub async fn open(
        settings: MachineSettings,
        events: EventSink,
        kernel: &Kernel,
    ) -> Result<Self, OpenPoolError> {
        let qemu = Qemu::find().await?;
        let scratch = Scratch::new()?;
        let auto = settings.accel == AccelChoice::Auto;
        // Only `auto` boots the probe, and remembers what came of it.
        let (accel, initrd, cache) = if auto {
            let initrd = scratch.path().join("probe.initrd");
            write_initrd(
                kernel,
                coldcut_core::filesystem::FsType::first().name(),
                None,
                &initrd,
            )?;
            (Accel::Kvm, initrd, Store::default_root()?)
        } else {
            (Accel::Tcg, PathBuf::new(), scratch.path().to_owned())
        };
        let undecided = AccelDecision {
            accel,
            why: String::new(),
        };
        let probe = machine_spec(kernel, initrd, None, &undecided)?;
        let decided = decide_accel(settings.accel, &qemu, &probe, &cache, scratch.path()).await;
        let mut pool = Self::new(qemu, decided, scratch, events, settings.jobs);
        pool.quota = Quota::new(settings.quota);
        Ok(pool)
    }

    /// The same pool, with the templates of the cache.
    ///
    /// # Errors
    /// [`OpenPoolError`] when the cache cannot be used.
    pub fn with_cached_templates(self) -> Result<Self, OpenPoolError> {
        Ok(self.with_templates(Templates::open(&Store::default_root()?)?))
    }
}
