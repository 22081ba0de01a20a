//! The lazy list of crash states that a plan gives for a log.

use super::combinations;
use super::cuts::{self, Side};
use super::error::PlanError;
use super::reorder;
use super::spec::{CrashSpec, DiscardModel};
use super::torn;
use crate::covered::{Case, hit};
use crate::crash::state::{CrashState, DiscardAs, PlanKind, Set};
use crate::recording::io::IoKind;
use crate::recording::log::{Cut, Durability, Event, WriteLog};
use crate::recording::mark::Mark;

/// How many states a plan has, and how many are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PlanCount {
    /// The plan.
    pub plan: PlanKind,
    /// Cuts at which it looks.
    pub cuts: u64,
    /// States that are visited.
    pub visited: u64,
    /// States that there are; `u64::MAX` stands for more than can be counted.
    pub possible: u64,
}

impl PlanCount {
    /// States that are left out.
    pub fn left_out(&self) -> u64 {
        self.possible - self.visited
    }
}

/// A plan with its cuts and the number of its states before the budget.
#[derive(Clone, Debug)]
struct Part {
    plan: PlanKind,
    cuts: Vec<Cut>,
    offered: u64,
    visited: u64,
}

/// The states of a [`CrashSpec`] for a log, made one by one. Cloning starts a second walk from where this one is.
#[derive(Clone, Debug)]
pub struct States<'a> {
    log: &'a WriteLog,
    spec: CrashSpec,
    unit: u32,
    context: Context,
    parts: Vec<Part>,
    counts: Vec<PlanCount>,
    part: usize,
    cut: usize,
    /// States of the current cut that are left, in reverse.
    pending: Vec<CrashState>,
    /// States of the current part that have been passed.
    passed: u64,
}

/// What plans need to know about a log besides the log.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// For each disk, the completed requests that are flushes, have FUA or are of another disk, ascending: all others are
    /// volatile until a flush of the disk covers them.
    never_volatile: Vec<Vec<u32>>,
    /// The first completed discard.
    first_discard: u32,
}

impl Context {
    pub(super) fn new(log: &WriteLog) -> Self {
        let mut never_volatile = vec![Vec::new(); log.disks().count()];
        let mut first_discard = u32::MAX;
        for id in 0..log.completed_count() {
            let record = log.record(id);
            let never = record.kind == IoKind::Flush || record.fua;
            for (disk, ids) in never_volatile.iter_mut().enumerate() {
                if never || usize::from(record.disk) != disk {
                    ids.push(id);
                }
            }
            if record.kind == IoKind::Discard {
                first_discard = first_discard.min(id);
            }
        }
        Self {
            never_volatile,
            first_discard,
        }
    }

    /// How many completed writes are volatile at a moment.
    pub(super) fn completed_volatile(&self, moment: &Durability) -> u64 {
        let disks = self.never_volatile.iter().zip(moment.flushed.each());
        disks
            .map(|(never, flushed)| {
                let below = |bound: u32| never.partition_point(|id| *id < bound) as u64;
                u64::from(moment.completed - flushed) - (below(moment.completed) - below(flushed))
            })
            .sum()
    }

    /// What discarded blocks may read as at a moment.
    pub(super) fn discards(
        &self,
        model: DiscardModel,
        log: &WriteLog,
        moment: &Durability,
    ) -> &'static [DiscardAs] {
        match model {
            DiscardModel::Indeterminate if self.has_discard(log, moment) => {
                &[DiscardAs::Zeros, DiscardAs::Kept, DiscardAs::Garbage]
            }
            _ => &[DiscardAs::Zeros],
        }
    }

    fn has_discard(&self, log: &WriteLog, moment: &Durability) -> bool {
        self.first_discard < moment.completed
            || moment
                .in_flight
                .iter()
                .any(|id| log.record(id.0).kind == IoKind::Discard)
    }
}

impl CrashSpec {
    /// The states that this asks for.
    ///
    /// # Errors
    /// When it names marks or entries that the log does not have, or a plan that the log's order does not support.
    pub fn states<'a>(&self, log: &'a WriteLog) -> Result<States<'a>, PlanError> {
        let (first, last) = cuts::window(log, self)?;
        let mut states = States {
            log,
            spec: self.clone(),
            unit: self.atomic_unit.unwrap_or(log.geometry().atomic_unit),
            context: Context::new(log),
            parts: Vec::new(),
            counts: Vec::new(),
            part: 0,
            cut: 0,
            pending: Vec::new(),
            passed: 0,
        };
        for plan in &self.plans {
            let mut cuts = match plan {
                // Covered by what recoveries read: see `Complete`.
                PlanKind::All | PlanKind::AllTorn => continue,
                PlanKind::Barriers => cuts::barriers(log, Side::After),
                PlanKind::Writes => cuts::writes(log),
                PlanKind::Reorder | PlanKind::Torn | PlanKind::Combinations => {
                    cuts::barriers(log, Side::Before)
                }
                PlanKind::At => cuts::at(log, &self.at)?,
            };
            cuts.retain(|cut| (first..=last).contains(cut));
            states.add(*plan, cuts);
        }
        Ok(states)
    }
}

