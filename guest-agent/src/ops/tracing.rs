//! Tracepoints through tracefs: each trace has an instance, and so a buffer, of its own.
//!
//! The text of a trace (Documentation/trace/ftrace.rst) has one event a line: `task-pid [cpu] flags time: event: what`,
//! where `what` is mostly `name=value` pairs. Values are read as the numbers that they begin with.

use std::fs;
use std::path::{Path, PathBuf};

use coldcut_wire::{Failure, op};
use rustix::fs::Mode;

use super::target::Target;
use super::tracefs::{bounded, debugfs, get, instances, put, tracefs};
use crate::failure::{Tried, refuse};
use crate::measurements::Measurements;

/// Buffer of a trace, for each processor, in KiB.
const BUFFER_KIB: u32 = 4096;

/// Returns the directory of a trace's instance.
fn instance(name: &str) -> Result<PathBuf, Failure> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.bytes().all(fits) {
        return Err(refuse(format!("`{name}` can be no trace's name")));
    }
    Ok(instances().join(format!("coldcut-trace-{name}")))
}

/// Begins to record an event, `SYSTEM:NAME`.
pub(super) fn start(op: &op::Trace) -> Result<(), Failure> {
    tracefs()?;
    let dir = instance(&op.name)?;
    let event = &op.event;
    let (system, event) = event
        .split_once(':')
        .filter(|(s, e)| !(s.is_empty() || e.is_empty() || s.contains(['/', '.']) || e.contains(['/', '.'])))
        .ok_or_else(|| refuse(format!("`{event}` is no event; expected SYSTEM:NAME")))?;
    rustix::fs::mkdir(&dir, Mode::from_raw_mode(0o755)).tried(|| format!("mkdir {}", dir.display()))?;
    put(&dir.join("buffer_size_kb"), &BUFFER_KIB.to_string())?;
    let events = dir.join("events").join(system).join(event);
    if !events.is_dir() {
        return Err(refuse(format!("this kernel has no event {system}:{event}")));
    }
    if !op.filter.is_empty() {
        put(&events.join("filter"), &op.filter)?;
    }
    put(&events.join("enable"), "1")?;
    let enabled = get(&events.join("enable"))?;
    if enabled.trim() != "1" {
        return Err(refuse(format!(
            "the event {system}:{event} does not stay enabled: {}",
            enabled.trim()
        )));
    }
    Ok(())
}

/// Ends a trace: figure `events`, and a series for each field. A trace that lost events is a failure.
pub(super) fn collect(op: &op::Collect, measured: &mut Measurements) -> Result<i64, Failure> {
    let op::Collect { name, fields } = op;
    let dir = instance(name)?;
    put(&dir.join("tracing_on"), "0")?;
    for cpu in
        fs::read_dir(dir.join("per_cpu")).tried(|| format!("read {}", dir.join("per_cpu").display()))?
    {
        let cpu = cpu.tried(|| "list the processors' buffers".to_owned())?;
        if let Some(lost) = lost(&get(&cpu.path().join("stats"))?) {
            return Err(refuse(format!("the trace `{name}` lost events: {lost}")));
        }
    }
    let path = dir.join("trace");
    let text = bounded(&path)?;
    let mut events = 0;
    for field in fields {
        measured.series(field);
    }
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty())
    {
        events += 1;
        for field in fields {
            let value = field_of(line, field).ok_or_else(|| {
                refuse(format!(
                    "the trace `{name}` has no number `{field}` in: {line:.200}"
                ))
            })?;
            measured.value(field, value)?;
        }
    }
    measured.figure("events", events);
    // The trace is over either way; what stays is only an unused buffer.
    let _ = rustix::fs::rmdir(&dir);
    Ok(events)
}

/// Finds the line of a buffer's statistics that says that something was lost.
fn lost(stats: &str) -> Option<&str> {
    stats.lines().map(str::trim).find(|line| {
        let counted = ["overrun:", "commit overrun:", "dropped events:"];
        counted.iter().any(|name| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.trim().parse::<u64>() != Ok(0))
        })
    })
}

