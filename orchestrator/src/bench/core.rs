//! The crash-state engine on a long log, beside a straightforward replay of that log from its start.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_core::block::{ReadAt as _, Zeros};
use coldcut_core::index::{BlockIndex, DigestCursor, DigestError, Sources, replay};
use coldcut_core::log::{Cut, LoadError, LoadOptions, WriteLog};
use coldcut_core::plan::{CrashSpec, PlanError};
use coldcut_core::state::{CrashState, PlanKind, Set, StateError};
use coldcut_core::synthetic::SyntheticLog;

const DEVICE: u64 = 1 << 30;
/// States, reads and digests that are timed.
const SAMPLES: usize = 20_000;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CoreBenchError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error("cannot read the synthetic log: {0}")]
    Io(#[from] std::io::Error),
}

/// Times of many calls.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Mean.
    pub mean: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let count = times.len().max(1);
        Self {
            mean: times.iter().sum::<Duration>() / count as u32,
            p99: times.get(count * 99 / 100).copied().unwrap_or_default(),
        }
    }
}

/// What was measured; printing it gives a table with the bars.
#[derive(Clone, Copy, Debug)]
pub struct CoreBench {
    /// Entries of the log.
    pub entries: u32,
    /// Reading the log and indexing it, the best of three.
    pub index: Duration,
    /// Memory of log and index, in bytes an entry.
    pub memory: f64,
    /// Selecting a random state.
    pub select: Times,
    /// Reading 4 KiB of a state at random places.
    pub read: Times,
    /// Digest of the next state of the plan `barriers`.
    pub digest: Times,
    /// Replaying the first half of the log into memory.
    pub replay: Duration,
}

/// Measures the engine on a made-up log with so many entries; needs 1 GiB of memory for the replay.
///
/// # Errors
/// When the engine fails.
pub fn core(entries: u32) -> Result<CoreBench, CoreBenchError> {
    let source = Arc::new(SyntheticLog::new(entries, DEVICE));
    let mut index = Duration::MAX;
    let mut built = None;
    for _ in 0..3 {
        drop(built.take());
        let start = Instant::now();
        let log = WriteLog::load(&*source, None, &LoadOptions::default())?.log;
        built = Some(Arc::new(BlockIndex::build(Arc::new(log))));
        index = index.min(start.elapsed());
    }
    let Some(engine) = built else {
        unreachable!("three rounds build three indices");
    };
    let log = Arc::clone(engine.log());
    let sources = Sources {
        base: Arc::new(Zeros {
            size: source.device_size(),
        }),
        log: source,
        sidecar: None,
    };
    let end = log.end();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);

    let mut select = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let cut = Cut(random.below(u64::from(end.0) + 1) as u32);
        let state = CrashState::new(PlanKind::At, cut, Set::Completed);
        let start = Instant::now();
        black_box(engine.view(&state)?);
        select.push(start.elapsed());
    }

    let middle = CrashState::new(PlanKind::At, Cut(end.0 / 2), Set::Durable);
    let view = engine.view(&middle)?;
    let mut buffer = [0; 4096];
    let mut read = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let offset = random.below(sources.base.size() / 4096) * 4096;
        let start = Instant::now();
        view.read_at(&sources, offset, &mut buffer)?;
        read.push(start.elapsed());
        black_box(&buffer);
    }

    let mut cursor = DigestCursor::new(Arc::clone(&engine), sources.clone())?;
    let mut digest = Vec::with_capacity(SAMPLES);
    for state in CrashSpec::default().states(&log)?.take(SAMPLES) {
        let start = Instant::now();
        black_box(cursor.digest(&state)?);
        digest.push(start.elapsed());
    }

    let mut device = vec![0; sources.base.size() as usize];
    // Touched once before the clock starts.
    device.fill(1);
    device.fill(0);
    let start = Instant::now();
    replay(&log, &sources, Cut(end.0 / 2), &mut device)?;
    let replay = start.elapsed();
    Ok(CoreBench {
        entries,
        index,
        memory: engine.memory_per_entry(),
        select: Times::of(select),
        read: Times::of(read),
        digest: Times::of(digest),
        replay,
    })
}

impl fmt::Display for CoreBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let replay = micros(self.replay);
        writeln!(f, "crash-state engine, log of {} entries", self.entries)?;
        writeln!(f, "{:<38} {:>12} {:>12}", "", "measured", "bar")?;
        let seconds = self.index.as_secs_f64();
        writeln!(f, "{:<38} {seconds:>10.2} s {:>10} s", "load and index", 1.5)?;
        writeln!(
            f,
            "{:<38} {:>10.1} B {:>10} B",
            "memory an entry", self.memory, 150
        )?;
        for (what, times, bar) in [
            ("select a random state", self.select, 50),
            ("read 4 KiB of a state", self.read, 2),
            ("digest of the next barrier's state", self.digest, 30),
        ] {
            let (mean, p99) = (micros(times.mean), micros(times.p99));
            writeln!(
                f,
                "{what:<38} {mean:>9.2} us {bar:>9} us  (99 of 100 in {p99:.2} us)"
            )?;
        }
        writeln!(
            f,
            "{:<38} {replay:>9.0} us {:>12}  ({:.0} times a selection and a digest)",
            "replay of the log's first half",
            "",
            replay / (micros(self.select.mean) + micros(self.digest.mean)).max(1e-3)
        )
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}
