//! Who carries out a request.

use coldcut_wire::{Done, Failure, Op, Request, RequestId};

use crate::clock::monotonic_nanos;
use crate::failure::refuse;
use crate::link::Sender;
use crate::measurements::Measurements;
use crate::resume::Resuming;
use crate::state::{Role, State};
use crate::{exec, mount, ops, walk};

/// Runs one request to its end.
pub(super) fn run(state: &State, id: RequestId, request: Request, sender: &Sender) -> Result<Done, Failure> {
    state.when_childless(exec::reap_orphans);
    match request {
        Request::Ping => Ok(Done::Ok),
        Request::Mount(spec) => mount::mount(state, &spec),
        Request::Unmount => mount::unmount(state),
        Request::Op(op) => operation(state, id, &op, sender),
        Request::Exec(spec) => changing(state, || exec::exec(state, id, &spec, sender)),
        Request::ExecOnTerminal(spec) => changing(state, || exec::exec_on_terminal(state, id, &spec, sender)),
        Request::Verify(spec) => exec::verify(state, id, &spec, sender),
        Request::Walk(spec) => walk::walk(state, id, &spec, sender),
        Request::Dmesg(from) => state.kernel_log().send(id, from, sender),
        Request::FlushDevice { device, forget } => mount::flush_device(&device, forget),
        Request::Prepare { .. } | Request::Resume(_) if state.role == Role::Process => {
            Err(refuse("only PID 1 of a guest can be saved and resumed"))
        }
        Request::Prepare { .. } if state.slot().is_some() => Err(refuse("a filesystem is still mounted")),
        Request::Prepare { disks } => {
            *state.resuming() = Some(Resuming::prepare(&disks)?);
            Ok(Done::Ok)
        }
        Request::Resume(spec) => {
            let resuming = state.resuming().take();
            resuming
                .ok_or_else(|| refuse("a guest that was not made ready to be saved cannot resume"))?
                .resume(&spec)
        }
        // The reader answers it; a lane never sees one.
        Request::PowerOff => Err(refuse("power-off reached a lane")),
    }
}

/// Runs an operation, and sends what it measured before its end.
fn operation(state: &State, id: RequestId, op: &Op, sender: &Sender) -> Result<Done, Failure> {
    let mut measured = Measurements::default();
    let result = if op.may_change_files() {
        changing(state, || ops::run(state, op, &mut measured))
    } else {
        ops::run(state, op, &mut measured)
    };
    measured.send(id, sender)?;
    result
}

/// Runs what may change files, and notes when.
fn changing<T>(state: &State, work: impl FnOnce() -> T) -> T {
    let began = monotonic_nanos();
    let result = work();
    state.last_change().ends_now(began);
    result
}
