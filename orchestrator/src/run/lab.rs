//! Where machines come from: QEMU, accelerator, kernels, initial ramdisks, and how many may run at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::agent_binary::AGENT;
use crate::initramfs;
use crate::kernel::Kernel;
use crate::machine::{AccelDecision, BootImage, DiskSpec, Machine, MachineError, MachineSpec, Qemu};
use crate::report::EventSink;
use crate::scratch::Scratch;

/// Deadlines. They are generous, because a time-out proves nothing: hosts are shared, and emulation is slow.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From QEMU's start to the agent's greeting.
    pub boot: Duration,
    /// mount(2), with the recovery that it does.
    pub mount: Duration,
    /// One step of a workload, beyond what it sleeps.
    pub step: Duration,
    /// Walking the tree.
    pub walk: Duration,
    /// Unmounting.
    pub unmount: Duration,
    /// Anything else.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            boot: s(180),
            mount: s(120),
            step: s(120),
            walk: s(180),
            unmount: s(120),
            answer: s(60),
        }
    }
}

/// A guest's memory, enough for every kernel with a small ramdisk.
const MEMORY_MIB: u32 = 256;

/// A file of the initial ramdisk could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the initial ramdisk: {0}")]
pub struct InitrdError(String);

/// Everything that runs share.
#[derive(Debug)]
pub struct Lab {
    /// QEMU.
    pub qemu: Qemu,
    /// How instructions are run.
    pub accel: AccelDecision,
    /// Private directory.
    pub scratch: Scratch,
    /// Where events go.
    pub events: EventSink,
    /// Deadlines.
    pub limits: Limits,
    /// One permit a machine.
    pub machines: Arc<Semaphore>,
    initrds: Mutex<HashMap<String, PathBuf>>,
    counter: AtomicU64,
}

impl Lab {
    /// A lab in which `jobs` machines run at once.
    pub fn new(qemu: Qemu, accel: AccelDecision, scratch: Scratch, events: EventSink, jobs: usize) -> Self {
        Self {
            qemu,
            accel,
            scratch,
            events,
            limits: Limits::default(),
            machines: Arc::new(Semaphore::new(jobs.max(1))),
            initrds: Mutex::default(),
            counter: AtomicU64::new(0),
        }
    }

    /// A path in the private directory that nobody else uses.
    pub fn fresh_path(&self, suffix: &str) -> PathBuf {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        self.scratch.path().join(format!("{number}{suffix}"))
    }

    /// The initial ramdisk for a kernel, a filesystem and a directory of programs, made on first use.
    ///
    /// # Errors
    /// When a module or a program cannot be read.
    pub fn initrd(
        &self,
        kernel: &Kernel,
        filesystem: &str,
        programs: Option<&Path>,
    ) -> Result<PathBuf, InitrdError> {
        let key = format!("{}\0{filesystem}\0{programs:?}", kernel.digest());
        let mut known = self.initrds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = known.get(&key) {
            return Ok(path.clone());
        }
        let path = self.fresh_path(".initrd");
        write_initrd(kernel, filesystem, programs, &path)?;
        known.insert(key, path.clone());
        Ok(path)
    }

    /// What a machine with this kernel is made of.
    pub fn spec(&self, kernel: &Kernel, initrd: PathBuf, disk: Option<DiskSpec>) -> MachineSpec {
        machine_spec(kernel, initrd, disk, &self.accel)
    }

    /// Boots a machine.
    ///
    /// # Errors
    /// [`MachineError`].
    pub async fn boot(&self, spec: &MachineSpec, console: &Path) -> Result<Machine, MachineError> {
        Machine::boot(&self.qemu, spec, console, self.limits.boot).await
    }
}

/// Writes an initial ramdisk with the modules that a kernel needs for the disk, the agent's port and a filesystem.
///
/// # Errors
/// When a module or a program cannot be read, or the file cannot be written.
pub fn write_initrd(
    kernel: &Kernel,
    filesystem: &str,
    programs: Option<&Path>,
    path: &Path,
) -> Result<(), InitrdError> {
    // One driver serves the three.
    let driver = if matches!(filesystem, "ext2" | "ext3") {
        "ext4"
    } else {
        filesystem
    };
    let set = format!("fs:{driver}");
    let sets = ["base", set.as_str()];
    let modules = kernel.modules(&sets).map_err(|e| InitrdError(e.to_string()))?;
    let bytes = initramfs::build(AGENT, &modules, programs).map_err(|e| InitrdError(e.to_string()))?;
    std::fs::write(path, bytes).map_err(|e| InitrdError(format!("{}: {e}", path.display())))
}

/// The standard machine: small, one processor.
pub fn machine_spec(
    kernel: &Kernel,
    initrd: PathBuf,
    disk: Option<DiskSpec>,
    accel: &AccelDecision,
) -> MachineSpec {
    // A large ramdisk (a rootfs with programs) is in memory twice while it is unpacked.
    let ramdisk_mib = std::fs::metadata(&initrd).map_or(0, |m| m.len() >> 20) as u32;
    MachineSpec {
        kernel: BootImage {
            path: kernel.boot_image(),
        },
        initrd,
        memory_mib: MEMORY_MIB + ramdisk_mib.saturating_sub(16) * 3,
        cpus: 1,
        accel: accel.accel,
        disk,
        extra_cmdline: String::new(),
    }
}
