//! Making a recording: the filesystem, its setup, and the workload with every request and mark in one order.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_core::oracle::measured::Measurements;
use coldcut_core::outcome::event::{Event, Phase};
use coldcut_core::outcome::recovery::words;
use coldcut_core::recording::block::ReadAt as _;
use coldcut_core::recording::log::Recorder;
use coldcut_core::recording::mark::Mark;
use coldcut_core::scenario::{End, FsSource, Variant};
use coldcut_wire::{DmesgFrom, Op};

use crate::disk::{ActiveRecording, Device, DeviceHandle, Faults, FileImage, export_sparse};
use crate::job::panics::Panicked;
use crate::kernel::Kernel;
use crate::record::disk;
use crate::record::line::Line;
use crate::record::refused::Refused;
use crate::record::steps::Steps;
use crate::record::timings::Timings;
use crate::record::witness::{self, Witness};
use crate::results::CellDir;
use crate::vm::client::{GuestClient, Mount};
use crate::vm::machine::{DiskSpec, Machine};
use crate::vm::pool::Pool;
use crate::vm::{KERNEL_REFUSES, OrUnknown as _, Unknown};

/// Bytes that a device writes atomically, as told to the guest and assumed of crash states.
pub const ATOMIC_UNIT: u32 = 4096;
/// How long the device may take to have nothing in flight after the setup was unmounted.
const QUIET: Duration = Duration::from_secs(30);

type FileRecorder = Recorder<File, File>;

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
    /// Where it goes that the kernel refused a step.
    pub(crate) refused: &'a Refused,
    /// Where it goes that the kernel panicked.
    pub(crate) panicked: &'a Panicked,
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

/// Makes the recording: afterwards the cell's directory holds the base image, the log and its sidecar (nothing of
/// that where the variant has no crash). Gives what the steps measured, and what a reader should know of it.
///
/// # Errors
/// [`Unknown`]: whatever kept the workload from running as written.
pub(crate) async fn record(
    pool: &Arc<Pool>,
    job: &RecordJob<'_>,
    timings: &Timings,
) -> Result<(Measurements, Vec<String>), Unknown> {
    let phase = |phase| pool.events.phase(job.cell, phase);
    let fs = job.variant.filesystem.fstype.name();
    let programs = programs_of(job)?;
    let initrd = pool
        .initrd(job.kernel, fs, programs.as_deref())
        .or_unknown("preparing the machine")?;
    let _room = pool
        .room_for(&pool.spec(job.kernel, initrd.clone(), None)?)
        .await?;

    phase(Phase::Format);
    let start = Instant::now();
    let image = image_of(pool, job).await?;
    let base = FileImage::open(&image).or_unknown("opening the image")?;
    let socket = pool.fresh_path(".sock");
    let size = base.size();
    let device = Device::bind(&socket, Arc::new(base)).or_unknown("starting the disk")?;
    timings.add(Phase::Format, start);

    phase(Phase::Boot);
    let start = Instant::now();
    let disk = DiskSpec {
        write_cache: job.variant.device.write_cache,
        physical_block_size: ATOMIC_UNIT,
        ..DiskSpec::nbd(socket, size)
    };
    let spec = pool.spec(job.kernel, initrd, Some(disk))?;
    let console = job.dir.console("record");
    let machine = if job.cold {
        pool.boot(&spec, &console).await.or_unknown("booting to record")?
    } else {
        pool.fresh_now(&spec, &console).await?.0
    };
    timings.add(Phase::Boot, start);

    let witness = Witness::default();
    let result = run_in(pool, job, &machine, &device.handle(), &witness, timings).await;
    if result.is_err()
        && let Some(oops) = machine.oops().await
    {
        let _ = job.panicked.set(oops);
    }
    machine.kill().await;
    device.shutdown().or_unknown("stopping the disk")?;
    let found = witness.into_found();
    let kept = witness::keep(job.variant, &found, job.dir);
    let notes = result?;
    kept.map(|()| (found, notes))
}

