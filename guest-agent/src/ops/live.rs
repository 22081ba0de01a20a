//! Operations that measure, taken apart.

use std::time::Duration;

use coldcut_wire::{Failure, Op, op};

use super::burst::{Burst, burst};
use super::pipes::{self, Moving, Pumping};
use super::read::{Reading, read};
use super::{Target, journal, observe, tracing};
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::found::Found;

/// Runs one of them; `None` when `op` is another.
pub(super) fn run<'a>(
    target: &Target<'a>,
    op: &'a Op,
    watch: &mut Stopwatch,
    found: &mut Found,
) -> Option<Result<i64, Failure>> {
    Some(match op {
        Op::Burst(op::Burst {
            path,
            offset,
            len,
            chunk,
            pattern: content,
            flags,
            fsync_every,
            pause_ms,
            within_ms,
        }) => {
            let what = Burst {
                path,
                offset: *offset,
                len: *len,
                chunk: *chunk,
                content,
                flags: *flags,
                fsync_every: *fsync_every,
                pause_ms: *pause_ms,
                within_ms: *within_ms,
            };
            burst(target, &what, watch, found)
        }
        Op::Read(op::Read {
            path,
            offset,
            len,
            chunk,
            direct,
            times,
            pause_ms,
            patterns: contents,
            within_ms,
        }) => {
            let what = Reading {
                path,
                offset: *offset,
                len: *len,
                chunk: *chunk,
                direct: *direct,
                times: *times,
                pause_ms: *pause_ms,
                contents,
                within_ms: *within_ms,
            };
            read(target, &what, watch, found)
        }
        Op::Trace(op::Trace {
            name, event, filter, ..
        }) => watch.time(|| tracing::start(name, event, filter)),
        Op::Collect(op::Collect { name, fields }) => watch.time(|| tracing::collect(name, fields, found)),
        Op::Observe(op::Observe {
            lane,
            frames,
            states,
            lasting_ms,
            within_ms,
        }) => {
            let wanted = observe::Wanted {
                frames,
                states,
                lasting: Duration::from_millis(*lasting_ms),
            };
            observe::observe(target.session, *lane, &wanted, *within_ms, found)
        }
        Op::Bdi => bdi(target, found),
        Op::Pipe(op::Pipe { handle, capacity }) => pipes::pipe(target.session, handle, *capacity, found),
        Op::Socket(op::Socket {
            handle,
            sndbuf,
            rcvbuf,
        }) => pipes::socket(target.session, handle, *sndbuf, *rcvbuf, found),
        Op::Transfer(op::Transfer {
            how,
            from,
            to,
            offset,
            len,
            chunk,
            nonblock,
            within_ms,
        }) => {
            let what = Moving {
                how: *how,
                from,
                to,
                offset: *offset,
                len: *len,
                chunk: *chunk,
                nonblock: *nonblock,
                within_ms: *within_ms,
            };
            pipes::transfer(target, &what, watch, found)
        }
        Op::Vmsplice(op::Vmsplice {
            to,
            len,
            pattern: content,
            within_ms,
        }) => pipes::vmsplice(target, to, *len, content, *within_ms, watch, found),
        Op::Pump(op::Pump {
            from,
            through,
            to,
            offset,
            len,
            chunk,
            within_ms,
        }) => {
            if *chunk == 0 {
                return Some(Err(refuse("pump: a chunk is more than 0 bytes")));
            }
            let what = Pumping {
                from,
                through,
                to,
                offset: *offset,
                len: *len,
                chunk: *chunk,
                within_ms: *within_ms,
            };
            pipes::pump(target, &what, watch, found)
        }
        Op::Consume(op::Consume {
            from,
            len,
            rate,
            every_ms,
            within_ms,
        }) => pipes::consume(target, from, *len, (*rate, *every_ms), *within_ms, watch, found),
        Op::Pending(op::Pending { path }) => pipes::pending(target, path, watch, found),
        Op::WatchJournal => journal::watch(target.session),
        Op::Commit(op::Commit { within_ms }) => journal::wait(target, *within_ms, found),
        _ => return None,
    })
}

/// The mounted device's statistics.
fn bdi(target: &Target<'_>, found: &mut Found) -> Result<i64, Failure> {
    let stat = rustix::fs::fstat(target.root()).tried(|| "stat the mounted root".to_owned())?;
    let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    tracing::bdi(device, found)
}
