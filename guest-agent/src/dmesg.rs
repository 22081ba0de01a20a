//! The kernel's log, from `/dev/kmsg`.
//!
//! A record reads `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];TEXT`, then lines of ` KEY=VALUE` that are dropped here
//! (Documentation/ABI/testing/dev-kmsg in the kernel's source).

use std::os::fd::OwnedFd;

use coldcut_wire::{DmesgFrom, DmesgLine, Done, Failure, Output, RequestId};
use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use crate::failure::{Tried, refuse};
use crate::link::Sender;

/// The longest record that the kernel gives out.
const RECORD: usize = 8192;
/// Lines a message.
const BATCH: usize = 64;
/// Records an answer; a kernel that logs faster than it is read must not hold the lane for ever.
const MAX_RECORDS: usize = 100_000;

/// The open log and where it stands.
#[derive(Debug, Default)]
pub(crate) struct KernelLog {
    open: Option<(OwnedFd, u64)>,
}

impl KernelLog {
    /// Sends the records that `from` asks for, and ends with the next number.
    pub(crate) fn send(&mut self, id: RequestId, from: DmesgFrom, sender: &Sender) -> Result<Done, Failure> {
        let (fd, mut next) = match (self.open.take(), from) {
            (Some((fd, next)), DmesgFrom::Last | DmesgFrom::End) => (fd, next),
            (Some((fd, next)), DmesgFrom::Record(since)) if next == since => (fd, next),
            (None, DmesgFrom::Last) => return Err(refuse("the kernel's log was not read before")),
            _ => (open()?, 0),
        };
        let since = match from {
            DmesgFrom::Record(since) => since,
            DmesgFrom::Last => next,
            DmesgFrom::End => u64::MAX,
        };
        let mut lines = Vec::new();
        let mut buffer = [0; RECORD];
        for _ in 0..MAX_RECORDS {
            match rustix::io::read(&fd, &mut buffer) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(len) => {
                    if let Some(line) = parse(&buffer[..len]) {
                        next = line.seq.saturating_add(1);
                        lines.extend((line.seq >= since).then_some(line));
                    }
                }
                // The next read gives the oldest record that is left.
                Err(Errno::PIPE) if from == DmesgFrom::End => {}
                Err(Errno::PIPE) => lines.push(lost(next)),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).tried(|| "read /dev/kmsg".to_owned()),
            }
            if lines.len() >= BATCH {
                sender.output(id, Output::Dmesg(std::mem::take(&mut lines)))?;
            }
        }
        if !lines.is_empty() {
            sender.output(id, Output::Dmesg(lines))?;
        }
        self.open = Some((fd, next));
        Ok(Done::Dmesg { next })
    }
}

fn open() -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open("/dev/kmsg", flags, Mode::empty()).tried(|| "open /dev/kmsg".to_owned())?;
    rustix::fs::seek(&fd, SeekFrom::Start(0)).tried(|| "rewind /dev/kmsg".to_owned())?;
    Ok(fd)
}

fn lost(seq: u64) -> DmesgLine {
    DmesgLine {
        seq,
        level: 4,
        micros: 0,
        text: "coldcut-agent: the kernel's log overran; records from here on were lost".to_owned(),
    }
}

fn parse(record: &[u8]) -> Option<DmesgLine> {
    let text = String::from_utf8_lossy(record);
    let (head, rest) = text.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    let seq = fields.next()?.parse().ok()?;
    let micros = fields.next()?.parse().ok()?;
    Some(DmesgLine {
        seq,
        level: (priority & 7) as u8,
        micros,
        text: rest.lines().next().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_parsed() {
        let record =
            b"12,340,1234567,-,caller=T1;EXT4-fs (vda): mounted; ok\n SUBSYSTEM=block\n DEVICE=b254:0\n";
        let line = parse(record).unwrap();
        assert_eq!((line.seq, line.level, line.micros), (340, 4, 1_234_567));
        assert_eq!(line.text, "EXT4-fs (vda): mounted; ok");
    }

    proptest! {
        #[test]
        fn no_record_breaks_the_parser(record in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&record);
        }
    }
}
