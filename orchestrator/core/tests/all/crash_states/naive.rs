//! The model in its most literal form: arrays of bytes, sets by brute force. Written from the definition alone; it
//! shares nothing with the engine but the types of requests.

#![allow(dead_code, unreachable_pub)]

use bytes::Bytes;
use coldcut_core::recording::disks::{Disk, Disks};
use coldcut_core::recording::io::{Io, IoKind, IoLog};
use coldcut_core::recording::log::Recorder;
use coldcut_core::recording::mark::{Mark, StepName};
use proptest::prelude::*;
use std::io::Cursor;
use std::ops::Range;

pub const SECTOR: usize = 512;

/// What a test makes happen.
#[derive(Clone, Debug)]
pub enum Happening {
    Submit(Io, Vec<u8>),
    /// The n-th submitted request ends.
    Complete(usize),
    Fail(usize),
    Mark(Mark),
}

/// A script of happenings on one disk or several.
#[derive(Clone, Debug)]
pub struct Script {
    /// Bytes of all disks, and of the gaps between them.
    pub device: usize,
    /// The bytes of each disk.
    pub disks: Vec<Range<usize>>,
    pub base: Vec<u8>,
    pub happenings: Vec<Happening>,
}

/// A submission of which only some units made it.
#[derive(Clone, Debug)]
pub struct Torn {
    pub number: usize,
    /// Bytes.
    pub unit: usize,
    /// Those that made it, by their place on the device.
    pub units: Vec<usize>,
}

impl Script {
    /// Records it with the real recorder: log and sidecar.
    pub fn record(&self, finish: bool) -> (Vec<u8>, Vec<u8>) {
        let disks = self.disks.iter().map(|disk| Disk {
            start: disk.start as u64,
            size: disk.len() as u64,
        });
        let disks = Disks::at(disks.collect()).unwrap();
        let mut recorder = Recorder::of(Cursor::new(Vec::new()), Vec::new(), disks, 4096).unwrap();
        let mut ids = Vec::new();
        for happening in &self.happenings {
            match happening {
                Happening::Submit(io, data) => {
                    ids.push(recorder.submit(*io, Bytes::from(data.clone())).unwrap());
                }
                Happening::Complete(number) => recorder.complete(ids[*number]).unwrap(),
                Happening::Fail(number) => recorder.fail(ids[*number]).unwrap(),
                Happening::Mark(mark) => recorder.mark(mark).unwrap(),
            }
        }
        if finish {
            recorder.finish().unwrap();
        }
        let (log, sidecar) = recorder.into_inner();
        (log.into_inner(), sidecar)
    }

    fn submissions(&self) -> Vec<(usize, Io, &Vec<u8>)> {
        self.happenings
            .iter()
            .enumerate()
            .filter_map(|(place, happening)| match happening {
                Happening::Submit(io, data) => Some((place, *io, data)),
                _ => None,
            })
            .collect()
    }

    fn end_of(&self, number: usize) -> Option<(usize, bool)> {
        self.happenings
            .iter()
            .enumerate()
            .find_map(|(place, happening)| match happening {
                Happening::Complete(other) if *other == number => Some((place, true)),
                Happening::Fail(other) if *other == number => Some((place, false)),
                _ => None,
            })
    }

    /// Whether submission `number` completed before event `cut`.
    pub fn completed(&self, number: usize, cut: usize) -> bool {
        self.completed_by(number, cut)
    }

    fn completed_by(&self, number: usize, cut: usize) -> bool {
        matches!(self.end_of(number), Some((place, true)) if place < cut)
    }

    /// What happened to one disk, as if there were no other.
    pub fn alone(&self, number: usize) -> Self {
        let disk = self.disks[number].clone();
        let mut numbers = Vec::new();
        let mut happenings = Vec::new();
        let mut kept = 0;
        for happening in &self.happenings {
            match happening {
                Happening::Submit(io, data) => {
                    let here = self.disk_of(io.offset) == number;
                    numbers.push(here.then_some(kept));
                    if here {
                        kept += 1;
                        let offset = io.offset - disk.start as u64;
                        happenings.push(Happening::Submit(Io { offset, ..*io }, data.clone()));
                    }
                }
                Happening::Complete(other) => happenings.extend(numbers[*other].map(Happening::Complete)),
                Happening::Fail(other) => happenings.extend(numbers[*other].map(Happening::Fail)),
                Happening::Mark(mark) => happenings.push(Happening::Mark(mark.clone())),
            }
        }
        Self {
            device: disk.len(),
            disks: std::iter::once(0..disk.len()).collect(),
            base: self.base[disk].to_vec(),
            happenings,
        }
    }

