//! Recovering one image: where it needs that, the host's checker first; then mount, walk, unmount, on a kernel that knows nothing of it, then the host's checker.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use coldcut_core::filesystem::FsType;
use coldcut_core::oracle::Asked;
use coldcut_core::outcome::recovery::{CallError, Recovery, Trust};
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::block::{ReadAt, Slice};
use coldcut_core::recording::disks::Disks;
use coldcut_core::recording::log::Recorder;
use coldcut_core::recording::mark::Mark;
use coldcut_wire::{PatternName, WalkSpec};

use crate::disk::{Device, DeviceHandle, FileImage, Noted, export_sparse};
use crate::fs::{self, RepairOutcome};
use crate::kernel::Kernel;
use crate::record::job::ATOMIC_UNIT;
use crate::recover::programs::Programs;
use crate::vm::client::{Examined, GuestClient, Mount, walk_spec};
use crate::vm::machine::{DiskSpec, Machine, MachineSpec};
use crate::vm::pool::Pool;
use crate::vm::programs::GuestPrograms;

/// How long a disk may take to have nothing in flight when its guest is idle.
const QUIET: Duration = Duration::from_secs(30);

/// What to recover, and how.
#[derive(Clone)]
pub struct RecoverJob {
    /// The disks after the cut, one after another.
    pub image: Arc<dyn ReadAt>,
    /// Where each of them lies.
    pub disks: Disks,
    /// Where it is noted what the recovery reads of the image, which this is in the way of.
    pub noted: Option<Arc<Noted>>,
    /// The kernel that recovers it.
    pub kernel: Arc<Kernel>,
    /// How it is mounted.
    pub mount: Mount,
    /// Every pattern that may be found.
    pub patterns: Arc<Vec<PatternName>>,
    /// Where the console goes.
    pub console: PathBuf,
    /// Whether the host's checker looks at what recovery left.
    pub fsck: bool,
    /// The programs that judge it.
    pub programs: Option<Arc<Programs>>,
    /// What they are asked about.
    pub asked: Option<Asked>,
}

/// Recovers images. Behind a trait so that rounds of recoveries are tested without machines.
pub trait Recoverer: Send + Sync + 'static {
    /// What to recover, and how.
    type Job: Send + Sync + 'static;
    /// A guest that recovers image after image.
    type Screener: Screener<Self::Job>;

    /// Recovers one image on a kernel that did nothing before: a clone ([`Trust::Fresh`]) or one that is booted for
    /// it ([`Trust::Cold`]). The answer says which it was.
    ///
    /// # Errors
    /// [`Unknown`]: a time-out, a kernel that does not come up, a tool's error. Never a finding.
    fn recover(
        &self,
        pool: &Pool,
        job: &Self::Job,
        trust: Trust,
    ) -> impl Future<Output = Result<Recovery, Unknown>> + Send;

    /// Recovers an image on a kernel that did nothing before, while its disk logs what is written, to these two files: the
    /// log, and what its format cannot hold.
    ///
    /// # Errors
    /// [`Unknown`].
    fn record(
        &self,
        pool: &Pool,
        job: &Self::Job,
        files: (&Path, &Path),
    ) -> impl Future<Output = Result<(), Unknown>> + Send;

    /// Starts a screening guest for images like this job's.
    ///
    /// # Errors
    /// [`Unknown`].
    fn screener(
        &self,
        pool: &Pool,
        job: &Self::Job,
    ) -> impl Future<Output = Result<Self::Screener, Unknown>> + Send;
}

/// A guest that recovers image after image.
pub trait Screener<Job>: Send {
    /// Recovers one. After an error, or once it is spoiled, this guest must not be used again.
    ///
    /// # Errors
    /// [`Unknown`].
    fn recover(&mut self, pool: &Pool, job: &Job) -> impl Future<Output = Result<Recovery, Unknown>> + Send;

