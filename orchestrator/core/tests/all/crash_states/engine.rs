//! Every state of random small logs, compared with the naive model.

use super::naive;
use std::collections::HashMap;
use std::sync::Arc;

use super::naive::{Script, scripts};
use coldcut_core::crash::index::{BlockIndex, DigestCursor, Sources};
use coldcut_core::crash::plan::{CrashSpec, DiscardModel};
use coldcut_core::crash::state::{CrashState, PlanKind, Set, StateId, Tear, TornPart};
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::io::IoKind;
use coldcut_core::recording::log::{Cut, LoadOptions, LoadWarning, RequestId, WriteLog};
use proptest::prelude::*;

struct Engine {
    index: Arc<BlockIndex>,
    sources: Sources,
}

fn engine(script: &Script) -> Engine {
    let (log, sidecar) = script.record(true);
    let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
    assert_eq!(loaded.warnings, []);
    Engine {
        index: Arc::new(BlockIndex::build(Arc::new(loaded.log))),
        sources: Sources {
            base: Arc::new(script.base.clone()),
            log: Arc::new(log),
            sidecar: Some(Arc::new(sidecar)),
        },
    }
}

impl Engine {
    fn log(&self) -> &WriteLog {
        self.index.log()
    }

    fn content(&self, state: &CrashState) -> Vec<u8> {
        let image = self.index.image(state, &self.sources).unwrap();
        let mut content = vec![0xee; image.size() as usize];
        image.read_at(0, &mut content).unwrap();
        content
    }
}

