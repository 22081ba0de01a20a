//! Life as PID 1: mounts, modules, the console, the port, and the end.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::Duration;

use coldcut_wire::{Hello, PROTOCOL};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::failure::words;
use crate::port;
use crate::serve::{Role, serve};
use crate::session::Session;

/// How long the host's port may take to appear, and to come back after it closed.
const PORT_WAIT: Duration = Duration::from_secs(30);
/// Only kernel messages below this level (warnings and worse) reach the console: a serial line is slow.
const CONSOLE_LEVEL: libc::c_int = 5;
/// `SYSLOG_ACTION_CONSOLE_LEVEL` of syslog(2).
const SYSLOG_CONSOLE_LEVEL: libc::c_int = 8;

/// Runs PID 1 from start to power-off. PID 1 must never return or panic: the kernel would.
pub(crate) fn run_as_init() -> ! {
    if let Err(why) = catch_unwind(init).unwrap_or_else(|_| Err("the agent panicked".to_owned())) {
        eprintln!("coldcut-agent: {why}; powering off");
    }
    power_off()
}

fn init() -> Result<(), String> {
    let mut problems = Vec::new();
    mount_basics(&mut problems);
    quiet_console(&mut problems);
    load_modules(Path::new("/modules"), &mut problems);
    let port = port::find(port::NAME, PORT_WAIT)?;
    let hello = hello(problems);
    let session = Session::shared(Role::Init);
    loop {
        let clone = |what: &str| port.try_clone().map_err(|e| format!("{what} the port: {e}"));
        match serve(clone("read")?, clone("write")?, &hello, &session) {
            Ok(()) => {}
            Err(error) => eprintln!("coldcut-agent: {error}"),
        }
        port::wait_connected(&port, PORT_WAIT)?;
    }
}

/// The first message of a connection.
pub(crate) fn hello(problems: Vec<String>) -> Hello {
    let uname = rustix::system::uname();
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Hello {
        protocol: PROTOCOL,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        release: uname.release().to_string_lossy().into_owned(),
        uptime_ns: (now.tv_sec as u64)
            .saturating_mul(1_000_000_000)
            .saturating_add(now.tv_nsec as u64),
        problems,
    }
}

/// Cuts the power without writing anything back.
pub(crate) fn power_off() -> ! {
    loop {
        if let Err(errno) = rustix::system::reboot(rustix::system::RebootCommand::PowerOff) {
            eprintln!("coldcut-agent: power-off: {}", words(errno));
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn mount_basics(problems: &mut Vec<String>) {
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
        problems.push(format!("mkdir {target}: {}", words(errno)));
    }
    if let Err(errno) = rustix::mount::mount(fstype, target, fstype, flags, data)
        && errno != Errno::BUSY
    {
        problems.push(format!("mount {fstype} on {target}: {}", words(errno)));
    }
}

/// An initramfs without a console node starts PID 1 without standard streams.
fn adopt_console(problems: &mut Vec<String>) {
    let console = rustix::fs::open("/dev/console", OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
    let adopted = console.and_then(|console| {
        rustix::stdio::dup2_stdin(&console)?;
        rustix::stdio::dup2_stdout(&console)?;
        rustix::stdio::dup2_stderr(&console)
    });
    if let Err(errno) = adopted {
        problems.push(format!("open /dev/console: {}", words(errno)));
    }
}

fn quiet_console(problems: &mut Vec<String>) {
    // SAFETY: this syslog(2) action takes no buffer.
    let result = unsafe { libc::klogctl(SYSLOG_CONSOLE_LEVEL, std::ptr::null_mut(), CONSOLE_LEVEL) };
    if result < 0 {
        problems.push(format!(
            "set the console's log level: {}",
            std::io::Error::last_os_error()
        ));
    }
}

/// Loads `directory/NAME` for every line NAME of `directory/order`.
fn load_modules(directory: &Path, problems: &mut Vec<String>) {
    let order = directory.join("order");
    let text = match std::fs::read_to_string(&order) {
        Ok(text) => text,
        Err(error) => {
            problems.push(format!("read {}: {error}", order.display()));
            return;
        }
    };
    for name in text.lines().map(str::trim).filter(|name| !name.is_empty()) {
        let path = directory.join(name);
        let loaded = File::open(&path)
            .map_err(|error| format!("open {}: {error}", path.display()))
            .and_then(|file| match rustix::system::finit_module(file.as_fd(), c"", 0) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(format!("load module {name}: {}", words(errno))),
            });
        if let Err(problem) = loaded {
            problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_loaded_is_reported_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("order"), "missing.ko\n\nnot-a-module.ko\n").unwrap();
        std::fs::write(dir.path().join("not-a-module.ko"), "text").unwrap();
        let mut problems = Vec::new();
        load_modules(dir.path(), &mut problems);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("missing.ko"), "{problems:?}");
        assert!(
            problems[1].starts_with("load module not-a-module.ko: "),
            "{problems:?}"
        );
    }

    #[test]
    fn a_missing_order_is_a_problem() {
        let mut problems = Vec::new();
        load_modules(Path::new("/nonexistent"), &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
