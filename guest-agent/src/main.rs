//! coldcut's guest agent: PID 1 of the initramfs, or an ordinary process under test.
//!
//! - As PID 1 it mounts what a kernel needs, loads modules, finds the virtio-serial port and serves requests
//!   ([`boot`]).
//! - `coldcut-agent --connect SOCKET` serves a Unix socket, `coldcut-agent --stdio` its standard input and output.
//!
//! One thread reads requests and answers what must never wait (ping, power-off); each lane has another, which runs
//! the lane's requests one at a time ([`mod@serve`]).
//!
//! # Modules
//!
//! Each uses only those below it:
//!
//! 1. [`boot`]: life as PID 1
//! 2. [`mod@serve`]: the connection, the lanes, and who carries out a request
//! 3. [`mount`], [`exec`], [`walk`], [`ops`]: what carries it out; none of them uses another
//! 4. [`state`]: what the lanes share; [`measurements`]: what an operation measures
//! 5. [`dmesg`] and [`resume`], which keep something between two requests
//! 6. [`link`]: the way back to the host; [`classify`]: what bytes are
//! 7. [`alarm`], [`bytes`], [`clock`], [`lines`], [`power`], [`sync`], and below them [`failure`]

mod alarm;
mod boot;
mod bytes;
mod classify;
mod clock;
mod dmesg;
mod exec;
mod failure;
mod lines;
mod link;
mod measurements;
mod mount;
mod ops;
mod power;
mod resume;
mod serve;
mod state;
mod sync;
mod walk;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use crate::serve::{hello, serve};
use crate::state::{Role, State};

const USAGE: &str =
    "usage: coldcut-agent --connect SOCKET | coldcut-agent --stdio (without arguments: only as PID 1)";

fn main() -> ExitCode {
    // The permission bits that a scenario names are the ones that it gets.
    rustix::process::umask(rustix::fs::Mode::empty());
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|first| first == state::INIT) {
        return exec::init_of_programs();
    }
    if std::process::id() == 1 {
        boot::run_as_init();
    }
    let served = match arguments.as_slice() {
        [flag, path] if flag == "--connect" => connect(path),
        [flag] if flag == "--stdio" => stdio(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coldcut-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn connect(path: &std::ffi::OsStr) -> Result<(), serve::ServeError> {
    let stream = UnixStream::connect(path).map_err(serve::ServeError::Channel)?;
    let write = stream.try_clone().map_err(serve::ServeError::Channel)?;
    serve_process(OwnedFd::from(stream).into(), OwnedFd::from(write).into())
}

fn stdio() -> Result<(), serve::ServeError> {
    let duplicate =
        |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().map_err(serve::ServeError::Channel);
    let read = duplicate(std::io::stdin().as_fd())?;
    let write = duplicate(std::io::stdout().as_fd())?;
    serve_process(read.into(), write.into())
}

fn serve_process(read: File, write: File) -> Result<(), serve::ServeError> {
    serve(read, write, &hello(Vec::new()), &State::shared(Role::Process))
}
