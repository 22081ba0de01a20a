//! A terminal for a program to print on.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::process::{Command, Stdio};

use coldcut_wire::Failure;

use crate::failure::Tried;

/// Makes a new terminal a command's standard output, and returns the end where that arrives. Nothing that is printed is
/// changed on the way.
pub(super) fn as_output(command: &mut Command) -> Result<OwnedFd, Failure> {
    let (ours, theirs) = open().tried(|| "open a terminal".to_owned())?;
    command.stdout(Stdio::from(theirs));
    Ok(ours)
}

fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    let (mut ours, mut theirs) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: the two descriptors are written, and the rest is not given.
    check(unsafe { libc::openpty(&raw mut ours, &raw mut theirs, none, none.cast(), none.cast()) })?;
    // SAFETY: they were just opened, and nobody else has them.
    let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    for end in [&ours, &theirs] {
        rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
    }
    // SAFETY: all bits of the structure are valid, and the call below fills it.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives as long as the calls.
    unsafe {
        check(libc::tcgetattr(theirs.as_raw_fd(), &raw mut settings))?;
        libc::cfmakeraw(&raw mut settings);
        check(libc::tcsetattr(
            theirs.as_raw_fd(),
            libc::TCSANOW,
            &raw const settings,
        ))?;
    }
    Ok((ours, theirs))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
