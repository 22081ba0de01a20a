//! What the lanes share between requests.
//!
//! Every part has a lock of its own, held for a moment and never during a system call that may block on the
//! filesystem: a lane that hangs in the kernel keeps nothing that another lane needs. A lane that works with the
//! mounted root or with a handle keeps it open until it is done, as a process's descriptor table does.

mod handles;
mod lanes;
mod last_change;
mod mounted;
mod programs;
mod refused;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use coldcut_wire::Failure;

use crate::dmesg::KernelLog;
use crate::failure::{Tried, refuse};
use crate::resume::Resuming;
use crate::sync::lock;

pub(crate) use handles::{Handles, Resolved, name_only, relative, resolve};
pub(crate) use lanes::LaneTable;
pub(crate) use last_change::LastChange;
pub(crate) use mounted::{MOUNT_POINT, Mounted};
pub(crate) use programs::{INIT, Programs, READY, drop_capabilities};

/// What the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// PID 1 of a guest.
    Init,
    /// An ordinary process, which mounts nothing and powers nothing off.
    Process,
}

/// The lanes' shared state.
pub(crate) struct State {
    pub(crate) role: Role,
    /// Each lane's thread, and whether it has anything to do.
    pub(crate) lanes: LaneTable,
    mounted: Mutex<Option<Arc<Mounted>>>,
    /// Held by whoever mounts or unmounts, which may take long; nothing else waits for it.
    mounting: Mutex<()>,
    handles: Mutex<Handles>,
    kernel_log: Mutex<KernelLog>,
    /// What resuming takes, once the guest is ready to be saved.
    resuming: Mutex<Option<Resuming>>,
    /// Where programs run, once there was one.
    programs: Mutex<Option<Programs>>,
    /// The last operation or program that may have changed files.
    last_change: Mutex<LastChange>,
    /// Read while a lane has a child of its own, written while orphans are collected: a child that is not an orphan
    /// is not to be collected.
    children: RwLock<()>,
}

impl State {
    /// Starts with nothing mounted and nothing open; the lanes of successive connections share it.
    pub(crate) fn shared(role: Role) -> Arc<Self> {
        Arc::new(Self {
            role,
            lanes: LaneTable::default(),
            mounted: Mutex::default(),
            mounting: Mutex::default(),
            handles: Mutex::default(),
            kernel_log: Mutex::default(),
            resuming: Mutex::default(),
            programs: Mutex::default(),
            last_change: Mutex::default(),
            children: RwLock::default(),
        })
    }

    /// Returns what is mounted.
    pub(crate) fn mounted(&self) -> Result<Arc<Mounted>, Failure> {
        self.slot()
            .clone()
            .ok_or_else(|| refuse("nothing is mounted: send a mount request first"))
    }

    /// Locks the slot for what is mounted.
    pub(crate) fn slot(&self) -> MutexGuard<'_, Option<Arc<Mounted>>> {
        lock(&self.mounted)
    }

    /// Waits for the turn to mount or unmount.
    pub(crate) fn mounting(&self) -> MutexGuard<'_, ()> {
        lock(&self.mounting)
    }

    /// Locks the open handles.
    pub(crate) fn handles(&self) -> MutexGuard<'_, Handles> {
        lock(&self.handles)
    }

    /// Locks the kernel's log.
    pub(crate) fn kernel_log(&self) -> MutexGuard<'_, KernelLog> {
        lock(&self.kernel_log)
    }

    /// Locks the slot for what resuming takes.
    pub(crate) fn resuming(&self) -> MutexGuard<'_, Option<Resuming>> {
        lock(&self.resuming)
    }

    /// Locks where programs run; as PID 1 of a kernel with namespaces there is such a place from now on.
    pub(crate) fn programs(&self) -> Result<MutexGuard<'_, Option<Programs>>, Failure> {
        let mut programs = lock(&self.programs);
        if self.role == Role::Init && Programs::possible() && !programs.as_mut().is_some_and(Programs::lives)
        {
            *programs = Some(Programs::start()?);
        }
        Ok(programs)
    }

    /// Ends every program that still runs.
    pub(crate) fn end_programs(&self) {
        if let Some(programs) = lock(&self.programs).take() {
            programs.end();
        }
    }

    /// Locks the times of the last change.
    pub(crate) fn last_change(&self) -> MutexGuard<'_, LastChange> {
        lock(&self.last_change)
    }

    /// Duplicates the descriptor of the mounted root.
    pub(crate) fn root_copy(&self) -> Result<OwnedFd, Failure> {
        self.mounted()?
            .root()
            .try_clone_to_owned()
            .tried(|| "duplicate the root's descriptor".to_owned())
    }

    /// Keeps orphans from being collected, as long as a lane waits for a child of its own.
    pub(crate) fn with_child(&self) -> RwLockReadGuard<'_, ()> {
        self.children.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// As PID 1, calls `reap` unless a lane has a child of its own.
    pub(crate) fn when_childless(&self, reap: impl FnOnce()) {
        if self.role == Role::Init
            && let Ok(_alone) = self.children.try_write()
        {
            reap();
        }
    }
}
