//! Waiting until a journal (jbd2) has committed, without making it commit.
//!
//! jbd2's own tracepoints tell: `jbd2_commit_locking` comes when no further handle can join a transaction, and
//! `jbd2_end_commit` when its commit block is on the disk (fs/jbd2/commit.c). Commits are serial. So what ended before
//! a transaction was locked is in that transaction or in an earlier one, and is committed when that one is. The
//! counters in `/proc/fs/jbd2` could not tell this: they also count the commit that was under way already.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use coldcut_wire::{Failure, op};
use rustix::io::Errno;

use super::target::Target;
use super::tracefs::{bounded, instances, put, tracefs};
use crate::clock::monotonic_nanos;
use crate::failure::{Tried, refuse};
use crate::measurements::Measurements;
use crate::state::LastChange;

/// The instance of tracefs, and so the buffer, for these events.
const NAME: &str = "journal";
/// Its buffer for each processor, in KiB: a transaction makes two lines.
const BUFFER_KIB: u32 = 256;
/// How often it is looked at.
const AGAIN: Duration = Duration::from_millis(5);
/// Longest deadline.
const MAX_WITHIN_MS: u64 = 3_600_000;

fn dir() -> PathBuf {
    instances().join(format!("coldcut-{NAME}"))
}

/// Begins to record commits.
pub(super) fn watch(target: &Target<'_>) -> Result<(), Failure> {
    tracefs()?;
    let dir = dir();
    if !dir.exists() {
        std::fs::create_dir(&dir).tried(|| format!("mkdir {}", dir.display()))?;
    }
    put(&dir.join("trace_clock"), "mono")?;
    put(&dir.join("buffer_size_kb"), &BUFFER_KIB.to_string())?;
    for event in ["jbd2_commit_locking", "jbd2_end_commit"] {
        let enable = dir.join("events/jbd2").join(event).join("enable");
        if !enable.exists() {
            return Err(refuse(format!(
                "this kernel has no event jbd2:{event}, so its commits cannot be seen"
            )));
        }
        put(&enable, "1")?;
    }
    target.state.last_change().ends_now(monotonic_nanos());
    Ok(())
}

/// Waits until what the last operation did is committed.
pub(super) fn wait(
    target: &Target<'_>,
    op: &op::Commit,
    measured: &mut Measurements,
) -> Result<i64, Failure> {
    let within_ms = op.within_ms;
    if within_ms > MAX_WITHIN_MS {
        return Err(refuse(format!(
            "a deadline of {within_ms} ms is over the limit of {MAX_WITHIN_MS} ms"
        )));
    }
    let dir = dir();
    if !dir.exists() {
        return Err(refuse("nobody watches the journal: send a watch request first"));
    }
    let last = *target.state.last_change();
    let device = target.device()?;
    let start = Instant::now();
    let within = Duration::from_millis(within_ms);
    loop {
        // Before the look: what comes between the look and the clock is for the next look.
        let late = start.elapsed() >= within;
        let text = bounded(&dir.join("trace"))?;
        let events = events(&text, device);
        if let Some(transaction) = committed(&events, last) {
            let waited = start.elapsed().as_nanos();
            measured.figure("waited", i64::try_from(waited).unwrap_or(i64::MAX));
            return Ok(transaction);
        }
        if late {
            return Err(too_late(&events, last, within_ms));
        }
        std::thread::sleep(AGAIN.min(within.saturating_sub(start.elapsed())));
    }
}

