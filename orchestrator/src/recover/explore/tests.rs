//! Exploring with recoverers that are not machines: forgetful, failing, with a cache that nobody dropped.

use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use coldcut_core::crash::index::{BLOCK, BlockIndex, Sources};
use coldcut_core::crash::plan::CrashSpec;
use coldcut_core::crash::state::PlanKind;
use coldcut_core::outcome::recovery::CallError;
use coldcut_core::recording::block::ReadAt as _;
use coldcut_core::recording::io::{Io, IoKind, IoLog as _};
use coldcut_core::recording::log::{LoadOptions, Recorder, WriteLog};

use super::*;
use crate::host::scratch::Scratch;
use crate::report::EventSink;
use crate::vm::machine::{Accel, AccelDecision, Qemu};

/// Blocks of the disk. Each is written once, and nothing is flushed: every subset of them may be there.
const BLOCKS: u64 = 10;

/// A recovery that reads block 0, block 1 where that one is there, and block 2 where both are.
#[derive(Debug, Default)]
struct Fake {
    /// A guest keeps block 1 from the first state in which it read it.
    keeps: bool,
    /// This recovery, counted from 0, fails, and so do so many after it.
    fails: Option<(u64, u64)>,
    /// This recovery panics: the recoverer, not the guest.
    dies: Option<u64>,
    /// Fresh guests do not come up.
    no_fresh: bool,
    count: AtomicU64,
}

struct FakeGuest {
    keeps: bool,
    kept: Option<u8>,
}

type Job = Arc<Noted>;

fn at(job: &Noted, block: u64) -> u8 {
    let mut byte = [0];
    job.read_at(block * BLOCK, &mut byte).unwrap();
    byte[0]
}

/// What is found, as an error number.
fn recovery(found: i32, trust: Trust) -> Recovery {
    let mount_error = Some(CallError {
        errno: Some(found),
        what: String::new(),
    });
    Recovery {
        mount_error,
        panic: None,
        ..Recovery::panicked(trust, String::new())
    }
}

fn recover(job: &Noted, trust: Trust, kept: &mut Option<u8>, keeps: bool) -> Recovery {
    let first = at(job, 0);
    if first == 0 {
        return recovery(0, trust);
    }
    let second = kept.filter(|_| keeps).unwrap_or_else(|| at(job, 1));
    *kept = Some(second);
    let third = if second == 0 { 0 } else { at(job, 2) };
    recovery(1 + i32::from(second) + 2 * i32::from(third), trust)
}

impl Fake {
    fn counts(&self) -> Result<(), Unknown> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        assert_ne!(self.dies, Some(number), "as asked for");
        match self.fails {
            Some((from, more)) if (from..=from + more).contains(&number) => Err(Unknown::new("it is lost")),
            _ => Ok(()),
        }
    }
}

impl Recoverer for Fake {
    type Job = Job;
    type Screener = FakeGuest;

    async fn recover(&self, _: &Pool, job: &Job, trust: Trust) -> Result<Recovery, Unknown> {
        if self.no_fresh {
            return Err(Unknown::new("it does not come up"));
        }
        Ok(recover(job, trust, &mut None, false))
    }

    async fn record(&self, _: &Pool, _: &Job, _: (&Path, &Path)) -> Result<(), Unknown> {
        Err(Unknown::new("it logs nothing"))
    }

    async fn screener(&self, _: &Pool, _: &Job) -> Result<FakeGuest, Unknown> {
        self.counts()?;
        Ok(FakeGuest {
            keeps: self.keeps,
            kept: None,
        })
    }
}

impl Screener<Job> for FakeGuest {
    async fn recover(&mut self, _: &Pool, job: &Job) -> Result<Recovery, Unknown> {
        tokio::task::yield_now().await;
        Ok(recover(job, Trust::Screened, &mut self.kept, self.keeps))
    }

    fn spoiled(&self) -> bool {
        // Where every recovery is to be counted, each has a guest of its own.
        !self.keeps
    }
}

fn recording() -> (Arc<BlockIndex>, Sources) {
    let size = BLOCKS * BLOCK;
    let mut recorder = Recorder::new(Cursor::new(Vec::new()), Vec::new(), size, 4096).unwrap();
    for block in 0..BLOCKS {
        let data = Bytes::from(vec![1; BLOCK as usize]);
        let io = Io {
            kind: IoKind::Write,
            offset: block * BLOCK,
            len: BLOCK,
            fua: false,
        };
        let id = recorder.submit(io, data).unwrap();
        recorder.complete(id).unwrap();
    }
    recorder.finish().unwrap();
    let (log, sidecar) = recorder.into_inner();
    let log = log.into_inner();
    let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
    let sources = Sources {
        base: Arc::new(vec![0; size as usize]),
        log: Arc::new(log),
        sidecar: Some(Arc::new(sidecar)),
    };
    (Arc::new(BlockIndex::build(Arc::new(loaded.log))), sources)
}

