//! Covering every state of a recording's cuts: what to recover next, and what follows from what was read.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;

use super::explore::{Coverage, Explorer, Task};
use super::sample::Reservoir;
use super::{ASKED, BlockDigest, BlockRead, Digests, LogSpace, Place, ReadIndex, Reads, Region, SpaceError};
use crate::crash::index::{BlockIndex, Digest, Sources};
use crate::crash::plan::Complete;
use crate::crash::state::{CrashState, PlanKind};
use crate::recording::log::Cut;

/// Nodes of the index of reads, at most.
const MOST_NODES: usize = 4 << 20;
/// Digests kept, at most.
const MOST_DIGESTS: usize = 1 << 20;
/// Classes of which a sample is drawn, at most.
const MOST_CLASSES: usize = 1 << 12;

/// Which recovery: in the order in which they became known.
pub type RecoveryNumber = u32;

/// A state that a recovery answers for, and is judged at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The first state of its cut for which that recovery answers.
    pub state: CrashState,
    /// Which recovery.
    pub recovery: RecoveryNumber,
}

/// A state that is to be recovered. It must be given back to [`Exploration::learn`] or [`Exploration::fail`].
#[derive(Clone, Debug)]
pub struct Ask {
    /// Which one.
    pub state: CrashState,
    at: usize,
    task: Task,
}

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Recover this state.
    Recover(Box<Ask>),
    /// Wait for a recovery that was asked for: more may follow from it.
    Wait,
    /// Nothing is left, or the budget is spent and nothing can be inferred any more.
    Done,
}

/// States for which a recovery answers though it is another state's, drawn to be recovered for comparison.
#[derive(Clone, Debug)]
pub struct Sample {
    /// A state.
    pub state: CrashState,
    /// Recoveries, each of whose files' contents is one that the state's recovery may show; in everything else they are
    /// alike. With one, nothing may differ.
    pub answers: Vec<RecoveryNumber>,
}

/// One cut, as far as it is explored.
#[derive(Debug)]
struct At {
    plan: PlanKind,
    space: LogSpace,
    explorer: Explorer,
    /// What programs are asked about here.
    asked: BlockDigest,
    /// Tasks that are being done.
    out: usize,
}

/// A class or a part of one that recovers to the very same, for the sample.
#[derive(Clone, Debug)]
struct Class {
    at: usize,
    region: Region,
    answers: Vec<RecoveryNumber>,
}

/// Explores complete plans, breadth first over cuts, within a budget of recoveries.
///
/// Several states may be asked for before the first is answered, so that machines work side by side.
pub struct Exploration {
    sources: Sources,
    index: Arc<BlockIndex>,
    cuts: Vec<At>,
    turns: VecDeque<usize>,
    known: ReadIndex,
    digests: Digests,
    reads: Vec<Reads>,
    answers: Vec<Answer>,
    answered: HashSet<(usize, RecoveryNumber)>,
    classes: Reservoir<Class>,
    budget: u64,
    out: usize,
    mixed: u64,
    refused: Vec<SpaceError>,
}

impl Exploration {
    /// Of these plans of a recording, by at most so many recoveries.
    pub fn new(index: &Arc<BlockIndex>, sources: &Sources, plans: &[Complete], budget: u64) -> Self {
        let (mut cuts, mut refused) = (Vec::new(), Vec::new());
        for plan in plans {
            for (cut, model) in &plan.cuts {
                match LogSpace::new(index, *cut, *model) {
                    Ok(space) => cuts.push(At {
                        plan: plan.plan,
                        explorer: Explorer::new(&space),
                        space,
                        asked: BlockDigest([0; 16]),
                        out: 0,
                    }),
                    Err(error) => refused.push(error),
                }
            }
        }
        Self {
            sources: sources.clone(),
            index: Arc::clone(index),
            turns: (0..cuts.len()).collect(),
            cuts,
            known: ReadIndex::new(MOST_NODES),
            digests: Digests::new(MOST_DIGESTS),
            reads: Vec::new(),
            answers: Vec::new(),
            answered: HashSet::new(),
            classes: Reservoir::new(MOST_CLASSES),
            budget,
            out: 0,
            mixed: 0,
            refused,
        }
    }

    /// The same, where recoveries have programs in them: what these are asked about depends on the cut, and each recovery's
    /// reads begin with it ([`BlockRead::asked`]).
    #[must_use]
    pub fn asking(mut self, question: impl Fn(Cut) -> Digest) -> Self {
        for at in &mut self.cuts {
            at.asked = BlockDigest(question(at.space.cut()).0);
        }
        self
    }

    /// Adds a recovery that is known from elsewhere; gives its number.
    pub fn know(&mut self, reads: Reads) -> RecoveryNumber {
        let number = self.reads.len() as RecoveryNumber;
        self.known.insert(&reads, number);
        self.reads.push(reads);
        number
    }

