//! Looking at another lane while it is blocked: its state and its kernel stack.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use coldcut_wire::{Failure, Lane, op};

use super::target::Target;
use super::tracefs::optional;
use crate::alarm::Alarm;
use crate::failure::refuse;
use crate::measurements::Measurements;
use crate::state::State;

/// How often it is looked at.
const AGAIN: Duration = Duration::from_millis(2);
/// How often it must be seen so, where it is to be seen so for a time.
const LOOKS: u32 = 20;
/// A lane without a request for so long is at rest: between two steps of a task it is idle for a moment.
const REST: Duration = Duration::from_millis(1500);

/// What a lane's thread does at one moment.
struct Look {
    /// The letter of `/proc/PID/stat`.
    state: char,
    stack: Vec<String>,
}

impl Look {
    /// Tells whether this is what `op` waits for.
    fn fits(&self, op: &op::Observe) -> bool {
        let wanted = |line: &String| {
            let function = function(line);
            op.frames.iter().any(|frame| function == Some(frame.as_str()))
        };
        (op.states.is_empty() || op.states.contains(self.state))
            && (op.frames.is_empty() || self.stack.iter().any(wanted))
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let top: Vec<&str> = self.stack.iter().take(4).map(String::as_str).collect();
        write!(f, "{}, {}", self.state, top.join(" "))
    }
}

/// For how long, and how often, a lane has been seen in what is waited for.
struct Lasting {
    wanted: Duration,
    since: Option<(Instant, u32)>,
}

impl Lasting {
    /// Counts one look; tells whether the lane has been seen so for long enough. A machine that stood still meanwhile
    /// shows nothing: the looks count as well.
    fn enough(&mut self, fits: bool) -> bool {
        self.since = match self.since {
            _ if !fits => None,
            None => Some((Instant::now(), 1)),
            Some((since, looks)) => Some((since, looks.saturating_add(1))),
        };
        let least = if self.wanted.is_zero() { 1 } else { LOOKS };
        self.since
            .is_some_and(|(since, looks)| since.elapsed() >= self.wanted && looks >= least)
    }
}

/// Looks until the lane's thread is seen as `op` says, or the lane has nothing to do any more. Figure `found`: 1 or 0;
/// `waited`: how long it took; texts `stack` and `state`: as last seen. Returns `found`. Time being up is a failure:
/// nothing is known then.
pub(super) fn observe(
    target: &Target<'_>,
    op: &op::Observe,
    measured: &mut Measurements,
) -> Result<i64, Failure> {
    let lane = op.lane;
    let alarm = Alarm::new(op.within_ms)?;
    let start = Instant::now();
    let mut last = None;
    let mut idle: Option<Instant> = None;
    let mut lasting = Lasting {
        wanted: Duration::from_millis(op.lasting_ms),
        since: None,
    };
    let hit = loop {
        let seen = look(target.state, lane)?;
        let fits = seen.as_ref().is_some_and(|seen| seen.fits(op));
        last = seen.or(last);
        if lasting.enough(fits) {
            break true;
        }
        idle = match idle {
            _ if target.state.lanes.busy(lane) => None,
            None => Some(Instant::now()),
            since => since,
        };
        if idle.is_some_and(|since| since.elapsed() >= REST) {
            break false;
        }
        alarm.check(|| {
            let seen = last
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), Look::to_string);
            format!("observe lane {lane} (last seen: {seen})")
        })?;
        std::thread::sleep(AGAIN);
    };
    let Some(Look { state, stack }) = last else {
        return Err(refuse(format!("lane {lane} has not begun to do anything")));
    };
    measured.figure("found", i64::from(hit));
    let waited = start.elapsed().as_nanos();
    measured.figure("waited", i64::try_from(waited).unwrap_or(i64::MAX));
    measured.text("state", vec![state.to_string()]);
    measured.text("stack", stack);
    Ok(i64::from(hit))
}

/// Looks at a lane now; `None` before its first request.
fn look(state: &State, lane: Lane) -> Result<Option<Look>, Failure> {
    let Some(thread) = state.lanes.thread_of(lane) else {
        return Ok(None);
    };
    let dir = Path::new("/proc/self/task").join(thread.to_string());
    let Some(stat) = optional(&dir.join("stat"))? else {
        return Ok(None);
    };
    let state =
        state_of(&stat).ok_or_else(|| refuse(format!("{}/stat makes no sense: {stat}", dir.display())))?;
    let Some(stack) = optional(&dir.join("stack"))? else {
        return Err(refuse("this kernel shows no stacks (/proc/PID/stack is missing)"));
    };
    let stack = stack.lines().map(str::to_owned).collect();
    Ok(Some(Look { state, stack }))
}

/// Finds the state in `/proc/PID/stat`: the first letter after the name, which is in brackets and may hold brackets.
fn state_of(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Finds the function in a line of `/proc/PID/stack`: `[<0>] pipe_wait_writable+0x60/0xd0`, without what the compiler added
/// (`.constprop.0`, `.isra.0`).
fn function(line: &str) -> Option<&str> {
    let name = line.split_whitespace().nth(1)?.split('+').next()?;
    name.split('.').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_functions() {
        assert_eq!(state_of("77 (a) b) S) D 1 2"), Some('D'));
        assert_eq!(state_of("nonsense"), None);
        assert_eq!(
            function("[<0>] pipe_wait_writable+0x60/0xd0"),
            Some("pipe_wait_writable")
        );
        assert_eq!(
            function("[<0>] balance_dirty_pages.isra.0+0x1/0x2"),
            Some("balance_dirty_pages")
        );
        assert_eq!(function("[<0>] jbd2_log+0x1/0x2 [jbd2]"), Some("jbd2_log"));
        assert_eq!(function(""), None);
    }
}