    /// Whether what it has recovered may have left something behind in the guest.
    fn spoiled(&self) -> bool;
}

/// Recovers on real machines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machines;

/// Recovers one image on a booted kernel, whose machine is changed first: for comparisons.
pub(crate) async fn recover_cold_with(
    pool: &Pool,
    job: &RecoverJob,
    change: impl FnOnce(&mut MachineSpec),
) -> Result<Recovery, Unknown> {
    let at_boot = at_boot(pool, job).await?;
    if let Some(hopeless) = at_boot.hopeless(Trust::Cold) {
        return Ok(hopeless);
    }
    let (mut spec, device) = prepare(pool, job, &at_boot.image)?;
    change(&mut spec);
    let machine = pool
        .boot(&spec, &job.console)
        .await
        .or_unknown("booting to recover")?;
    let recovery = in_machine(pool, job, machine, Trust::Cold, device).await?;
    Ok(at_boot.told(recovery))
}

/// An image as the kernel gets to see it.
struct AtBoot {
    image: Arc<dyn ReadAt>,
    /// What the checker did to it.
    repaired: Option<RepairOutcome>,
}

impl AtBoot {
    /// The recovery of what the checker could not repair: a boot ends there, and nothing is mounted.
    fn hopeless(&self, trust: Trust) -> Option<Recovery> {
        let repair = self.repaired.as_ref().filter(|repair| repair.errors_left)?;
        let fsck = &repair.report;
        Some(Recovery {
            trust,
            mount_error: Some(CallError {
                errno: None,
                what: format!(
                    "`{}` leaves errors uncorrected (exit code {})",
                    fsck.command, fsck.code
                ),
            }),
            tree: Vec::new(),
            unmount_error: None,
            dmesg: Vec::new(),
            fsck: None,
            panic: None,
            repaired: Some(fsck.clone()),
            verified: None,
        })
    }

    /// Adds what the checker did.
    fn told(self, recovery: Recovery) -> Recovery {
        Recovery {
            repaired: self.repaired.map(|repair| repair.report),
            ..recovery
        }
    }
}

/// Does what a boot does before the mount: where the scenario says so, the checker repairs a copy.
async fn at_boot(pool: &Pool, job: &RecoverJob) -> Result<AtBoot, Unknown> {
    let image = Arc::clone(&job.image);
    if !job.mount.repair {
        return Ok(AtBoot {
            image,
            repaired: None,
        });
    }
    let path = pool.fresh_path(".repair.img");
    let repaired = repair_at(&path, image, &job.mount.fstype).await;
    // Once it is open its name is not needed any more.
    let opened = FileImage::open(&path);
    let _ = std::fs::remove_file(&path);
    Ok(AtBoot {
        repaired: Some(repaired?),
        image: Arc::new(opened.or_unknown("opening the repaired disk")?),
    })
}

async fn repair_at(path: &Path, image: Arc<dyn ReadAt>, fstype: &str) -> Result<RepairOutcome, Unknown> {
    let target = path.to_owned();
    tokio::task::spawn_blocking(move || export_sparse(&*image, &target))
        .await
        .or_unknown("exporting the disk to be repaired")?
        .or_unknown("exporting the disk to be repaired")?;
    fs::repair(path, fstype).await.or_unknown("repairing the disk")
}

/// Recovers one image in a machine that has just come up, and ends both.
async fn in_machine(
    pool: &Pool,
    job: &RecoverJob,
    mut machine: Machine,
    trust: Trust,
    device: Device,
) -> Result<Recovery, Unknown> {
    let handle = device.handle();
    handle.hold_at_most(pool.quota.settings().recording);
    let seen = examine(pool, job, &machine, &handle).await;
    let oops = oops_of(&mut machine, &seen).await;
    if trust == Trust::Fresh {
        pool.budget.measure(machine.pid());
    }
    machine.kill().await;
    handle.health().or_unknown("the disk")?;
    let recovery = match oops {
        Some(oops) => Ok(Recovery::panicked(trust, oops)),
        None => finish(pool, job, seen?, trust, &handle).await,
    };
    device.shutdown().or_unknown("stopping the disk")?;
    recovery
}

