//! Measures where a clone's time goes, and what recording costs.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::block::ReadAt as _;
use coldcut_core::recording::log::Recorder;
use coldcut_core::scenario::Variant;

use super::report::Phases;
use crate::disk::{ActiveRecording, Device, DeviceHandle, FileImage};
use crate::kernel::Kernel;
use crate::record::job::{ATOMIC_UNIT, mount_of};
use crate::recover::recoverer::{RecoverJob, prepare};
use crate::vm::client::{GuestClient, walk_spec};
use crate::vm::machine::{Backend, DiskSpec};
use crate::vm::pool::Pool;

/// Mean milliseconds of each part of a state's recovery on a fresh clone.
pub(super) async fn of(pool: &Pool, jobs: &[RecoverJob]) -> Result<Phases, Unknown> {
    let mut sums = [Duration::ZERO; 5];
    let mut mount = Duration::ZERO;
    let mut walk = Duration::ZERO;
    for job in jobs {
        let mut last = Instant::now();
        let mut lap = |sum: &mut Duration| {
            let now = Instant::now();
            *sum += now - last;
            last = now;
        };
        let [disk, start, resume, examine, end] = &mut sums;
        let (spec, device) = prepare(pool, job, &job.image)?;
        lap(disk);
        let machine = pool.restored(&spec, &job.console).await?;
        lap(start);
        let client = GuestClient::new(&machine, pool.limits);
        client
            .resume(vec![job.image.size()])
            .await
            .or_unknown("resuming a clone")?;
        lap(resume);
        let most = job.image.size() * 4;
        let seen = client
            .examine(
                &job.mount,
                walk_spec(job.patterns.to_vec(), most),
                Vec::new(),
                |_| {},
            )
            .await
            .or_unknown("recovering")?;
        lap(examine);
        mount += seen.mount_time;
        walk += seen.walk_time;
        machine.kill().await;
        device.shutdown().or_unknown("stopping the disk")?;
        lap(end);
    }
    let mean = |sum: Duration| sum.as_secs_f64() * 1000.0 / jobs.len().max(1) as f64;
    let [disk, start, resume, examine, end] = sums.map(mean);
    Ok(Phases {
        disk,
        start,
        resume,
        examine,
        mount: mean(mount),
        walk: mean(walk),
        end,
    })
}

/// Seconds that a workload takes on our device while it is recorded, and on a raw file: the least of each.
pub(super) async fn recording(
    pool: &Pool,
    kernel: &Arc<Kernel>,
    variant: &Variant,
    turns: usize,
) -> Result<(f64, f64), Unknown> {
    let mut least = [f64::MAX; 2];
    for _ in 0..turns {
        for (index, raw) in [false, true].into_iter().enumerate() {
            let seconds = workload(pool, kernel, variant, raw).await?;
            least[index] = least[index].min(seconds);
        }
    }
    Ok((least[0], least[1]))
}

async fn workload(pool: &Pool, kernel: &Kernel, variant: &Variant, raw: bool) -> Result<f64, Unknown> {
    let made = match &variant.filesystem.source {
        coldcut_core::scenario::FsSource::Make { size, mkfs } => pool
            .made(variant.filesystem.fstype.name(), &[*size], mkfs)
            .await?
            .remove(0),
        coldcut_core::scenario::FsSource::Image(_) => return Err(Unknown::new("no image to make")),
    };
    let image = FileImage::open(&made).or_unknown("opening the image")?;
    let size = image.size();
    let copy = pool.fresh_path(".raw");
    let socket = pool.fresh_path(".sock");
    let device = if raw {
        crate::disk::export_sparse(&image, &copy).or_unknown("copying the image")?;
        None
    } else {
        Some(Device::bind(&socket, Arc::new(image)).or_unknown("starting the disk")?)
    };
    let initrd = pool
        .initrd(kernel, variant.filesystem.fstype.name(), None)
        .or_unknown("preparing the machine")?;
    let disk = DiskSpec {
        backend: if raw {
            Backend::File(copy.clone())
        } else {
            Backend::Nbd(socket)
        },
        size,
        write_cache: true,
        physical_block_size: ATOMIC_UNIT,
        tap: None,
    };
    let spec = pool.spec(kernel, initrd, Some(disk))?;
    let machine = pool.restored(&spec, &pool.fresh_path(".console")).await?;
    let client = GuestClient::new(&machine, pool.limits);
    client.resume(vec![size]).await.or_unknown("resuming a clone")?;
    let recording = match &device {
        Some(device) => Some(recorded(pool, &device.handle()).await?),
        None => None,
    };
    client
        .mount(&mount_of(variant))
        .await
        .or_unknown("mounting")?
        .or_unknown("mounting")?;
    let start = Instant::now();
    run(&client, variant).await?;
    let seconds = start.elapsed().as_secs_f64();
    drop(recording);
    machine.kill().await;
    let _ = std::fs::remove_file(&copy);
    Ok(seconds)
}

/// Starts recording to files that nobody reads.
async fn recorded(
    pool: &Pool,
    handle: &DeviceHandle,
) -> Result<ActiveRecording<Recorder<File, File>>, Unknown> {
    let create = |suffix| File::create(pool.fresh_path(suffix)).or_unknown("creating a log");
    let recorder = Recorder::new(create(".log")?, create(".order")?, handle.size(), ATOMIC_UNIT)
        .or_unknown("starting the log")?;
    let within = Duration::from_secs(30);
    handle
        .begin_recording(recorder, within)
        .await
        .or_unknown("recording")
}

/// Runs the workload's operations.
async fn run(client: &GuestClient<'_>, variant: &Variant) -> Result<(), Unknown> {
    for step in &variant.workload {
        let coldcut_core::scenario::Action::Op(op) = &step.action else {
            return Err(Unknown::new("the workload has a step that is no operation"));
        };
        client
            .op("a step", op.clone())
            .await
            .or_unknown("a step")?
            .or_unknown("a step")?;
    }
    Ok(())
}
