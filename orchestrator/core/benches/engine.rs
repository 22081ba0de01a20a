//! The engine's speed on a log of a million entries, beside a replay of the log from its start; and that of the
//! histories which judging needs.

#![allow(clippy::disallowed_macros)] // what it measures besides is printed

use std::hint::black_box;
use std::sync::Arc;

use coldcut_core::crash::index::{BlockIndex, DigestCursor, Sources, replay};
use coldcut_core::crash::plan::CrashSpec;
use coldcut_core::crash::state::{CrashState, PlanKind, Set};
use coldcut_core::oracle::{Histories, History};
use coldcut_core::recording::block::Zeros;
use coldcut_core::recording::io::{Io, IoKind};
use coldcut_core::recording::log::{Cut, DataRef, Geometry, LoadOptions, LogBuilder, Order, WriteLog};
use coldcut_core::recording::mark::{Mark, StepName};
use coldcut_core::recording::synthetic::SyntheticLog;
use coldcut_wire::splitmix::SplitMix;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const ENTRIES: u32 = 1_000_000;
const DEVICE: u64 = 1 << 30;
const STEPS: u32 = 10_000;

fn engine(c: &mut Criterion) {
    let source = Arc::new(SyntheticLog::new(ENTRIES, DEVICE));
    let load = || WriteLog::load(&*source, None, &LoadOptions::default()).map(|loaded| loaded.log);
    let log = Arc::new(load().expect("the synthetic log loads"));
    let index = Arc::new(BlockIndex::build(Arc::clone(&log)));
    println!("memory: {:.1} bytes an entry", index.memory_per_entry());
    let sources = Sources {
        base: Arc::new(Zeros {
            size: log.geometry().device_size,
        }),
        log: Arc::clone(&source) as _,
        sidecar: None,
    };
    let end = log.end().0;
    let mut random = SplitMix::new(1);
    let mut next = move |below: u64| random.below(below);

    let mut slow = c.benchmark_group("a million entries");
    slow.sample_size(10);
    slow.bench_function("load and index", |b| {
        b.iter(|| BlockIndex::build(Arc::new(load().expect("the synthetic log loads"))));
    });
    let mut device = vec![0; DEVICE as usize];
    slow.bench_function("replay from the start to the middle", |b| {
        b.iter(|| replay(&log, &sources, Cut(end / 2), &mut device));
    });
    slow.finish();
    drop(device);

    let mut fast = c.benchmark_group("a state");
    fast.bench_function("select a random one", |b| {
        b.iter_batched(
            || CrashState::new(PlanKind::At, Cut(next(u64::from(end)) as u32), Set::Completed),
            |state| index.view(black_box(&state)).map(|view| view.selection().clone()),
            BatchSize::SmallInput,
        );
    });
    let state = CrashState::new(PlanKind::At, Cut(end / 2), Set::Durable);
    let view = index.view(&state).expect("the middle exists");
    let mut buffer = [0; 4096];
    fast.bench_function("read 4 KiB", |b| {
        b.iter_batched(
            || next(DEVICE / 4096) * 4096,
            |offset| view.read_at(&sources, black_box(offset), &mut buffer),
            BatchSize::SmallInput,
        );
    });
    let mut cursor = DigestCursor::new(Arc::clone(&index), sources.clone()).expect("the sources fit");
    let spec = CrashSpec::default();
    let mut states = spec.states(&log).expect("barriers need nothing").cycle();
    fast.bench_function("digest of the next barrier's state", |b| {
        b.iter(|| {
            states
                .next()
                .map(|state| cursor.digest(&state).map_err(|error| error.to_string()))
        });
    });
    fast.finish();
}

/// A recording of 10,000 steps, each with its two marks and a write between them.
fn many_steps() -> WriteLog {
    let mut log = LogBuilder::new(Geometry {
        device_size: DEVICE,
        sector_size: 512,
        atomic_unit: 4096,
        order: Order::Completion,
    });
    let write = Io {
        kind: IoKind::Write,
        offset: 0,
        len: 4096,
        fua: false,
    };
    for index in 0..STEPS {
        let name = format!("write#{index}");
        let step = StepName { index, name };
        log.mark(Mark::Begin(step.clone())).expect("there is room");
        let number = log.submit(write, DataRef::Lost).expect("there is room");
        log.complete(number).expect("it was submitted");
        log.mark(Mark::Done(step)).expect("there is room");
    }
    log.build()
}

/// What judging needs of the marks: the history at one cut after each step, and whether the step's promise applies.
fn histories(c: &mut Criterion) {
    let log = many_steps();
    let cuts: Vec<(Cut, String)> = (0..STEPS)
        .map(|i| (Cut(i * 4 + 4), format!("write#{i}")))
        .collect();
    let mut group = c.benchmark_group("10,000 cuts of 20,000 marks");
    group.sample_size(10);
    group.bench_function("histories from one index", |b| {
        b.iter(|| {
            let histories = Histories::new(&log);
            cuts.iter()
                .filter(|(cut, step)| histories.at(*cut).done(step))
                .count()
        });
    });
    group.bench_function("a hundred of them from their marks, one by one", |b| {
        b.iter(|| {
            let every = cuts.iter().step_by(100);
            every
                .filter(|(cut, step)| {
                    let marks = log.marks_until(*cut).iter().map(|placed| &placed.mark);
                    History::from_marks(marks).done(step)
                })
                .count()
        });
    });
    group.finish();
}

criterion_group!(benches, histories, engine);
criterion_main!(benches);
