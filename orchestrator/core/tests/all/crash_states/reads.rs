//! Covering every state of a cut by what recoveries read: against recovering every state.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use super::naive::{Script, scripts};
use coldcut_core::crash::index::{BLOCK, BlockIndex, Digest, Sources};
use coldcut_core::crash::plan::CrashSpec;
use coldcut_core::crash::reads::{
    BlockDigest, BlockRead, Exploration, Explorer, LogSpace, Next, Place, ReadIndex, Reads, Region, Space,
};
use coldcut_core::crash::state::{CrashState, CutModel, DiscardAs, PlanKind};
use coldcut_core::recording::block::ReadAt as _;
use coldcut_core::recording::log::{Cut, LoadOptions, WriteLog};
use num_bigint::BigUint;
use proptest::prelude::*;

struct Recorded {
    index: Arc<BlockIndex>,
    sources: Sources,
}

fn recorded(script: &Script) -> Recorded {
    let (log, sidecar) = script.record(true);
    let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
    Recorded {
        index: Arc::new(BlockIndex::build(Arc::new(loaded.log))),
        sources: Sources {
            base: Arc::new(script.base.clone()),
            log: Arc::new(log),
            sidecar: Some(Arc::new(sidecar)),
        },
    }
}

impl Recorded {
    fn content(&self, space: &LogSpace, region: &Region) -> Vec<u8> {
        let mut content = vec![0xee; self.sources.base.size() as usize];
        let view = self.index.selected(space.selection(region));
        view.read_at(&self.sources, 0, &mut content).unwrap();
        content
    }
}

fn block(content: &[u8], number: u64) -> &[u8] {
    let start = (number * BLOCK) as usize;
    &content[start..content.len().min(start + BLOCK as usize)]
}

/// A recovery that looks where what it has read sends it, at a block or at some sectors of one, rewrites a sector now and
/// then, and ends when it has seen enough. What it says at the end depends on every byte that it read.
fn recover(content: &[u8]) -> (Reads, u64) {
    let blocks = (content.len() as u64).div_ceil(BLOCK);
    let mut disk = content.to_vec();
    let mut reads = Reads::new();
    // Sectors that were read or written, by block.
    let mut known: HashMap<u64, u8> = HashMap::new();
    let (mut at, mut seen) = (0, 7_u64);
    for _ in 0..6 {
        let wanted = if seen.is_multiple_of(2) {
            Place::ALL
        } else {
            1 << (seen % 7) | 1 << (seen % 5)
        };
        let digest = BlockDigest::of_sectors(block(&disk, at), wanted);
        let fresh = wanted & !*known.get(&at).unwrap_or(&0);
        if fresh != 0 {
            *known.entry(at).or_default() |= fresh;
            reads.push(BlockRead {
                block: at,
                sectors: fresh,
                digest: BlockDigest::of_sectors(block(content, at), fresh),
                file: None,
                by: None,
            });
        }
        let word = u64::from_le_bytes(digest.0[..8].try_into().unwrap());
        seen = seen.rotate_left(9) ^ word;
        if seen.is_multiple_of(5) {
            break;
        }
        if seen.is_multiple_of(3) {
            let rewritten = seen % blocks;
            let start = (rewritten * BLOCK) as usize;
            // The rest of the block stands as it was, and was not read for this.
            let end = disk.len().min(start + Place::SECTOR as usize);
            disk[start..end].fill(seen as u8);
            *known.entry(rewritten).or_default() |= 1;
        }
        at = word % blocks;
    }
    (reads, seen)
}

/// Every assignment of a space.
fn assignments(space: &LogSpace) -> Vec<Region> {
    let mut all = vec![Vec::new()];
    for (choice, alternatives) in space.alternatives().iter().enumerate() {
        all = all
            .into_iter()
            .flat_map(|decided| {
                (0..*alternatives).map(move |alternative| {
                    let mut more = decided.clone();
                    more.push((choice, alternative));
                    more
                })
            })
            .collect();
    }
    all.into_iter().map(Region::of).collect()
}

fn holds(class: &Region, assignment: &Region) -> bool {
    class
        .decisions()
        .iter()
        .all(|(choice, alternative)| assignment.alternative(*choice) == *alternative)
}

/// Spaces with at most this many assignments are compared with brute force.
const MOST: u32 = 1 << 9;

/// How many assignments a space has, as far as they can be counted.
fn states(space: &LogSpace) -> u64 {
    let ways = space.alternatives().iter().map(|ways| u64::from(*ways));
    ways.fold(1, u64::saturating_mul)
}

