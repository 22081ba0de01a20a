//! The crash-state engine on a long log, beside a straightforward replay of that log from its start.
//!
//! Times are those of this thread on the processor, so that other load on the machine counts less. Quick calls are
//! timed fifty at once: asking for the time is a system call.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use coldcut_core::crash::index::{BlockIndex, DigestCursor, DigestError, Sources, replay};
use coldcut_core::crash::plan::{CrashSpec, PlanError};
use coldcut_core::crash::state::{CrashState, PlanKind, Set, StateError};
use coldcut_core::recording::block::{ReadAt as _, Zeros};
use coldcut_core::recording::log::{Cut, LoadError, LoadOptions, WriteLog};
use coldcut_core::recording::synthetic::SyntheticLog;
use coldcut_wire::splitmix::SplitMix;
use rustix::time::{ClockId, clock_gettime};

const DEVICE: u64 = 1 << 30;
/// Rounds of calls that are timed.
const ROUNDS: usize = 400;
/// Calls in a round.
const CALLS: usize = 50;

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

/// Times of many calls, each the mean of a round.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Mean of all rounds.
    pub mean: Duration,
    /// The 99th percentile of the rounds.
    pub p99: Duration,
}

impl Times {
    /// Times rounds of calls; stops early when `call` has nothing more to do.
    fn of<E>(mut call: impl FnMut() -> Result<bool, E>) -> Result<Self, E> {
        let mut times = Vec::with_capacity(ROUNDS);
        'rounds: for _ in 0..ROUNDS {
            let start = now();
            for _ in 0..CALLS {
                if !call()? {
                    break 'rounds;
                }
            }
            times.push(since(start) / CALLS as u32);
        }
        times.sort_unstable();
        Ok(Self {
            mean: times.iter().sum::<Duration>() / times.len().max(1) as u32,
            p99: times.get(times.len() * 99 / 100).copied().unwrap_or_default(),
        })
    }
}

/// The processor time that this thread has used.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn since(start: Duration) -> Duration {
    now().saturating_sub(start)
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
        let start = now();
        let log = WriteLog::load(&*source, None, &LoadOptions::default())?.log;
        built = Some(Arc::new(BlockIndex::build(Arc::new(log))));
        index = index.min(since(start));
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
    let mut random = SplitMix::new(1);

    let select = Times::of(|| {
        let cut = Cut(random.below(u64::from(end.0) + 1) as u32);
        let state = CrashState::new(PlanKind::At, cut, Set::Completed);
        engine.view(&state).map(|view| {
            black_box(view.selection());
            true
        })
    })?;

    let middle = CrashState::new(PlanKind::At, Cut(end.0 / 2), Set::Durable);
    let view = engine.view(&middle)?;
    let mut buffer = [0; 4096];
    let read = Times::of(|| {
        let offset = random.below(sources.base.size() / 4096) * 4096;
        view.read_at(&sources, offset, black_box(&mut buffer))
            .map(|()| true)
    })?;

    let mut cursor = DigestCursor::new(Arc::clone(&engine), sources.clone())?;
    let spec = CrashSpec::default();
    let mut states = spec.states(&log)?;
    let digest = Times::of(|| match states.next() {
        Some(state) => cursor.digest(&state).map(|digest| black_box(digest) == digest),
        None => Ok(false),
    })?;

    let mut device = vec![0; sources.base.size() as usize];
    // Touched once before the clock starts.
    device.fill(1);
    device.fill(0);
    let start = now();
    replay(&log, &sources, Cut(end.0 / 2), &mut device)?;
    let replay = since(start);
    Ok(CoreBench {
        entries,
        index,
        memory: engine.memory_per_entry(),
        select,
        read,
        digest,
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
                "{what:<38} {mean:>9.2} us {bar:>9} us  (99 of 100 rounds within {p99:.2} us)"
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
