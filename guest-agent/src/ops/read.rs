//! Reading, each call timed, and naming what was read.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use coldcut_wire::{Extent, Failure, op};
use rustix::fs::OFlags;

use super::target::{Opened, Target, is_stream};
use super::write::MAX_CALL;
use crate::alarm::Alarm;
use crate::bytes::AlignedBytes;
use crate::classify::{Candidates, Classifier};
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::measurements::Measurements;

/// Reads as often as asked; returns the bytes that the last round read.
pub(super) fn read(
    target: &Target<'_>,
    op: &op::Read,
    watch: &mut Stopwatch,
    measured: &mut Measurements,
) -> Result<i64, Failure> {
    check(op)?;
    let alarm = Alarm::new(op.within_ms)?;
    let mut flags = OFlags::RDONLY;
    if op.direct {
        flags |= OFlags::DIRECT;
    }
    let file = target.open(&op.path, flags, watch)?;
    let reader = Reader {
        op,
        has_offsets: !is_stream(file.as_fd(), &op.path)?,
        file,
        alarm,
    };
    let candidates = Candidates::new(&op.patterns);
    let mut buffer = AlignedBytes::new(op.len as usize)?;
    let mut last: Option<Vec<Extent>> = None;
    let mut got = 0;
    measured.series("reads");
    for round in 0..op.times {
        if round > 0 && op.pause_ms > 0 {
            reader.alarm.sleep(Duration::from_millis(op.pause_ms.into()));
        }
        got = reader.fill(buffer.as_mut(), watch, measured)?;
        let mut classifier = Classifier::from(&candidates, op.offset);
        classifier
            .data(&buffer.as_mut()[..got])
            .map_err(|error| refuse(format!("read {}: {error}", op.path)))?;
        let extents = classifier.finish();
        if last.as_ref() != Some(&extents) {
            measured.data(round, extents.clone())?;
            last = Some(extents);
        }
    }
    watch.time(|| drop(reader.file));
    measured.figure("bytes", got as i64);
    Ok(got as i64)
}

/// Refuses what cannot be read, or not named.
fn check(op: &op::Read) -> Result<(), Failure> {
    let refused = |why: &str| Err(refuse(format!("read {}: {why}", op.path)));
    if op.len == 0 || op.len > MAX_CALL {
        return refused(&format!("1 to {MAX_CALL} bytes can be read, not {}", op.len));
    }
    if !op.offset.is_multiple_of(512) || i64::try_from(op.offset).is_err() {
        return refused("the offset is no multiple of 512");
    }
    if op.times == 0 {
        return refused("zero times");
    }
    Ok(())
}

/// A file that is being read.
struct Reader<'a> {
    op: &'a op::Read,
    file: Opened,
    /// Whether a read comes from where it says: not from a pipe or a socket.
    has_offsets: bool,
    alarm: Alarm,
}

impl Reader<'_> {
    /// Reads one round: fills the buffer as far as the file goes.
    fn fill(
        &self,
        buffer: &mut [u8],
        watch: &mut Stopwatch,
        measured: &mut Measurements,
    ) -> Result<usize, Failure> {
        let file = self.file.as_fd();
        let call = match self.op.chunk {
            0 => buffer.len(),
            chunk => buffer.len().min(chunk as usize),
        };
        let mut done = 0;
        while done < buffer.len() {
            let at = self.op.offset + done as u64;
            let what = || format!("read {} at {at}", self.op.path);
            let until = buffer.len().min(done + call);
            let room = &mut buffer[done..until];
            let start = Instant::now();
            let got = watch.time(|| {
                self.alarm.call(what, || {
                    if self.has_offsets {
                        rustix::io::pread(file, &mut *room, at)
                    } else {
                        rustix::io::read(file, &mut *room)
                    }
                })
            })?;
            let got = got.tried(what)?;
            measured.took("reads", start.elapsed())?;
            if got == 0 {
                break;
            }
            done += got;
        }
        Ok(done)
    }
}