/// Finds the number after `field=`, where that stands alone.
fn field_of(line: &str, field: &str) -> Option<i64> {
    line.split([' ', '\t', ',']).find_map(|word| {
        let value = word.strip_prefix(field)?.strip_prefix('=')?;
        let (digits, radix) = match value.strip_prefix("0x") {
            Some(hex) => (hex, 16),
            None => (value, 10),
        };
        let end = digits
            .char_indices()
            .find(|(i, c)| !(c.is_digit(radix) || (*i == 0 && *c == '-')))
            .map_or(digits.len(), |(i, _)| i);
        i64::from_str_radix(&digits[..end], radix).ok()
    })
}

/// Reads the numbers of a backing device's statistics, `bdi/MAJOR:MINOR/stats` in debugfs: figures by their names in lower
/// case with underscores; KiB and KiB/s become bytes.
pub(super) fn bdi(target: &Target<'_>, measured: &mut Measurements) -> Result<i64, Failure> {
    let device = target.device()?;
    let path = Path::new(debugfs()?).join(format!("bdi/{}:{}/stats", device.0, device.1));
    let text = get(&path)?;
    let mut seen = 0;
    for line in text.lines() {
        if let Some((name, value)) = statistic(line) {
            measured.figure(&name, value);
            seen += 1;
        }
    }
    if seen == 0 {
        return Err(refuse(format!("{} says nothing", path.display())));
    }
    Ok(seen)
}

/// Reads a statistic: `BdiWriteBandwidth:       102400 kBps` → `bdi_write_bandwidth`, bytes a second.
fn statistic(line: &str) -> Option<(String, i64)> {
    let (name, rest) = line.split_once(':')?;
    let mut parts = rest.split_whitespace();
    let value: i64 = parts.next()?.parse().ok()?;
    let value = match parts.next() {
        Some("kB" | "kBps") => value.checked_mul(1024)?,
        _ => value,
    };
    let mut snake = String::new();
    for c in name.trim().chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    Some((snake, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = " w-77 [000] ..... 12.5: balance_dirty_pages: bdi 254:0: limit=4096 setpoint=3000 \
        dirty=3100 dirtied_pause=32 paused=0 pause=-12 period=40 think=0";

    #[test]
    fn fields_stand_alone() {
        assert_eq!(
            field_of(LINE, "pause"),
            Some(-12),
            "not `paused` and not `dirtied_pause`"
        );
        assert_eq!(field_of(LINE, "paused"), Some(0));
        assert_eq!(field_of(LINE, "limit"), Some(4096));
        assert_eq!(field_of(LINE, "bdi"), None);
        assert_eq!(field_of("x: ino=0x1f,len=3", "ino"), Some(31));
        assert_eq!(field_of("x: ino=0x1f,len=3", "len"), Some(3));
        assert_eq!(field_of("x: state=abc", "state"), None);
    }

    #[test]
    fn losses_are_seen() {
        let stats = "entries: 5\noverrun: 0\ncommit overrun: 0\nbytes: 9\ndropped events: 0\n";
        assert_eq!(lost(stats), None);
        assert_eq!(
            lost(&stats.replace("\noverrun: 0", "\noverrun: 7")),
            Some("overrun: 7")
        );
        assert_eq!(
            lost(&stats.replace("dropped events: 0", "dropped events: 1")),
            Some("dropped events: 1")
        );
    }

    #[test]
    fn statistics_have_units() {
        assert_eq!(
            statistic("BdiWriteBandwidth:       102400 kBps"),
            Some(("bdi_write_bandwidth".to_owned(), 104_857_600))
        );
        assert_eq!(
            statistic("b_dirty:                     3"),
            Some(("b_dirty".to_owned(), 3))
        );
        assert_eq!(statistic("state:               x"), None);
    }

    #[test]
    fn names_lead_nowhere_else() {
        for bad in ["", "../x", "a/b", ".", "a b"] {
            assert!(instance(bad).is_err(), "{bad:?}");
        }
        for bad in ["writeback", "../..:x"] {
            let trace = op::Trace {
                name: "ok".to_owned(),
                event: bad.to_owned(),
                filter: String::new(),
                fields: Vec::new(),
            };
            assert!(start(&trace).is_err(), "{bad:?}");
        }
    }
}
