//! Where machines come from: QEMU, accelerator, kernels, initial ramdisks, and how many may run at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use coldcut_core::filesystem::FsType;
use coldcut_core::outcome::recovery::Trust;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};

use crate::fs::{self, MakeError};
use crate::host::quota::Quota;
use crate::host::scratch::Scratch;
use crate::host::tool::ToolError;
use crate::kernel::{Kernel, StoreError};
use crate::report::EventSink;
use crate::vm::agent_binary::AGENT;
use crate::vm::budget::{Budget, Room};
use crate::vm::client::GuestClient;
use crate::vm::initramfs;
use crate::vm::limits::Limits;
use crate::vm::machine::{AccelDecision, BootImage, DiskSpec, Machine, MachineError, MachineSpec, Qemu, Ram};
use crate::vm::programs::GuestPrograms;
use crate::vm::snapshot::Template;
use crate::vm::templates::{AtHand, Means, Templates};

/// A guest's memory, enough for every kernel with a small ramdisk.
const MEMORY_MIB: u32 = 256;
/// The modules that mount a disk with programs.
const ROOT_SET: &str = "fs:ext4";

/// A file of the initial ramdisk could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the initial ramdisk: {0}")]
pub struct InitrdError(String);

/// What all runs share.
#[derive(Debug)]
pub struct Pool {
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
    /// How much recordings may have.
    pub quota: Quota,
    /// How many machines may run at once.
    pub budget: Budget,
    /// How many machines the user allows at once.
    pub jobs: usize,
    /// Where clones come from; without it, every machine boots its kernel.
    pub templates: Option<Templates>,
    initrds: Mutex<HashMap<String, PathBuf>>,
    images: tokio::sync::Mutex<HashMap<String, Vec<PathBuf>>>,
    counter: AtomicU64,
}

impl Pool {
    /// A pool in which `jobs` machines run at once.
    pub fn new(qemu: Qemu, accel: AccelDecision, scratch: Scratch, events: EventSink, jobs: usize) -> Self {
        Self {
            qemu,
            accel,
            scratch,
            events,
            limits: Limits::default(),
            quota: Quota::default(),
            budget: Budget::new(jobs),
            jobs: jobs.max(1),
            templates: None,
            initrds: Mutex::default(),
            images: tokio::sync::Mutex::default(),
            counter: AtomicU64::new(0),
        }
    }

    /// The same pool, with templates.
    #[must_use]
    pub fn with_templates(mut self, templates: Templates) -> Self {
        self.templates = Some(templates);
        self
    }

    /// A path in the private directory that nobody else uses.
    pub fn fresh_path(&self, suffix: &str) -> PathBuf {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        self.scratch.path().join(format!("{number}{suffix}"))
    }

