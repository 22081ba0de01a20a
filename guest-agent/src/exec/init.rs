//! The init of programs: PID 1 of their namespace, which sets up what they see, and then only waits.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind};

use crate::state::READY;

/// The character devices that programs see. None of them speaks for the kernel or to the host, as `/dev/console`, `/dev/kmsg`,
/// `/dev/mem` and the ports do.
const CHARACTERS: [&str; 8] = [
    "full",
    "fuse",
    "loop-control",
    "null",
    "random",
    "tty",
    "urandom",
    "zero",
];

/// Sets the namespace up, says so, and waits for the agent's end.
pub(crate) fn run() -> ExitCode {
    // Nobody asks how the orphans ended that it inherits: the kernel collects them.
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let said = match set_up() {
        Ok(()) => READY.to_owned(),
        Err(error) => error.to_string(),
    };
    println!("{said}");
    let _ = io::stdout().flush();
    // It ends when the agent closes the other end.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

fn set_up() -> io::Result<()> {
    let plain = MountFlags::NOSUID | MountFlags::NOEXEC;
    let rooted = MountFlags::NOSUID | MountFlags::NODEV;
    mount("proc", "/proc", "proc", plain | MountFlags::NODEV, c"")?;
    // What is written there is done by the kernel in its own name: a panic, a reset.
    match mount_bind("/dev/null", "/proc/sysrq-trigger") {
        // A kernel without it.
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let devices = devices(Path::new("/dev"))?;
    mount("tmpfs", "/dev", "tmpfs", MountFlags::NOSUID, c"mode=0755")?;
    for (name, kind, mode, number) in devices {
        let path = Path::new("/dev").join(name);
        rustix::fs::mknodat(CWD, &path, kind, Mode::from_raw_mode(mode & 0o777), number)?;
    }
    for directory in ["/dev/shm", "/dev/pts"] {
        rustix::fs::mkdir(directory, Mode::from_raw_mode(0o755))?;
    }
    mount("tmpfs", "/dev/shm", "tmpfs", rooted, c"mode=1777")?;
    match mount(
        "devpts",
        "/dev/pts",
        "devpts",
        plain,
        c"newinstance,ptmxmode=0666",
    ) {
        // A kernel without pseudo-terminals.
        Ok(()) | Err(Errno::NODEV) => {}
        Err(errno) => return Err(errno.into()),
    }
    for (target, link) in [
        ("pts/ptmx", "/dev/ptmx"),
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        rustix::fs::symlink(target, link)?;
    }
    Ok(())
}

type Device = (std::ffi::OsString, FileType, u32, u64);

/// The devices of the guest that programs may see: block devices, and [`CHARACTERS`].
fn devices(dev: &Path) -> io::Result<Vec<Device>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dev)? {
        let entry = entry?;
        let (name, meta) = (entry.file_name(), entry.metadata()?);
        let kind = meta.file_type();
        if kind.is_block_device() {
            found.push((name, FileType::BlockDevice, meta.mode(), meta.rdev()));
        } else if kind.is_char_device() && CHARACTERS.iter().any(|known| name == *known) {
            found.push((name, FileType::CharacterDevice, meta.mode(), meta.rdev()));
        }
    }
    Ok(found)
}