/// The cuts of a script that have few enough states, and more than one, in every model of what a cut may do.
fn small_spaces(recorded: &Recorded) -> impl Iterator<Item = (Cut, LogSpace)> {
    let models: Vec<CutModel> = [None, Some(4096), Some(512)]
        .into_iter()
        .flat_map(|tearing| {
            let discards = [DiscardAs::Zeros, DiscardAs::Kept, DiscardAs::Garbage];
            discards.map(|discard| CutModel { tearing, discard })
        })
        .collect();
    (0..=recorded.index.log().end().0)
        .step_by(3)
        .zip(models.into_iter().cycle())
        .filter_map(|(cut, model)| Some((Cut(cut), LogSpace::new(&recorded.index, Cut(cut), model).ok()?)))
        .filter(|(_, space)| {
            let all = states(space);
            (2..=u64::from(MOST)).contains(&all)
        })
}

/// Explores a space; gives the classes with what their recovery said, and how many recoveries ran.
fn explore(recorded: &Recorded, space: &LogSpace) -> (Vec<(Region, u64)>, u32) {
    let mut explorer = Explorer::new(space);
    let mut index = ReadIndex::new(10_000);
    let mut known: Vec<(Reads, u64)> = Vec::new();
    let mut classes = Vec::new();
    while let Some(task) = explorer.next_task() {
        let content = recorded.content(space, task.region());
        let found = index
            .find(|place| {
                let bytes = block(&content, place.block);
                Ok::<_, Infallible>(BlockDigest::of_sectors(bytes, place.sectors))
            })
            .unwrap();
        let recovery = found.unwrap_or_else(|| {
            let number = known.len() as u32;
            let (reads, said) = recover(&content);
            assert!(index.insert(&reads, number));
            known.push((reads, said));
            number
        });
        let (reads, said) = &known[recovery as usize];
        let answered = explorer.cover(task, space, reads, recovery);
        let (class, answers) = answered.class.expect("no data is only copied");
        assert_eq!((answers, &class), (vec![recovery], &answered.same));
        classes.push((class, *said));
    }
    let coverage = explorer.coverage();
    assert_eq!(coverage.covered, coverage.states);
    assert_eq!(coverage.classes, classes.len() as u64);
    (classes, known.len() as u32)
}

