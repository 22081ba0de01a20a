//! Covering every assignment of a space by few recoveries.

use std::collections::BTreeMap;

use num_bigint::BigUint;

use super::region::{Decision, Region, Tracer};
use super::{BlockRead, Place, Space};

/// How many assignments are covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// All there are.
    pub states: BigUint,
    /// Those for which recoveries answer.
    pub covered: BigUint,
    /// Into how many classes these fall.
    pub classes: u64,
}

/// An assignment that is to be recovered, or to be answered for by an earlier recovery.
#[derive(Clone, Debug)]
pub struct Task {
    region: Region,
    of: Of,
}

/// What a task is about.
#[derive(Clone, Debug)]
enum Of {
    /// A region of which nothing is known.
    Region {
        /// Whether all that is read counts as metadata.
        whole: bool,
    },
    /// Contents of files of a class that no recovery has shown yet.
    Files {
        class: Box<OpenClass>,
        shown: Vec<(u64, Vec<Decision>)>,
    },
}

/// A class of assignments that differ in nothing but what is only copied: the data of files.
#[derive(Clone, Debug)]
struct OpenClass {
    region: Region,
    /// For each file, the decisions on its data of which nothing is known; the next at the end.
    files: BTreeMap<u64, Vec<Vec<Decision>>>,
    answers: Vec<u32>,
}

/// What a recovery answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// All assignments that agree with its assignment in everything that it read: they recover to the very same.
    pub same: Region,
    /// The class, once every content of each of its files was shown by one of these recoveries.
    pub class: Option<(Region, Vec<u32>)>,
    /// Whether a recovery of this class read other metadata than another, though it differs in nothing but file data. The
    /// class was given up then, and what is left of it is explored as if nothing were only copied.
    pub mixed: bool,
}

/// The regions of one space that are not covered yet.
///
/// It starts with one region, the whole space. A region's first assignment is recovered, or an earlier recovery is found
/// that answers for it; the choices on which its reads depended cut the region: the class in which all of them are as they
/// were is covered, and for each of them, in order, the region in which it is otherwise and those before it are the same is
/// left to do. These parts are disjoint and are all of the region, whatever the reads were, so that coverage is
/// counted exactly; that a class recovers alike is what [`super`] argues.
///
/// Data of files that is only copied does not cut regions. Within a class, each file's contents are turned around by
/// themselves, and one recovery shows a new content of each file that has one left: a class takes as many recoveries as its
/// file with the most contents has, not their product.
#[derive(Clone, Debug)]
pub struct Explorer {
    alternatives: Vec<u32>,
    /// The next one at the end: depth first, so that few are held.
    todo: Vec<(Region, bool)>,
    open: Vec<OpenClass>,
    covered: BigUint,
    classes: u64,
}

impl Task {
    /// The assignment: the first of this region.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

impl Explorer {
    /// Nothing of this space is covered.
    pub fn new(space: &impl Space) -> Self {
        Self {
            alternatives: space.alternatives().to_vec(),
            todo: vec![(Region::default(), false)],
            open: Vec::new(),
            covered: BigUint::ZERO,
            classes: 0,
        }
    }

    /// The next task; `None` when nothing is left that is not being done. It must be given back, by [`Self::cover`] or
    /// [`Self::put_back`]; one that is dropped is never covered.
    pub fn next_task(&mut self) -> Option<Task> {
        if let Some(mut class) = self.open.pop() {
            let (region, shown) = class.pack();
            let class = Box::new(class);
            return Some(Task {
                region,
                of: Of::Files { class, shown },
            });
        }
        let (region, whole) = self.todo.pop()?;
        Some(Task {
            region,
            of: Of::Region { whole },
        })
    }

    /// Takes a task back of which nothing became known.
    pub fn put_back(&mut self, task: Task) {
        match task.of {
            Of::Region { whole } => self.todo.push((task.region, whole)),
            Of::Files { mut class, shown } => {
                for (file, decisions) in shown {
                    class.files.entry(file).or_default().push(decisions);
                }
                self.open.push(*class);
            }
        }
    }

    /// Whether nothing is left but what is being done.
    pub fn is_empty(&self) -> bool {
        self.todo.is_empty() && self.open.is_empty()
    }

