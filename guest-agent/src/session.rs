//! What the worker keeps between requests, and how each request is run.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use coldcut_wire::{Done, Failure, Request, RequestId};

use crate::dmesg::KernelLog;
use crate::failure::{Tried, refuse};
use crate::mount::Mounted;
use crate::place::Handles;
use crate::serve::{Role, Sender};
use crate::{disks, exec, mount, ops, wake, walk};

/// The worker's state.
pub(crate) struct Session {
    pub(crate) role: Role,
    pub(crate) mounted: Option<Mounted>,
    pub(crate) handles: Handles,
    pub(crate) kernel_log: KernelLog,
}

impl Session {
    /// Nothing mounted, nothing open; shared by the workers of successive connections.
    pub(crate) fn shared(role: Role) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            role,
            mounted: None,
            handles: Handles::new(),
            kernel_log: KernelLog::default(),
        }))
    }

    /// The mounted root.
    pub(crate) fn root(&self) -> Result<BorrowedFd<'_>, Failure> {
        Ok(self.mounted()?.root.as_fd())
    }

    /// What is mounted.
    pub(crate) fn mounted(&self) -> Result<&Mounted, Failure> {
        self.mounted
            .as_ref()
            .ok_or_else(|| refuse("nothing is mounted: send a mount request first"))
    }

    /// A second descriptor of the mounted root.
    pub(crate) fn root_copy(&self) -> Result<OwnedFd, Failure> {
        self.root()?
            .try_clone_to_owned()
            .tried(|| "duplicate the root's descriptor".to_owned())
    }

    /// Runs one request to its end.
    pub(crate) fn run(&mut self, id: RequestId, request: Request, sender: &Sender) -> Result<Done, Failure> {
        if self.role == Role::Init {
            exec::reap_orphans(None);
        }
        match request {
            Request::Ping => Ok(Done::Ok),
            Request::Mount(spec) => mount::mount(self, &spec),
            Request::Unmount => mount::unmount(self),
            Request::Op(op) => ops::run(self, &op),
            Request::Exec(spec) => exec::exec(self, id, &spec, sender),
            Request::Walk(spec) => walk::walk(self, id, &spec, sender),
            Request::Dmesg(from) => self.kernel_log.send(id, from, sender),
            Request::FlushDevice { device } => mount::flush_device(&device),
            Request::ReleaseDisks | Request::Wake(_) if self.role == Role::Process => {
                Err(refuse("only PID 1 of a guest can be saved and woken"))
            }
            Request::ReleaseDisks if self.mounted.is_some() => Err(refuse("a filesystem is still mounted")),
            Request::ReleaseDisks => disks::release(),
            Request::Wake(spec) => wake::wake(&spec),
            // The reader answers it; a worker never sees one.
            Request::PowerOff => Err(refuse("power-off reached the worker")),
        }
    }
}