/// A recovery that reads metadata, which says where two files have their data; reading that data is all that is done with
/// it. Gives what was read, the digest of the metadata, and that of each file's data.
fn recover_files(content: &[u8]) -> (Reads, BlockDigest, [Vec<BlockDigest>; 2]) {
    let blocks = (content.len() as u64).div_ceil(BLOCK);
    let mut reads = Reads::new();
    let mut read = |number: u64, file: Option<u64>| {
        let digest = BlockDigest::of(block(content, number));
        if reads.iter().all(|read: &BlockRead| read.block != number) {
            reads.push(BlockRead {
                block: number,
                sectors: Place::ALL,
                digest,
                file,
                by: None,
            });
        }
        digest
    };
    let first = read(0, None);
    let second = read(1 + u64::from(first.0[0]) % (blocks - 1), None);
    let mut both = first.0.to_vec();
    both.extend(second.0);
    let metadata = BlockDigest::of(&both);
    let free: Vec<u64> = (1..blocks)
        .filter(|number| *number != 1 + u64::from(first.0[0]) % (blocks - 1))
        .collect();
    let mut files = [Vec::new(), Vec::new()];
    for (number, at) in free.iter().enumerate() {
        let file = usize::from(metadata.0[number % 16] & 1);
        files[file].push(read(*at, Some(file as u64)));
    }
    (reads, metadata, files)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Each assignment is in exactly one class, and recovers as its class says.
    #[test]
    fn no_state_recovers_otherwise_than_its_class(script in scripts(40)) {
        let recorded = recorded(&script);
        for (cut, space) in small_spaces(&recorded) {
            let (classes, recoveries) = explore(&recorded, &space);
            let mut contents = HashSet::new();
            let all = assignments(&space);
            for assignment in &all {
                let content = recorded.content(&space, assignment);
                let (_, truth) = recover(&content);
                contents.insert(content);
                let mine: Vec<_> = classes.iter().filter(|(class, _)| holds(class, assignment)).collect();
                prop_assert_eq!(mine.len(), 1, "{:?}", cut);
                prop_assert_eq!(mine[0].1, truth, "{:?} {:?}", cut, assignment);
            }
            prop_assert!(recoveries as usize <= contents.len());
            let sizes: BigUint = classes.iter().map(|(class, _)| Explorer::new(&space).size(class)).sum();
            prop_assert_eq!(sizes, BigUint::from(all.len()));
        }
    }

    /// Where file data is only copied, each assignment is in one class, that class has its metadata, and each of its files'
    /// contents was shown by a recovery of it.
    #[test]
    fn every_content_of_every_file_is_shown(script in scripts(40)) {
        let recorded = recorded(&script);
        if (script.device as u64).div_ceil(BLOCK) < 3 {
            return Ok(());
        }
        for (cut, space) in small_spaces(&recorded) {
            let mut explorer = Explorer::new(&space);
            let mut known = Vec::new();
            let mut classes = Vec::new();
            while let Some(task) = explorer.next_task() {
                let content = recorded.content(&space, task.region());
                let (reads, metadata, files) = recover_files(&content);
                let number = known.len() as u32;
                known.push((metadata, files));
                let answered = explorer.cover(task, &space, &reads, number);
                prop_assert!(!answered.mixed);
                classes.extend(answered.class);
            }
            prop_assert_eq!(explorer.coverage().covered, explorer.coverage().states);
            for assignment in assignments(&space) {
                let (_, metadata, files) = recover_files(&recorded.content(&space, &assignment));
                let mine: Vec<_> = classes.iter().filter(|(class, _)| holds(class, &assignment)).collect();
                prop_assert_eq!(mine.len(), 1, "{:?}", cut);
                let answers: Vec<_> = mine[0].1.iter().map(|number| &known[*number as usize]).collect();
                prop_assert!(answers.iter().all(|answer| answer.0 == metadata));
                for (file, content) in files.iter().enumerate() {
                    prop_assert!(answers.iter().any(|answer| answer.1[file] == *content), "{:?} {:?}", cut, assignment);
                }
            }
        }
    }

    /// A state's name gives the state back, byte for byte.
    #[test]
    fn a_region_has_a_name_from_which_it_is_rebuilt(script in scripts(40)) {
        let recorded = recorded(&script);
        for (cut, space) in small_spaces(&recorded).take(4) {
            for assignment in assignments(&space).into_iter().step_by(7) {
                let state = space.state(&assignment, PlanKind::Reorder);
                let named: CrashState = state.id().as_str().parse().unwrap();
                prop_assert_eq!(&named, &state);
                let image = recorded.index.image(&named, &recorded.sources).unwrap();
                let mut content = vec![0; image.size() as usize];
                image.read_at(0, &mut content).unwrap();
                prop_assert_eq!(content, recorded.content(&space, &assignment), "{:?} {}", cut, state.id());
            }
        }
    }

    /// What is asked for a place decides its bytes.
    #[test]
    fn a_place_depends_on_nothing_but_what_is_asked(script in scripts(40), sectors in 1u8..) {
        let recorded = recorded(&script);
        let blocks = (script.device as u64).div_ceil(BLOCK);
        for (_, space) in small_spaces(&recorded).take(3) {
            for place in (0..blocks).flat_map(|block| [Place::whole(block), Place { block, sectors }]) {
                let mut by_answers: HashMap<Vec<(usize, u32)>, Vec<u8>> = HashMap::new();
                for assignment in assignments(&space) {
                    let mut asked = Vec::new();
                    space.depends(place, &mut |choice| {
                        let alternative = assignment.alternative(choice);
                        asked.push((choice, alternative));
                        alternative
                    });
                    let content = recorded.content(&space, &assignment);
                    let bytes = block(&content, place.block).chunks(512).enumerate();
                    let bytes = bytes.filter(|(sector, _)| place.sectors >> sector & 1 == 1);
                    let bytes: Vec<u8> = bytes.flat_map(|(_, bytes)| bytes.to_vec()).collect();
                    let known = by_answers.entry(asked).or_insert_with(|| bytes.clone());
                    prop_assert_eq!(&*known, &bytes);
                }
            }
        }
    }

    /// The space has the contents that the plan `reorder` enumerates, and no others.
    #[test]
    fn a_space_is_what_reorder_enumerates(script in scripts(40)) {
        let recorded = recorded(&script);
        let log = recorded.index.log();
        // The plan orders all overlapping writes of a subset among each other, the space only those that overlap: three
        // pairs have 512 assignments and 1,957 orders of subsets.
        let spec = CrashSpec { per_cut: 4 * MOST, ..CrashSpec::of(PlanKind::Reorder) };
        let mut enumerated: HashMap<Cut, HashSet<Vec<u8>>> = HashMap::new();
        let small = |cut| {
            let space = LogSpace::new(&recorded.index, cut, CutModel::default()).ok()?;
            let all = states(&space);
            (all <= u64::from(MOST)).then_some(space)
        };
        let cuts: HashSet<Cut> = (0..=log.end().0).map(Cut).filter(|cut| small(*cut).is_some()).collect();
        for state in spec.states(log).unwrap() {
            if !cuts.contains(&state.cut) {
                continue;
            }
            let image = recorded.index.image(&state, &recorded.sources).unwrap();
            let mut content = vec![0; image.size() as usize];
            image.read_at(0, &mut content).unwrap();
            enumerated.entry(state.cut).or_default().insert(content);
        }
        for (cut, contents) in enumerated.into_iter().take(4) {
            let space = small(cut).unwrap();
            let mine: HashSet<Vec<u8>> =
                assignments(&space).iter().map(|one| recorded.content(&space, one)).collect();
            prop_assert_eq!(mine, contents, "{:?}", cut);
        }
    }
}

