//! Where plans cut.

use crate::recording::io::IoKind;
use crate::recording::log::{Cut, Event, Order, WriteLog};
use crate::recording::mark::Mark;

use super::error::PlanError;
use super::spec::{At, CrashSpec};

/// Where, relative to the completion of a flush or of a FUA write, a plan cuts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Right before it: the most is volatile.
    Before,
    /// Right after it: the most is durable.
    After,
}

/// Cuts at flushes and FUA completions, right before each BEGIN and right after each other mark, and at the end.
///
/// At a BEGIN the cut is before it: the step's effects are then forbidden, not merely possible. Everything that the step
/// may or must do is covered by the cuts that follow.
pub(super) fn barriers(log: &WriteLog, side: Side) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for (index, event) in log.events().enumerate() {
        let before = Cut(index as u32);
        let after = Cut(index as u32 + 1);
        let cut = match event {
            Event::Complete(id) => {
                let record = log.record(id.0);
                if record.kind != IoKind::Flush && !record.fua {
                    continue;
                }
                match side {
                    Side::Before => before,
                    Side::After => after,
                }
            }
            Event::Mark(mark) => match log.marks()[mark as usize].mark {
                Mark::Begin(_) => before,
                _ => after,
            },
            Event::Submit(_) | Event::Fail(_) => continue,
        };
        cuts.push(cut);
    }
    cuts.push(log.end());
    cuts.dedup();
    cuts
}

/// Cuts right after each write, write-zeroes and discard.
pub(super) fn writes(log: &WriteLog) -> Vec<Cut> {
    log.events()
        .enumerate()
        .filter_map(|(index, event)| match event {
            Event::Complete(id) if log.record(id.0).kind != IoKind::Flush => Some(Cut(index as u32 + 1)),
            _ => None,
        })
        .collect()
}

/// The cuts that `at` names.
pub(super) fn at(log: &WriteLog, points: &[At]) -> Result<Vec<Cut>, PlanError> {
    let mut cuts = points
        .iter()
        .map(|point| match point {
            At::Entry(entry) => log.after_entry(*entry).ok_or(PlanError::UnknownEntry {
                entry: *entry,
                entries: log.entry_count(),
            }),
            At::Mark(name) => Ok(find_mark(log, name)?.1),
        })
        .collect::<Result<Vec<_>, _>>()?;
    cuts.sort_unstable();
    cuts.dedup();
    Ok(cuts)
}

/// The first and the last cut of a window.
pub(super) fn window(log: &WriteLog, spec: &CrashSpec) -> Result<(Cut, Cut), PlanError> {
    let Some([from, to]) = &spec.between else {
        return Ok((Cut(0), log.end()));
    };
    if log.geometry().order == Order::Kernel {
        return Err(PlanError::KernelOrder);
    }
    let (first, _) = find_mark(log, from)?;
    let (_, last) = find_mark(log, to)?;
    if first >= last {
        return Err(PlanError::EmptyWindow {
            from: from.clone(),
            to: to.clone(),
        });
    }
    Ok((first, last))
}

/// The cuts right before and right after a mark: its whole text, or the name of a step that was done, or of one that
/// failed.
fn find_mark(log: &WriteLog, name: &str) -> Result<(Cut, Cut), PlanError> {
    let matches: [&dyn Fn(&Mark) -> bool; 3] = [
        &|mark| mark.to_string() == name,
        &|mark| matches!(mark, Mark::Done(step) if step.name == name),
        &|mark| matches!(mark, Mark::Failed(step, _) if step.name == name),
    ];
    matches
        .iter()
        .find_map(|is_it| log.marks().iter().find(|placed| is_it(&placed.mark)))
        .map(|placed| (placed.before(), placed.after()))
        .ok_or_else(|| PlanError::UnknownMark {
            name: name.to_owned(),
            nearest: nearest(log, name),
        })
}

fn nearest(log: &WriteLog, name: &str) -> Option<String> {
    log.marks()
        .iter()
        .take(10_000)
        .map(|placed| match &placed.mark {
            Mark::Done(step) | Mark::Begin(step) | Mark::Failed(step, _) => step.name.clone(),
            other => other.to_string(),
        })
        .map(|known| (strsim::damerau_levenshtein(&known, name), known))
        .min()
        .filter(|(distance, _)| *distance <= name.chars().count() / 2 + 1)
        .map(|(_, known)| known)
}