impl Recoverer for Machines {
    type Job = RecoverJob;
    type Screener = Guest;

    async fn recover(&self, pool: &Pool, job: &RecoverJob, trust: Trust) -> Result<Recovery, Unknown> {
        if trust == Trust::Cold {
            return recover_cold_with(pool, job, |_| {}).await;
        }
        let at_boot = at_boot(pool, job).await?;
        if let Some(hopeless) = at_boot.hopeless(trust) {
            return Ok(hopeless);
        }
        let (spec, device) = prepare(pool, job, &at_boot.image)?;
        let (machine, trust) = pool.fresh(&spec, &job.console).await?;
        let recovery = in_machine(pool, job, machine, trust, device).await?;
        Ok(at_boot.told(recovery))
    }

    async fn record(&self, pool: &Pool, job: &RecoverJob, files: (&Path, &Path)) -> Result<(), Unknown> {
        let (spec, device) = prepare(pool, job, &job.image)?;
        let handle = device.handle();
        handle.hold_at_most(pool.quota.settings().recording);
        let (machine, _) = pool.fresh(&spec, &job.console).await?;
        let files = pool.quota.create([files.0.to_owned(), files.1.to_owned()]);
        let [log, sidecar] = files.or_unknown("creating the log of a recovery")?;
        let disks = job.disks.clone();
        let recorder =
            Recorder::of(log, sidecar, disks, ATOMIC_UNIT).or_unknown("starting the log of a recovery")?;
        let recording = handle
            .begin_recording(recorder, QUIET)
            .await
            .or_unknown("logging a recovery")?;
        let seen = examine(pool, job, &machine, &handle).await;
        handle
            .mark(&Mark::End)
            .or_unknown("ending the log of a recovery")?;
        let (mut recorder, _) = recording.end().or_unknown("ending the log of a recovery")?;
        machine.kill().await;
        recorder.finish().or_unknown("finishing the log of a recovery")?;
        device.shutdown().or_unknown("stopping the disk")?;
        seen.map(drop)
    }

    async fn screener(&self, pool: &Pool, job: &RecoverJob) -> Result<Guest, Unknown> {
        let (spec, device) = prepare(pool, job, &job.image)?;
        let (machine, _) = pool.fresh(&spec, &job.console).await?;
        Ok(Guest {
            machine,
            device,
            spoiled: false,
        })
    }
}

/// A screening guest. Between two images nothing is mounted, the guest's cache of its disk is dropped, and the disk
/// gets a new image under the same connection.
#[derive(Debug)]
pub struct Guest {
    // In this order they go: a machine without its disk would wait for it.
    machine: Machine,
    device: Device,
    spoiled: bool,
}

impl Screener<RecoverJob> for Guest {
    async fn recover(&mut self, pool: &Pool, job: &RecoverJob) -> Result<Recovery, Unknown> {
        let at_boot = at_boot(pool, job).await?;
        if let Some(hopeless) = at_boot.hopeless(Trust::Screened) {
            return Ok(hopeless);
        }
        // Until the end of this, anything may have gone wrong.
        self.spoiled = true;
        let handle = self.device.handle();
        handle.hold_at_most(pool.quota.settings().recording);
        handle
            .serve(Arc::clone(&at_boot.image), QUIET)
            .await
            .or_unknown("changing the disk")?;
        let seen = examine(pool, job, &self.machine, &handle).await;
        if let Some(oops) = oops_of(&mut self.machine, &seen).await {
            return Ok(at_boot.told(Recovery::panicked(Trust::Screened, oops)));
        }
        let seen = seen?;
        let sound = seen.unmount_error.is_none() && !alarming(&seen);
        let recovery = finish(pool, job, seen, Trust::Screened, &handle).await?;
        handle.health().or_unknown("the disk")?;
        if sound {
            let client = GuestClient::new(&self.machine, pool.limits);
            client
                .flush_device(&job.mount)
                .await
                .or_unknown("dropping the guest's cache of its disk")?;
            self.spoiled = false;
        }
        Ok(at_boot.told(recovery))
    }

