//! A cell's way from its recoveries to its verdict, without machines.

use coldcut_core::crash::state::{CrashState, PlanKind, Set};
use coldcut_core::oracle::cell::{CellJudge, CellTally, Recoveries, Round, Strategy};
use coldcut_core::oracle::{Histories, measured};
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::outcome::result::Place;
use coldcut_core::outcome::unknown::Unknown;
use coldcut_core::outcome::verdict::{Verdict, ViolationKind};
use coldcut_core::recording::io::{Io, IoKind};
use coldcut_core::recording::log::{Cut, DataRef, Geometry, LogBuilder, Order, WriteLog};
use coldcut_core::recording::mark::Mark;
use coldcut_core::scenario::{Scenario, Variant};

use crate::trees::{file, recovery, whole};

const TEXT: &str = "
format: 1
name: test
filesystem: {type: ext4, size: 64MiB}
setup:
  - write: {path: config, len: 8KiB, content: config@0}
workload:
  - write: {path: config, len: 8KiB, content: config@1}
  - fsync: config
    label: synced
expect:
  - content: {path: config, is: config@1}
    after: synced
";

fn variant() -> Variant {
    let scenario = Scenario::parse("test.yaml", TEXT).unwrap_or_else(|e| panic!("{e}"));
    scenario.variants()[0].clone()
}

