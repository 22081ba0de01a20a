//! Every state of every cut of one recording, covered by as few recoveries as their reads allow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_core::crash::index::BlockIndex;
use coldcut_core::crash::reads::{
    BlockDigest, Digests, Explorer, LogSpace, ReadIndex, Reads, Region, Space as _,
};
use coldcut_core::crash::state::Selection;
use coldcut_core::outcome::recovery::Recovery;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::log::Cut;
use num_bigint::BigUint;

use super::Screen;
use crate::disk::Noted;
use crate::record::loaded::LoadedRecording;

/// Nodes of the index of reads, at most.
const MOST_NODES: usize = 4 << 20;
/// Digests kept, at most.
const MOST_DIGESTS: usize = 1 << 20;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Explored {
    /// Cuts.
    pub(super) cuts: usize,
    /// States of all of them.
    pub(super) states: BigUint,
    /// Those for which a recovery answers.
    pub(super) covered: BigUint,
    /// Into how many classes they fall.
    pub(super) classes: u64,
    /// Recoveries that ran.
    pub(super) recoveries: u64,
    /// What all of it took.
    pub(super) time: Duration,
    /// What the recoveries took of that.
    pub(super) recovering: Duration,
    /// Blocks that a recovery read, on average.
    pub(super) reads: usize,
    /// States of classes, chosen at random, that were recovered as well.
    pub(super) checked: u64,
    /// Those of them that recovered otherwise than their class.
    pub(super) differing: u64,
}

struct Known {
    reads: Reads,
    recovery: Recovery,
}

/// A class, and the recovery that answers for it.
struct Class {
    cut: usize,
    region: Region,
    recovery: u32,
}

struct Exploration<'a> {
    recording: &'a LoadedRecording,
    index: ReadIndex,
    digests: Digests,
    known: Vec<Known>,
    classes: Vec<Class>,
    explored: Explored,
}

/// Covers every state of these cuts, within so many recoveries; then recovers `check` states of the classes found, chosen at random.
pub(super) async fn explore(
    recording: &LoadedRecording,
    cuts: &[Cut],
    screen: &mut Screen<'_>,
    most: u64,
    check: u64,
) -> Result<Explored, Unknown> {
    let start = Instant::now();
    let spaces = spaces(&recording.index, cuts)?;
    let mut exploration = Exploration {
        recording,
        index: ReadIndex::new(MOST_NODES),
        digests: Digests::new(MOST_DIGESTS),
        known: Vec::new(),
        classes: Vec::new(),
        explored: Explored {
            cuts: cuts.len(),
            ..Explored::default()
        },
    };
    exploration.cover(&spaces, screen, most).await?;
    exploration.explored.time = start.elapsed();
    exploration.check(&spaces, screen, check).await?;
    let mut explored = exploration.explored;
    let read: usize = exploration.known.iter().map(|known| known.reads.len()).sum();
    explored.reads = read / exploration.known.len().max(1);
    Ok(explored)
}

fn spaces<'a>(index: &'a BlockIndex, cuts: &[Cut]) -> Result<Vec<LogSpace<'a>>, Unknown> {
    cuts.iter()
        .map(|cut| LogSpace::new(index, *cut).or_unknown("enumerating a cut's states"))
        .collect()
}

impl Exploration<'_> {
    /// Breadth first over cuts: each gets a turn in its turn.
    async fn cover(
        &mut self,
        spaces: &[LogSpace<'_>],
        screen: &mut Screen<'_>,
        most: u64,
    ) -> Result<(), Unknown> {
        let mut explorers: Vec<Explorer> = spaces.iter().map(Explorer::new).collect();
        let mut turns: VecDeque<usize> = (0..spaces.len()).collect();
        while let Some(cut) = turns.pop_front() {
            let Some(region) = explorers[cut].next_region() else {
                continue;
            };
            let space = &spaces[cut];
            let selection = space.selection(&region);
            let found = match self.find(&selection)? {
                Some(known) => known,
                None if self.explored.recoveries == most => {
                    explorers[cut].put_back(region);
                    break;
                }
                None => self.recover(selection, screen).await?,
            };
            let blocks = self.known[found as usize].reads.iter().map(|read| read.block);
            let trace = region.trace(space, blocks);
            self.classes.push(Class {
                cut,
                region: explorers[cut].cover(&region, &trace),
                recovery: found,
            });
            turns.push_back(cut);
        }
        for explorer in &explorers {
            let coverage = explorer.coverage();
            self.explored.states += coverage.states;
            self.explored.covered += coverage.covered;
            self.explored.classes += coverage.classes;
        }
        Ok(())
    }

    fn find(&mut self, selection: &Selection) -> Result<Option<u32>, Unknown> {
        let view = self.recording.index.selected(selection.clone());
        let (digests, sources) = (&mut self.digests, &self.recording.sources);
        let digest = |block: u64| -> std::io::Result<BlockDigest> { digests.digest(&view, sources, block) };
        self.index.find(digest).or_unknown("reading the recording")
    }

    async fn recover(&mut self, selection: Selection, screen: &mut Screen<'_>) -> Result<u32, Unknown> {
        let (recovery, reads) = self.real(selection, screen).await?;
        let number = self.known.len() as u32;
        self.index.insert(&reads, number);
        self.known.push(Known { reads, recovery });
        self.explored.recoveries += 1;
        Ok(number)
    }

    async fn real(
        &mut self,
        selection: Selection,
        screen: &mut Screen<'_>,
    ) -> Result<(Recovery, Reads), Unknown> {
        let image = self
            .recording
            .index
            .selected_image(selection, &self.recording.sources)
            .or_unknown("a crash state")?;
        let noted = Arc::new(Noted::new(Arc::new(image)));
        let start = Instant::now();
        let recovery = screen.recover(Arc::clone(&noted) as Arc<dyn ReadAt>).await?;
        self.explored.recovering += start.elapsed();
        let reads = noted.take().unwrap_or_default();
        Ok((recovery, reads))
    }

    /// Recovers states of the classes for real and compares.
    async fn check(
        &mut self,
        spaces: &[LogSpace<'_>],
        screen: &mut Screen<'_>,
        check: u64,
    ) -> Result<(), Unknown> {
        for number in 0..check {
            let mut dice = Dice(number);
            let class = &self.classes[dice.roll(self.classes.len() as u64) as usize];
            let space = &spaces[class.cut];
            let member = member(space, &class.region, &mut dice);
            let answer = class.recovery as usize;
            let selection = space.selection(&member);
            let (real, _) = self.real(selection, screen).await?;
            self.explored.checked += 1;
            if !self.known[answer].recovery.same_as(&real) {
                self.explored.differing += 1;
            }
        }
        Ok(())
    }
}

/// A random assignment of a class.
fn member(space: &LogSpace<'_>, class: &Region, dice: &mut Dice) -> Region {
    let mut decisions = class.decisions().to_vec();
    for (choice, alternatives) in space.alternatives().iter().enumerate() {
        if class.decisions().iter().all(|(known, _)| *known != choice) {
            decisions.push((choice, dice.roll(u64::from(*alternatives)) as u32));
        }
    }
    Region::of(decisions)
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        let digest = BlockDigest::of(&self.0.to_le_bytes()).0;
        self.0 = self.0.wrapping_add(1 << 32);
        u64::from_le_bytes(std::array::from_fn(|at| digest[at])) % sides.max(1)
    }
}