/// Reads of these blocks, whatever they hold.
fn reads(blocks: &[u64], file: Option<u64>) -> Reads {
    let digest = BlockDigest([0; 16]);
    blocks
        .iter()
        .map(|block| BlockRead {
            block: *block,
            sectors: Place::ALL,
            digest,
            file,
            by: None,
        })
        .collect()
}

/// Sixteen volatile writes of which a recovery looks at two: three classes answer for 65,536 states.
#[test]
fn what_is_not_read_is_not_recovered_again() {
    struct Sixteen([u32; 16]);
    impl Space for Sixteen {
        fn alternatives(&self) -> &[u32] {
            &self.0
        }
        fn depends(&self, place: Place, ask: &mut dyn FnMut(usize) -> u32) {
            ask(place.block as usize);
        }
    }
    let space = Sixteen([2; 16]);
    let mut explorer = Explorer::new(&space);
    let mut recoveries = 0;
    while let Some(task) = explorer.next_task() {
        recoveries += 1;
        // The second block is looked at only where the first is new.
        let read = if task.region().alternative(3) == 1 {
            reads(&[3, 9], None)
        } else {
            reads(&[3], None)
        };
        explorer.cover(task, &space, &read, recoveries);
    }
    let coverage = explorer.coverage();
    assert_eq!((recoveries, coverage.classes), (3, 3));
    assert_eq!(coverage.covered, BigUint::from(65_536_u32));
    assert_eq!(coverage.states, BigUint::from(65_536_u32));
}

/// A recovery that read otherwise than its bytes say (a cached block, a race) leaves the parts disjoint and whole; that
/// its class is wrong only a recovery of another of its states shows.
#[test]
fn the_parts_are_whole_whatever_is_read() {
    struct Four([u32; 4]);
    impl Space for Four {
        fn alternatives(&self) -> &[u32] {
            &self.0
        }
        fn depends(&self, place: Place, ask: &mut dyn FnMut(usize) -> u32) {
            ask(place.block as usize);
        }
    }
    let space = Four([2, 3, 2, 6]);
    for seed in 0..50_u64 {
        let mut explorer = Explorer::new(&space);
        let mut turn = seed;
        while let Some(task) = explorer.next_task() {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let read: Vec<u64> = (0..4).filter(|bit| turn >> (40 + bit) & 1 == 1).collect();
            // Blocks may be metadata once and a file's data another time.
            let mut read = reads(&read, None);
            for (bit, read) in read.iter_mut().enumerate() {
                read.file = (turn >> (50 + bit) & 1 == 1).then_some(turn >> 60 & 1);
            }
            explorer.cover(task, &space, &read, 0);
        }
        assert_eq!(explorer.coverage().covered, BigUint::from(72_u32));
    }
}

proptest! {
    /// What a program said about other acknowledgements answers for no state, whatever else it read.
    #[test]
    fn answers_are_to_the_question_that_was_asked(script in scripts(6), every in 1_u32..4) {
        let recorded = recorded(&script);
        let plans = CrashSpec::of(PlanKind::All).complete(recorded.index.log()).unwrap();
        let question = |cut: Cut| Digest([(cut.0 / every) as u8; 16]);
        let explored = Exploration::new(&recorded.index, &recorded.sources, &plans, 10_000);
        let mut explored = explored.asking(question);
        let mut asked = Vec::new();
        while let Next::Recover(ask) = explored.advance().unwrap() {
            let image = recorded.index.image(&ask.state, &recorded.sources).unwrap();
            let mut content = vec![0; image.size() as usize];
            image.read_at(0, &mut content).unwrap();
            let (mut reads, _) = recover(&content);
            reads.insert(0, BlockRead::asked(question(ask.state.cut)));
            asked.push(question(ask.state.cut));
            explored.learn(*ask, reads);
        }
        for answer in explored.answers() {
            prop_assert_eq!(asked[answer.recovery as usize], question(answer.state.cut));
        }
        let coverage = explored.coverage();
        prop_assert_eq!(coverage.covered, coverage.states);
    }
}
