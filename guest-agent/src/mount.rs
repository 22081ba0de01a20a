//! Mounting, unmounting and the block device's own cache.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coldcut_wire::{Done, Failure, MountSpec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::clock::Stopwatch;
use crate::exec;
use crate::failure::{Tried, refuse};
use crate::serve::Role;
use crate::session::Session;

/// Where filesystems are mounted.
pub(crate) const MOUNT_POINT: &str = "/mnt";

/// `_IO(0x12, 97)` of linux/fs.h.
const BLKFLSBUF: libc::Ioctl = 0x1261;
/// `_IOW(0x94, 5, struct btrfs_ioctl_vol_args)` of linux/btrfs.h.
const BTRFS_IOC_FORGET_DEV: libc::Ioctl = 0x5000_9405;

/// The filesystem under test.
#[derive(Debug)]
pub(crate) struct Mounted {
    /// Its root directory.
    pub(crate) root: OwnedFd,
    /// Its root directory's absolute path.
    pub(crate) path: String,
    /// Whether [`unmount`] has a mount to undo.
    pub(crate) real: bool,
    /// Places in a chroot where the mount or a system directory is bound, in order of binding.
    pub(crate) binds: Mutex<Vec<String>>,
}

/// Mounts as `spec` says; its root becomes the root of all paths.
pub(crate) fn mount(session: &Session, spec: &MountSpec) -> Result<Done, Failure> {
    // There is one mount point.
    let _turn = session.mounting();
    if session.slot().is_some() {
        return Err(refuse("a filesystem is mounted already: unmount it first"));
    }
    let flags = mount_flags(&spec.flags)?;
    let mut watch = Stopwatch::default();
    let (path, real) = match (&spec.existing_dir, session.role) {
        (Some(_), Role::Init) => {
            return Err(refuse(
                "existing_dir is only for an agent that is an ordinary process",
            ));
        }
        (Some(dir), Role::Process) => (dir.clone(), false),
        (None, _) => {
            mount_device(spec, flags, &mut watch)?;
            (MOUNT_POINT.to_owned(), true)
        }
    };
    let root = rustix::fs::open(
        path.as_str(),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    match root.tried(|| format!("open {path}")) {
        Ok(root) => {
            *session.slot() = Some(Arc::new(Mounted {
                root,
                path,
                real,
                binds: Mutex::default(),
            }));
            Ok(Done::Mounted { nanos: watch.nanos() })
        }
        Err(failure) => {
            if real {
                let _ = rustix::mount::unmount(MOUNT_POINT, UnmountFlags::empty());
            }
            Err(failure)
        }
    }
}

/// mount(2), not fsopen(2): 5.10 takes `dirsync` only as a flag.
fn mount_device(spec: &MountSpec, flags: MountFlags, watch: &mut Stopwatch) -> Result<(), Failure> {
    let data = CString::new(spec.data.as_str()).map_err(|_| refuse("mount options hold a NUL byte"))?;
    wait_for(&spec.device, Duration::from_millis(spec.wait_ms.into()))?;
    match rustix::fs::mkdir(MOUNT_POINT, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno).tried(|| format!("mkdir {MOUNT_POINT}")),
    }
    watch
        .time(|| {
            rustix::mount::mount(
                spec.device.as_str(),
                MOUNT_POINT,
                spec.fstype.as_str(),
                flags,
                data.as_c_str(),
            )
        })
        .tried(|| {
            let flags = spec.flags.join(",");
            format!(
                "mount {} as {} (flags `{flags}`, data `{}`)",
                spec.device, spec.fstype, spec.data
            )
        })
}