    fn spoiled(&self) -> bool {
        self.spoiled
    }
}

/// Whether the kernel said that something is wrong with itself, not with the filesystem.
fn alarming(seen: &Examined) -> bool {
    const WORDS: [&str; 6] = ["WARNING:", "BUG:", "Oops", "Call Trace", "INFO: task", "rcu:"];
    seen.dmesg
        .iter()
        .any(|line| WORDS.iter().any(|word| line.text.contains(word)))
}

/// What tells the machines apart that recover disks like these with this kernel; `None` where they cannot be told.
pub(crate) async fn machine_key(
    pool: &Pool,
    kernel: &Kernel,
    (fstype, programs): (&str, Option<&GuestPrograms>),
    disks: &Disks,
) -> Option<String> {
    let initrd = pool.initrd(kernel, fstype, programs).ok()?;
    let specs = disks.iter().map(|disk| disk_of(PathBuf::new(), disk.size));
    let mut spec = pool.spec(kernel, initrd, specs).ok()?;
    spec.root = programs.and_then(GuestPrograms::disk).map(Path::to_owned);
    let key = pool.template_key(&spec).await?;
    if disks.count() == 1 {
        return Some(key);
    }
    // One address space may hold several disks in more than one way.
    let places = disks.iter().map(|disk| format!(" {}+{}", disk.start, disk.size));
    Some(places.fold(key, |key, place| key + &place))
}

fn disk_of(socket: PathBuf, size: u64) -> DiskSpec {
    DiskSpec {
        physical_block_size: ATOMIC_UNIT,
        ..DiskSpec::nbd(socket, size)
    }
}

/// The machine for a job, and its disk, which already serves this image.
pub(crate) fn prepare(
    pool: &Pool,
    job: &RecoverJob,
    image: &Arc<dyn ReadAt>,
) -> Result<(MachineSpec, Device), Unknown> {
    let sockets: Vec<PathBuf> = job.disks.iter().map(|_| pool.fresh_path(".sock")).collect();
    let device = Device::bind_all(&sockets, &job.disks, Arc::clone(image)).or_unknown("starting the disk")?;
    let programs = job.programs.as_ref().map(|programs| &programs.guest);
    let initrd = pool
        .initrd(&job.kernel, &job.mount.fstype, programs)
        .or_unknown("preparing the machine")?;
    let sizes = job.disks.iter().map(|disk| disk.size);
    let disks = sockets
        .into_iter()
        .zip(sizes)
        .map(|(socket, size)| disk_of(socket, size));
    let mut spec = pool.spec(&job.kernel, initrd, disks)?;
    spec.root = programs.and_then(GuestPrograms::disk).map(Path::to_owned);
    Ok((spec, device))
}

/// The oops by which the kernel panicked, where it gave no answer.
async fn oops_of(machine: &mut Machine, seen: &Result<Examined, Unknown>) -> Option<String> {
    match seen {
        Ok(_) => None,
        Err(_) => machine.oops().await,
    }
}

