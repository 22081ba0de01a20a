//! The conversation with one guest about one filesystem.

use std::time::{Duration, Instant};

use coldcut_core::crash::reads::Reader;
use coldcut_core::filesystem::FsType;
use coldcut_core::outcome::recovery::CallError;
use coldcut_wire::{
    DmesgFrom, DmesgLine, Done, Lane, MountSpec, Op, Output, PatternName, Placed, Request, ResumeSpec,
    TreeEntry, VerifySpec, WalkSpec,
};

use crate::vm::heard::{Heard, hear};
use crate::vm::limits::Limits;
use crate::vm::machine::{GuestError, Machine, Next, Reply, disk_name};

/// The device node of the first disk under test.
pub const DEVICE: &str = "/dev/vda";
/// The most names in a tree.
const MAX_ENTRIES: u32 = 1 << 20;
/// The most parts of an answer.
const MAX_PARTS: usize = 1 << 16;

/// How a filesystem is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Type.
    pub fstype: String,
    /// Comma-separated options of the filesystem.
    pub data: String,
    /// Generic flags by name.
    pub flags: Vec<String>,
    /// Disks beside the first that it is on. They are named to the mount where its filesystem says how.
    pub others: usize,
    /// Whether, to recover it, the checker repairs it before ([`crate::recover::recoverer`]).
    pub repair: bool,
    /// What the guest's clock shows when it mounts, in nanoseconds since 1970; `None`: what it shows anyway.
    pub clock: Option<u64>,
}

/// Talks to one machine.
#[derive(Clone, Copy, Debug)]
pub struct GuestClient<'a> {
    machine: &'a Machine,
    limits: Limits,
    lane: Lane,
}

/// How an operation ended, and what it measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpReport {
    /// What it measured, also where it failed in the end.
    pub parts: Vec<coldcut_wire::Measured>,
    /// What its last system call returned, and the nanoseconds that all of them took.
    pub result: Result<(i64, u64), CallError>,
    /// How long the host waited for the answer.
    pub waited: Duration,
}

/// A call that the guest may refuse without anything being wrong with the guest.
pub type Called<T> = Result<Result<T, CallError>, GuestError>;

impl<'a> GuestClient<'a> {
    /// With a machine that answers.
    pub fn new(machine: &'a Machine, limits: Limits) -> Self {
        Self {
            machine,
            limits,
            lane: 0,
        }
    }

    /// The same conversation, with operations and programs in another lane.
    #[must_use]
    pub fn in_lane(self, lane: Lane) -> Self {
        Self { lane, ..self }
    }

    /// The lane of its operations and programs.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Waits for an answer; if the guest dies meanwhile, says why it died.
    async fn alive<T>(&self, work: impl Future<Output = Result<T, GuestError>>) -> Result<T, GuestError> {
        match work.await {
            Err(GuestError::Closed { what }) => {
                // The connection closes a moment before QEMU's end can be seen.
                let ended = tokio::time::timeout(Duration::from_secs(5), self.machine.ended()).await;
                let why = ended.unwrap_or_else(|_| "the agent ended".into());
                Err(GuestError::Closed {
                    what: format!("{what}: {why}"),
                })
            }
            other => other,
        }
    }

    async fn call(&self, what: &str, body: Request, limit: Duration) -> Result<Done, GuestError> {
        self.alive(self.machine.guest.call(what, body, limit)).await
    }

    /// Mounts the disk.
    ///
    /// # Errors
    /// [`GuestError`] when the guest did not answer; the kernel's refusal is an inner error.
    pub async fn mount(&self, mount: &Mount) -> Called<()> {
        refused(
            self.call("mount", Request::Mount(spec_of(mount)), self.limits.mount)
                .await
                .map(drop),
        )
    }

    /// Unmounts it.
    ///
    /// # Errors
    /// As [`Self::mount`].
    pub async fn unmount(&self) -> Called<()> {
        refused(
            self.call("unmount", Request::Unmount, self.limits.unmount)
                .await
                .map(drop),
        )
    }