    /// The disk that has a byte.
    pub fn disk_of(&self, byte: u64) -> usize {
        let found = self.disks.iter().position(|disk| disk.contains(&(byte as usize)));
        found.expect("on a disk")
    }

    /// durable(t), by the definition.
    pub fn durable(&self, cut: usize) -> Vec<usize> {
        let submissions = self.submissions();
        (0..submissions.len())
            .filter(|number| {
                let io = submissions[*number].1;
                if io.kind == IoKind::Flush || !self.completed_by(*number, cut) {
                    return false;
                }
                let completed_at = self.end_of(*number).unwrap().0;
                io.fua
                    || (0..submissions.len()).any(|flush| {
                        let (submitted_at, flush_io, _) = submissions[flush];
                        flush_io.kind == IoKind::Flush
                            && self.disk_of(flush_io.offset) == self.disk_of(io.offset)
                            && self.completed_by(flush, cut)
                            && completed_at < submitted_at
                    })
            })
            .collect()
    }

    /// volatile(t), in the order in which chosen ones are applied: completion, then in flight by submission.
    pub fn volatile(&self, cut: usize) -> Vec<usize> {
        let durable = self.durable(cut);
        let mut volatile: Vec<usize> = self
            .submissions()
            .iter()
            .enumerate()
            .filter(|(number, (place, io, _))| {
                let failed = matches!(self.end_of(*number), Some((end, false)) if end < cut);
                *place < cut && io.kind != IoKind::Flush && !failed && !durable.contains(number)
            })
            .map(|(number, _)| number)
            .collect();
        volatile.sort_by_key(|number| self.order_key(*number, cut));
        volatile
    }

    fn order_key(&self, number: usize, cut: usize) -> (usize, usize) {
        match self.end_of(number) {
            Some((place, true)) if place < cut => (place, 0),
            _ => (usize::MAX, number),
        }
    }

    /// The device with these submissions applied in the global order, in-flight ones in the order given.
    pub fn content(&self, cut: usize, chosen: &[usize]) -> Vec<u8> {
        self.content_torn(cut, chosen, None)
    }

    /// The same; of one of them, only some units make it.
    pub fn content_torn(&self, cut: usize, chosen: &[usize], torn: Option<&Torn>) -> Vec<u8> {
        let mut ordered = chosen.to_vec();
        ordered.sort_by_key(|number| match self.order_key(*number, cut) {
            (usize::MAX, _) => (
                usize::MAX,
                chosen.iter().position(|other| other == number).unwrap(),
            ),
            key => key,
        });
        let submissions = self.submissions();
        let mut device = self.base.clone();
        for number in ordered {
            let (_, io, data) = submissions[number];
            for byte in io.offset as usize..(io.offset + io.len) as usize {
                if torn.is_some_and(|torn| torn.number == number && !torn.units.contains(&(byte / torn.unit)))
                {
                    continue;
                }
                match io.kind {
                    IoKind::Write => device[byte] = data[byte - io.offset as usize],
                    IoKind::WriteZeroes | IoKind::Discard => device[byte] = 0,
                    IoKind::Flush => {}
                }
            }
        }
        device
    }

    /// Every way to tear a submission: the first 1, 2, …, the last 1, 2, …, every other unit.
    pub fn tears(&self, number: usize, unit: usize) -> Vec<Torn> {
        let io = self.io(number);
        let touched: std::collections::BTreeSet<usize> = (io.offset as usize..(io.offset + io.len) as usize)
            .map(|byte| byte / unit)
            .collect();
        let touched: Vec<usize> = touched.into_iter().collect();
        let mut ways: Vec<Vec<usize>> = Vec::new();
        for count in 1..touched.len() {
            ways.push(touched[..count].to_vec());
            ways.push(touched[touched.len() - count..].to_vec());
        }
        if touched.len() > 2 {
            for parity in [0, 1] {
                ways.push(touched.iter().copied().skip(parity).step_by(2).collect());
            }
        }
        let torn = |units| Torn { number, unit, units };
        ways.into_iter().map(torn).collect()
    }

    /// The submission with the n-th completion; what never completed follows by submission. The engine's numbering.
    pub fn by_engine_number(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.submissions().len()).collect();
        numbers.sort_by_key(|number| match self.end_of(*number) {
            Some((place, true)) => (place, 0),
            _ => (usize::MAX, *number),
        });
        numbers
    }

    pub fn io(&self, number: usize) -> Io {
        self.submissions()[number].1
    }
}

/// One step of the random walk that makes a script.
#[derive(Clone, Debug)]
enum Move {
    Submit(Submission),
    End { which: usize, fail: bool },
    Mark(u8),
}