/// The `MS_` bits of the generic flags.
fn mount_flags(names: &[String]) -> Result<MountFlags, Failure> {
    names.iter().try_fold(MountFlags::empty(), |flags, name| {
        Ok(flags
            | match name.as_str() {
                "ro" => MountFlags::RDONLY,
                "sync" => MountFlags::SYNCHRONOUS,
                "dirsync" => MountFlags::DIRSYNC,
                "noatime" => MountFlags::NOATIME,
                "nodiratime" => MountFlags::NODIRATIME,
                "relatime" => MountFlags::RELATIME,
                "strictatime" => MountFlags::STRICTATIME,
                "lazytime" => MountFlags::LAZYTIME,
                "nosuid" => MountFlags::NOSUID,
                "nodev" => MountFlags::NODEV,
                "noexec" => MountFlags::NOEXEC,
                _ => {
                    return Err(refuse(format!(
                        "mount flag `{name}` is unknown; known are ro, sync, dirsync, noatime, nodiratime, \
                         relatime, strictatime, lazytime, nosuid, nodev, noexec"
                    )));
                }
            })
    })
}

fn wait_for(device: &str, wait: Duration) -> Result<(), Failure> {
    if !device.starts_with('/') {
        return Ok(()); // such as a tmpfs's source
    }
    let deadline = Instant::now() + wait;
    loop {
        match rustix::fs::stat(device) {
            Ok(_) => return Ok(()),
            Err(errno) if Instant::now() >= deadline => {
                return Err(errno).tried(|| format!("wait {} ms for {device}", wait.as_millis()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Closes every handle, undoes what [`exec`] bound, then a plain umount2(2). A filesystem that another lane works in
/// is busy.
pub(crate) fn unmount(session: &Session) -> Result<Done, Failure> {
    let _turn = session.mounting();
    session.mounted()?;
    let handles = std::mem::take(&mut *session.handles());
    drop(handles);
    let taken = session.slot().take();
    let Some(mounted) = taken else {
        return Err(refuse("nothing is mounted"));
    };
    let mounted = match Arc::try_unwrap(mounted) {
        Ok(mounted) => mounted,
        Err(shared) => {
            *session.slot() = Some(shared);
            return Err(Errno::BUSY).tried(|| "umount while another lane works in the filesystem".to_owned());
        }
    };
    if let Err(failure) = exec::unbind(&mounted) {
        *session.slot() = Some(Arc::new(mounted));
        return Err(failure);
    }
    if !mounted.real {
        return Ok(Done::Ok);
    }
    // The root's descriptor would keep the filesystem busy.
    let Mounted { root, path, .. } = mounted;
    drop(root);
    let result =
        rustix::mount::unmount(path.as_str(), UnmountFlags::empty()).tried(|| format!("umount {path}"));
    if result.is_err() {
        // Still mounted: keep serving it.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(root) = rustix::fs::open(path.as_str(), flags, Mode::empty()) {
            *session.slot() = Some(Arc::new(Mounted {
                root,
                path,
                real: true,
                binds: Mutex::default(),
            }));
        }
    }
    result.map(|()| Done::Ok)
}

/// `BLKFLSBUF`: writes back and drops the block device's own page cache. Nothing may be mounted from it.
pub(crate) fn flush_device(device: &str) -> Result<Done, Failure> {
    let fd = rustix::fs::open(device, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .tried(|| format!("open {device}"))?;
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), BLKFLSBUF, 0) };
    if result < 0 {
        return Err(std::io::Error::last_os_error()).tried(|| format!("flush the buffers of {device}"));
    }
    forget_btrfs_devices()?;
    Ok(Done::Ok)
}

/// btrfs remembers every device that it has seen, and what generation it had; nothing to do without btrfs.
fn forget_btrfs_devices() -> Result<(), Failure> {
    let Ok(control) = File::options().read(true).write(true).open("/dev/btrfs-control") else {
        return Ok(());
    };
    // `struct btrfs_ioctl_vol_args` of linux/btrfs.h: a descriptor, then a name; without a name, all that are not
    // mounted.
    let arguments = [0_u8; 4096];
    // SAFETY: the kernel reads 4096 bytes.
    let result = unsafe { libc::ioctl(control.as_raw_fd(), BTRFS_IOC_FORGET_DEV, arguments.as_ptr()) };
    if result < 0 {
        return Err(std::io::Error::last_os_error()).tried(|| "forget btrfs devices".to_owned());
    }
    Ok(())
}
