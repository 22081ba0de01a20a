//! Making a recording: the filesystem, the machine, and the scenario's run in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use coldcut_core::oracle::measured::Measurements;
use coldcut_core::outcome::event::Phase;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::scenario::FsSource;

use crate::disk::{Device, FileImage};
use crate::record::job::{ATOMIC_UNIT, RecordJob};
use crate::record::run::Run;
use crate::record::timings::Timings;
use crate::record::witness::{self, Witness};
use crate::vm::machine::{DiskSpec, Machine};
use crate::vm::pool::Pool;

/// What a recording gave, besides the files in its directory.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// What the steps measured.
    pub found: Measurements,
    /// Notes for the reader.
    pub notes: Vec<String>,
}

/// Why there is no recording.
#[derive(Debug)]
pub(crate) struct RecordFailure {
    /// Why the workload did not run as written, such as a step that the kernel refused.
    pub why: Unknown,
    /// The oops by which the kernel panicked meanwhile, if it did.
    pub oops: Option<String>,
}

impl From<Unknown> for RecordFailure {
    fn from(why: Unknown) -> Self {
        Self { why, oops: None }
    }
}

/// Makes the recording: afterwards the cell's directory holds the base image, the log and its sidecar (nothing of
/// that where the variant has no crash).
///
/// # Errors
/// [`RecordFailure`].
pub(crate) async fn record(
    pool: &Arc<Pool>,
    job: &RecordJob<'_>,
    timings: &Timings,
) -> Result<Recorded, RecordFailure> {
    let fs = job.variant.filesystem.fstype.name();
    let programs = programs_of(job)?;
    let initrd = pool
        .initrd(job.kernel, fs, programs.as_deref())
        .or_unknown("preparing the machine")?;
    let _room = pool
        .room_for(&pool.spec(job.kernel, initrd.clone(), None)?)
        .await?;
    let (device, socket) = disk_of(pool, job, timings).await?;
    let handle = device.handle();
    let disk = DiskSpec {
        write_cache: job.variant.device.write_cache,
        physical_block_size: ATOMIC_UNIT,
        ..DiskSpec::nbd(socket, handle.size())
    };
    let machine = machine_of(pool, job, initrd, disk, timings).await?;

    let witness = Witness::default();
    let run = Run {
        pool,
        job,
        machine: &machine,
        handle: &handle,
        witness: &witness,
        timings,
    };
    let result = run.to_its_end().await;
    let oops = match &result {
        Ok(_) => None,
        Err(_) => machine.oops().await,
    };
    machine.kill().await;
    let stopped = device.shutdown().or_unknown("stopping the disk");
    let found = witness.into_found();
    let kept = witness::keep(job.variant, &found, job.dir);
    match stopped.and(result).and_then(|notes| kept.map(|()| notes)) {
        Ok(notes) => Ok(Recorded { found, notes }),
        Err(why) => Err(RecordFailure { why, oops }),
    }
}

/// The disk under test with the filesystem as it is before the setup, and the socket on which QEMU finds it.
async fn disk_of(pool: &Pool, job: &RecordJob<'_>, timings: &Timings) -> Result<(Device, PathBuf), Unknown> {
    pool.events.phase(job.cell, Phase::Format);
    let start = Instant::now();
    let image = image_of(pool, job).await?;
    let base = FileImage::open(&image).or_unknown("opening the image")?;
    let socket = pool.fresh_path(".sock");
    let device = Device::bind(&socket, Arc::new(base)).or_unknown("starting the disk")?;
    timings.add(Phase::Format, start);
    Ok((device, socket))
}

/// A machine with this disk: a clone, or a kernel that is booted.
async fn machine_of(
    pool: &Arc<Pool>,
    job: &RecordJob<'_>,
    initrd: PathBuf,
    disk: DiskSpec,
    timings: &Timings,
) -> Result<Machine, Unknown> {
    pool.events.phase(job.cell, Phase::Boot);
    let start = Instant::now();
    let spec = pool.spec(job.kernel, initrd, Some(disk))?;
    let console = job.dir.console("record");
    let machine = if job.cold {
        pool.boot(&spec, &console).await.or_unknown("booting to record")?
    } else {
        pool.fresh_now(&spec, &console).await?.0
    };
    timings.add(Phase::Boot, start);
    Ok(machine)
}

/// The host directory that goes into the guest for `exec` steps.
fn programs_of(job: &RecordJob<'_>) -> Result<Option<PathBuf>, Unknown> {
    let programs = &job.variant.programs;
    match (&programs.programs, &programs.rootfs) {
        (Some(_), Some(_)) => Err(Unknown::new("`programs` and `rootfs` cannot be used together")),
        (dir, rootfs) => Ok(dir.as_ref().or(rootfs.as_ref()).map(|dir| job.home.join(dir))),
    }
}

/// The filesystem before the setup: made, or the user's. Nothing is ever written to it: the disk keeps what the guest
/// writes to itself.
async fn image_of(pool: &Pool, job: &RecordJob<'_>) -> Result<PathBuf, Unknown> {
    let fs = &job.variant.filesystem;
    match &fs.source {
        FsSource::Make { size, mkfs } => pool.made(fs.fstype.name(), *size, mkfs).await,
        FsSource::Image(file) => Ok(job.home.join(file)),
    }
}