    /// A recovery of a task's assignment, or one that answers for it, read this.
    pub fn cover(&mut self, task: Task, space: &impl Space, reads: &[BlockRead], recovery: u32) -> Answered {
        let tracer = Tracer::new(space, &task.region);
        let same = task.region.with(
            &task
                .region
                .undecided(tracer.trace(reads.iter().map(BlockRead::place))),
        );
        let whole = matches!(task.of, Of::Region { whole: true });
        let metadata = reads.iter().filter(|read| whole || read.file.is_none());
        let metadata = tracer.trace(metadata.map(BlockRead::place));
        let mut answered = Answered {
            same,
            class: None,
            mixed: false,
        };
        let class = match task.of {
            Of::Region { .. } => {
                let fresh = task.region.undecided(metadata);
                let turned = Region::turned(&fresh, &self.alternatives);
                let turned = turned.map(|decisions| (task.region.with(&decisions), whole));
                self.todo.extend(turned);
                let mut class = OpenClass {
                    region: task.region.with(&fresh),
                    files: BTreeMap::new(),
                    answers: vec![recovery],
                };
                if !whole {
                    for (file, trace) in file_traces(&tracer, reads) {
                        class.show(file, &[], trace, &self.alternatives);
                    }
                }
                class
            }
            Of::Files { mut class, shown } => {
                answered.mixed = !class.region.undecided(metadata).is_empty();
                if answered.mixed {
                    self.todo.push((class.region, true));
                    return answered;
                }
                class.answers.push(recovery);
                let mut traces = file_traces(&tracer, reads);
                for (file, decisions) in shown {
                    let trace = traces.remove(&file).unwrap_or_default();
                    class.show(file, &decisions, trace, &self.alternatives);
                }
                *class
            }
        };
        answered.class = self.keep(class);
        answered
    }

    /// Keeps a class that has contents left, and counts one that has none.
    fn keep(&mut self, class: OpenClass) -> Option<(Region, Vec<u32>)> {
        if !class.files.is_empty() {
            self.open.push(class);
            return None;
        }
        self.covered += self.size(&class.region);
        self.classes += 1;
        Some((class.region, class.answers))
    }

    /// How far it has come.
    pub fn coverage(&self) -> Coverage {
        Coverage {
            states: self.size(&Region::default()),
            covered: self.covered.clone(),
            classes: self.classes,
        }
    }

    /// How many assignments a region has.
    pub fn size(&self, region: &Region) -> BigUint {
        let mut free = self.alternatives.clone();
        for (choice, _) in region.decisions() {
            free[*choice] = 1;
        }
        // Most are 2: shifting is cheaper than multiplying.
        let twos = free.iter().filter(|ways| **ways == 2).count();
        let others = free.into_iter().filter(|ways| *ways > 2).map(BigUint::from);
        others.product::<BigUint>() << twos
    }
}

impl OpenClass {
    /// Takes of each file one content that is left; of two files that want the same choice otherwise, the second waits.
    fn pack(&mut self) -> (Region, Vec<(u64, Vec<Decision>)>) {
        let mut region = self.region.clone();
        let mut shown = Vec::new();
        for (file, left) in &mut self.files {
            let Some(next) = left.last() else { continue };
            let decided = |choice: usize| {
                region
                    .decisions()
                    .iter()
                    .find(|(known, _)| *known == choice)
                    .copied()
            };
            let agrees = |(choice, alternative): &Decision| {
                decided(*choice).is_none_or(|(_, taken)| taken == *alternative)
            };
            if !next.iter().all(agrees) {
                continue;
            }
            let fresh: Vec<Decision> = next
                .iter()
                .copied()
                .filter(|(choice, _)| decided(*choice).is_none())
                .collect();
            region = region.with(&fresh);
            shown.extend(left.pop().map(|decisions| (*file, decisions)));
        }
        self.files.retain(|_, left| !left.is_empty());
        (region, shown)
    }

    /// A content of a file was shown, which was asked for by these decisions and depends on this trace.
    fn show(&mut self, file: u64, asked: &[Decision], trace: Vec<Decision>, alternatives: &[u32]) {
        let asked_for = Region::of(asked.to_vec());
        let fresh = asked_for.undecided(self.region.undecided(trace));
        let left: Vec<Vec<Decision>> = Region::turned(&fresh, alternatives)
            .map(|turned| [asked, &turned].concat())
            .collect();
        if !left.is_empty() {
            self.files.entry(file).or_default().extend(left);
        }
    }
}

/// What each file's data depends on.
fn file_traces(tracer: &Tracer<'_, impl Space>, reads: &[BlockRead]) -> BTreeMap<u64, Vec<Decision>> {
    let mut places: BTreeMap<u64, Vec<Place>> = BTreeMap::new();
    for read in reads {
        if let Some(file) = read.file {
            places.entry(file).or_default().push(read.place());
        }
    }
    let trace = |(file, places): (u64, Vec<Place>)| (file, tracer.trace(places));
    places.into_iter().map(trace).collect()
}
