//! Every workload within bounds, streamed in one order.

use coldcut_wire::Op;

use super::bounds::Bounds;
use super::change::{Change, Kind};
use super::changes::changes;
use super::persist::{Persist, points};
use super::symmetry::{Alike, Order};
use super::workload::Workload;
use super::world::{Is, World};

/// A history in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    kinds: Vec<Kind>,
    world: World,
    order: Order,
    used: Vec<String>,
    steps: Vec<Op>,
}

impl History {
    /// So many changes so far.
    pub(super) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// The history with one more change, if it makes sense and no other that is alike comes first; also where the names of
    /// this change begin.
    pub(super) fn with(&self, alike: &Alike, kind: Kind, change: &Change) -> Option<(Self, usize)> {
        let mut next = self.clone();
        let from = next.used.len();
        for name in change.names() {
            if !next.order.takes(alike, name) {
                return None;
            }
            next.used.push(name.to_owned());
        }
        next.steps.extend(next.world.apply(change)?);
        next.kinds.push(kind);
        Some((next, from))
    }

    /// The history with a persistence point, likewise.
    pub(super) fn synced(&self, alike: &Alike, point: &Persist) -> Option<Self> {
        let mut next = self.clone();
        if let Some(name) = &point.name
            && (!next.order.takes(alike, name) || (point.other && !next.world.has(name, Is::File)))
        {
            return None;
        }
        next.steps.extend(point.op.clone());
        Some(next)
    }

    /// Persistence points after its last change, whose names begin at `from`.
    pub(super) fn points(&self, bounds: &Bounds, from: usize, last: bool) -> Vec<Persist> {
        points(&self.world, bounds, &self.used, from, last)
    }

    /// The workload that it is.
    pub(super) fn finished(self) -> Workload {
        Workload {
            kinds: self.kinds,
            setup: self.world.setup(),
            steps: self.steps,
        }
    }
}

/// Every workload of so many changes, each once. The order is fixed: by the first change in the order of the bounds, then by
/// what is synced after it, then by the second change, and so on.
#[derive(Debug)]
pub struct Workloads<'b> {
    bounds: &'b Bounds,
    alike: Alike,
    changes: usize,
    /// Histories under way, and what is next of each.
    levels: Vec<Level>,
}

/// A history, and the ones that follow from it with one change more.
#[derive(Debug)]
struct Level {
    history: History,
    /// Changes of all kinds that are left, the next one last.
    left: Vec<(Kind, Change)>,
    /// Histories that follow from the change that was tried last, the next one last.
    ready: Vec<History>,
}

impl<'b> Workloads<'b> {
    /// Workloads of so many changes.
    pub fn new(bounds: &'b Bounds, changes: usize) -> Self {
        let mut workloads = Self {
            bounds,
            alike: Alike::new(bounds),
            changes,
            levels: Vec::new(),
        };
        if changes > 0 {
            workloads.push(History::default());
        }
        workloads
    }

    /// Also those of which others differ only in how alike names are called.
    #[cfg(test)]
    pub(super) fn with_alike(bounds: &'b Bounds, changes: usize) -> Self {
        let mut workloads = Self::new(bounds, changes);
        workloads.alike = Alike::none(bounds);
        workloads
    }

    fn push(&mut self, history: History) {
        let all = |kind: Kind| {
            changes(kind, self.bounds)
                .into_iter()
                .map(move |change| (kind, change))
        };
        let mut left: Vec<(Kind, Change)> = self.bounds.operations.iter().copied().flat_map(all).collect();
        left.reverse();
        self.levels.push(Level {
            history,
            left,
            ready: Vec::new(),
        });
    }

    /// The next history of the deepest level; `None` where it has no more.
    fn following(&mut self) -> Option<History> {
        let level = self.levels.last_mut()?;
        loop {
            if let Some(ready) = level.ready.pop() {
                return Some(ready);
            }
            let (kind, change) = level.left.pop()?;
            let Some((history, from)) = level.history.with(&self.alike, kind, &change) else {
                continue;
            };
            let last = history.len() == self.changes;
            let points = history.points(self.bounds, from, last);
            let synced = points
                .iter()
                .filter_map(|point| history.synced(&self.alike, point));
            level.ready = synced.collect();
            level.ready.reverse();
        }
    }
}

impl Iterator for Workloads<'_> {
    type Item = Workload;

    fn next(&mut self) -> Option<Workload> {
        while !self.levels.is_empty() {
            match self.following() {
                None => drop(self.levels.pop()),
                Some(history) if history.len() == self.changes => return Some(history.finished()),
                Some(history) => self.push(history),
            }
        }
        None
    }
}
