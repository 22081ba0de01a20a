//! The conversation with one guest about one filesystem.

use std::time::Duration;

use coldcut_core::recovery::CallError;
use coldcut_wire::{ContentName, DmesgLine, Done, Lane, MountSpec, Op, Output, Request, TreeEntry, WalkSpec};

use super::lab::Limits;
use crate::machine::{GuestError, Machine, Next};

/// Device node of the disk under test.
pub const DEVICE: &str = "/dev/vda";
/// Names in a tree at most.
const MAX_ENTRIES: u32 = 1 << 20;
/// Parts of an answer at most.
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
}

/// Talks to one machine.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    machine: &'a Machine,
    limits: Limits,
    lane: Lane,
}

/// How an operation ended, and what it measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// What it measured, also where it failed in the end.
    pub parts: Vec<coldcut_wire::Measured>,
    /// What its last system call returned, and the nanoseconds that all of them took.
    pub result: Result<(i64, u64), CallError>,
}

/// A call that the guest may refuse without anything being wrong with the guest.
pub type Called<T> = Result<Result<T, CallError>, GuestError>;

impl<'a> Session<'a> {
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
        let spec = MountSpec {
            device: DEVICE.into(),
            fstype: mount.fstype.clone(),
            data: mount.data.clone(),
            flags: mount.flags.clone(),
            wait_ms: 30_000,
            existing_dir: None,
        };
        refused(
            self.call("mount", Request::Mount(spec), self.limits.mount)
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
    pub async fn measure(&self, name: &str, op: Op) -> Result<Measured, GuestError> {
        let limit = self.limits.step + Duration::from_millis(op.patience_ms());
        self.alive(async {
            let guest = &self.machine.guest;
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
            Ok(Measured { parts, result })
        })
        .await
    }

    /// The whole tree with the provenance of every sector.
    ///
    /// # Errors
    /// [`GuestError`]: a tree that cannot be walked to its end says nothing.
    pub async fn walk(
        &self,
        contents: Vec<ContentName>,
        max_bytes: u64,
    ) -> Result<Vec<TreeEntry>, GuestError> {
        let spec = WalkSpec {
            contents,
            data: true,
            max_entries: MAX_ENTRIES,
            max_bytes,
        };
        let (parts, done) = self
            .alive(
                self.machine
                    .guest
                    .collect("walk", Request::Walk(spec), self.limits.walk, MAX_PARTS),
            )
            .await?;
        let mut tree = Vec::new();
        for part in parts {
            match part {
                Output::Entries(entries) => tree.extend(entries),
                other => return Err(nonsense("walk", &other)),
            }
        }
        match done {
            Done::Walk(summary) if summary.entries == tree.len() as u64 => Ok(tree),
            other => Err(nonsense("walk", &(tree.len(), other))),
        }
    }

    /// The kernel's log from record `since` on, and the number that the next record will have.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn dmesg(&self, since: u64) -> Result<(Vec<DmesgLine>, u64), GuestError> {
        let body = Request::Dmesg { since };
        let (parts, done) = self
            .alive(
                self.machine
                    .guest
                    .collect("dmesg", body, self.limits.answer, MAX_PARTS),
            )
            .await?;
        let mut lines = Vec::new();
        for part in parts {
            match part {
                Output::Dmesg(more) => lines.extend(more),
                other => return Err(nonsense("dmesg", &other)),
            }
        }
        match done {
            Done::Dmesg { next } => Ok((lines, next)),
            other => Err(nonsense("dmesg", &other)),
        }
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
