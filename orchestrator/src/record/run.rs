//! A scenario's run in a machine that has come up: the setup, and the workload on a disk that logs every request.

use std::time::{Duration, Instant};

use coldcut_core::outcome::event::{Event, Phase};
use coldcut_core::outcome::recovery::complaints;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::disks::Disks;
use coldcut_core::recording::log::Recorder;
use coldcut_core::recording::mark::Mark;
use coldcut_core::scenario::End;
use coldcut_wire::{DmesgFrom, Op};

use crate::disk::{ActiveRecording, DeviceHandle, Faults, export_sparse};
use crate::host::quota::Bounded;
use crate::record::disk;
use crate::record::job::{ATOMIC_UNIT, RecordJob, mount_of};
use crate::record::line::Line;
use crate::record::steps::Steps;
use crate::record::timings::Timings;
use crate::record::witness::{self, Witness};
use crate::results::{CellDir, seal};
use crate::vm::client::{GuestClient, Mount};
use crate::vm::machine::Machine;
use crate::vm::pool::Pool;

/// How long the device may take to have nothing in flight after the setup was unmounted.
const QUIET: Duration = Duration::from_secs(30);

type FileRecorder = Recorder<Bounded, Bounded>;

/// A run of a recording's variant.
pub(super) struct Run<'a> {
    pub(super) pool: &'a Pool,
    pub(super) job: &'a RecordJob<'a>,
    pub(super) machine: &'a Machine,
    /// The disk under test.
    pub(super) handle: &'a DeviceHandle,
    /// The disks that it is.
    pub(super) disks: &'a Disks,
    /// Where measurements go.
    pub(super) witness: &'a Witness,
    pub(super) timings: &'a Timings,
}

