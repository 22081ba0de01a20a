//! The command of a program: what to run, with which environment, and from where.

use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use coldcut_wire::{ExecSpec, Failure};

use crate::failure::refuse;
use crate::state::{MOUNT_POINT, Role, State, drop_capabilities, relative};

/// Where the scenario's programs are.
pub(super) const PROGRAMS: &str = "/programs";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/programs";

/// Makes the command that runs the program `name` as `spec` says.
pub(super) fn prepare(state: &State, spec: &ExecSpec, name: &str) -> Result<Command, Failure> {
    let program = if name.starts_with('/') {
        name.to_owned()
    } else {
        format!("{PROGRAMS}/{}", relative(name)?)
    };
    let mut command = Command::new(program);
    command
        .args(&spec.argv[1..])
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    set_environment(&mut command, spec)?;
    start_inside(&mut command, state, spec)?;
    Ok(command)
}

/// Starts a prepared command; the result within is what the kernel says to it.
pub(super) fn spawn(state: &State, command: &mut Command) -> Result<io::Result<Child>, Failure> {
    Ok(match state.programs()?.as_ref() {
        Some(programs) => programs.spawn(command),
        None => command.spawn(),
    })
}

/// Adds what `spec` says to the environment.
fn set_environment(command: &mut Command, spec: &ExecSpec) -> Result<(), Failure> {
    for (name, value) in &spec.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(refuse(format!(
                "exec: `{name}` is no name of an environment variable, or its value holds NUL"
            )));
        }
        command.env(name, value);
    }
    Ok(())
}

/// Has the command start below the mounted root, or below the mount within a chroot.
fn start_inside(command: &mut Command, state: &State, spec: &ExecSpec) -> Result<(), Failure> {
    let cwd = relative(&spec.cwd)?;
    let mounted = state.mounted()?;
    let root = state.root_copy()?;
    let real = mounted.real;
    let chroot = spec.root.clone();
    let mut programs = state.programs()?;
    if let (Some(root), true) = (&chroot, real) {
        mounted.bind(root, programs.is_some())?;
    }
    let apart = programs.is_some();
    let confined = state.role == Role::Init;
    if let Some(programs) = programs.as_mut() {
        programs.confine(command, chroot.as_deref())?;
    }
    let chroot = chroot
        .map(CString::new)
        .transpose()
        .map_err(|_| refuse("exec: root holds a NUL byte"))?;
    let inside =
        CString::new(format!("{MOUNT_POINT}/{cwd}")).map_err(|_| refuse("exec: cwd holds a NUL byte"))?;
    let below = CString::new(cwd).map_err(|_| refuse("exec: cwd holds a NUL byte"))?;
    // SAFETY: the closure makes system calls only; it neither allocates nor takes locks.
    unsafe {
        command.pre_exec(move || {
            if !apart {
                rustix::process::fchdir(&root)?;
            }
            if let Some(chroot) = &chroot {
                rustix::process::chroot(chroot.as_c_str())?;
            }
            if confined {
                drop_capabilities()?;
            }
            // The root's descriptor is of the agent's own mount namespace.
            let named = apart || real && chroot.is_some();
            Ok(rustix::process::chdir(if named {
                inside.as_c_str()
            } else {
                below.as_c_str()
            })?)
        });
    }
    Ok(())
}