    /// The initial ramdisk for a kernel, a filesystem and programs, made on first use.
    ///
    /// # Errors
    /// When a module or a program cannot be read.
    pub fn initrd(
        &self,
        kernel: &Kernel,
        filesystem: &str,
        programs: Option<&GuestPrograms>,
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

    /// A freshly made filesystem on disks of these sizes, an image for each, made on first use. Whoever uses it must not write to it.
    ///
    /// # Errors
    /// When mkfs refuses.
    pub async fn made(&self, fstype: &str, sizes: &[u64], mkfs: &[String]) -> Result<Vec<PathBuf>, Unknown> {
        let key = format!("{fstype}\0{sizes:?}\0{}", mkfs.join("\0"));
        let mut known = self.images.lock().await;
        if let Some(paths) = known.get(&key) {
            return Ok(paths.clone());
        }
        let disks = sizes.iter().map(|size| (self.fresh_path(".img"), *size));
        let disks: Vec<(PathBuf, u64)> = disks.collect();
        fs::make_on(&disks, fstype, mkfs).await.map_err(|error| {
            let refused = matches!(error, MakeError::Tool(ToolError::Failed { .. }));
            if refused {
                Unknown::mkfs_refuses(error)
            } else {
                Unknown::while_doing("making the filesystem", error)
            }
        })?;
        let paths: Vec<PathBuf> = disks.into_iter().map(|(path, _)| path).collect();
        known.insert(key, paths.clone());
        Ok(paths)
    }

    /// What a machine with this kernel is made of.
    ///
    /// # Errors
    /// [`Unknown`] when the kernel cannot be had.
    pub fn spec(
        &self,
        kernel: &Kernel,
        initrd: PathBuf,
        disks: impl IntoIterator<Item = DiskSpec>,
    ) -> Result<MachineSpec, Unknown> {
        machine_spec(kernel, initrd, disks, &self.accel).or_unknown("preparing the kernel")
    }

    /// Waits for room for one more machine: a clone, or one that boots.
    ///
    /// # Errors
    /// When the pool was closed.
    pub async fn room(&self, clone: bool) -> Result<Room, Unknown> {
        let clone = clone && self.templates.is_some();
        self.budget.room(MEMORY_MIB, clone).await
    }

    /// Waits for room for one more machine like `spec`, which may have to boot.
    ///
    /// # Errors
    /// When the pool was closed.
    pub async fn room_for(&self, spec: &MachineSpec) -> Result<Room, Unknown> {
        self.budget.room(spec.memory_mib, false).await
    }

    /// What the template of machines like `spec` is known by; `None` without templates.
    pub(crate) async fn template_key(&self, spec: &MachineSpec) -> Option<String> {
        let key = self.templates.as_ref()?.key(&self.means(), spec).await.ok()?;
        Some(key.as_str().to_owned())
    }

    /// What making a template takes.
    fn means(&self) -> Means<'_> {
        Means {
            qemu: &self.qemu,
            limits: self.limits,
            events: &self.events,
            socket: self.fresh_path(".state"),
        }
    }

    /// Boots a machine.
    ///
    /// # Errors
    /// [`MachineError`].
    pub async fn boot(&self, spec: &MachineSpec, console: &Path) -> Result<Machine, MachineError> {
        Machine::boot(&self.qemu, spec, console, self.limits.boot).await
    }

    /// A machine whose kernel has done nothing yet: a clone of a template; where there is no template, or its clone
    /// does not come up, a machine that boots.
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn fresh(&self, spec: &MachineSpec, console: &Path) -> Result<(Machine, Trust), Unknown> {
        let template = match &self.templates {
            Some(templates) => templates.get(&self.means(), spec).await,
            None => None,
        };
        self.started(template, spec, console).await
    }

    /// As [`Self::fresh`], for callers that need only one machine: where the template has yet to be made, the kernel is
    /// booted, and the template meanwhile on another processor, if there is room for one more machine.
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn fresh_now(
        self: &Arc<Self>,
        spec: &MachineSpec,
        console: &Path,
    ) -> Result<(Machine, Trust), Unknown> {
        let template = match &self.templates {
            Some(templates) => match templates.at_hand(&self.means(), spec).await {
                AtHand::Here(template) => Some(template),
                AtHand::NotNow => None,
                AtHand::Missing => match self.budget.spare(spec.memory_mib) {
                    Some(room) => {
                        let (pool, spec) = (Arc::clone(self), spec.clone());
                        tokio::spawn(async move {
                            if let Some(templates) = &pool.templates {
                                templates.get(&pool.means(), &spec).await;
                            }
                            drop(room);
                        });
                        None
                    }
                    None => templates.get(&self.means(), spec).await,
                },
            },
            None => None,
        };
        self.started(template, spec, console).await
    }

