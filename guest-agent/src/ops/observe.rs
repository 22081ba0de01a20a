//! Looking at another lane while it is blocked: its state and its kernel stack.

use std::path::Path;
use std::time::{Duration, Instant};

use coldcut_wire::{Failure, Lane};

use super::tracing::optional;
use crate::alarm::Alarm;
use crate::failure::refuse;
use crate::found::Found;
use crate::session::Session;

/// How often it is looked at.
const AGAIN: Duration = Duration::from_millis(2);
/// How often it must be seen so, where it is to be seen so for a time.
const LOOKS: u32 = 20;
/// A lane without a request for so long is at rest: between two steps of a task it is idle for a moment.
const REST: Duration = Duration::from_millis(1500);

/// What a lane is to be seen in.
pub(super) struct Wanted<'a> {
    /// Functions, one of which is in its kernel stack; empty: any.
    pub(super) frames: &'a [String],
    /// Letters of states; empty: any.
    pub(super) states: &'a str,
    /// For how long, whenever it is looked at: whoever waits for a disk is in D for a moment, too.
    pub(super) lasting: Duration,
}

impl Wanted<'_> {
    fn fits(&self, (state, stack): &(char, Vec<String>)) -> bool {
        let frame = |line: &String| {
            self.frames
                .iter()
                .any(|frame| function(line) == Some(frame.as_str()))
        };
        (self.states.is_empty() || self.states.contains(*state))
            && (self.frames.is_empty() || stack.iter().any(frame))
    }
}

/// Looks until the lane's thread is seen as `wanted`, or the lane has nothing to do any more. Figure `found`: 1 or 0;
/// `waited`: how long it took; texts `stack` and `state`: as last seen. Returns `found`. Time being up is a failure:
/// nothing is known then.
pub(super) fn observe(
    session: &Session,
    lane: Lane,
    wanted: &Wanted<'_>,
    within_ms: u64,
    found: &mut Found,
) -> Result<i64, Failure> {
    let alarm = Alarm::new(within_ms)?;
    let start = Instant::now();
    let mut last = None;
    let mut idle: Option<Instant> = None;
    let mut so: Option<(Instant, u32)> = None;
    let hit = loop {
        let seen = look(session, lane)?;
        so = match so {
            _ if !seen.as_ref().is_some_and(|seen| wanted.fits(seen)) => None,
            None => Some((Instant::now(), 1)),
            Some((since, looks)) => Some((since, looks.saturating_add(1))),
        };
        last = seen.or(last);
        // A machine that stood still meanwhile shows nothing: the looks count as well.
        let enough = if wanted.lasting.is_zero() { 1 } else { LOOKS };
        if so.is_some_and(|(since, looks)| since.elapsed() >= wanted.lasting && looks >= enough) {
            break true;
        }
        idle = match idle {
            _ if session.busy(lane) => None,
            None => Some(Instant::now()),
            since => since,
        };
        if idle.is_some_and(|since| since.elapsed() >= REST) {
            break false;
        }
        alarm.check(|| {
            let seen = last.as_ref().map_or_else(
                || "nothing".to_owned(),
                |(state, stack): &(char, Vec<String>)| {
                    let top: Vec<&str> = stack.iter().take(4).map(String::as_str).collect();
                    format!("{state}, {}", top.join(" "))
                },
            );
            format!("observe lane {lane} (last seen: {seen})")
        })?;
        std::thread::sleep(AGAIN);
    };
    let Some((state, stack)) = last else {
        return Err(refuse(format!("lane {lane} has not begun to do anything")));
    };
    found.figure("found", i64::from(hit));
    found.figure(
        "waited",
        i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX),
    );
    found.text("state", vec![state.to_string()]);
    found.text("stack", stack);
    Ok(i64::from(hit))
}

/// A lane's state and stack now; `None` before its first request.
fn look(session: &Session, lane: Lane) -> Result<Option<(char, Vec<String>)>, Failure> {
    let Some(thread) = session.thread_of(lane) else {
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
    Ok(Some((state, stack.lines().map(str::to_owned).collect())))
}

/// The state in `/proc/PID/stat`: the first word after the name, which is in brackets and may hold brackets.
fn state_of(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The function in a line of `/proc/PID/stack`: `[<0>] pipe_wait_writable+0x60/0xd0`, without what the compiler added
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
