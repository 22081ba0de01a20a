//! Reading, each call timed, and naming what was read.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use coldcut_wire::{Extent, Failure, PatternName};
use rustix::fs::OFlags;

use super::Target;
use super::burst::is_stream;
use super::write::MAX_CALL;
use crate::alarm::Alarm;
use crate::bytes::AlignedBytes;
use crate::classify::{Candidates, Classifier};
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::found::Found;

/// What to read, and how.
pub(super) struct Reading<'a> {
    pub(super) path: &'a str,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) chunk: u32,
    pub(super) direct: bool,
    pub(super) times: u32,
    pub(super) pause_ms: u32,
    pub(super) contents: &'a [PatternName],
    pub(super) within_ms: u64,
}

/// Runs it; returns the bytes that the last round read.
pub(super) fn read<'a>(
    target: &Target<'a>,
    reading: &Reading<'a>,
    watch: &mut Stopwatch,
    found: &mut Found,
) -> Result<i64, Failure> {
    let path = reading.path;
    let refused = |why: &str| Err(refuse(format!("read {path}: {why}")));
    if reading.len == 0 || reading.len > MAX_CALL {
        return refused(&format!("1 to {MAX_CALL} bytes can be read, not {}", reading.len));
    }
    if !reading.offset.is_multiple_of(512) || i64::try_from(reading.offset).is_err() {
        return refused("the offset is no multiple of 512");
    }
    if reading.times == 0 {
        return refused("zero times");
    }
    let alarm = Alarm::new(reading.within_ms)?;
    let mut flags = OFlags::RDONLY;
    if reading.direct {
        flags |= OFlags::DIRECT;
    }
    let file = target.open(path, flags, watch)?;
    let stream = is_stream(file.as_fd(), path)?;
    let candidates = Candidates::new(reading.contents);
    let mut buffer = AlignedBytes::new(reading.len as usize)?;
    let mut last: Option<Vec<Extent>> = None;
    let mut got = 0;
    found.series("reads");
    for round in 0..reading.times {
        if round > 0 && reading.pause_ms > 0 {
            alarm.sleep(Duration::from_millis(reading.pause_ms.into()));
        }
        got = fill(
            reading,
            file.as_fd(),
            stream,
            buffer.as_mut(),
            &alarm,
            watch,
            found,
        )?;
        let mut classifier = Classifier::from(&candidates, reading.offset);
        classifier
            .data(&buffer.as_mut()[..got])
            .map_err(|error| refuse(format!("read {path}: {error}")))?;
        let extents = classifier.finish();
        if last.as_ref() != Some(&extents) {
            found.data(round, extents.clone())?;
            last = Some(extents);
        }
    }
    watch.time(|| drop(file));
    found.figure("bytes", got as i64);
    Ok(got as i64)
}

/// One round: fills the buffer as far as the file goes.
fn fill(
    reading: &Reading<'_>,
    file: BorrowedFd<'_>,
    stream: bool,
    buffer: &mut [u8],
    alarm: &Alarm,
    watch: &mut Stopwatch,
    found: &mut Found,
) -> Result<usize, Failure> {
    let path = reading.path;
    let call = match reading.chunk {
        0 => buffer.len(),
        chunk => buffer.len().min(chunk as usize),
    };
    let mut done = 0;
    while done < buffer.len() {
        let at = reading.offset + done as u64;
        let what = || format!("read {path} at {at}");
        let until = buffer.len().min(done + call);
        let room = &mut buffer[done..until];
        let start = Instant::now();
        let got = watch.time(|| {
            alarm.call(what, || {
                if stream {
                    rustix::io::read(file, &mut *room)
                } else {
                    rustix::io::pread(file, &mut *room, at)
                }
            })
        })?;
        let got = got.tried(what)?;
        found.took("reads", start.elapsed())?;
        if got == 0 {
            break;
        }
        done += got;
    }
    Ok(done)
}
