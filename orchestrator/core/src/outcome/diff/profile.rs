//! What a kernel sent to the disk, counted step by step.

use serde::{Deserialize, Serialize};

use crate::recording::io::IoKind;
use crate::recording::log::{Event, WriteLog};
use crate::recording::mark::Mark;

/// Requests that completed, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Writes, with FUA or without.
    pub writes: u64,
    /// Bytes that they wrote.
    pub bytes: u64,
    /// Requests with FUA: each is a barrier for itself.
    pub fua: u64,
    /// Flushes: each is a barrier for what completed before it.
    pub flushes: u64,
    /// Discards and writes of zeros.
    pub discards: u64,
    /// Groups of writes with a flush between them.
    pub epochs: u64,
}

impl Counts {
    /// Flushes and requests with FUA.
    pub fn barriers(&self) -> u64 {
        self.flushes + self.fua
    }

    fn add(&mut self, other: &Self) {
        self.writes += other.writes;
        self.bytes += other.bytes;
        self.fua += other.fua;
        self.flushes += other.flushes;
        self.discards += other.discards;
        self.epochs += other.epochs;
    }
}

/// What completed from the beginning of a step to the beginning of the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepIo {
    /// The step's name; the first is `mount`, which is all before the first step.
    pub step: String,
    /// What completed.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A recording in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoProfile {
    /// The mount, then the steps in order. The last one goes on to the end of the recording.
    pub steps: Vec<StepIo>,
}

impl IoProfile {
    /// Counts a log. A request belongs to the step during which, or after which, it completed.
    pub fn of(log: &WriteLog) -> Self {
        let mut steps = vec![StepIo {
            step: "mount".to_owned(),
            counts: Counts::default(),
        }];
        let mut counts = Counts::default();
        let mut in_epoch = false;
        for event in log.events() {
            match event {
                Event::Complete(id) => {
                    let Some(request) = log.request(id) else { continue };
                    match request.io.kind {
                        IoKind::Write => {
                            counts.writes += 1;
                            counts.bytes += request.io.len;
                        }
                        IoKind::WriteZeroes | IoKind::Discard => counts.discards += 1,
                        IoKind::Flush => counts.flushes += 1,
                    }
                    if request.io.kind == IoKind::Flush {
                        in_epoch = false;
                    } else {
                        counts.epochs += u64::from(!std::mem::replace(&mut in_epoch, true));
                    }
                    counts.fua += u64::from(request.io.fua);
                }
                Event::Mark(mark) => {
                    let mark = log.marks().get(mark as usize).map(|placed| &placed.mark);
                    if let (Some(Mark::Begin(step)), Some(last)) = (mark, steps.last_mut()) {
                        last.counts = std::mem::take(&mut counts);
                        steps.push(StepIo {
                            step: step.name.clone(),
                            counts: Counts::default(),
                        });
                    }
                }
                Event::Submit(_) | Event::Fail(_) => {}
            }
        }
        if let Some(last) = steps.last_mut() {
            last.counts = counts;
        }
        Self { steps }
    }

    /// Sums over the steps.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.steps.iter().for_each(|step| total.add(&step.counts));
        total
    }

    /// Barriers by step: what a kernel decides, and timing hardly does.
    pub fn barriers(&self) -> Vec<(&str, u64)> {
        self.steps
            .iter()
            .map(|step| (step.step.as_str(), step.counts.barriers()))
            .collect()
    }
}