impl States<'_> {
    /// For each plan, what is visited and what there is.
    pub fn counts(&self) -> &[PlanCount] {
        &self.counts
    }

    /// States that are visited in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| count.visited).sum()
    }

    /// States that the plans have and that are not visited, because of a budget; `u64::MAX` stands for more than can be
    /// counted.
    pub fn left_out(&self) -> u64 {
        self.counts
            .iter()
            .map(PlanCount::left_out)
            .fold(0, u64::saturating_add)
    }

    fn add(&mut self, plan: PlanKind, cuts: Vec<Cut>) {
        let (mut offered, mut possible) = (0_u64, 0_u64);
        for cut in &cuts {
            let (here, all) = self.count_at(plan, *cut);
            offered += here;
            possible = possible.saturating_add(all);
        }
        let visited = self.spec.budget.unwrap_or(u64::MAX).min(offered);
        self.counts.push(PlanCount {
            plan,
            cuts: cuts.len() as u64,
            visited,
            possible,
        });
        self.parts.push(Part {
            plan,
            cuts,
            offered,
            visited,
        });
    }

    /// How many states a plan makes at a cut, and how many there are.
    fn count_at(&self, plan: PlanKind, cut: Cut) -> (u64, u64) {
        let Some(moment) = self.log.durability(cut) else {
            return (0, 0);
        };
        let volatile = self.context.completed_volatile(&moment);
        let (here, all) = match plan {
            PlanKind::Barriers => {
                let count = 1 + u64::from(volatile > 0);
                (count, count)
            }
            PlanKind::Writes => (1, 1),
            PlanKind::At => {
                let pending = self.log.choosable(&moment.in_flight).len();
                let count = 1 + u64::from(volatile > 0) + u64::from(pending > 0);
                (count, count)
            }
            PlanKind::Reorder => reorder::count(self.log, &self.spec, &moment, volatile),
            PlanKind::Torn => torn::count(self.log, &self.spec, self.unit, &moment),
            PlanKind::Combinations => combinations::count(self.log, &self.spec, self.unit, &moment, volatile),
            PlanKind::All | PlanKind::AllTorn => (0, 0),
        };
        let discards = self.context.discards(self.spec.discard, self.log, &moment).len() as u64;
        (here * discards, all.saturating_mul(discards))
    }

    /// Whether a step was acknowledged right before a cut.
    fn is_acknowledgement(&self, cut: Cut) -> bool {
        let Some(Event::Mark(mark)) = cut.0.checked_sub(1).and_then(|index| self.log.event(index)) else {
            return false;
        };
        matches!(self.log.marks()[mark as usize].mark, Mark::Done(_))
    }

    /// The states that a plan makes at a cut.
    fn make(&self, plan: PlanKind, cut: Cut) -> Vec<CrashState> {
        let Some(moment) = self.log.durability(cut) else {
            return Vec::new();
        };
        let volatile = self.context.completed_volatile(&moment);
        let state = |set| CrashState::new(plan, cut, set);
        let made = match plan {
            PlanKind::Barriers if volatile == 0 => vec![state(Set::Durable)],
            PlanKind::Barriers => {
                if self.is_acknowledgement(cut) {
                    hit(Case::AcknowledgedWithoutFlush);
                }
                vec![state(Set::Durable), state(Set::Completed)]
            }
            PlanKind::Writes => vec![state(Set::Completed)],
            PlanKind::At => {
                let mut made = vec![state(Set::Durable)];
                if volatile > 0 {
                    made.push(state(Set::Completed));
                }
                if !self.log.choosable(&moment.in_flight).is_empty() {
                    made.push(state(Set::All));
                }
                made
            }
            PlanKind::Reorder => reorder::make(self.log, &self.spec, cut, &moment),
            PlanKind::Torn => torn::make(self.log, &self.spec, self.unit, cut, &moment),
            PlanKind::Combinations => combinations::make(self.log, &self.spec, self.unit, cut, &moment),
            PlanKind::All | PlanKind::AllTorn => Vec::new(),
        };
        let discards = self.context.discards(self.spec.discard, self.log, &moment);
        made.into_iter()
            .flat_map(|state| {
                discards.iter().map(move |discard| CrashState {
                    discard: *discard,
                    ..state.clone()
                })
            })
            .collect()
    }
}

impl Iterator for States<'_> {
    type Item = CrashState;

    fn next(&mut self) -> Option<CrashState> {
        loop {
            let part = self.parts.get(self.part)?;
            if let Some(state) = self.pending.pop() {
                let share =
                    |count: u64| u128::from(count) * u128::from(part.visited) / u128::from(part.offered);
                let chosen = share(self.passed + 1) > share(self.passed);
                self.passed += 1;
                if chosen {
                    return Some(state);
                }
                continue;
            }
            if let Some(cut) = part.cuts.get(self.cut) {
                self.cut += 1;
                let mut made = self.make(part.plan, *cut);
                made.reverse();
                self.pending = made;
            } else {
                self.part += 1;
                self.cut = 0;
                self.passed = 0;
            }
        }
    }
}