/// The naive model's choice for a state.
fn chosen(script: &Script, cut: usize, set: &Set) -> Vec<usize> {
    let mut chosen = script.durable(cut);
    let volatile = script.volatile(cut);
    let numbers = script.by_engine_number();
    let completed: Vec<usize> = {
        let in_flight_too = volatile.iter().copied();
        in_flight_too
            .filter(|number| {
                script.happenings[..cut].iter().any(
                    |happening| matches!(happening, naive::Happening::Complete(other) if other == number),
                )
            })
            .collect()
    };
    match set {
        Set::Durable => {}
        Set::Completed => chosen.extend(completed),
        Set::All => chosen.extend(volatile),
        Set::Without(RequestId(id)) => {
            chosen.extend(
                volatile
                    .into_iter()
                    .filter(|number| *number != numbers[*id as usize]),
            );
        }
        Set::Only(RequestId(id)) => chosen.push(numbers[*id as usize]),
        Set::Subset(mask) => chosen.extend(
            volatile
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| mask.bit(*bit as u64))
                .map(|(_, number)| number),
        ),
        Set::Sample { .. } => unreachable!("the model does not know the generator"),
    }
    chosen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// durable(t) and volatile(t) at every cut.
    #[test]
    fn durability_is_as_defined(script in scripts(60)) {
        let engine = engine(&script);
        let numbers = script.by_engine_number();
        prop_assert_eq!(engine.log().end().0 as usize, script.happenings.len());
        for cut in 0..=script.happenings.len() {
            let mut durable: Vec<usize> = engine.log().durable(Cut(cut as u32)).unwrap()
                .map(|id| numbers[id.0 as usize]).collect();
            durable.sort_unstable();
            prop_assert_eq!(durable, script.durable(cut), "durable at {}", cut);
            let volatile: Vec<usize> = engine.log().volatile(Cut(cut as u32)).unwrap()
                .iter().map(|id| numbers[id.0 as usize]).collect();
            prop_assert_eq!(volatile, script.volatile(cut), "volatile at {}", cut);
        }
        prop_assert!(engine.log().durability(Cut(script.happenings.len() as u32 + 1)).is_none());
    }

    /// Content of every subset at every cut, and: equal digests exactly when contents are equal.
    #[test]
    fn contents_and_digests_are_right(script in scripts(28)) {
        let engine = engine(&script);
        let mut cursor = DigestCursor::new(Arc::clone(&engine.index), engine.sources.clone()).unwrap();
        let mut seen: HashMap<_, Vec<u8>> = HashMap::new();
        let mut by_content = HashMap::new();
        for cut in 0..=script.happenings.len() {
            let at = Cut(cut as u32);
            let volatile = engine.log().volatile(at).unwrap();
            let mut sets = vec![Set::Durable, Set::Completed, Set::All];
            if volatile.len() <= 6 {
                sets.extend((0..1_u64 << volatile.len()).map(|mask| Set::Subset(mask.into())));
            }
            sets.extend(volatile.iter().flat_map(|id| [Set::Without(*id), Set::Only(*id)]));
            for set in sets {
                let state = CrashState::new(PlanKind::At, at, set.clone());
                let content = engine.content(&state);
                let wanted = script.content(cut, &chosen(&script, cut, &set));
                prop_assert!(content == wanted, "{} differs at byte {:?}", state,
                    content.iter().zip(&wanted).position(|(one, other)| one != other));
                let digest = cursor.digest(&state).unwrap();
                let other = seen.entry(digest).or_insert_with(|| content.clone());
                prop_assert!(*other == content, "two contents with one digest at {}", state);
                let first = by_content.entry(content).or_insert(digest);
                prop_assert_eq!(*first, digest, "two digests of one content at {}", state);
            }
        }
    }

    /// Any range of a state reads the same as that range of the whole.
    #[test]
    fn ranges_read_as_parts_of_the_whole(script in scripts(40), ranges in prop::collection::vec((0..40_000_u64, 0..9000_usize), 8)) {
        let engine = engine(&script);
        let state = CrashState::new(PlanKind::At, engine.log().end(), Set::All);
        let whole = engine.content(&state);
        let view = engine.index.view(&state).unwrap();
        for (start, len) in ranges {
            let mut part = vec![0xee; len];
            let read = view.read_at(&engine.sources, start, &mut part);
            if let Some(wanted) = whole.get(start as usize..start as usize + len) {
                read.unwrap();
                prop_assert!(part == wanted);
            } else {
                prop_assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
            }
        }
    }

    /// Every state of every plan can be had, and be rebuilt from its name.
    #[test]
    fn every_planned_state_is_real_and_has_its_own_name(
        script in scripts(50), budget in prop::option::of(1..40_u64), per_cut in 1..80_u32, indeterminate in any::<bool>(),
    ) {
        let engine = engine(&script);
        let log = engine.log();
        let spec = CrashSpec {
            plans: vec![PlanKind::Barriers, PlanKind::Writes, PlanKind::Reorder, PlanKind::Torn, PlanKind::Combinations],
            discard: if indeterminate { DiscardModel::Indeterminate } else { DiscardModel::Zeros },
            budget,
            per_cut,
            atomic_unit: Some(512),
            ..CrashSpec::default()
        };
        let states = spec.states(log).unwrap();
        let total = states.total();
        for count in states.counts() {
            prop_assert!(count.visited <= count.possible, "{:?}", count);
        }
        let mut names = std::collections::HashSet::new();
        let mut count = 0;
        for state in states {
            count += 1;
            let id = state.id();
            prop_assert_eq!(id.as_str().parse::<StateId>().unwrap().state(), state.clone());
            prop_assert_eq!(id.to_string().parse::<CrashState>().unwrap(), state.clone());
            prop_assert!(names.insert(id.clone()), "{} comes twice", id);
            prop_assert!(log.select(&state).is_ok(), "{}: {:?}", id, log.select(&state));
        }
        prop_assert_eq!(count, total);
    }

    /// The barriers plan visits every content that is possible at a barrier with nothing or with everything that
    /// completed.
    #[test]
    fn barriers_cover_every_mark_and_flush(script in scripts(60)) {
        let engine = engine(&script);
        let states: Vec<CrashState> = CrashSpec::default().states(engine.log()).unwrap().collect();
        for (place, happening) in script.happenings.iter().enumerate() {
            let cut = match happening {
                naive::Happening::Complete(number) => {
                    let io = script.io(*number);
                    if io.kind != IoKind::Flush && !io.fua {
                        continue;
                    }
                    place + 1
                }
                naive::Happening::Mark(coldcut_core::recording::mark::Mark::Begin(_)) => place,
                naive::Happening::Mark(_) => place + 1,
                _ => continue,
            };
            for set in [Set::Durable, Set::Completed] {
                let wanted = script.content(cut, &chosen(&script, cut, &set));
                let found = states.iter().filter(|state| state.cut.0 as usize == cut)
                    .any(|state| engine.content(state) == wanted);
                prop_assert!(found, "no state at {} is {:?}", cut, set);
            }
        }
    }

    /// A torn write has its chosen units from itself and the others from below.
    #[test]
    fn torn_writes_tear_at_units(script in scripts(24), unit in prop::sample::select(vec![512_u32, 1024, 4096])) {
        let engine = engine(&script);
        let log = engine.log();
        for cut in 0..=script.happenings.len() {
            let at = Cut(cut as u32);
            let volatile = log.volatile(at).unwrap();
            for id in &volatile {
                let io = log.request(*id).unwrap().io;
                let without = engine.content(&CrashState::new(PlanKind::At, at, Set::Durable));
                let with = engine.content(&CrashState::new(PlanKind::At, at, Set::Only(*id)));
                for part in [TornPart::First(1), TornPart::Last(1), TornPart::Even, TornPart::Odd, TornPart::First(2)] {
                    let tear = Tear { request: *id, unit, part };
                    let state = CrashState { tears: vec![tear], ..CrashState::new(PlanKind::Torn, at, Set::Only(*id)) };
                    let units: Vec<u64> = (io.offset / u64::from(unit)..(io.offset + io.len).div_ceil(u64::from(unit))).collect();
                    let least = if part == TornPart::First(2) { 3 } else { 2 };
                    if units.len() < least {
                        prop_assert!(log.select(&state).is_err());
                        continue;
                    }
                    let content = engine.content(&state);
                    for (byte, value) in content.iter().enumerate() {
                        let index = units.iter().position(|number| *number == byte as u64 / u64::from(unit));
                        let new = index.is_some_and(|index| match part {
                            TornPart::First(count) => index < count as usize,
                            TornPart::Last(count) => index + count as usize >= units.len(),
                            TornPart::Even => index % 2 == 0,
                            TornPart::Odd => index % 2 == 1,
                        });
                        let wanted = if new { with[byte] } else { without[byte] };
                        prop_assert_eq!(*value, wanted, "{} at byte {}", state, byte);
                    }
                }
            }
        }
    }

    /// A log whose recording was killed loads up to where both files agree, at any length of either.
    #[test]
    fn a_killed_recording_loads(script in scripts(30), log_cut in 0.0..1.0_f64, sidecar_cut in 0.0..1.0_f64) {
        let (log, sidecar) = script.record(false);
        let whole = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
        prop_assert_eq!(whole.log.end().0 as usize, script.happenings.len());
        prop_assert!(whole.warnings.contains(&LoadWarning::Interrupted));
        let log = log[..512 + ((log.len() - 512) as f64 * log_cut) as usize].to_vec();
        let header = if script.disks.len() == 1 { 64 } else { 192 };
        let sidecar = sidecar[..header + ((sidecar.len() - header) as f64 * sidecar_cut) as usize].to_vec();
        let part = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
        prop_assert!(part.log.end() <= whole.log.end());
        prop_assert_eq!(part.log.marks(), &whole.log.marks()[..part.log.marks().len()]);
        let index = Arc::new(BlockIndex::build(Arc::new(part.log)));
        let sources = Sources { base: Arc::new(script.base.clone()), log: Arc::new(log), sidecar: Some(Arc::new(sidecar)) };
        for state in CrashSpec::default().states(index.log()).unwrap() {
            let cut = state.cut.0 as usize;
            let image = index.image(&state, &sources).unwrap();
            let mut content = vec![0; image.size() as usize];
            image.read_at(0, &mut content).unwrap();
            prop_assert!(content == script.content(cut, &chosen(&script, cut, &state.set)), "{}", state);
        }
    }
}