fn too_late(events: &[Event], last: LastChange, within_ms: u64) -> Failure {
    // Commits that ended since the last operation began: they may hold what it did, or may not.
    let doubtful = events
        .iter()
        .any(|e| e.what == What::End && e.micros >= last.began / 1000);
    if doubtful {
        return refuse("a transaction was committed meanwhile, which may hold the last operation or not");
    }
    Failure {
        errno: Some(Errno::TIMEDOUT.raw_os_error()),
        what: format!("the journal has not committed the last operation within {within_ms} ms"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Nothing can join it any more.
    Locked,
    /// It is committed.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event {
    micros: u64,
    what: What,
    transaction: i64,
}

/// Reads the events of one device, in the order of the trace: `… 12.345678: jbd2_end_commit: dev 254,0 transaction 7 …`.
fn events(text: &str, device: (u32, u32)) -> Vec<Event> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.filter_map(|line| event(line, device)).collect()
}

fn event(line: &str, (major, minor): (u32, u32)) -> Option<Event> {
    let (head, rest, what) = [
        ("jbd2_commit_locking", What::Locked),
        ("jbd2_end_commit", What::End),
    ]
    .into_iter()
    .find_map(|(name, what)| {
        let (head, rest) = line.split_once(&format!(": {name}: "))?;
        Some((head, rest, what))
    })?;
    let (seconds, micros) = head.split_whitespace().next_back()?.split_once('.')?;
    let (seconds, micros): (u64, u64) = (seconds.parse().ok()?, micros.parse().ok()?);
    let tokens: Vec<&str> = rest.split_whitespace().collect();
    let after = |name: &str| {
        tokens
            .iter()
            .position(|token| *token == name)
            .and_then(|at| tokens.get(at + 1))
    };
    if **after("dev")? != format!("{major},{minor}") {
        return None;
    }
    let transaction = after("transaction")?.parse().ok()?;
    Some(Event {
        micros: seconds.checked_mul(1_000_000)?.checked_add(micros)?,
        what,
        transaction,
    })
}

/// Finds the transaction that was locked after the last operation had ended, once it is committed.
fn committed(events: &[Event], last: LastChange) -> Option<i64> {
    // The trace has microseconds, rounded to the nearest.
    let ended = last.ended / 1000 + 1;
    let locked = events
        .iter()
        .position(|e| e.what == What::Locked && e.micros > ended)?;
    let transaction = events[locked].transaction;
    events[locked..]
        .iter()
        .any(|e| e.what == What::End && e.transaction == transaction)
        .then_some(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "# tracer: nop\n#\n\
        jbd2/vda-8-77      [000] .....    12.000001: jbd2_commit_locking: dev 254,0 transaction 6 sync 1\n\
        jbd2/vda-8-77      [000] .....    12.500000: jbd2_end_commit: dev 254,0 transaction 6 sync 1 head 5\n\
        jbd2/vdb-8-78      [000] .....    13.000000: jbd2_commit_locking: dev 254,16 transaction 6 sync 0\n\
        jbd2/vda-8-77      [000] .....    13.000002: jbd2_commit_locking: dev 254,0 transaction 7 sync 0\n";
    const END: &str = " jbd2/vda-8-77      [000] .....    13.250000: jbd2_end_commit: dev 254,0 transaction 7 sync 0 head 6\n";

    fn last(began: u64, ended: u64) -> LastChange {
        LastChange {
            began: began * 1000,
            ended: ended * 1000,
        }
    }

    #[test]
    fn only_a_transaction_that_was_locked_afterwards_counts() {
        let early = events(TRACE, (254, 0));
        let late = events(&format!("{TRACE}{END}"), (254, 0));
        assert_eq!((early.len(), late.len()), (3, 4), "the other disk's are left out");
        // Before transaction 6 was locked.
        assert_eq!(committed(&early, last(11_000_000, 11_900_000)), Some(6));
        // While 6 was being committed: it may not hold it.
        assert_eq!(committed(&early, last(12_100_000, 12_400_000)), None);
        assert_eq!(committed(&late, last(12_100_000, 12_400_000)), Some(7));
        // After 7 was locked: nothing says that anything is committed.
        assert_eq!(committed(&late, last(13_100_000, 13_200_000)), None);
        assert_eq!(committed(&[], last(0, 0)), None);
    }

    #[test]
    fn what_may_be_committed_or_not_is_no_timeout() {
        let errno = |last| too_late(&events(&format!("{TRACE}{END}"), (254, 0)), last, 5).errno;
        let timed_out = Some(Errno::TIMEDOUT.raw_os_error());
        assert_eq!(errno(last(13_300_000, 13_400_000)), timed_out);
        assert_eq!(errno(last(13_100_000, 13_200_000)), None);
        assert_eq!(errno(last(12_400_000, 13_200_000)), None);
        let open = too_late(&events(TRACE, (254, 0)), last(12_600_000, 12_700_000), 5);
        assert_eq!(open.errno, timed_out, "what is not committed yet was not");
    }

    #[test]
    fn other_lines_are_no_events() {
        for line in [
            "",
            "garbage",
            " w-1 [000] ..... 1.0: jbd2_end_commit: dev 254,0",
            " w-1 [000] ..... x.y: jbd2_end_commit: dev 254,0 transaction 7",
            " w-1 [000] ..... 1.5: jbd2_end_commit: dev 254 transaction 7",
            " w-1 [000] ..... 99999999999999999999.5: jbd2_end_commit: dev 254,0 transaction 7",
            "CPU:0 [LOST 5 EVENTS]",
        ] {
            assert_eq!(event(line, (254, 0)), None, "{line}");
        }
    }
}