    /// Runs an operation.
    ///
    /// # Errors
    /// As [`Self::mount`].
    pub async fn op(&self, name: &str, op: Op) -> Called<()> {
        Ok(self.measure(name, op).await?.result.map(drop))
    }

    /// Runs an operation and keeps what it measured.
    ///
    /// # Errors
    /// As [`Self::mount`].
    pub async fn measure(&self, name: &str, op: Op) -> Result<OpReport, GuestError> {
        let limit = self.limits.step + Duration::from_millis(op.patience_ms());
        self.alive(async {
            let guest = &self.machine.guest;
            let asked = Instant::now();
            let mut reply = guest.request_in(self.lane, name, Request::Op(op), limit).await?;
            let mut parts = Vec::new();
            let result = loop {
                match reply.next().await {
                    Ok(Next::Output(Output::Measured(part))) if parts.len() < MAX_PARTS => parts.push(part),
                    Ok(Next::Output(other)) => return Err(nonsense(name, &other)),
                    Ok(Next::Done(Done::Op { ret, nanos })) => break Ok((ret, nanos)),
                    Ok(Next::Done(other)) => return Err(nonsense(name, &other)),
                    Err(GuestError::Failed(failure)) => {
                        break Err(CallError {
                            errno: failure.errno,
                            what: failure.what,
                        });
                    }
                    Err(error) => return Err(error),
                }
            };
            Ok(OpReport {
                parts,
                result,
                waited: asked.elapsed(),
            })
        })
        .await
    }

    /// Mounts, walks the whole tree with the provenance of every sector, runs the programs that judge it, unmounts, and reads what the kernel logged
    /// meanwhile. The requests are sent together and answered in order: one round trip. `begins` is told what the guest does
    /// now, as soon as the host knows.
    ///
    /// # Errors
    /// [`GuestError`] when the guest did not answer, or the tree could not be walked to its end: such a tree says
    /// nothing.
    pub async fn examine(
        &self,
        mount: &Mount,
        walk: WalkSpec,
        programs: Vec<VerifySpec>,
        begins: impl Fn(Reader),
    ) -> Result<Examined, GuestError> {
        self.alive(self.examine_inner(mount, walk, programs, begins))
            .await
    }

    async fn examine_inner(
        &self,
        mount: &Mount,
        walk: WalkSpec,
        programs: Vec<VerifySpec>,
        begins: impl Fn(Reader),
    ) -> Result<Examined, GuestError> {
        let limits = &self.limits;
        let guest = &self.machine.guest;
        begins(Reader::Mount);
        // Each waits for those before it.
        let mut limit = limits.answer;
        let first = guest
            .request("dmesg", Request::Dmesg(DmesgFrom::End), limit)
            .await?;
        limit += limits.mount;
        let mounting = guest
            .request("mount", Request::Mount(spec_of(mount)), limit)
            .await?;
        limit += limits.walk;
        let walking = guest.request("walk", Request::Walk(walk), limit).await?;
        let mut judging = Vec::new();
        for program in programs {
            limit += limits.answer + Duration::from_millis(program.exec.timeout_ms);
            judging.push(guest.request("verify", Request::Verify(program), limit).await?);
        }
        limit += limits.unmount;
        let unmounting = guest.request("unmount", Request::Unmount, limit).await?;
        limit += limits.answer;
        let last = guest
            .request("dmesg", Request::Dmesg(DmesgFrom::Last), limit)
            .await?;

        dmesg_lines(collect(first).await?)?;
        let mut mount_time = Duration::ZERO;
        let mounted = collect(mounting)
            .await
            .and_then(|(parts, done)| match (parts.first(), done) {
                (None, Done::Mounted { nanos }) => {
                    mount_time = Duration::from_nanos(nanos);
                    Ok(())
                }
                other => Err(nonsense("mount", &other)),
            });
        let mounted = refused(mounted)?;
        begins(Reader::Walk);
        let walked = collect(walking).await;
        begins(Reader::Verify);
        let mut heard = Vec::new();
        for program in judging {
            heard.push(hear(program).await?);
        }
        begins(Reader::Unmount);
        let unmounted = refused(end("unmount", collect(unmounting).await))?;
        let dmesg = dmesg_lines(collect(last).await?)?;
        if let Err(error) = mounted {
            // The rest was refused for want of a mount.
            return Ok(Examined {
                dmesg,
                mount_time,
                ..Examined::unmounted(error)
            });
        }
        let Walked {
            tree,
            placed,
            time: walk_time,
        } = walked_of(walked?)?;
        Ok(Examined {
            mount_error: None,
            tree,
            placed,
            heard,
            unmount_error: unmounted.err(),
            dmesg,
            mount_time,
            walk_time,
        })
    }

