//! The search against brute force: any place of the change, any untestable kernels, any flakiness within the rates.

use coldcut_core::search::{Answer, Flakiness, Next, Observation, Search, Sequential, Side};
use proptest::prelude::*;

/// Runs a search to its end; `run` says what the kernel of a place shows. Gives the places in the order they were run.
fn search(count: usize, test: Sequential, mut run: impl FnMut(usize) -> Observation) -> (Answer, Vec<usize>) {
    let mut search = Search::new(count, test).unwrap();
    let mut order = Vec::new();
    loop {
        match search.next() {
            Next::Done(answer) => {
                assert_eq!(search.runs() as usize, order.len());
                return (answer, order);
            }
            Next::Run(place) => {
                order.push(place);
                assert!(
                    order.len() <= count * test.most() as usize,
                    "it does not end: {order:?}"
                );
                search.observe(place, run(place));
            }
        }
    }
}

fn truthful() -> Sequential {
    Sequential::new(Flakiness::NONE, 0.01, None).unwrap()
}

/// The answer by looking at every kernel.
fn brute_force(truth: &[Observation]) -> Answer {
    let side = |place: usize| match truth[place] {
        Observation::Old => Side::Old,
        _ => Side::New,
    };
    let testable: Vec<usize> = (0..truth.len())
        .filter(|p| truth[*p] != Observation::Untestable)
        .collect();
    let (Some(&oldest), Some(&newest)) = (testable.first(), testable.last()) else {
        return Answer::Untestable { only: None };
    };
    if oldest == newest {
        return Answer::Untestable {
            only: Some((oldest, side(oldest))),
        };
    }
    match (side(oldest), side(newest)) {
        (Side::New, Side::Old) => Answer::WrongWay { oldest, newest },
        (Side::Old, Side::New) => {
            let first_new = *testable.iter().find(|p| side(**p) == Side::New).unwrap();
            let last_old = *testable.iter().rfind(|p| side(**p) == Side::Old).unwrap();
            Answer::Between {
                last_old,
                first_new,
                unknown: (last_old + 1..first_new).collect(),
            }
        }
        (side, _) => Answer::Alike { side, oldest, newest },
    }
}

/// A line of kernels that changes once, at `change`, with some of them untestable.
fn line() -> impl Strategy<Value = Vec<Observation>> {
    (2_usize..60)
        .prop_flat_map(|count| {
            (
                0..=count,
                prop::collection::vec(prop::bool::weighted(0.25), count),
                any::<bool>(),
                any::<bool>(),
                0..count,
                0..count,
            )
        })
        .prop_map(|(change, holes, sparse, clustered, a, b)| {
            (0..holes.len())
                .map(|place| {
                    let hole =
                        (sparse && holes[place]) || (clustered && (a.min(b)..=a.max(b)).contains(&place));
                    match (hole, place < change) {
                        (true, _) => Observation::Untestable,
                        (_, true) => Observation::Old,
                        _ => Observation::New,
                    }
                })
                .collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn it_answers_as_brute_force_does(truth in line()) {
        let (answer, order) = search(truth.len(), truthful(), |place| truth[place]);
        prop_assert_eq!(answer, brute_force(&truth));
        let mut once = order.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), order.len(), "no kernel is run twice: {:?}", order);
    }

    #[test]
    fn any_line_gets_a_true_pair(truth in prop::collection::vec(
        prop_oneof![3 => Just(Observation::Old), 3 => Just(Observation::New), 2 => Just(Observation::Untestable)], 2..40)) {
        // Lines that change more than once have several answers; what is said must be one of them.
        let (answer, _) = search(truth.len(), truthful(), |place| truth[place]);
        match (answer, brute_force(&truth)) {
            (Answer::Between { last_old, first_new, unknown }, Answer::Between { .. }) => {
                prop_assert_eq!(truth[last_old], Observation::Old);
                prop_assert_eq!(truth[first_new], Observation::New);
                prop_assert!(unknown.iter().all(|p| truth[*p] == Observation::Untestable));
                prop_assert_eq!(unknown, (last_old + 1..first_new).collect::<Vec<_>>());
            }
            (answer, expected) => prop_assert_eq!(answer, expected),
        }
    }

    #[test]
    fn observations_rebuild_it_in_any_order(truth in line(), stop in 0_usize..12, seed in any::<u64>()) {
        let mut first = Search::new(truth.len(), truthful()).unwrap();
        let mut log = Vec::new();
        for _ in 0..stop {
            let Next::Run(place) = first.next() else { break };
            log.push((place, truth[place]));
            first.observe(place, truth[place]);
        }
        let mut random = Random(seed);
        for at in (1..log.len()).rev() {
            log.swap(at, random.below(at + 1));
        }
        let mut again = Search::new(truth.len(), truthful()).unwrap();
        for (place, seen) in log {
            again.observe(place, seen);
        }
        prop_assert_eq!(again.next(), first.next());
        prop_assert_eq!(again.bounds(), first.bounds());
    }
}