    /// What to do next. Everything that follows from what is known is inferred on the way.
    ///
    /// # Errors
    /// When the recording cannot be read.
    pub fn advance(&mut self) -> io::Result<Next> {
        let mut passed = 0;
        while passed < self.turns.len() {
            let Some(at) = self.turns.pop_front() else { break };
            let Some(task) = self.cuts[at].explorer.next_task() else {
                if self.cuts[at].out > 0 {
                    self.turns.push_back(at);
                }
                passed += usize::from(self.cuts[at].out > 0);
                continue;
            };
            self.turns.push_back(at);
            if let Some(known) = self.find(at, &task)? {
                self.answer(at, task, known);
                passed = 0;
            } else if self.budget > 0 {
                self.budget -= 1;
                self.out += 1;
                self.cuts[at].out += 1;
                let state = self.cuts[at].space.state(task.region(), self.cuts[at].plan);
                return Ok(Next::Recover(Box::new(Ask { state, at, task })));
            } else {
                self.cuts[at].explorer.put_back(task);
                passed += 1;
            }
        }
        Ok(if self.out > 0 { Next::Wait } else { Next::Done })
    }

    /// What a recovery that was asked for read. Gives its number, and whether another one, which became known meanwhile,
    /// had read the same: then the two must have recovered to the same.
    pub fn learn(&mut self, ask: Ask, reads: Reads) -> (RecoveryNumber, Option<RecoveryNumber>) {
        self.out -= 1;
        self.cuts[ask.at].out -= 1;
        let twin = self.twin(&reads);
        let number = self.know(reads);
        self.answer(ask.at, ask.task, number);
        (number, twin)
    }

    /// A recovery that was asked for came to nothing. Its region stays uncovered.
    #[allow(clippy::needless_pass_by_value)] // an ask is answered once
    pub fn fail(&mut self, ask: Ask) {
        self.out -= 1;
        self.cuts[ask.at].out -= 1;
    }

    /// No more recoveries are asked for.
    pub fn stop(&mut self) {
        self.budget = 0;
    }

    /// A recovery that read the same.
    fn twin(&self, reads: &Reads) -> Option<RecoveryNumber> {
        let held: HashMap<Place, BlockDigest> =
            reads.iter().map(|read| (read.place(), read.digest)).collect();
        let found = self.known.find(|place| held.get(&place).copied().ok_or(()));
        found.ok().flatten()
    }

    fn find(&mut self, at: usize, task: &Task) -> io::Result<Option<RecoveryNumber>> {
        let view = self.index.selected(self.cuts[at].space.selection(task.region()));
        let (digests, sources, asked) = (&mut self.digests, &self.sources, self.cuts[at].asked);
        self.known.find(|place| match place.block {
            ASKED => Ok(asked),
            _ => digests.digest(&view, sources, place),
        })
    }

    /// A recovery answers for a task.
    fn answer(&mut self, at: usize, task: Task, recovery: RecoveryNumber) {
        let here = &mut self.cuts[at];
        if self.answered.insert((at, recovery)) {
            let state = here.space.state(task.region(), here.plan);
            self.answers.push(Answer { state, recovery });
        }
        let reads = &self.reads[recovery as usize];
        let on_disk = reads.iter().position(|read| read.block != ASKED);
        let reads: &[BlockRead] = on_disk.map_or(&[], |first| &reads[first..]);
        let answered = here.explorer.cover(task, &here.space, reads, recovery);
        self.mixed += u64::from(answered.mixed);
        self.classes.offer(|| Class {
            at,
            region: answered.same,
            answers: vec![recovery],
        });
        if let Some((region, answers)) = answered.class
            && answers.len() > 1
        {
            self.classes.offer(|| Class { at, region, answers });
        }
    }

    /// What is to be judged: for each cut and each recovery that answers for states of it, the first of them.
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// States for which other states' recoveries answer, drawn at random; the same seed draws the same.
    pub fn samples(&self, count: usize, seed: u64) -> Vec<Sample> {
        let drawn = self.classes.draw(count, seed);
        drawn
            .map(|(class, mut dice)| {
                let here = &self.cuts[class.at];
                let region = here
                    .space
                    .member(&class.region, |ways| dice.roll(u64::from(ways)) as u32);
                Sample {
                    state: here.space.state(&region, here.plan),
                    answers: class.answers.clone(),
                }
            })
            .collect()
    }

    /// How far it has come, over all cuts.
    pub fn coverage(&self) -> Coverage {
        let mut sum = Coverage::default();
        for at in &self.cuts {
            let coverage = at.explorer.coverage();
            sum.states += coverage.states;
            sum.covered += coverage.covered;
            sum.classes += coverage.classes;
        }
        sum
    }

    /// How many cuts it explores, and of how many every state is covered.
    pub fn cuts(&self) -> (usize, usize) {
        let whole = |at: &&At| {
            let coverage = at.explorer.coverage();
            coverage.covered == coverage.states
        };
        (self.cuts.len(), self.cuts.iter().filter(whole).count())
    }

    /// Cuts at which something is left to do, or being done.
    pub fn cuts_left(&self) -> usize {
        let left = |at: &&At| at.out > 0 || !at.explorer.is_empty();
        self.cuts.iter().filter(left).count()
    }

    /// What a recovery read.
    pub fn reads(&self, recovery: RecoveryNumber) -> &Reads {
        &self.reads[recovery as usize]
    }

    /// How many recoveries are known.
    pub fn known(&self) -> usize {
        self.reads.len()
    }

    /// Cuts that have too many orders to be explored.
    pub fn refused(&self) -> &[SpaceError] {
        &self.refused
    }

    /// Classes in which file data was not only copied.
    pub fn mixed(&self) -> u64 {
        self.mixed
    }
}
