//! Mounting and unmounting the filesystem under test.

mod device;

use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use coldcut_wire::{Done, Failure, MountSpec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::clock::{Stopwatch, set_clock};
use crate::failure::{Tried, refuse};
use crate::state::{MOUNT_POINT, Mounted, Role, State};

pub(crate) use device::flush_device;

/// Mounts as `spec` says; its root becomes the root of all paths.
pub(crate) fn mount(state: &State, spec: &MountSpec) -> Result<Done, Failure> {
    // There is one mount point.
    let _turn = state.mounting();
    if state.slot().is_some() {
        return Err(refuse("a filesystem is mounted already: unmount it first"));
    }
    let flags = mount_flags(&spec.flags)?;
    let mut watch = Stopwatch::default();
    let (path, real) = match (&spec.existing_dir, state.role) {
        (Some(_), Role::Init) => {
            return Err(refuse(
                "existing_dir is only for an agent that is an ordinary process",
            ));
        }
        (Some(dir), Role::Process) => (dir.clone(), false),
        (None, role) => {
            if let (Some(time), Role::Init) = (spec.clock, role) {
                set_clock(time)?;
            }
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
            *state.slot() = Some(Arc::new(Mounted::new(root, path, real)));
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

/// Mounts by mount(2), not fsopen(2): 5.10 takes `dirsync` only as a flag.
fn mount_device(spec: &MountSpec, flags: MountFlags, watch: &mut Stopwatch) -> Result<(), Failure> {
    let data = CString::new(spec.data.as_str()).map_err(|_| refuse("mount options hold a NUL byte"))?;
    for device in std::iter::once(&spec.device).chain(&spec.others) {
        device::wait_for(device, Duration::from_millis(spec.wait_ms.into()))?;
    }
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

/// Returns the `MS_` bits of the generic flags.
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

/// Closes every handle, undoes what programs had bound, and unmounts by a plain umount2(2). A filesystem that another
/// lane works in is busy.
pub(crate) fn unmount(state: &State) -> Result<Done, Failure> {
    let _turn = state.mounting();
    state.mounted()?;
    let handles = std::mem::take(&mut *state.handles());
    drop(handles);
    let taken = state.slot().take();
    let Some(mounted) = taken else {
        return Err(refuse("nothing is mounted"));
    };
    let mounted = match Arc::try_unwrap(mounted) {
        Ok(mounted) => mounted,
        Err(shared) => {
            *state.slot() = Some(shared);
            return Err(Errno::BUSY).tried(|| "umount while another lane works in the filesystem".to_owned());
        }
    };
    if let Err(failure) = mounted.unbind() {
        *state.slot() = Some(Arc::new(mounted));
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
            *state.slot() = Some(Arc::new(Mounted::new(root, path, true)));
        }
    } else {
        // What a program may have bound elsewhere, or open, would keep the filesystem alive behind the next mount.
        state.end_programs();
    }
    result.map(|()| Done::Ok)
}
