//! Life as PID 1: mounts, the console, modules, the port, and the end.

mod early;
mod modules;
mod port;
mod root;

use std::panic::catch_unwind;
use std::path::Path;
use std::time::Duration;

use crate::power::power_off;
use crate::serve::{hello, serve};
use crate::state::{Role, State};

/// How long the host's port may take to appear, and to come back after it closed.
const PORT_WAIT: Duration = Duration::from_secs(30);

/// Runs PID 1 from start to power-off. PID 1 must never return or panic: the kernel would.
pub(crate) fn run_as_init() -> ! {
    if let Err(why) = catch_unwind(init).unwrap_or_else(|_| Err("the agent panicked".to_owned())) {
        eprintln!("coldcut-agent: {why}; powering off");
    }
    power_off()
}

fn init() -> Result<(), String> {
    let mut problems = Vec::new();
    early::mount_basics(&mut problems);
    early::quiet_console(&mut problems);
    modules::load_all(Path::new("/modules"), &mut problems);
    root::mount_programs(&mut problems);
    let port = port::find(port::NAME, PORT_WAIT)?;
    let hello = hello(problems);
    let state = State::shared(Role::Init);
    loop {
        let clone = |what: &str| port.try_clone().map_err(|e| format!("{what} the port: {e}"));
        match serve(clone("read")?, clone("write")?, &hello, &state) {
            Ok(()) => {}
            Err(error) => eprintln!("coldcut-agent: {error}"),
        }
        port::wait_connected(&port, PORT_WAIT)?;
    }
}