/// A write, and the mark that it was synced.
fn log() -> WriteLog {
    let mut log = LogBuilder::new(Geometry {
        device_size: 1 << 20,
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
    let number = log.submit(write, DataRef::Lost).unwrap();
    log.complete(number).unwrap();
    log.mark(Mark::from("done 1 synced")).unwrap();
    log.build()
}

/// What a kernel finds: the new text, or the old.
fn found(new: bool, trust: Trust) -> Recovery {
    let text = if new { "config@1" } else { "config@0" };
    Recovery {
        trust,
        ..recovery(vec![file("config", whole(text, 8192))])
    }
}

/// Two images, each cut at the start, where nothing is promised, and at the end, where all is.
fn states(log: &WriteLog) -> Vec<(CrashState, usize)> {
    let at = |cut| CrashState::new(PlanKind::At, cut, Set::Durable);
    vec![
        (at(Cut(0)), 0),
        (at(log.end()), 0),
        (at(Cut(0)), 1),
        (at(log.end()), 1),
    ]
}

/// Follows a cell with images 0 and 1 to its end; `recovers` gives what each kernel finds, `None` where it fails.
fn follow(strategy: Strategy, recovers: impl Fn(Trust, usize) -> Option<bool>) -> (Verdict, CellTally) {
    let (variant, log) = (variant(), log());
    let states = states(&log);
    let judge = CellJudge::new(&variant, Histories::new(&log), &states, 2);
    let mut known = Recoveries::new(2);
    let round = |known: &mut Recoveries, round: &Round| {
        let one = |image: &usize| {
            let outcome = recovers(round.trust, *image).map(|new| found(new, round.trust));
            (*image, outcome.ok_or_else(|| Unknown::new("it does not come up")))
        };
        known.learn(round, round.images.iter().map(one).collect());
    };
    while let Some(wanted) = strategy.next(&known, |image, recovery| judge.suspicious(image, recovery)) {
        round(&mut known, &wanted);
    }
    let mut tally = CellTally::default();
    let verdict = judge.judge(&known, &measured::Judged::default(), &mut tally);
    while let Some(wanted) = tally.to_confirm(&judge, &known) {
        round(&mut known, &wanted);
    }
    let verdict = tally.conclude(&judge, &known, verdict);
    (verdict, tally)
}

const VIOLATED: [ViolationKind; 1] = [ViolationKind::Content];

fn violated() -> Verdict {
    Verdict::Violation {
        kinds: VIOLATED.to_vec(),
    }
}

#[test]
fn states_that_share_an_image_are_judged_each_at_its_cut() {
    let (variant, log) = (variant(), log());
    let states = states(&log);
    let judge = CellJudge::new(&variant, Histories::new(&log), &states, 2);
    assert!(
        judge.suspicious(0, &found(false, Trust::Screened)),
        "at the later cut"
    );
    assert!(!judge.suspicious(0, &found(true, Trust::Screened)));
    let early = &states[..1];
    let judge = CellJudge::new(&variant, Histories::new(&log), early, 1);
    assert!(
        !judge.suspicious(0, &found(false, Trust::Screened)),
        "nothing is promised there"
    );
}

#[test]
fn a_cell_in_which_all_holds_passes() {
    let (verdict, tally) = follow(Strategy::Tiered, |_, _| Some(true));
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!((tally.obligations, tally.broken), (2, 0));
    let states = &tally.states;
    assert_eq!(
        (states.screened, states.fresh, states.cold, states.inconclusive),
        (1, 1, 0, 0)
    );
}

#[test]
fn a_violation_is_reported_once_and_confirmed_by_a_boot() {
    for strategy in [
        Strategy::Tiered,
        Strategy::Screen,
        Strategy::Fresh,
        Strategy::Cold,
    ] {
        let (verdict, tally) = follow(strategy, |_, _| Some(false));
        assert_eq!(verdict, violated(), "{strategy:?}");
        assert_eq!(tally.broken, 2, "both images");
        let kept: Vec<_> = tally.violations().collect();
        assert_eq!(kept.len(), 1, "the first of its kind and expectation");
        assert_eq!((kept[0].kind, kept[0].confirmed), (VIOLATED[0], Some(true)));
        let id = states(&log())[1].0.id().to_string();
        assert_eq!(kept[0].state, Place::CrashState(id));
        assert!(tally.doubts.is_empty());
        assert_eq!(tally.states.cold, if strategy == Strategy::Cold { 2 } else { 1 });
    }
}

#[test]
fn what_a_booted_kernel_does_not_show_is_a_doubt() {
    let (verdict, tally) = follow(Strategy::Fresh, |trust, _| Some(trust == Trust::Cold));
    let Verdict::Inconclusive { cause } = verdict else {
        panic!("neither seen nor not seen: {verdict:?}")
    };
    assert!(cause.contains("not confirmed"), "{cause}");
    assert_eq!(tally.violations().next().unwrap().confirmed, Some(false));
    assert!(
        tally.doubts[0].contains("shows nothing of it"),
        "{:?}",
        tally.doubts
    );
}

#[test]
fn where_no_kernel_boots_the_violation_stays_unconfirmed() {
    let (verdict, tally) = follow(Strategy::Fresh, |trust, _| {
        (trust != Trust::Cold).then_some(false)
    });
    assert!(matches!(verdict, Verdict::Inconclusive { .. }), "{verdict:?}");
    assert_eq!(tally.violations().next().unwrap().confirmed, None);
    assert!(
        tally.doubts[0].contains("no kernel could be booted"),
        "{:?}",
        tally.doubts
    );
    assert_eq!(tally.states.inconclusive, 0, "what the clone saw is still known");
}

#[test]
fn an_image_that_nobody_recovers_leaves_the_cell_inconclusive() {
    let (verdict, tally) = follow(Strategy::Tiered, |_, image| (image == 0).then_some(true));
    let Verdict::Inconclusive { cause } = verdict else {
        panic!("never a pass: {verdict:?}")
    };
    assert_eq!(
        cause,
        "1 of 2 contents could not be recovered; the first: it does not come up"
    );
    assert_eq!(tally.states.inconclusive, 1);
}

#[test]
fn wrong_screening_is_told_and_not_believed() {
    // Screening shows all as promised; the truth of image 1 is otherwise.
    let leaks = |trust, image| Some(trust == Trust::Screened || image == 1);
    let (verdict, tally) = follow(Strategy::Tiered, leaks);
    assert_eq!(verdict, violated());
    assert!(
        tally.notes[0].contains("screening was wrong about 1 contents"),
        "{:?}",
        tally.notes
    );
    assert_eq!(tally.states.screened, 0);
}

#[test]
fn a_later_state_is_asked_where_the_first_is_not_confirmed() {
    // Clones lose the file in both images; booted kernels only in the second, or cannot boot for the first.
    for first in [Some(true), None] {
        let recovers = |trust, image| {
            if trust == Trust::Cold && image == 0 {
                first
            } else {
                Some(false)
            }
        };
        let (verdict, tally) = follow(Strategy::Tiered, recovers);
        assert_eq!(verdict, violated());
        let kept: Vec<_> = tally.violations().map(|violation| violation.confirmed).collect();
        assert_eq!(kept, [Some(true)]);
        assert_eq!(tally.doubts.len(), 1, "the first is told: {:?}", tally.doubts);
        assert!(tally.doubts[0].starts_with("NOT CONFIRMED"));
    }
}

#[test]
fn a_panic_without_a_crash_needs_no_confirmation() {
    let mut tally = CellTally::default();
    let verdict = tally.add_panic("an oops");
    let kinds = vec![ViolationKind::Panic];
    assert_eq!(verdict, Verdict::Violation { kinds });
    let kept: Vec<_> = tally.violations().collect();
    assert_eq!(
        (kept[0].state.clone(), kept[0].confirmed),
        (Place::WithoutCrash, Some(true))
    );
    let (variant, log) = (variant(), log());
    let judge = CellJudge::new(&variant, Histories::new(&log), &[], 0);
    assert_eq!(tally.to_confirm(&judge, &Recoveries::new(0)), None);
}
