//! coldcut's guest agent: PID 1 of the initramfs, or an ordinary process under test.
//!
//! - As PID 1 it mounts what a kernel needs, loads modules, finds the virtio-serial port and serves requests
//!   ([`boot`], [`port`]).
//! - `coldcut-agent --connect SOCKET` serves a Unix socket, `coldcut-agent --stdio` its standard input and output.
//!
//! One thread reads requests and answers what must never wait (ping, power-off); each lane has another, which runs
//! the lane's requests one at a time ([`mod@serve`]). What a request does to the machine is in [`ops`], [`mount`], [`exec`], [`walk`] and [`dmesg`].

#![allow(clippy::too_many_lines)] // the operations in one match

mod alarm;
mod boot;
mod bytes;
mod classify;
mod clock;
mod dmesg;
mod exec;
mod failure;
mod found;
mod lines;
mod mount;
mod ops;
mod place;
mod port;
mod resume;
mod serve;
mod session;
mod walk;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use coldcut_wire::Hello;

use crate::serve::{Role, serve};
use crate::session::Session;

const USAGE: &str =
    "usage: coldcut-agent --connect SOCKET | coldcut-agent --stdio (without arguments: only as PID 1)";

fn main() -> ExitCode {
    // The permission bits that a scenario names are the ones that it gets.
    rustix::process::umask(rustix::fs::Mode::empty());
    if std::process::id() == 1 {
        boot::run_as_init();
    }
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
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
    let hello: Hello = boot::hello(Vec::new());
    serve(read, write, &hello, &Session::shared(Role::Process))
}
