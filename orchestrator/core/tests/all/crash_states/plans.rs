//! What plans visit.

use std::collections::HashSet;
use std::sync::Arc;

use super::naive::{Script, Torn, scripts};
use coldcut_core::crash::index::{BlockIndex, Sources};
use coldcut_core::crash::plan::{At, CrashSpec, DiscardModel, PlanError};
use coldcut_core::crash::state::{PlanKind, StateId};
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::io::{Io, IoKind};
use coldcut_core::recording::log::{DataRef, Geometry, LoadOptions, LogBuilder, Order, WriteLog};
use coldcut_core::recording::mark::{Mark, StepName};
use proptest::prelude::*;

const GEOMETRY: Geometry = Geometry {
    device_size: 1 << 20,
    sector_size: 512,
    atomic_unit: 4096,
    order: Order::Completion,
};

fn io(kind: IoKind, block: u64, blocks: u64) -> Io {
    Io {
        kind,
        offset: block * 4096,
        len: blocks * 4096,
        fua: false,
    }
}

fn step(index: u32, name: &str) -> StepName {
    StepName {
        index,
        name: name.into(),
    }
}

/// begin, two writes, done; begin, one write in flight, a flush, done.
fn small() -> WriteLog {
    let mut log = LogBuilder::new(GEOMETRY);
    let write = |log: &mut LogBuilder, block, blocks| {
        log.submit(io(IoKind::Write, block, blocks), DataRef::Log(512))
            .unwrap()
    };
    log.mark(Mark::Begin(step(0, "write"))).unwrap();
    for block in 0..2 {
        let number = write(&mut log, block, 2);
        log.complete(number).unwrap();
        log.entry();
    }
    log.mark(Mark::Done(step(0, "write"))).unwrap();
    log.entry();
    log.mark(Mark::Begin(step(1, "fsync"))).unwrap();
    log.entry();
    write(&mut log, 5, 3);
    let flush = log.submit(io(IoKind::Flush, 0, 0), DataRef::None).unwrap();
    log.complete(flush).unwrap();
    log.entry();
    log.mark(Mark::Done(step(1, "fsync"))).unwrap();
    log.entry();
    log.mark(Mark::End).unwrap();
    log.entry();
    log.build()
}