#[test]
fn truthful_kernels_take_no_more_probes_than_promised() {
    for count in 2_usize..=300 {
        let most = (count - 1).next_power_of_two().ilog2() as usize + 2;
        assert!(most <= count.next_power_of_two().ilog2() as usize + 2);
        for change in 0..=count {
            let truth = |place: usize| {
                if place < change {
                    Observation::Old
                } else {
                    Observation::New
                }
            };
            let (answer, order) = search(count, truthful(), truth);
            assert!(
                order.len() <= most,
                "{count} kernels, change at {change}: {order:?}"
            );
            if change == 0 || change == count {
                assert_eq!(order.len(), 2, "both alike is known after both ends: {answer:?}");
            } else {
                assert_eq!(
                    answer,
                    Answer::Between {
                        last_old: change - 1,
                        first_new: change,
                        unknown: vec![]
                    }
                );
            }
        }
    }
}

#[test]
fn the_wrong_way_round_is_known_after_both_ends() {
    let truth = |place: usize| {
        if place < 500 {
            Observation::New
        } else {
            Observation::Old
        }
    };
    let (answer, order) = search(1000, truthful(), truth);
    assert_eq!(
        answer,
        Answer::WrongWay {
            oldest: 0,
            newest: 999
        }
    );
    assert_eq!(order, [0, 999]);
}

/// A cluster of kernels that do not boot, with the change elsewhere, is left after a few probes.
#[test]
fn clusters_of_untestable_kernels_are_left_soon() {
    let hole = 300..=700;
    for change in (1..1000).filter(|c| !hole.contains(c) && *c != 701) {
        let truth = |place: usize| match place {
            place if hole.contains(&place) => Observation::Untestable,
            place if place < change => Observation::Old,
            _ => Observation::New,
        };
        let (answer, order) = search(1000, truthful(), truth);
        assert!(
            matches!(answer, Answer::Between { last_old, first_new, .. } if (last_old, first_new) == (change - 1, change)),
            "{answer:?}"
        );
        // The nearer the change is to the cluster, the finer it must be looked at.
        let gap = if change < 300 { 300 - change } else { change - 700 };
        let most = 16 + 2 * hole.clone().count() / gap;
        assert!(
            order.len() <= most.min(12 + hole.clone().count()),
            "change at {change}: {} probes",
            order.len()
        );
    }
}

/// Where the rates hold, the answer is right with at least the stated probability; and it is not right by never
/// erring: the same rates with a test that trusts every run are wrong far more often.
#[test]
fn flaky_kernels_are_answered_within_the_stated_error() {
    const COUNT: usize = 20;
    const TRIALS: u32 = 3000;
    const ERROR: f64 = 0.05;
    let rates = [
        (0.0, 0.3),
        (0.0, 0.8),
        (0.2, 0.0),
        (0.1, 0.1),
        (0.3, 0.2),
        (0.05, 0.6),
    ];
    for (case, (old_as_new, new_as_old)) in rates.into_iter().enumerate() {
        let flakiness = Flakiness {
            old_as_new,
            new_as_old,
        };
        let mut wrong = [0; 2];
        let mut unsure = 0;
        for trusting in [false, true] {
            let mut random = Random(0x5eed + case as u64);
            let test = if trusting {
                truthful()
            } else {
                Sequential::new(flakiness, ERROR / COUNT as f64, None).unwrap()
            };
            for _ in 0..TRIALS {
                let change = 1 + random.below(COUNT - 1);
                // Some kernels are as flaky as stated, some less, some not at all.
                let lies: Vec<f64> = (0..COUNT)
                    .map(|place| {
                        let rate = if place < change { old_as_new } else { new_as_old };
                        rate * [0.0, 0.5, 1.0, 1.0][random.below(4)]
                    })
                    .collect();
                let (answer, _) = search(COUNT, test, |place| {
                    if (place < change) == (random.unit() < lies[place]) {
                        Observation::New
                    } else {
                        Observation::Old
                    }
                });
                let right = match &answer {
                    // What was left undecided may be named; what was decided must be right.
                    Answer::Between {
                        last_old, first_new, ..
                    } => *last_old < change && change <= *first_new,
                    Answer::Untestable { .. } => true,
                    _ => false,
                };
                wrong[usize::from(trusting)] += u32::from(!right);
                let sure = matches!(&answer, Answer::Between { unknown, .. } if unknown.is_empty());
                unsure += u32::from(!trusting && !sure);
            }
        }
        let share = |n: u32| f64::from(n) / f64::from(TRIALS);
        assert!(
            share(wrong[0]) <= ERROR,
            "{flakiness:?}: {} of {TRIALS} wrong",
            wrong[0]
        );
        assert!(share(unsure) <= 0.1, "{flakiness:?}: {unsure} of {TRIALS} unsure");
        assert!(
            share(wrong[1]) > 2.0 * ERROR,
            "{flakiness:?}: trusting is wrong {} times",
            wrong[1]
        );
    }
}

/// Runs that contradict each other more than stated make a kernel untestable, not old or new.
#[test]
fn what_is_flakier_than_stated_does_not_steer() {
    let flakiness = Flakiness {
        old_as_new: 0.1,
        new_as_old: 0.1,
    };
    let test = Sequential::new(flakiness, 0.001, None).unwrap();
    let mut turn = false;
    let (answer, _) = search(9, test, |place| {
        turn = !turn;
        match place {
            4 if turn => Observation::Old,
            4 => Observation::New,
            place if place < 4 => Observation::Old,
            _ => Observation::New,
        }
    });
    assert_eq!(
        answer,
        Answer::Between {
            last_old: 3,
            first_new: 5,
            unknown: vec![4]
        }
    );
}

/// xorshift64*, so that the figures are the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 |= u64::from(self.0 == 0);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