/// The host directory that goes into the guest for `exec` steps.
fn programs_of(job: &RecordJob<'_>) -> Result<Option<PathBuf>, Unknown> {
    let programs = &job.variant.programs;
    match (&programs.programs, &programs.rootfs) {
        (Some(_), Some(_)) => Err(Unknown("`programs` and `rootfs` cannot be used together".into())),
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

async fn run_in(
    pool: &Pool,
    job: &RecordJob<'_>,
    machine: &Machine,
    handle: &DeviceHandle,
    witness: &Witness,
    timings: &Timings,
) -> Result<Vec<String>, Unknown> {
    let phase = |phase| pool.events.phase(job.cell, phase);
    let variant = job.variant;
    let client = GuestClient::new(machine, pool.limits);
    let mount = mount_of(variant);

    let contents = variant.contents();
    let rootfs = variant.programs.rootfs.is_some();
    let steps = Steps {
        pool,
        machine,
        client,
        rootfs,
        device: None,
        control: None,
        contents: &contents,
        witness,
        refused: job.refused,
    };

    phase(Phase::Setup);
    let start = Instant::now();
    if !variant.setup.is_empty() {
        first_mount(&client, &mount, "mounting for the setup").await?;
        let mut line = Line::new(steps);
        for step in &variant.setup {
            line.run(step).await?;
        }
        line.finished()?;
        client
            .unmount()
            .await
            .or_unknown("unmounting the setup")?
            .or_unknown("unmounting the setup")?;
    }
    timings.add(Phase::Setup, start);

    phase(Phase::Record);
    let start = Instant::now();
    if !variant.has_crash() {
        let control = disk::control(variant.device);
        handle.set_injector(Some(control.injector()));
        let steps = Steps {
            control: Some(&control),
            ..steps
        };
        let work = workload(job, &steps, &mount, &control);
        let outcome = tokio::select! {
            outcome = witness::logged(variant, &client, witness, work) => outcome,
            overdue = control.overdue() => Err(Unknown(overdue.to_string())),
            error = handle.broken() => Err(Unknown::while_doing("the disk", error)),
        };
        timings.add(Phase::Record, start);
        let mut notes = outcome?;
        notes.extend(disk::at_the_end(&control)?);
        return Ok(notes);
    }
    let create = |path: PathBuf| File::create(&path).or_unknown(&format!("creating {}", path.display()));
    let size = handle.size();
    let recorder: FileRecorder = Recorder::new(
        create(job.dir.log())?,
        create(job.dir.sidecar())?,
        size,
        ATOMIC_UNIT,
    )
    .or_unknown("starting the log")?;
    let recording = handle
        .begin_recording(recorder, QUIET)
        .await
        .or_unknown("starting the recording")?;
    keep_base(&recording, job.dir).await?;

    let control = disk::control(variant.device);
    handle.set_injector(Some(control.injector()));
    let steps = Steps {
        device: Some(handle),
        control: Some(&control),
        ..steps
    };
    let outcome = tokio::select! {
        outcome = witness::logged(variant, &client, witness, workload(job, &steps, &mount, &control)) => outcome,
        overdue = control.overdue() => Err(Unknown(overdue.to_string())),
        // A device that cannot log any more answers nothing: do not wait for the guest to notice.
        error = handle.broken() => Err(Unknown::while_doing("the disk", error)),
    };
    if outcome.is_ok() {
        handle.mark(&Mark::End).or_unknown("ending the log")?;
    }
    let counters = handle.counters();
    let (mut recorder, _) = recording.end().or_unknown("ending the recording")?;
    recorder.finish().or_unknown("finishing the log")?;
    handle.health().or_unknown("the disk")?;
    let mut notes = outcome?;
    notes.extend(disk::at_the_end(&control)?);
    for note in &notes {
        pool.events.notice(Some(job.cell), note.clone());
    }
    pool.events.send(Event::Recorded {
        cell: job.cell.to_owned(),
        writes: counters.writes,
        flushes: counters.flushes,
        marks: recorder.entries(),
    });
    timings.add(Phase::Record, start);
    Ok(notes)
}

/// Keeps the base image beside the log: together they rebuild every crash state.
async fn keep_base(recording: &ActiveRecording<FileRecorder>, dir: &CellDir) -> Result<(), Unknown> {
    let (base, path) = (recording.base().clone(), dir.base());
    tokio::task::spawn_blocking(move || export_sparse(&*base, &path))
        .await
        .or_unknown("keeping the base image")?
        .or_unknown("keeping the base image")?;
    Ok(())
}

/// Mounts a filesystem that is as mkfs made it. A refusal comes with the kernel's own words.
async fn first_mount(client: &GuestClient<'_>, mount: &Mount, doing: &str) -> Result<(), Unknown> {
    client.dmesg(DmesgFrom::End).await.or_unknown(doing)?;
    let Err(error) = client.mount(mount).await.or_unknown(doing)? else {
        return Ok(());
    };
    let said = client.dmesg(DmesgFrom::Last).await.or_unknown(doing)?;
    let words = words(&said, &mount.fstype).unwrap_or_else(|| error.to_string());
    Err(Unknown::while_doing(KERNEL_REFUSES, words))
}

/// Runs the workload; marks go into the log, where there is one.
async fn workload(
    job: &RecordJob<'_>,
    steps: &Steps<'_>,
    mount: &Mount,
    control: &Faults,
) -> Result<Vec<String>, Unknown> {
    let (pool, client) = (steps.pool, steps.client);
    let variant = job.variant;
    let mark = |text: &str| match steps.device {
        Some(handle) => handle
            .mark(&Mark::Other(text.to_owned()))
            .or_unknown("marking the log"),
        None => Ok(()),
    };
    mark("mounting")?;
    if variant.setup.is_empty() {
        first_mount(&client, mount, "mounting").await?;
    } else {
        client
            .mount(mount)
            .await
            .or_unknown("mounting")?
            .or_unknown("mounting")?;
    }
    mark("mounted")?;
    if variant.waits_for_commits() {
        client
            .op("watching the journal", Op::WatchJournal)
            .await
            .or_unknown("watching the journal")?
            .or_unknown("watching the journal")?;
    }
    let mut line = Line::new(*steps);
    for (index, step) in variant.workload.iter().enumerate() {
        pool.events.send(Event::Step {
            cell: job.cell.to_owned(),
            index,
            of: variant.workload.len(),
            name: step.name.name.clone(),
        });
        line.run(step).await?;
    }
    line.finished()?;
    let mut notes = Vec::new();
    match variant.end {
        End::Cut => {}
        End::Settle { millis } => {
            let settled = async {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            };
            line.beside(settled).await?;
        }
        End::Umount => {
            notes = disk::release_all(control);
            mark("unmounting")?;
            let unmounted = async {
                client
                    .unmount()
                    .await
                    .or_unknown("unmounting")?
                    .or_unknown("unmounting")
            };
            line.beside(unmounted).await?;
            mark("unmounted")?;
        }
    }
    Ok(notes)
}