    /// The whole tree with the provenance of every sector.
    ///
    /// # Errors
    /// [`GuestError`]: a tree that cannot be walked to its end says nothing.
    pub async fn walk(
        &self,
        patterns: Vec<PatternName>,
        max_bytes: u64,
    ) -> Result<Vec<TreeEntry>, GuestError> {
        let walk = Request::Walk(walk_spec(patterns, max_bytes));
        self.alive(async {
            let answer = self.machine.guest.request("walk", walk, self.limits.walk).await?;
            Ok(walked_of(collect(answer).await?)?.tree)
        })
        .await
    }

    /// The kernel's log from there on; nothing from its end on.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn dmesg(&self, from: DmesgFrom) -> Result<Vec<DmesgLine>, GuestError> {
        let guest = &self.machine.guest;
        let asked = guest.request("dmesg", Request::Dmesg(from), self.limits.answer);
        self.alive(async { dmesg_lines(collect(asked.await?).await?) })
            .await
    }

    /// Makes a restored guest one of its own kind: with new randomness, the right time, and its disks, which have so
    /// many bytes.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn resume(&self, capacities: Vec<u64>) -> Result<(), GuestError> {
        let mut seed = vec![0; 64];
        rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty()).map_err(|e| {
            GuestError::Nonsense {
                what: "getrandom".into(),
                said: e.to_string(),
            }
        })?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let spec = ResumeSpec {
            seed,
            unix_nanos: now.map_or(0, |d| d.as_nanos() as u64),
            capacities,
        };
        self.call("resume", Request::Resume(spec), self.limits.answer)
            .await
            .map(drop)
    }

    /// Makes the guest ready to be saved: what waking takes is open, and the kernel's log was read to its end.
    /// It has so many disks, none of which may have a capacity.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn prepare(&self, disks: usize) -> Result<(), GuestError> {
        let disks = (0..disks).map(disk_name).collect();
        self.call("prepare", Request::Prepare { disks }, self.limits.answer)
            .await?;
        let end = Request::Dmesg(DmesgFrom::End);
        self.call("dmesg", end, self.limits.answer).await.map(drop)
    }

    /// Drops what the guest keeps of its disks in memory, after a filesystem was mounted so and unmounted. Nothing may
    /// be mounted.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn flush_device(&self, mount: &Mount) -> Result<(), GuestError> {
        let forget = FsType::named(&mount.fstype).and_then(|fstype| fstype.driver.forget);
        for device in std::iter::once(DEVICE.to_owned()).chain(others_of(mount)) {
            let flush = Request::FlushDevice { device, forget };
            self.call("flush the disk", flush, self.limits.answer).await?;
        }
        Ok(())
    }
}

/// What a guest saw of a filesystem.
#[derive(Clone, Debug, PartialEq)]
pub struct Examined {
    /// Why it did not mount; the rest is then empty.
    pub mount_error: Option<CallError>,
    /// Its tree.
    pub tree: Vec<TreeEntry>,
    /// Where files have their data, where that was asked for.
    pub placed: Vec<Placed>,
    /// What the programs said.
    pub heard: Vec<Heard>,
    /// Why it did not unmount.
    pub unmount_error: Option<CallError>,
    /// The kernel's log from before the mount to after the unmount.
    pub dmesg: Vec<DmesgLine>,
    /// mount(2) by the guest's clock, which may run wrong under load.
    pub mount_time: Duration,
    /// The walk, likewise.
    pub walk_time: Duration,
}