/// What the guest sees, unless the disk breaks first.
async fn examine(
    pool: &Pool,
    job: &RecoverJob,
    machine: &Machine,
    handle: &DeviceHandle,
) -> Result<Examined, Unknown> {
    let client = GuestClient::new(machine, pool.limits);
    let most = job.image.size().saturating_mul(4);
    let copies = FsType::named(&job.mount.fstype).is_some_and(|fs| fs.copies_data);
    // What a program makes of data is more than a copy.
    let walk = WalkSpec {
        placed: job.noted.is_some() && copies && !job.mount.repair && job.programs.is_none(),
        data: job.programs.as_ref().is_none_or(|programs| programs.data),
        ..walk_spec(job.patterns.to_vec(), most)
    };
    let asked = job.programs.as_ref().zip(job.asked.as_ref());
    let requests = asked.map_or_else(Vec::new, |(programs, asked)| programs.requests(asked));
    let judging = !requests.is_empty();
    let begins = |reader| {
        if let Some(noted) = &job.noted {
            noted.by(reader);
        }
    };
    tokio::select! {
        seen = client.examine(&job.mount, walk, requests, begins) => {
            let seen = seen.or_unknown("recovering");
            let seen = seen.and_then(|seen| if judging { left_alone(seen) } else { Ok(seen) });
            if let (Err(_), true, Some(programs)) = (&seen, judging, &job.programs) {
                programs.failed();
            }
            let seen = seen?;
            if let Some(noted) = &job.noted {
                noted.place(&seen.placed);
            }
            Ok(seen)
        }
        error = handle.broken() => Err(Unknown::while_doing("the disk", error)),
    }
}

/// A filesystem that is still busy once its programs were killed is theirs to answer for, not the kernel's.
fn left_alone(seen: Examined) -> Result<Examined, Unknown> {
    let busy = Some(rustix::io::Errno::BUSY.raw_os_error());
    match &seen.unmount_error {
        Some(error) if error.errno == busy => Err(Unknown::new(
            "the filesystem was still in use after the programs that judged it were killed",
        )),
        _ => Ok(seen),
    }
}

/// The host's part: the checker, on what recovery left on the disk.
async fn finish(
    pool: &Pool,
    job: &RecoverJob,
    seen: Examined,
    trust: Trust,
    handle: &DeviceHandle,
) -> Result<Recovery, Unknown> {
    let mut recovery = Recovery {
        trust,
        mount_error: seen.mount_error,
        tree: seen.tree,
        unmount_error: seen.unmount_error,
        dmesg: seen.dmesg,
        fsck: None,
        panic: None,
        repaired: None,
        verified: None,
    };
    if let (Some(programs), Some(asked), None) = (&job.programs, &job.asked, &recovery.mount_error) {
        recovery.verified = Some(programs.verified(asked, seen.heard));
    }
    if recovery.mount_error.is_some() || !job.fsck {
        return Ok(recovery);
    }
    if let Some(noted) = &job.noted {
        // What the checker reads is not what the recovery depended on.
        noted.end();
    }
    let path = || pool.fresh_path(".fsck.img");
    let parts: Vec<(PathBuf, Range<u64>)> = job.disks.iter().map(|disk| (path(), disk.range())).collect();
    let checked = export_and_check(handle, &parts, &job.mount.fstype).await;
    for (path, _) in &parts {
        let _ = std::fs::remove_file(path);
    }
    recovery.fsck = checked?;
    Ok(recovery)
}

async fn export_and_check(
    handle: &DeviceHandle,
    parts: &[(PathBuf, Range<u64>)],
    fstype: &str,
) -> Result<Option<coldcut_core::outcome::recovery::Fsck>, Unknown> {
    let image = handle.freeze().or_unknown("reading the recovered disk")?;
    let targets = parts.to_vec();
    let export = move || {
        targets.into_iter().try_for_each(|(path, range)| {
            export_sparse(&Slice::new(Arc::clone(&image), range), &path).map(drop)
        })
    };
    tokio::task::spawn_blocking(export)
        .await
        .or_unknown("exporting the recovered disk")?
        .or_unknown("exporting the recovered disk")?;
    let paths: Vec<&Path> = parts.iter().map(|(path, _)| path.as_path()).collect();
    fs::check_on(&paths, fstype)
        .await
        .or_unknown("checking the recovered disk")
}