async fn run(fake: Fake, budget: u64, jobs: usize) -> Result<Explored, Unknown> {
    let qemu = Qemu {
        path: "/bin/false".into(),
        version: "10.0.2".into(),
    };
    let accel = AccelDecision {
        accel: Accel::Tcg,
        why: "a test".into(),
    };
    let scratch = Scratch::new().unwrap();
    let pool = Arc::new(Pool::new(qemu, accel, scratch, EventSink::new(Vec::new()), jobs));
    let (index, sources) = recording();
    let plans = CrashSpec::of(PlanKind::All).complete(index.log()).unwrap();
    let exploration = Exploration::new(&index, &sources, &plans, budget);
    let exploring = Exploring {
        job: Arc::new(move |state: &CrashState| {
            let noted = Arc::new(Noted::new(Arc::new(index.image(state, &sources).unwrap())));
            Ok((Arc::clone(&noted), noted))
        }),
        done: Arc::new(|_, _, _, _| {}),
        trust: Trust::Screened,
        sampler: Trust::Fresh,
        time: None,
        samples: Box::new(|_| 32),
        seed: 7,
        remembered: None,
    };
    explore(&pool, &Arc::new(fake), exploring, exploration).await
}

fn found(explored: &Explored) -> Vec<i32> {
    let mut found: Vec<i32> = explored
        .recovered
        .iter()
        .filter_map(|(_, recovery)| recovery.mount_error.as_ref()?.errno)
        .collect();
    found.sort_unstable();
    found
}

fn failed(explored: &Explored) -> Vec<&CrashState> {
    let failed = explored.besides.iter().filter(|(_, outcome)| outcome.is_err());
    failed.map(|(state, _)| state).collect()
}

#[tokio::test]
async fn few_recoveries_answer_for_every_state() {
    for jobs in [1, 3] {
        let explored = run(Fake::default(), 1000, jobs).await.unwrap();
        let done = &explored.completeness;
        assert!(done.is_whole());
        assert_eq!((done.cuts, done.whole_cuts), (1, 1));
        assert_eq!(done.states.saturated(), 1 << BLOCKS);
        assert_eq!(done.classes, 4, "{jobs}");
        assert!(
            done.recoveries <= 6,
            "machines at once may do the same twice: {done:?}"
        );
        assert!(done.sampled >= 32);
        assert_eq!(explored.besides.len(), 32, "the sample is judged too");
        assert_eq!(explored.differing, Vec::<String>::new());
        let mut all = found(&explored);
        all.dedup();
        assert_eq!(all, [0, 1, 2, 4]);
    }
}

#[tokio::test]
async fn a_block_that_a_guest_kept_is_noticed_by_the_sample() {
    let keeps = true;
    let explored = run(
        Fake {
            keeps,
            ..Fake::default()
        },
        1000,
        1,
    )
    .await
    .unwrap();
    let done = &explored.completeness;
    assert!(!done.is_whole(), "nothing that was inferred counts: {done:?}");
    assert!(
        done.differing > 0,
        "a fresh guest, which kept nothing, finds otherwise"
    );
    assert!(
        explored.differing[0].contains("both read the same first blocks, 1 there, "),
        "{:?}",
        explored.differing
    );
}

#[tokio::test]
async fn what_fails_once_is_tried_again_and_what_fails_twice_is_not_covered() {
    let fails = Some((1, 0));
    let explored = run(
        Fake {
            fails,
            ..Fake::default()
        },
        1000,
        1,
    )
    .await
    .unwrap();
    assert!(explored.completeness.is_whole());
    assert!(failed(&explored).is_empty());
    let fails = Some((1, 1));
    let explored = run(
        Fake {
            fails,
            ..Fake::default()
        },
        1000,
        1,
    )
    .await
    .unwrap();
    assert_eq!(failed(&explored).len(), 1);
    assert!(!explored.completeness.is_whole());
}

#[tokio::test]
async fn a_sample_that_nobody_recovers_is_no_pass() {
    let no_fresh = true;
    let fake = Fake {
        no_fresh,
        ..Fake::default()
    };
    let explored = run(fake, 1000, 1).await.unwrap();
    assert_eq!(explored.completeness.sampled, 0);
    assert_eq!(failed(&explored).len(), 32, "each is told as unknown");
}

#[tokio::test]
async fn a_budget_leaves_states_uncovered() {
    let explored = run(Fake::default(), 1, 2).await.unwrap();
    let done = &explored.completeness;
    assert_eq!((done.recoveries, done.whole_cuts), (1, 0));
    // All without block 0.
    assert_eq!(done.covered.saturated(), 1 << (BLOCKS - 1));
    assert!((done.fraction() - 0.5).abs() < 1e-9);
}

#[tokio::test]
async fn a_recoverer_that_dies_ends_the_exploration() {
    let dies = Some(0);
    let ended = tokio::time::timeout(
        Duration::from_secs(60),
        run(
            Fake {
                dies,
                ..Fake::default()
            },
            1000,
            2,
        ),
    );
    assert!(ended.await.expect("it does not hang").is_err());
}
