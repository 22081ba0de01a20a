//! Workload operations: each has a function that takes its arguments as they came.
//!
//! An operation on a path opens, does, closes; a handle of [`Op::Open`] is used as it is.

mod aio;
mod attributes;
mod burst;
mod file;
mod handles;
mod journal;
mod machine;
mod mapped;
mod names;
mod observe;
mod pipes;
mod read;
mod splice;
mod target;
mod tracefs;
mod tracing;
mod write;

use coldcut_wire::{Done, Failure, Op};

use crate::clock::Stopwatch;
use crate::measurements::Measurements;
use crate::state::State;

use target::Target;

/// Runs `op` and says what its last system call returned and how long its system calls took. What it measures besides
/// goes to `measured`.
pub(crate) fn run(state: &State, op: &Op, measured: &mut Measurements) -> Result<Done, Failure> {
    let mut watch = Stopwatch::default();
    let ret = carry_out(state, op, &mut watch, measured)?;
    Ok(Done::Op {
        ret,
        nanos: watch.nanos(),
    })
}

/// Hands `op` to the function that carries it out.
fn carry_out(
    state: &State,
    op: &Op,
    watch: &mut Stopwatch,
    measured: &mut Measurements,
) -> Result<i64, Failure> {
    let target = || Target::new(state);
    match op {
        Op::Open(op) => handles::open(state, op, watch).map(zero),
        Op::Close(op) => handles::close(state, op, watch).map(zero),
        Op::Mkdir(op) => names::mkdir(&target()?, op, watch).map(zero),
        Op::Create(op) => names::create(&target()?, op, watch).map(zero),
        Op::Write(op) => write::write(&target()?, op, watch),
        Op::Truncate(op) => file::truncate(&target()?, op, watch).map(zero),
        Op::Fallocate(op) => file::fallocate(&target()?, op, watch).map(zero),
        Op::Rename(op) => names::rename(&target()?, op, watch).map(zero),
        Op::Link(op) => names::link(&target()?, op, watch).map(zero),
        Op::Symlink(op) => names::symlink(&target()?, op, watch).map(zero),
        Op::Unlink(op) => names::unlink(&target()?, op, watch).map(zero),
        Op::Rmdir(op) => names::rmdir(&target()?, op, watch).map(zero),
        Op::Setxattr(op) => attributes::setxattr(&target()?, op, watch).map(zero),
        Op::Removexattr(op) => attributes::removexattr(&target()?, op, watch).map(zero),
        Op::Chmod(op) => attributes::chmod(&target()?, op, watch).map(zero),
        Op::Chown(op) => attributes::chown(&target()?, op, watch).map(zero),
        Op::Utimes(op) => attributes::utimes(&target()?, op, watch).map(zero),
        Op::Fsync(op) => file::fsync(&target()?, op, watch).map(zero),
        Op::Fdatasync(op) => file::fdatasync(&target()?, op, watch).map(zero),
        Op::Sync => Ok(machine::sync(watch)),
        Op::Syncfs => file::syncfs(&target()?, watch).map(zero),
        Op::SyncFileRange(op) => file::sync_file_range(&target()?, op, watch).map(zero),
        Op::MmapStore(op) => mapped::store(&target()?, op, watch),
        Op::Sleep(op) => machine::sleep(op, watch).map(zero),
        Op::DropCaches(op) => machine::drop_caches(op, watch),
        Op::Sysctl(op) => machine::sysctl(op, watch),
        Op::Burst(op) => burst::burst(&target()?, op, watch, measured),
        Op::Read(op) => read::read(&target()?, op, watch, measured),
        Op::Trace(op) => target()
            .and_then(|_in_use| watch.time(|| tracing::start(op)))
            .map(zero),
        Op::Collect(op) => target().and_then(|_in_use| watch.time(|| tracing::collect(op, measured))),
        Op::Observe(op) => observe::observe(&target()?, op, measured),
        Op::Bdi => tracing::bdi(&target()?, measured),
        Op::Pipe(op) => pipes::pipe(&target()?, op, measured),
        Op::Socket(op) => pipes::socket(&target()?, op, measured).map(zero),
        Op::Transfer(op) => splice::transfer(&target()?, op, watch, measured),
        Op::Vmsplice(op) => splice::vmsplice(&target()?, op, watch, measured),
        Op::Pump(op) => splice::pump(&target()?, op, watch, measured),
        Op::Consume(op) => pipes::consume(&target()?, op, watch, measured),
        Op::Pending(op) => pipes::pending(&target()?, op, watch, measured),
        Op::WatchJournal => journal::watch(&target()?).map(zero),
        Op::Commit(op) => journal::wait(&target()?, op, measured),
    }
}

/// Returns what a system call returns that says only that it succeeded.
fn zero((): ()) -> i64 {
    0
}