/// A random request, still without a device to fit on.
#[derive(Clone, Debug)]
struct Submission {
    kind: u8,
    sector: usize,
    sectors: usize,
    fua: bool,
    fill: u8,
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        5 => (0..8_u8, 0..60_usize, 1..20_usize, prop::bool::weighted(0.2), 1..=255_u8)
            .prop_map(|(kind, sector, sectors, fua, fill)| Move::Submit(Submission { kind, sector, sectors, fua, fill })),
        5 => (0..8_usize, prop::bool::weighted(0.08)).prop_map(|(which, fail)| Move::End { which, fail }),
        1 => (0..3_u8).prop_map(Move::Mark),
    ]
}

impl Submission {
    /// The request on one of these disks, of which none is empty.
    fn on(&self, disks: &[Range<usize>]) -> Happening {
        let of = |bytes: usize| bytes / SECTOR;
        let all: usize = disks.iter().map(|disk| of(disk.len())).sum();
        let (mut sector, mut number) = (self.sector % all, 0);
        while sector >= of(disks[number].len()) {
            sector -= of(disks[number].len());
            number += 1;
        }
        let disk = &disks[number];
        let sectors = self.sectors.min(of(disk.len()) - sector);
        let sector = sector + of(disk.start);
        let range = |kind| Io {
            kind,
            offset: (sector * SECTOR) as u64,
            len: (sectors * SECTOR) as u64,
            fua: self.fua,
        };
        let io = match self.kind {
            0 => range(IoKind::Discard),
            1 => range(IoKind::WriteZeroes),
            2 | 3 => Io {
                kind: IoKind::Flush,
                offset: disk.start as u64,
                len: 0,
                fua: false,
            },
            _ => range(IoKind::Write),
        };
        let data = if io.kind == IoKind::Write {
            self.data(sector, io.len as usize)
        } else {
            Vec::new()
        };
        Happening::Submit(io, data)
    }

    /// Every byte depends on the sector, and often on the request.
    fn data(&self, sector: usize, len: usize) -> Vec<u8> {
        let salt = if self.fill < 64 { self.fill % 4 } else { self.fill };
        let byte = |at: usize| {
            if salt < 4 {
                salt
            } else {
                salt.wrapping_add((sector + at / SECTOR) as u8)
            }
        };
        (0..len).map(byte).collect()
    }
}

fn mark(which: u8) -> Mark {
    let step = StepName {
        index: u32::from(which),
        name: format!("step{which}"),
    };
    match which {
        0 => Mark::Begin(step),
        1 => Mark::Done(step),
        _ => Mark::Other("something".into()),
    }
}

/// Random small logs on one to three disks of a few blocks in all (not a whole number of blocks), with overlap as the rule.
pub fn scripts(most: usize) -> impl Strategy<Value = Script> {
    let disks = prop_oneof![2 => Just(1_usize), 1 => Just(2), 1 => Just(3)];
    scripts_on(most, disks)
}

/// Disks of `blocks` in all, each of them not a whole number of blocks.
fn lay_out(blocks: usize, count: usize) -> Vec<Range<usize>> {
    let place = |number: usize| blocks * number / count * 4096;
    let disk = |number| place(number)..place(number + 1) - 1024;
    (0..count).map(disk).collect()
}

fn scripts_on(most: usize, disks: impl Strategy<Value = usize>) -> impl Strategy<Value = Script> {
    let moves = prop::collection::vec(moves(), 0..most);
    (4..9_usize, disks, 0..4_u8, moves).prop_map(|(blocks, disks, base_fill, moves)| {
        let disks = lay_out(blocks, disks);
        let device = blocks * 4096 - 1024;
        let mut base = vec![0; device];
        for (index, byte) in base.iter_mut().enumerate() {
            // Two fills that writes use too, so that some rewrite what is there.
            *byte = if index / 4096 % 2 == 0 { base_fill } else { 0 };
        }
        let mut open: Vec<usize> = Vec::new();
        let mut submitted = 0;
        let mut happenings = Vec::new();
        for step in moves {
            match step {
                Move::Submit(submission) => {
                    open.push(submitted);
                    submitted += 1;
                    happenings.push(submission.on(&disks));
                }
                Move::End { which, fail } => {
                    if !open.is_empty() {
                        let number = open.remove(which % open.len());
                        happenings.push(if fail {
                            Happening::Fail(number)
                        } else {
                            Happening::Complete(number)
                        });
                    }
                }
                Move::Mark(which) => happenings.push(Happening::Mark(mark(which))),
            }
        }
        Script {
            device,
            disks,
            base,
            happenings,
        }
    })
}
