//! Recovering one content: mount, walk, unmount, on a kernel that knows nothing of it, then the host's checker.

use std::path::Path;
use std::sync::Arc;

use coldcut_core::block::ReadAt;
use coldcut_core::recovery::{Recovery, Trust};
use coldcut_wire::ContentName;

use super::lab::Lab;
use super::record::ATOMIC_UNIT;
use super::session::{Mount, Session};
use super::{OrUnknown as _, Unknown};
use crate::device::{Device, DeviceHandle, export_sparse};
use crate::filesystem;
use crate::kernel::Kernel;
use crate::machine::{DiskSpec, Machine};

/// What to recover, and how.
#[derive(Clone)]
pub struct RecoverJob {
    /// The disk's content after the cut.
    pub image: Arc<dyn ReadAt>,
    /// The kernel that recovers it.
    pub kernel: Arc<Kernel>,
    /// How it is mounted.
    pub mount: Mount,
    /// Every content that may be found.
    pub contents: Arc<Vec<ContentName>>,
    /// Where the console goes.
    pub console: std::path::PathBuf,
}

/// Recovers contents. Cold boots implement it today; whatever is faster must give the same answers.
pub trait Recoverer: Send + Sync {
    /// Recovers one content.
    ///
    /// # Errors
    /// [`Unknown`]: a time-out, a panic, a tool's error. Never a finding.
    fn recover(&self, lab: &Lab, job: &RecoverJob) -> impl Future<Output = Result<Recovery, Unknown>> + Send;
}

/// Boots a kernel for each content.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColdBoot;

impl Recoverer for ColdBoot {
    async fn recover(&self, lab: &Lab, job: &RecoverJob) -> Result<Recovery, Unknown> {
        let socket = lab.fresh_path(".sock");
        let device = Device::bind(&socket, Arc::clone(&job.image)).or_unknown("starting the disk")?;
        let initrd = lab
            .initrd(&job.kernel, &job.mount.fstype, None)
            .or_unknown("preparing the machine")?;
        let disk = DiskSpec {
            socket,
            write_cache: true,
            physical_block_size: ATOMIC_UNIT,
            tap: None,
        };
        let spec = lab.spec(&job.kernel, initrd, Some(disk));
        let machine = lab
            .boot(&spec, &job.console)
            .await
            .or_unknown("booting to recover")?;
        let handle = device.handle();
        let result = tokio::select! {
            result = observe(lab, job, &machine, Trust::Cold) => result,
            error = handle.broken() => Err(Unknown::while_doing("the disk", error)),
        };
        machine.kill().await;
        handle.health().or_unknown("the disk")?;
        let recovery = finish(lab, job, result?, &handle).await;
        device.shutdown().or_unknown("stopping the disk")?;
        recovery
    }
}

/// What the guest sees: mount, walk, unmount, and the kernel's log of it.
async fn observe(lab: &Lab, job: &RecoverJob, machine: &Machine, trust: Trust) -> Result<Recovery, Unknown> {
    let session = Session::new(machine, lab.limits);
    let (_, since) = session
        .dmesg(u64::MAX)
        .await
        .or_unknown("reading the kernel's log")?;
    let mut recovery = Recovery {
        trust,
        mount_error: None,
        tree: Vec::new(),
        unmount_error: None,
        dmesg: Vec::new(),
        fsck: None,
    };
    let mounted = session
        .mount(&job.mount)
        .await
        .or_unknown("mounting the recovered disk")?;
    recovery.mount_error = mounted.err();
    if recovery.mount_error.is_none() {
        let most = job.image.size().saturating_mul(4);
        recovery.tree = session
            .walk(job.contents.to_vec(), most)
            .await
            .or_unknown("walking the recovered tree")?;
        recovery.unmount_error = session
            .unmount()
            .await
            .or_unknown("unmounting the recovered disk")?
            .err();
    }
    let (lines, _) = session
        .dmesg(since)
        .await
        .or_unknown("reading the kernel's log")?;
    recovery.dmesg = lines;
    Ok(recovery)
}

/// The host's part: the checker, on what recovery left on the disk.
async fn finish(
    lab: &Lab,
    job: &RecoverJob,
    mut recovery: Recovery,
    handle: &DeviceHandle,
) -> Result<Recovery, Unknown> {
    if recovery.mount_error.is_some() {
        return Ok(recovery);
    }
    let path = lab.fresh_path(".fsck.img");
    let checked = export_and_check(handle, &path, &job.mount.fstype).await;
    let _ = std::fs::remove_file(&path);
    recovery.fsck = checked?;
    Ok(recovery)
}

async fn export_and_check(
    handle: &DeviceHandle,
    path: &Path,
    fstype: &str,
) -> Result<Option<coldcut_core::recovery::Fsck>, Unknown> {
    let image = handle.freeze().or_unknown("reading the recovered disk")?;
    let target = path.to_owned();
    tokio::task::spawn_blocking(move || export_sparse(&*image, &target))
        .await
        .or_unknown("exporting the recovered disk")?
        .or_unknown("exporting the recovered disk")?;
    filesystem::check(path, fstype)
        .await
        .or_unknown("checking the recovered disk")
}
