//! Workloads drawn at random, where there are too many to try all.

use std::collections::BTreeSet;

use coldcut_wire::splitmix::SplitMix;

use super::bounds::Bounds;
use super::changes::changes;
use super::symmetry::Alike;
use super::workload::Workload;
use super::workloads::History;

/// Draws in vain, one after the other, before it is given up.
const IN_VAIN: usize = 100_000;

/// Draws so many different workloads of so many changes; fewer where there are no more. Each operation has the same chance,
/// then each change of it, then each persistence point. A seed always gives the same ones.
pub fn sample(bounds: &Bounds, changes: usize, count: usize, seed: u64) -> Vec<Workload> {
    let alike = Alike::new(bounds);
    let mut dice = SplitMix::new(seed);
    let mut seen = BTreeSet::new();
    let mut drawn = Vec::new();
    let mut in_vain = 0;
    while drawn.len() < count && in_vain < IN_VAIN {
        in_vain += 1;
        if let Some(workload) = draw(bounds, &alike, changes, &mut dice)
            && seen.insert(workload.id())
        {
            in_vain = 0;
            drawn.push(workload);
        }
    }
    drawn
}

fn draw(bounds: &Bounds, alike: &Alike, len: usize, dice: &mut SplitMix) -> Option<Workload> {
    let mut history = History::default();
    while history.len() < len {
        let kind = *pick(&bounds.operations, dice)?;
        let all = changes(kind, bounds);
        let (next, from) = history.with(alike, kind, pick(&all, dice)?)?;
        let points = next.points(bounds, from, next.len() == len);
        history = next.synced(alike, pick(&points, dice)?)?;
    }
    (len > 0).then(|| history.finished())
}

fn pick<'l, T>(list: &'l [T], dice: &mut SplitMix) -> Option<&'l T> {
    if list.is_empty() {
        return None;
    }
    list.get(dice.below(list.len() as u64) as usize)
}