impl Examined {
    /// Of a filesystem that does not mount, for this reason.
    fn unmounted(error: CallError) -> Self {
        Self {
            mount_error: Some(error),
            tree: Vec::new(),
            placed: Vec::new(),
            heard: Vec::new(),
            unmount_error: None,
            dmesg: Vec::new(),
            mount_time: Duration::ZERO,
            walk_time: Duration::ZERO,
        }
    }
}

/// The device nodes of the disks beside the first.
fn others_of(mount: &Mount) -> impl Iterator<Item = String> {
    (1..=mount.others).map(|number| format!("/dev/{}", disk_name(number)))
}

fn spec_of(mount: &Mount) -> MountSpec {
    let fstype = FsType::named(&mount.fstype);
    let named = fstype.and_then(|fstype| Some(fstype.several.as_ref()?.mount));
    let named = others_of(mount).filter_map(|device| Some(format!("{}={device}", named?)));
    let own = Some(mount.data.clone()).filter(|data| !data.is_empty());
    MountSpec {
        device: DEVICE.into(),
        others: others_of(mount).collect(),
        fstype: mount.fstype.clone(),
        data: named.chain(own).collect::<Vec<_>>().join(","),
        flags: mount.flags.clone(),
        wait_ms: 30_000,
        clock: mount.clock,
        existing_dir: None,
    }
}

/// A walk of the whole tree that names these patterns, and reads at most so many bytes.
pub(crate) fn walk_spec(patterns: Vec<PatternName>, max_bytes: u64) -> WalkSpec {
    WalkSpec {
        patterns,
        data: true,
        max_entries: MAX_ENTRIES,
        max_bytes,
        placed: false,
    }
}

/// What a walk found.
struct Walked {
    tree: Vec<TreeEntry>,
    placed: Vec<Placed>,
    time: Duration,
}

type Parts = (Vec<Output>, Done);

/// All of an answer.
async fn collect(mut reply: Reply) -> Result<Parts, GuestError> {
    let mut parts = Vec::new();
    loop {
        match reply.next().await? {
            Next::Done(done) => return Ok((parts, done)),
            Next::Output(_) if parts.len() == MAX_PARTS => {
                return Err(GuestError::TooMuch {
                    what: reply.what().to_owned(),
                });
            }
            Next::Output(output) => parts.push(output),
        }
    }
}

/// The end of an answer that has no parts.
fn end(what: &str, answer: Result<Parts, GuestError>) -> Result<(), GuestError> {
    match answer?.0.first() {
        None => Ok(()),
        Some(part) => Err(nonsense(what, part)),
    }
}

fn walked_of((parts, done): Parts) -> Result<Walked, GuestError> {
    let (mut tree, mut placed) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Output::Entries(entries) => tree.extend(entries),
            Output::Placed(files) => placed.extend(files),
            other => return Err(nonsense("walk", &other)),
        }
    }
    match done {
        Done::Walk(summary) if summary.entries == tree.len() as u64 => {
            let time = Duration::from_nanos(summary.nanos);
            Ok(Walked { tree, placed, time })
        }
        other => Err(nonsense("walk", &(tree.len(), other))),
    }
}

fn dmesg_lines((parts, done): Parts) -> Result<Vec<DmesgLine>, GuestError> {
    let mut lines = Vec::new();
    for part in parts {
        match part {
            Output::Dmesg(more) => lines.extend(more),
            other => return Err(nonsense("dmesg", &other)),
        }
    }
    match done {
        Done::Dmesg { .. } => Ok(lines),
        other => Err(nonsense("dmesg", &other)),
    }
}

fn nonsense(what: &str, said: &impl std::fmt::Debug) -> GuestError {
    GuestError::Nonsense {
        what: what.to_owned(),
        said: format!("{said:.200?}"),
    }
}

/// Tells what the kernel refused from what went wrong with the guest.
fn refused<T>(result: Result<T, GuestError>) -> Called<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(GuestError::Failed(failure)) => Ok(Err(CallError {
            errno: failure.errno,
            what: failure.what,
        })),
        Err(other) => Err(other),
    }
}