fn names(log: &WriteLog, spec: &CrashSpec) -> String {
    spec.states(log)
        .unwrap()
        .map(|state| state.id().to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn names_of_the_states_of_each_plan() {
    let log = small();
    let of = |plan| names(&log, &CrashSpec::of(plan));
    insta::assert_snapshot!(of(PlanKind::Barriers), @"b0-d b6-d b6-c b10-d b11-d b12-d");
    insta::assert_snapshot!(of(PlanKind::Writes), @"w3-c w5-c");
    insta::assert_snapshot!(of(PlanKind::Reorder), @"r0-m0 r6-m0 r6-m1 r6-m2 r6-m3 r9-m0 r9-m1 r9-m2 r9-m3 r9-m4 r9-m5 r9-m6 r9-m7 r11-m0 r11-m1 r12-m0 r12-m1");
    insta::assert_snapshot!(
        names(&log, &CrashSpec { per_cut: 5, seed: 255, ..CrashSpec::of(PlanKind::Reorder) }),
        @"r0-m0 r6-m0 r6-m1 r6-m2 r6-m3 r9-d r9-a r9-x3 r9-o3 r9-x1 r11-m0 r11-m1 r12-m0 r12-m1"
    );
    insta::assert_snapshot!(
        names(&log, &CrashSpec { budget: Some(3), ..CrashSpec::of(PlanKind::Torn) }),
        @"t9-o3-t3eu4096 t11-a-t3l2u4096 t12-o3-t3ou4096"
    );
    let combinations = CrashSpec {
        per_cut: 12,
        ..CrashSpec::of(PlanKind::Combinations)
    };
    insta::assert_snapshot!(names(&log, &combinations), @"c6-m1-t0f1u4096 c6-m1-t0l1u4096 c6-m2-t1f1u4096 c6-m2-t1l1u4096 c6-m3-t1f1u4096 c6-m3-t1l1u4096 c6-m3-t0f1u4096 c6-m3-t0l1u4096 c9-x1-t3f1u4096 c9-x0-t3f1u4096 c9-x3-t1f1u4096 c9-x0-t1f1u4096 c9-x3-t0f1u4096 c9-x1-t0f1u4096 c9-x1-t3l1u4096 c9-x0-t3l1u4096 c9-x3-t1l1u4096 c9-s0x0-t1f1u4096 c9-s1x0-t0l1u4096 c9-s3x0-t3l2u4096 c11-m1-t3f1u4096 c11-m1-t3f2u4096 c11-m1-t3l1u4096 c11-m1-t3l2u4096 c11-m1-t3eu4096 c11-m1-t3ou4096 c12-m1-t3f1u4096 c12-m1-t3f2u4096 c12-m1-t3l1u4096 c12-m1-t3l2u4096 c12-m1-t3eu4096 c12-m1-t3ou4096");
    let at = vec![At::Mark("write".into()), At::Entry(0), At::Mark("end".into())];
    insta::assert_snapshot!(
        names(&log, &CrashSpec { at, ..CrashSpec::of(PlanKind::At) }),
        @"a3-d a3-c a6-d a6-c a12-d a12-a"
    );
    let between = Some(["begin 1 fsync".into(), "fsync".into()]);
    insta::assert_snapshot!(names(&log, &CrashSpec { between, ..CrashSpec::default() }), @"b6-d b6-c b10-d b11-d");
}

#[test]
fn what_is_left_out_is_counted() {
    let log = small();
    let spec = CrashSpec {
        plans: vec![PlanKind::Barriers, PlanKind::Reorder],
        budget: Some(4),
        ..CrashSpec::default()
    };
    let states = spec.states(&log).unwrap();
    assert_eq!((states.total(), states.left_out()), (8, 2 + 13));
    assert_eq!(states.count(), 8);
}

#[test]
fn a_plan_that_the_log_cannot_serve_is_refused() {
    let log = small();
    let at = |place: At| {
        CrashSpec {
            at: vec![place],
            ..CrashSpec::of(PlanKind::At)
        }
        .states(&log)
        .unwrap_err()
        .to_string()
    };
    insta::assert_snapshot!(at(At::Mark("fsnc".into())), @r#"no mark "fsnc" in the log; did you mean "fsync"?"#);
    insta::assert_snapshot!(at(At::Mark("something else".into())), @r#"no mark "something else" in the log"#);
    insta::assert_snapshot!(at(At::Entry(7)), @"no entry 7 in the log, which has 7");
    let between = |log: &WriteLog, from: &str, to: &str| {
        let between = Some([from.to_owned(), to.to_owned()]);
        CrashSpec {
            between,
            ..CrashSpec::default()
        }
        .states(log)
        .err()
    };
    assert!(matches!(
        between(&log, "fsync", "write"),
        Some(PlanError::EmptyWindow { .. })
    ));
    assert_eq!(between(&log, "write", "fsync"), None);
    let kernel = LogBuilder::new(Geometry {
        order: Order::Kernel,
        ..GEOMETRY
    })
    .build();
    assert_eq!(between(&kernel, "write", "fsync"), Some(PlanError::KernelOrder));
}

#[test]
fn names_that_are_none_are_refused() {
    for good in [
        "b0-d",
        "r12-x3",
        "c12-x3-t1l2u4096",
        "c12-s4x1f-t1eu512-dk",
        "r12-o3",
        "r1-mff-p2",
        "t45-c-t12f3u512",
        "a9-a-dk",
        "r7-s4x1f-dg",
        "t1-a-t0eu4096",
    ] {
        assert_eq!(good.parse::<StateId>().unwrap().as_str(), good);
    }
    for bad in [
        "",
        "b",
        "b-d",
        "b1",
        "b01-d",
        "q1-d",
        "b1-dd",
        "b1-x",
        "b1-d-",
        "b1-d-p0",
        "é1-d",
        "b1-é",
        "b1-d-té",
        "r1-mFF",
        "b4294967296-d",
        "t1-c-t1u512",
        "t1-c-t1f1",
    ] {
        assert!(bad.parse::<StateId>().is_err(), "{bad:?}");
    }
}

fn parse(yaml: &str) -> Result<CrashSpec, String> {
    serde_yaml::from_str(yaml).map_err(|error| error.to_string())
}

#[test]
fn scenarios_say_it_in_three_forms() {
    assert_eq!(parse("barriers"), Ok(CrashSpec::default()));
    let two = CrashSpec {
        plans: vec![PlanKind::Barriers, PlanKind::Torn],
        ..CrashSpec::default()
    };
    assert_eq!(parse("[barriers, torn]"), Ok(two.clone()));
    assert_eq!(parse("plan: [barriers, torn]"), Ok(two));
    assert_eq!(parse("{}"), Ok(CrashSpec::default()));
    assert_eq!(
        parse(
            "{plan: reorder, budget: 10, per_cut: 4, seed: 3, between: [a, b], discard: indeterminate, atomic_unit: 512}"
        ),
        Ok(CrashSpec {
            budget: Some(10),
            per_cut: 4,
            seed: 3,
            between: Some(["a".into(), "b".into()]),
            discard: DiscardModel::Indeterminate,
            atomic_unit: Some(512),
            ..CrashSpec::of(PlanKind::Reorder)
        })
    );
    let at = vec![At::Mark("renamed".into()), At::Entry(7)];
    assert_eq!(
        parse("at: [renamed, 7]"),
        Ok(CrashSpec {
            at,
            ..CrashSpec::of(PlanKind::At)
        })
    );
    for bad in [
        "barrier",
        "[]",
        "[barriers, barriers]",
        "at",
        "{plan: at}",
        "{budget: 0}",
        "{atomic_unit: 513}",
        "{plna: torn}",
        "{at: [-1]}",
        "{between: [a]}",
        "7",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    assert!(
        parse("barrier").unwrap_err().contains("barriers"),
        "{:?}",
        parse("barrier")
    );
}

/// The contents that `script` can leave at a cut, by brute force: every subset of what is volatile, and what is in
/// flight in every order.
fn all_contents(script: &Script, cut: usize) -> HashSet<Vec<u8>> {
    let (durable, volatile) = (script.durable(cut), script.volatile(cut));
    let mut contents = HashSet::new();
    for mask in 0..1_u32 << volatile.len() {
        let subset: Vec<usize> = (0..volatile.len())
            .filter(|bit| mask >> bit & 1 == 1)
            .map(|bit| volatile[bit])
            .collect();
        permutations(&subset, &mut |order| {
            contents.insert(script.content(cut, &[durable.clone(), order.to_vec()].concat()));
        });
    }
    contents
}

/// The contents with one write torn that `script` can leave at a cut, by brute force; and in how many ways.
fn all_torn_contents(script: &Script, cut: usize, unit: usize) -> (HashSet<Vec<u8>>, u64) {
    let (durable, volatile) = (script.durable(cut), script.volatile(cut));
    let (mut contents, mut ways) = (HashSet::new(), 0);
    for mask in 0..1_u32 << volatile.len() {
        let subset: Vec<usize> = (0..volatile.len())
            .filter(|bit| mask >> bit & 1 == 1)
            .map(|bit| volatile[bit])
            .collect();
        let tears: Vec<Torn> = subset
            .iter()
            .flat_map(|number| script.tears(*number, unit))
            .collect();
        permutations(&subset, &mut |order| {
            // Only the order of those that overlap in flight is a difference.
            let orders_nothing_else = subset.iter().all(|one| {
                let place = |of: &[usize]| of.iter().position(|other| other == one);
                let overlaps = |other: &usize| {
                    let (a, b) = (script.io(*one), script.io(*other));
                    other != one && a.offset < b.offset + b.len && b.offset < a.offset + a.len
                };
                let in_flight = |number: &usize| !script.completed(*number, cut);
                in_flight(one) && subset.iter().any(|other| in_flight(other) && overlaps(other))
                    || place(order) == place(&subset)
            });
            for torn in &tears {
                ways += u64::from(orders_nothing_else);
                let chosen = [durable.clone(), order.to_vec()].concat();
                contents.insert(script.content_torn(cut, &chosen, Some(torn)));
            }
        });
    }
    (contents, ways)
}

fn permutations(items: &[usize], each: &mut dyn FnMut(&[usize])) {
    fn go(done: &mut Vec<usize>, left: &[usize], each: &mut dyn FnMut(&[usize])) {
        if left.is_empty() {
            each(done);
        }
        for (place, item) in left.iter().enumerate() {
            let rest = [&left[..place], &left[place + 1..]].concat();
            done.push(*item);
            go(done, &rest, each);
            done.pop();
        }
    }
    go(&mut Vec::new(), items, each);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Exhaustive reordering visits exactly the contents that are possible: none is missing, none is invented.
    #[test]
    fn reorder_is_exhaustive_where_it_says_so(script in scripts(24)) {
        let (log, sidecar) = script.record(true);
        let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
        let index = Arc::new(BlockIndex::build(Arc::new(loaded.log)));
        let sources = Sources { base: Arc::new(script.base.clone()), log: Arc::new(log), sidecar: Some(Arc::new(sidecar)) };
        let spec = CrashSpec { per_cut: 5000, ..CrashSpec::of(PlanKind::Reorder) };
        let mut cuts: Vec<u32> = spec.states(index.log()).unwrap().map(|state| state.cut.0).collect();
        cuts.dedup();
        for cut in cuts {
            if script.volatile(cut as usize).len() > 5 {
                continue;
            }
            let visited: HashSet<Vec<u8>> = spec.states(index.log()).unwrap().filter(|state| state.cut.0 == cut).map(|state| {
                let image = index.image(&state, &sources).unwrap();
                let mut content = vec![0; image.size() as usize];
                image.read_at(0, &mut content).unwrap();
                content
            }).collect();
            prop_assert!(visited == all_contents(&script, cut as usize), "cut {}", cut);
        }
    }

    /// Exhaustive combinations visit exactly the contents that are possible with one write torn, and count them.
    #[test]
    fn combinations_are_exhaustive_where_they_say_so(script in scripts(20), unit in prop::sample::select(vec![2048_u32, 4096])) {
        let (log, sidecar) = script.record(true);
        let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
        let index = Arc::new(BlockIndex::build(Arc::new(loaded.log)));
        let sources = Sources { base: Arc::new(script.base.clone()), log: Arc::new(log), sidecar: Some(Arc::new(sidecar)) };
        let spec = CrashSpec { per_cut: 20_000, atomic_unit: Some(unit), ..CrashSpec::of(PlanKind::Combinations) };
        let cuts: std::collections::BTreeSet<u32> = CrashSpec::of(PlanKind::Reorder).states(index.log()).unwrap()
            .map(|state| state.cut.0).collect();
        let few = |cut: &u32| script.volatile(*cut as usize).len() <= 4;
        let mut ways = 0;
        for cut in &cuts {
            if !few(cut) {
                continue;
            }
            let visited: HashSet<Vec<u8>> = spec.states(index.log()).unwrap().filter(|state| state.cut.0 == *cut).map(|state| {
                // As anyone would who has the log and the name alone.
                let state = state.id().as_str().parse::<StateId>().unwrap().state();
                let image = index.image(&state, &sources).unwrap();
                let mut content = vec![0; image.size() as usize];
                image.read_at(0, &mut content).unwrap();
                content
            }).collect();
            let (all, here) = all_torn_contents(&script, *cut as usize, unit as usize);
            ways += here;
            prop_assert!(visited == all, "cut {}: {} contents of {}", cut, visited.len(), all.len());
        }
        if cuts.iter().all(few) {
            let states = spec.states(index.log()).unwrap();
            prop_assert_eq!((states.counts()[0].possible, states.left_out()), (ways, 0));
            let budget = CrashSpec { per_cut: 3, budget: Some(5), ..spec.clone() };
            let states = budget.states(index.log()).unwrap();
            prop_assert_eq!(states.counts()[0].possible, ways);
            prop_assert_eq!(states.left_out() + states.clone().count() as u64, ways);
        }
    }

    /// A plan's states are the same whatever other plans stand beside it.
    #[test]
    fn plans_do_not_disturb_each_other(script in scripts(60), per_cut in 1..20_u32, budget in prop::option::of(1..30_u64)) {
        let (log, sidecar) = script.record(true);
        let log = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap().log;
        let with = |plans: &[PlanKind], of| {
            let spec = CrashSpec { plans: plans.to_vec(), per_cut, budget, seed: 5, ..CrashSpec::default() };
            spec.states(&log).unwrap().filter(|state| state.plan == of).collect::<Vec<_>>()
        };
        let all = [PlanKind::Torn, PlanKind::Combinations, PlanKind::Reorder, PlanKind::Barriers];
        for plan in [PlanKind::Reorder, PlanKind::Combinations] {
            prop_assert_eq!(with(&[plan], plan), with(&all, plan));
        }
    }
}
