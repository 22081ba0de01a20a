//! Where programs run: apart from the agent, which speaks to the host for them.
//!
//! All programs of a guest share a PID namespace and a mount namespace: they see neither the agent nor its descriptors, nor
//! the host's port, the console and the kernel's memory among the devices. An init of their own collects what they leave
//! behind, and ends with the agent. What is mounted and unmounted by the agent is so for them too, at once.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use coldcut_wire::Failure;
use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe,
};

use crate::failure::{Tried, refuse};

/// The argument by which the agent's own binary becomes the init of programs.
pub(crate) const INIT: &str = "--init-of-programs";
/// What it says once everything is in its place.
pub(crate) const READY: &str = "ready";

/// What chroots have of the namespace's own directories.
const SHARED: [&str; 4] = ["/proc", "/sys", "/dev", "/tmp"];

/// What programs may not do, though they are root: reach other processes (the agent), the machine's memory and ports, the
/// kernel's code, and devices that they make themselves.
const WITHOUT: CapabilitySet = CapabilitySet::SYS_PTRACE
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::SYS_MODULE)
    .union(CapabilitySet::SYS_BOOT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::PERFMON);

/// The namespaces, and their init.
#[derive(Debug)]
pub(crate) struct Programs {
    init: Child,
    /// This process's own PID namespace, and theirs.
    own: File,
    pids: File,
    mounts: Arc<File>,
    /// Chroots that have the shared directories.
    bound: Vec<String>,
}

impl Programs {
    /// Whether the kernel has such namespaces; one that somebody configured may not.
    pub(crate) fn possible() -> bool {
        std::path::Path::new("/proc/self/ns/pid").exists()
    }

    /// Makes the namespaces.
    pub(crate) fn start() -> Result<Self, Failure> {
        let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
        mount_change("/", shared).tried(|| "share what is mounted".to_owned())?;
        let own = open("/proc/self/ns/pid")?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(INIT)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // SAFETY: the closure makes system calls only; it neither allocates nor takes locks.
        unsafe {
            command.pre_exec(|| {
                unshare_unsafe(UnshareFlags::NEWNS)?;
                let downstream = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
                mount_change(c"/", downstream)?;
                Ok(())
            });
        }
        // SAFETY: of this thread only the namespace of its children changes, and is put back.
        unsafe { unshare_unsafe(UnshareFlags::NEWPID) }
            .tried(|| "a PID namespace for programs".to_owned())?;
        let started = command.spawn();
        back(&own)?;
        let mut init = started.tried(|| "start the init of programs".to_owned())?;
        match Self::ready(&mut init) {
            Ok((pids, mounts)) => Ok(Self {
                init,
                own,
                pids,
                mounts: Arc::new(mounts),
                bound: Vec::new(),
            }),
            Err(failure) => {
                let _ = init.kill();
                let _ = init.wait();
                Err(failure)
            }
        }
    }

    fn ready(init: &mut Child) -> Result<(File, File), Failure> {
        let mut line = String::new();
        if let Some(stdout) = init.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut line);
            read.tried(|| "listen to the init of programs".to_owned())?;
        }
        if line.trim_end() != READY {
            return Err(refuse(format!("the init of programs: {}", line.trim_end())));
        }
        let namespace = |kind: &str| open(&format!("/proc/{}/ns/{kind}", init.id()));
        Ok((namespace("pid")?, namespace("mnt")?))
    }

    /// Whether its init still runs.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.init.try_wait(), Ok(None))
    }

    /// Has a command start in the mount namespace, in a chroot if `root` is one, and without the capabilities that it must
    /// not have. It is then to be spawned by [`Self::spawn`].
    pub(crate) fn confine(&mut self, command: &mut Command, root: Option<&str>) -> Result<(), Failure> {
        let mut binds = Vec::new();
        if let Some(root) = root.filter(|root| !self.bound.iter().any(|bound| bound == root)) {
            for source in SHARED {
                let target = format!("{}{source}", root.trim_end_matches('/'));
                let nul = |_| refuse("exec: root holds a NUL byte");
                binds.push((
                    CString::new(source).map_err(nul)?,
                    CString::new(target).map_err(nul)?,
                ));
            }
            self.bound.push(root.to_owned());
        }
        let mounts = Arc::clone(&self.mounts);
        // SAFETY: the closure makes system calls only; it neither allocates nor takes locks.
        unsafe {
            command.pre_exec(move || {
                move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&*mounts),
                    Some(LinkNameSpaceType::Mount),
                )?;
                for (source, target) in &binds {
                    // With what is mounted below, which hides some of it.
                    mount_bind_recursive(source.as_c_str(), target.as_c_str())?;
                }
                Ok(())
            });
        }
        Ok(())
    }

    /// Starts a command in the PID namespace.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let fd = std::os::fd::AsFd::as_fd(&self.pids);
        move_into_link_name_space(fd, Some(LinkNameSpaceType::ProcessID))?;
        let child = command.spawn();
        back(&self.own).map_err(|failure| io::Error::other(failure.what))?;
        child
    }

    /// Ends every program, and waits until they are gone.
    pub(crate) fn end(mut self) {
        // With a namespace's init all that is in it ends.
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

/// Takes from a program what it must not be able to do, which includes undoing this. Called between fork and exec, it makes
/// system calls only.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    for capability in WITHOUT.iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // A kernel that does not know it.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    super::refused::refuse()
}

fn open(path: &str) -> Result<File, Failure> {
    File::open(path).tried(|| format!("open {path}"))
}

/// Has this thread's next children be in the agent's own namespace again.
fn back(own: &File) -> Result<(), Failure> {
    let fd = std::os::fd::AsFd::as_fd(own);
    move_into_link_name_space(fd, Some(LinkNameSpaceType::ProcessID))
        .tried(|| "return to the agent's own namespace".to_owned())
}
