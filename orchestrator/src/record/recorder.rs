//! Making a recording: the filesystem, the machine, and the scenario's run in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use coldcut_core::oracle::measured::Measurements;
use coldcut_core::outcome::event::Phase;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::block::{Joined, ReadAt};
use coldcut_core::recording::disks::Disks;
use coldcut_core::scenario::FsSource;

use crate::disk::{Device, FileImage};
use crate::record::job::{ATOMIC_UNIT, RecordJob, disks_of, programs_of};
use crate::record::run::Run;
use crate::record::timings::Timings;
use crate::record::witness::{self, Witness};
use crate::vm::machine::{DiskSpec, Machine};
use crate::vm::pool::Pool;
use crate::vm::programs::GuestPrograms;

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
    let programs = programs_of(job.variant, job.home).await?;
    let initrd = pool
        .initrd(job.kernel, fs, programs.as_ref())
        .or_unknown("preparing the machine")?;
    let _room = pool
        .room_for(&pool.spec(job.kernel, initrd.clone(), None)?)
        .await?;
    let (device, disks, sockets) = disks_under_test(pool, job, timings).await?;
    let handle = device.handle();
    handle.hold_at_most(pool.quota.settings().recording);
    let specs = disks.iter().zip(sockets).map(|(disk, socket)| DiskSpec {
        write_cache: job.variant.device.write_cache,
        physical_block_size: ATOMIC_UNIT,
        ..DiskSpec::nbd(socket, disk.size)
    });
    let mut machine = machine_of(pool, job, (initrd, programs.as_ref()), specs.collect(), timings).await?;

    let witness = Witness::default();
    let run = Run {
        pool,
        job,
        machine: &machine,
        handle: &handle,
        disks: &disks,
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

/// The disks under test with the filesystem as it is before the setup, where they lie, and the socket on which QEMU finds
/// each.
async fn disks_under_test(
    pool: &Pool,
    job: &RecordJob<'_>,
    timings: &Timings,
) -> Result<(Device, Disks, Vec<PathBuf>), Unknown> {
    pool.events.phase(job.cell, Phase::Format);
    let start = Instant::now();
    let mut images = Vec::new();
    for image in images_of(pool, job).await? {
        images.push(FileImage::open(&image).or_unknown("opening the image")?);
    }
    let disks = disks_of(job.variant, images.first().map_or(0, ReadAt::size))?;
    let starts = disks.iter().map(|disk| disk.start);
    let base = Joined::new(starts.zip(images).collect());
    let sockets: Vec<PathBuf> = disks.iter().map(|_| pool.fresh_path(".sock")).collect();
    let device = Device::bind_all(&sockets, &disks, Arc::new(base)).or_unknown("starting the disk")?;
    timings.add(Phase::Format, start);
    Ok((device, disks, sockets))
}

/// A machine with these disks: a clone, or a kernel that is booted.
async fn machine_of(
    pool: &Arc<Pool>,
    job: &RecordJob<'_>,
    (initrd, programs): (PathBuf, Option<&GuestPrograms>),
    disks: Vec<DiskSpec>,
    timings: &Timings,
) -> Result<Machine, Unknown> {
    pool.events.phase(job.cell, Phase::Boot);
    let start = Instant::now();
    let mut spec = pool.spec(job.kernel, initrd, disks)?;
    spec.root = programs.and_then(GuestPrograms::disk).map(Path::to_owned);
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
/// The filesystem before the setup, an image for each disk: made, or the user's. Nothing is ever written to it: the disk keeps what the guest
/// writes to itself.
async fn images_of(pool: &Pool, job: &RecordJob<'_>) -> Result<Vec<PathBuf>, Unknown> {
    let fs = &job.variant.filesystem;
    match &fs.source {
        FsSource::Make { size, mkfs } => {
            let sizes: Vec<u64> = [*size]
                .into_iter()
                .chain(fs.disks.iter().map(|disk| disk.size))
                .collect();
            pool.made(fs.fstype.name(), &sizes, mkfs).await
        }
        FsSource::Image(file) => Ok(vec![job.home.join(file)]),
    }
}