impl Run<'_> {
    /// Runs the setup, then the workload; returns notes for the reader.
    ///
    /// # Errors
    /// Why the workload did not run as written.
    pub(super) async fn to_its_end(&self) -> Result<Vec<String>, Unknown> {
        let variant = self.job.variant;
        let patterns = variant.patterns();
        let steps = Steps {
            pool: self.pool,
            machine: self.machine,
            client: GuestClient::new(self.machine, self.pool.limits),
            rootfs: variant.programs.rootfs.is_some(),
            device: None,
            faults: None,
            patterns: &patterns,
            witness: self.witness,
        };
        self.pool.events.phase(self.job.cell, Phase::Setup);
        let start = Instant::now();
        self.set_up(steps).await?;
        self.timings.add(Phase::Setup, start);

        self.pool.events.phase(self.job.cell, Phase::Record);
        let start = Instant::now();
        let outcome = if variant.has_crash() {
            self.record(&steps).await
        } else {
            self.measure(&steps).await
        };
        self.timings.add(Phase::Record, start);
        outcome
    }

    /// The setup, which is made durable by unmounting it.
    async fn set_up(&self, steps: Steps<'_>) -> Result<(), Unknown> {
        let variant = self.job.variant;
        if variant.setup.is_empty() {
            return Ok(());
        }
        first_mount(&steps.client, &mount_of(variant), "mounting for the setup").await?;
        let mut line = Line::new(steps);
        for step in &variant.setup {
            line.run(step).await?;
        }
        line.finished()?;
        let unmounted = steps.client.unmount().await;
        unmounted
            .or_unknown("unmounting the setup")?
            .or_unknown("unmounting the setup")
    }

    /// The workload of a variant without a crash: nothing is recorded.
    async fn measure(&self, steps: &Steps<'_>) -> Result<Vec<String>, Unknown> {
        let faults = self.faults();
        let mut notes = self.worked(steps, &faults).await?;
        notes.extend(disk::at_the_end(&faults)?);
        Ok(notes)
    }

    /// The workload, recorded.
    async fn record(&self, steps: &Steps<'_>) -> Result<Vec<String>, Unknown> {
        let recording = self.begin().await?;
        keep_base(&recording, self.job.dir).await?;
        let faults = self.faults();
        let steps = Steps {
            device: Some(self.handle),
            ..*steps
        };
        let outcome = self.worked(&steps, &faults).await;
        if outcome.is_ok() {
            self.handle.mark(&Mark::End).or_unknown("ending the log")?;
        }
        let counters = self.handle.counters();
        let (mut recorder, _) = recording.end().or_unknown("ending the recording")?;
        recorder.finish().or_unknown("finishing the log")?;
        seal(self.job.dir).or_unknown("keeping the recording's digests")?;
        self.handle.health().or_unknown("the disk")?;
        let mut notes = outcome?;
        notes.extend(disk::at_the_end(&faults)?);
        for note in &notes {
            self.pool.events.notice(Some(self.job.cell), note.clone());
        }
        self.pool.events.send(Event::Recorded {
            cell: self.job.cell.to_owned(),
            writes: counters.writes,
            flushes: counters.flushes,
            marks: recorder.entries(),
        });
        Ok(notes)
    }

    /// Starts the log.
    async fn begin(&self) -> Result<ActiveRecording<FileRecorder>, Unknown> {
        let dir = self.job.dir;
        let files = self.pool.quota.create([dir.log(), dir.sidecar()]);
        let [log, sidecar] = files.or_unknown("creating the log")?;
        self.handle.ignore_flushes(self.deaf());
        let recorder =
            FileRecorder::of(log, sidecar, self.disks.clone(), ATOMIC_UNIT).or_unknown("starting the log")?;
        self.handle
            .begin_recording(recorder, QUIET)
            .await
            .or_unknown("starting the recording")
    }

    /// Where the disks start that acknowledge flushes without heeding them.
    fn deaf(&self) -> Vec<u64> {
        let others = self.job.variant.filesystem.disks.iter();
        let deaf = self.disks.iter().skip(1).zip(others);
        deaf.filter(|(_, other)| other.ignores_flushes)
            .map(|(disk, _)| disk.start)
            .collect()
    }

    /// What holds, fails and slows the disk's requests from now on.
    fn faults(&self) -> Faults {
        let first = self.disks.get(0).map_or(0, |disk| disk.size);
        let faults = disk::faults(self.job.variant.device).with_ranges_until(first);
        self.handle.set_injector(Some(faults.injector()));
        faults
    }

    /// Runs the workload to its end, unless the disk ends it.
    async fn worked(&self, steps: &Steps<'_>, faults: &Faults) -> Result<Vec<String>, Unknown> {
        let steps = Steps {
            faults: Some(faults),
            ..*steps
        };
        // A future of steps is large, and would make that of every caller so.
        let work = Box::pin(self.workload(&steps, faults));
        tokio::select! {
            outcome = witness::logged(self.job.variant, &steps.client, self.witness, work) => outcome,
            overdue = faults.overdue() => Err(Unknown::new(overdue.to_string())),
            // A device that cannot log any more answers nothing: do not wait for the guest to notice.
            error = self.handle.broken() => Err(Unknown::while_doing("the disk", error)),
        }
    }

    /// Runs the workload; marks go into the log, where there is one.
    async fn workload(&self, steps: &Steps<'_>, faults: &Faults) -> Result<Vec<String>, Unknown> {
        let variant = self.job.variant;
        self.mount(steps).await?;
        if variant.waits_for_commits() {
            let watching = "watching the journal";
            let watched = steps.client.op(watching, Op::WatchJournal).await;
            watched.or_unknown(watching)?.or_unknown(watching)?;
        }
        let mut line = Line::new(*steps);
        for (index, step) in variant.workload.iter().enumerate() {
            self.pool.events.send(Event::Step {
                cell: self.job.cell.to_owned(),
                index,
                of: variant.workload.len(),
                name: step.name.name.clone(),
            });
            line.run(step).await?;
        }
        line.finished()?;
        self.end(steps, faults, line).await
    }

    async fn mount(&self, steps: &Steps<'_>) -> Result<(), Unknown> {
        let mount = mount_of(self.job.variant);
        mark(steps, "mounting")?;
        if self.job.variant.setup.is_empty() {
            first_mount(&steps.client, &mount, "mounting").await?;
        } else {
            let mounted = steps.client.mount(&mount).await;
            mounted.or_unknown("mounting")?.or_unknown("mounting")?;
        }
        mark(steps, "mounted")
    }

    /// Ends the workload as the scenario says.
    async fn end(
        &self,
        steps: &Steps<'_>,
        faults: &Faults,
        mut line: Line<'_>,
    ) -> Result<Vec<String>, Unknown> {
        match self.job.variant.end {
            End::Cut => Ok(Vec::new()),
            End::Settle { millis } => {
                let settled = async {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    Ok(())
                };
                line.beside(settled).await?;
                Ok(Vec::new())
            }
            End::Umount => {
                let notes = disk::release_all(faults);
                mark(steps, "unmounting")?;
                let unmounted = async {
                    let unmounted = steps.client.unmount().await;
                    unmounted.or_unknown("unmounting")?.or_unknown("unmounting")
                };
                line.beside(unmounted).await?;
                mark(steps, "unmounted")?;
                Ok(notes)
            }
        }
    }
}

/// Marks the log, where there is one.
fn mark(steps: &Steps<'_>, text: &str) -> Result<(), Unknown> {
    match steps.device {
        Some(handle) => handle
            .mark(&Mark::Other(text.to_owned()))
            .or_unknown("marking the log"),
        None => Ok(()),
    }
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
    let words = complaints(&said, &mount.fstype).unwrap_or_else(|| error.to_string());
    Err(Unknown::kernel_refuses(words))
}