    async fn started(
        &self,
        template: Option<Arc<Template>>,
        spec: &MachineSpec,
        console: &Path,
    ) -> Result<(Machine, Trust), Unknown> {
        if let Some(template) = template {
            match self.clone_of(&template, spec, console).await {
                Ok(machine) => return Ok((machine, Trust::Fresh)),
                Err(error) => self.events.notice(
                    None,
                    format!("a clone did not come up, so the kernel is booted: {error}"),
                ),
            }
        }
        let machine = self.boot(spec, console).await.or_unknown("booting")?;
        Ok((machine, Trust::Cold))
    }

    /// A clone that has not resumed yet and so knows no disk.
    ///
    /// # Errors
    /// [`Unknown`]; also when there is no template.
    pub(crate) async fn restored(&self, spec: &MachineSpec, console: &Path) -> Result<Machine, Unknown> {
        let template = match &self.templates {
            Some(templates) => templates.get(&self.means(), spec).await,
            None => None,
        };
        let template = template.ok_or_else(|| Unknown::new("there is no template"))?;
        self.restore(&template, spec, console)
            .await
            .or_unknown("starting a clone")
    }

    async fn restore(
        &self,
        template: &Template,
        spec: &MachineSpec,
        console: &Path,
    ) -> Result<Machine, MachineError> {
        let spec = template.clone_spec(spec);
        let socket = self.fresh_path(".state");
        Machine::restore(
            &self.qemu,
            &spec,
            &template.saved(),
            &socket,
            console,
            self.limits.clone,
        )
        .await
    }

    async fn clone_of(
        &self,
        template: &Template,
        spec: &MachineSpec,
        console: &Path,
    ) -> Result<Machine, MachineError> {
        let machine = self.restore(template, spec, console).await?;
        let capacities = spec.disks.iter().map(|disk| disk.size).collect();
        GuestClient::new(&machine, self.limits).resume(capacities).await?;
        Ok(machine)
    }
}

/// Writes an initial ramdisk with the modules that a kernel needs for the disk, the agent's port and a filesystem.
///
/// # Errors
/// When a module or a program cannot be read, or the file cannot be written.
pub fn write_initrd(
    kernel: &Kernel,
    filesystem: &str,
    programs: Option<&GuestPrograms>,
    path: &Path,
) -> Result<(), InitrdError> {
    // A filesystem that a workload only mounts besides may be none that can be under test.
    let set = FsType::named(filesystem).map_or_else(|| format!("fs:{filesystem}"), |fs| fs.driver.set());
    let mut sets = vec!["base", set.as_str()];
    let disk = programs.is_some_and(|programs| programs.disk().is_some());
    let programs = programs.and_then(GuestPrograms::directory);
    if disk && set != ROOT_SET {
        sets.push(ROOT_SET);
    }
    let modules = kernel.modules(&sets).map_err(|e| InitrdError(e.to_string()))?;
    let bytes = initramfs::build(AGENT, &modules, programs).map_err(|e| InitrdError(e.to_string()))?;
    std::fs::write(path, bytes).map_err(|e| InitrdError(format!("{}: {e}", path.display())))
}

/// The standard machine: small, one processor.
///
/// # Errors
/// When the kernel has to be unpacked, and cannot.
pub fn machine_spec(
    kernel: &Kernel,
    initrd: PathBuf,
    disks: impl IntoIterator<Item = DiskSpec>,
    accel: &AccelDecision,
) -> Result<MachineSpec, StoreError> {
    // A large ramdisk (a rootfs with programs) is in memory twice while it is unpacked.
    let ramdisk_mib = std::fs::metadata(&initrd).map_or(0, |m| m.len() >> 20) as u32;
    Ok(MachineSpec {
        kernel: BootImage {
            path: kernel.boot_image()?,
        },
        initrd,
        memory_mib: MEMORY_MIB + ramdisk_mib.saturating_sub(16) * 3,
        ram: Ram::Anonymous,
        cpus: 1,
        accel: accel.accel,
        disks: disks.into_iter().collect(),
        root: None,
        trimmed: true,
        extra_cmdline: String::new(),
    })
}
