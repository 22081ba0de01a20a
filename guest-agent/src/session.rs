//! What the lanes share between requests, and how each request is run.
//!
//! Every part has a lock of its own, held for a moment and never during a system call that may block on the
//! filesystem: a lane that hangs in the kernel keeps nothing that another lane needs. A lane that works with the
//! mounted root or with a handle keeps it open until it is done, as a process's descriptor table does.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use coldcut_wire::{Done, Failure, LANES, Lane, Request, RequestId};

use crate::dmesg::KernelLog;
use crate::failure::{Tried, refuse};
use crate::found::Found;
use crate::mount::Mounted;
use crate::ops::{LastChange, now};
use crate::place::Handles;
use crate::resume::Resuming;
use crate::serve::{Role, Sender};
use crate::{exec, mount, ops, walk};

/// The lanes' shared state.
pub(crate) struct Session {
    pub(crate) role: Role,
    mounted: Mutex<Option<Arc<Mounted>>>,
    /// Held by whoever mounts or unmounts, which may take long; nothing else waits for it.
    mounting: Mutex<()>,
    handles: Mutex<Handles>,
    kernel_log: Mutex<KernelLog>,
    /// What waking takes, once the guest is ready to be saved.
    waking: Mutex<Option<Resuming>>,
    /// The last operation or program that may have changed files.
    last_change: Mutex<LastChange>,
    /// Read while a lane has a child of its own, written while orphans are collected: a child that is not an orphan
    /// is not to be collected.
    children: RwLock<()>,
    /// Each lane's thread, by its kernel id; 0 before it was started.
    threads: [AtomicI32; LANES as usize],
    /// Requests that each lane has not answered yet.
    asked: [AtomicU32; LANES as usize],
}

/// A panic elsewhere has been reported already; what the lock protects stays usable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Nothing mounted, nothing open; shared by the lanes of successive connections.
    pub(crate) fn shared(role: Role) -> Arc<Self> {
        Arc::new(Self {
            role,
            mounted: Mutex::default(),
            mounting: Mutex::default(),
            handles: Mutex::default(),
            kernel_log: Mutex::default(),
            waking: Mutex::default(),
            last_change: Mutex::default(),
            children: RwLock::default(),
            threads: [const { AtomicI32::new(0) }; LANES as usize],
            asked: [const { AtomicU32::new(0) }; LANES as usize],
        })
    }

    /// What is mounted.
    pub(crate) fn mounted(&self) -> Result<Arc<Mounted>, Failure> {
        self.slot()
            .clone()
            .ok_or_else(|| refuse("nothing is mounted: send a mount request first"))
    }

    /// Where what is mounted is kept.
    pub(crate) fn slot(&self) -> MutexGuard<'_, Option<Arc<Mounted>>> {
        lock(&self.mounted)
    }

    /// The turn to mount or unmount.
    pub(crate) fn mounting(&self) -> MutexGuard<'_, ()> {
        lock(&self.mounting)
    }

    /// Open handles by name.
    pub(crate) fn handles(&self) -> MutexGuard<'_, Handles> {
        lock(&self.handles)
    }

    /// When files may have changed last.
    pub(crate) fn last_change(&self) -> MutexGuard<'_, LastChange> {
        lock(&self.last_change)
    }

    /// Runs what may change files.
    fn changing<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = now();
        let result = work();
        self.last_change().add(began);
        result
    }

    /// The calling thread now runs a lane.
    pub(crate) fn runs_lane(&self, lane: Lane) {
        let id = rustix::thread::gettid().as_raw_nonzero().get();
        if let Some(thread) = self.threads.get(usize::from(lane)) {
            thread.store(id, Ordering::Relaxed);
        }
    }

    /// The kernel's id of the thread that runs a lane, for `/proc/self/task`; none before its first request.
    pub(crate) fn thread_of(&self, lane: Lane) -> Option<i32> {
        let id = self.threads.get(usize::from(lane))?.load(Ordering::Relaxed);
        (id != 0).then_some(id)
    }

    /// A lane was given a request.
    pub(crate) fn asked(&self, lane: Lane) {
        if let Some(asked) = self.asked.get(usize::from(lane)) {
            asked.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A lane is done with a request.
    pub(crate) fn answers(&self, lane: Lane) {
        if let Some(asked) = self.asked.get(usize::from(lane)) {
            asked.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Whether a lane has a request that it is not done with.
    pub(crate) fn busy(&self, lane: Lane) -> bool {
        let asked = self.asked.get(usize::from(lane));
        asked.is_some_and(|asked| asked.load(Ordering::SeqCst) > 0)
    }

    /// A second descriptor of the mounted root.
    pub(crate) fn root_copy(&self) -> Result<OwnedFd, Failure> {
        self.mounted()?
            .root()
            .try_clone_to_owned()
            .tried(|| "duplicate the root's descriptor".to_owned())
    }

    /// To be kept as long as a lane waits for a child of its own.
    pub(crate) fn with_child(&self) -> RwLockReadGuard<'_, ()> {
        self.children.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// As PID 1, collects children that programs left behind, unless a lane has a program running.
    fn reap_orphans(&self) {
        if self.role == Role::Init
            && let Ok(_alone) = self.children.try_write()
        {
            exec::reap_orphans();
        }
    }

    /// Runs one request to its end.
    pub(crate) fn run(&self, id: RequestId, request: Request, sender: &Sender) -> Result<Done, Failure> {
        self.reap_orphans();
        match request {
            Request::Ping => Ok(Done::Ok),
            Request::Mount(spec) => mount::mount(self, &spec),
            Request::Unmount => mount::unmount(self),
            Request::Op(op) => {
                let mut found = Found::default();
                let result = if op.may_change_files() {
                    self.changing(|| ops::run(self, &op, &mut found))
                } else {
                    ops::run(self, &op, &mut found)
                };
                found.send(id, sender)?;
                result
            }
            Request::Exec(spec) => self.changing(|| exec::exec(self, id, &spec, sender)),
            Request::Walk(spec) => walk::walk(self, id, &spec, sender),
            Request::Dmesg(from) => lock(&self.kernel_log).send(id, from, sender),
            Request::FlushDevice { device } => mount::flush_device(&device),
            Request::Prepare { .. } | Request::Resume(_) if self.role == Role::Process => {
                Err(refuse("only PID 1 of a guest can be saved and woken"))
            }
            Request::Prepare { .. } if lock(&self.mounted).is_some() => {
                Err(refuse("a filesystem is still mounted"))
            }
            Request::Prepare { disk } => {
                *lock(&self.waking) = Some(Resuming::prepare(disk.as_deref())?);
                Ok(Done::Ok)
            }
            Request::Resume(spec) => {
                let waking = lock(&self.waking).take();
                waking
                    .ok_or_else(|| refuse("a guest that was not made ready to be saved cannot resume"))?
                    .resume(&spec)
            }
            // The reader answers it; a lane never sees one.
            Request::PowerOff => Err(refuse("power-off reached a lane")),
        }
    }
}

impl Mounted {
    /// Its root directory.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}
