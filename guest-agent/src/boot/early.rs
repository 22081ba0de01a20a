//! What the guest needs before anything else: the system's own mounts, and a console.

use std::ffi::CStr;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::failure::strerror;

/// Only kernel messages below this level (warnings and worse) reach the console: a serial line is slow.
const CONSOLE_LEVEL: libc::c_int = 5;
/// `SYSLOG_ACTION_CONSOLE_LEVEL` of syslog(2).
const SYSLOG_CONSOLE_LEVEL: libc::c_int = 8;

/// Mounts what programs and the agent expect of any Linux system.
pub(super) fn mount_basics(problems: &mut Vec<String>) {
    let plain = MountFlags::NOSUID | MountFlags::NOEXEC;
    let nodev = plain | MountFlags::NODEV;
    let rooted = MountFlags::NOSUID | MountFlags::NODEV;
    let mounts = [
        ("devtmpfs", "/dev", MountFlags::NOSUID, c"mode=0755"),
        ("proc", "/proc", nodev, c""),
        ("sysfs", "/sys", nodev, c""),
        ("tmpfs", "/run", rooted, c"mode=0755"),
        ("tmpfs", "/tmp", rooted, c"mode=1777"),
        ("tmpfs", "/dev/shm", rooted, c"mode=1777"),
        ("devpts", "/dev/pts", plain, c"ptmxmode=0666"),
    ];
    for (fstype, target, flags, data) in mounts {
        mount_one(fstype, target, flags, data, problems);
        if target == "/dev" {
            adopt_console(problems);
        }
    }
}

fn mount_one(fstype: &str, target: &str, flags: MountFlags, data: &CStr, problems: &mut Vec<String>) {
    if let Err(errno) = rustix::fs::mkdir(target, Mode::from_raw_mode(0o755))
        && errno != Errno::EXIST
    {
        problems.push(format!("mkdir {target}: {}", strerror(errno)));
    }
    if let Err(errno) = rustix::mount::mount(fstype, target, fstype, flags, data)
        && errno != Errno::BUSY
    {
        problems.push(format!("mount {fstype} on {target}: {}", strerror(errno)));
    }
}

/// Opens the console as standard streams: an initramfs without a console node starts PID 1 without any.
fn adopt_console(problems: &mut Vec<String>) {
    let console = rustix::fs::open("/dev/console", OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
    let adopted = console.and_then(|console| {
        rustix::stdio::dup2_stdin(&console)?;
        rustix::stdio::dup2_stdout(&console)?;
        rustix::stdio::dup2_stderr(&console)
    });
    if let Err(errno) = adopted {
        problems.push(format!("open /dev/console: {}", strerror(errno)));
    }
}

/// Keeps the kernel from waiting for the serial line with every message.
pub(super) fn quiet_console(problems: &mut Vec<String>) {
    // SAFETY: this syslog(2) action takes no buffer.
    let result = unsafe { libc::klogctl(SYSLOG_CONSOLE_LEVEL, std::ptr::null_mut(), CONSOLE_LEVEL) };
    if result < 0 {
        problems.push(format!(
            "set the console's log level: {}",
            std::io::Error::last_os_error()
        ));
    }
}
