//! Several runs as one: the parts of a run that several machines shared, or runs that have no cell in common.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use coldcut_core::outcome::result::{CellRef, CellResult, RunResult, format_of};

use super::{ResultsError, RunInfo, load_result, load_run};

/// A run to be merged.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its directory.
    pub dir: PathBuf,
    /// What was asked for.
    pub info: RunInfo,
    /// What came of it; `None` when it was interrupted before its first cell was done.
    pub result: Option<RunResult>,
}

/// Runs that do not make one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// No runs at all.
    #[error("no run was named")]
    Nothing,
    /// Some are parts, some are not.
    #[error(
        "{part} is a part of a larger run and {whole} is not; merge parts with the other parts of their run"
    )]
    Mixed {
        /// A part.
        part: String,
        /// A whole run.
        whole: String,
    },
    /// Parts of different runs.
    #[error("{one} and {other} are not parts of the same run: {what}")]
    Plans {
        /// One run.
        one: String,
        /// The other.
        other: String,
        /// What differs.
        what: String,
    },
    /// The same part twice.
    #[error("{one} and {other} are both part {part}")]
    Twice {
        /// One run.
        one: String,
        /// The other.
        other: String,
        /// Which part, such as `2/5`.
        part: String,
    },
    /// Parts that were not given.
    #[error("part {missing} of {of} is missing")]
    Missing {
        /// Which, separated by commas.
        missing: String,
        /// Of how many.
        of: u32,
    },
    /// Two runs that mean different things by the same name.
    #[error("{one} and {other} contradict each other: {what}")]
    Contradiction {
        /// One run.
        one: String,
        /// The other.
        other: String,
        /// About what.
        what: String,
    },
}

/// Runs put together.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What was asked for, in all; its id, time and command line are the first run's.
    pub info: RunInfo,
    /// Every cell of `info`, in order, with the run that it is from and what came of it, if it was finished.
    pub cells: Vec<(CellRef, usize, Option<CellResult>)>,
}

impl Part {
    /// Reads a run.
    ///
    /// # Errors
    /// [`ResultsError`].
    pub fn load(dir: &Path) -> Result<Self, ResultsError> {
        let result = match load_result(dir) {
            Ok(result) => Some(result),
            Err(ResultsError::NothingFinished(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            dir: dir.to_owned(),
            info: load_run(dir)?,
            result,
        })
    }
}

/// Puts runs together. Scenarios and kernels of one name must be the same, cells must be in one run only, and of a run
/// that was shared out every part must be there.
///
/// # Errors
/// [`MergeError`]: which runs do not fit, and why.
pub fn merge(parts: &[Part]) -> Result<Merged, MergeError> {
    let first = &parts.first().ok_or(MergeError::Nothing)?.info;
    let mut info = RunInfo {
        kernels: Vec::new(),
        scenarios: Vec::new(),
        shard: None,
        ..first.clone()
    };
    let order = whole(parts)?;
    let mut cells: BTreeMap<String, (usize, CellRef)> = BTreeMap::new();
    for (place, part) in parts.iter().enumerate() {
        let contradiction = |earlier: usize, what: String| MergeError::Contradiction {
            one: parts[earlier].info.run.clone(),
            other: part.info.run.clone(),
            what,
        };
        let earlier = |has: &dyn Fn(&RunInfo) -> bool| {
            parts[..place]
                .iter()
                .position(|part| has(&part.info))
                .unwrap_or(0)
        };
        for kernel in &part.info.kernels {
            match info.kernels.iter().find(|known| known.name == kernel.name) {
                Some(known) if known == kernel => {}
                Some(known) => {
                    let who = earlier(&|run| run.kernels.contains(known));
                    let what = format!(
                        "kernel {} is {} ({}) in one and {} ({}) in the other",
                        kernel.name, known.release, known.digest, kernel.release, kernel.digest
                    );
                    return Err(contradiction(who, what));
                }
                None => info.kernels.push(kernel.clone()),
            }
        }
        for scenario in &part.info.scenarios {
            match info.scenarios.iter().find(|known| known.name == scenario.name) {
                Some(known) if known.digest == scenario.digest => {}
                Some(known) => {
                    let who = earlier(&|run| run.scenarios.contains(known));
                    let what = format!("scenario {} says different things in the two", scenario.name);
                    return Err(contradiction(who, what));
                }
                None => info.scenarios.push(scenario.clone()),
            }
        }
        if part.info.seed != info.seed {
            return Err(contradiction(0, "they have different seeds".to_owned()));
        }
        for cell in &part.info.cells {
            if let Some((who, _)) = cells.insert(cell.id.clone(), (place, cell.clone())) {
                let what = format!(
                    "cell {} is in both (to run a cell several times, use --repeat)",
                    cell.id
                );
                return Err(contradiction(who, what));
            }
        }
    }
    let in_order: Vec<String> = match order {
        Some(plan) => plan.into_iter().map(|cell| cell.id).collect(),
        None => parts
            .iter()
            .flat_map(|part| part.info.cells.iter().map(|cell| cell.id.clone()))
            .collect(),
    };
    let merged: Vec<(CellRef, usize, Option<CellResult>)> = in_order
        .iter()
        .filter_map(|id| cells.remove(id))
        .map(|(place, cell)| {
            let results = parts[place].result.iter().flat_map(|result| &result.cells);
            let found = results.into_iter().find(|result| result.cell == cell).cloned();
            (cell, place, found)
        })
        .collect();
    info.cells = merged.iter().map(|(cell, ..)| cell.clone()).collect();
    info.format = format_of(&info.cells);
    Ok(Merged { info, cells: merged })
}

/// The plan of the run whose parts these are; `None` when they are runs of their own.
fn whole(parts: &[Part]) -> Result<Option<Vec<CellRef>>, MergeError> {
    let of = |sharded: bool| parts.iter().find(|part| part.info.shard.is_some() == sharded);
    let (Some(first), None) = (of(true), of(false)) else {
        return match (of(true), of(false)) {
            (Some(part), Some(whole)) => Err(MergeError::Mixed {
                part: part.info.run.clone(),
                whole: whole.info.run.clone(),
            }),
            _ => Ok(None),
        };
    };
    let mut known: Option<(&str, &super::ShardInfo)> = None;
    let mut seen: BTreeMap<u32, &str> = BTreeMap::new();
    for part in parts {
        let Some(shard) = &part.info.shard else { continue };
        let run = part.info.run.as_str();
        if let Some((one, first)) = known {
            let differs = |what: &str| {
                Err(MergeError::Plans {
                    one: one.to_owned(),
                    other: run.to_owned(),
                    what: what.to_owned(),
                })
            };
            if shard.part.of != first.part.of {
                return differs(&format!(
                    "one is of {} parts, the other of {}",
                    first.part.of, shard.part.of
                ));
            }
            if shard.plan != first.plan {
                return differs("they have different cells in all");
            }
        }
        known = known.or(Some((run, shard)));
        if let Some(one) = seen.insert(shard.part.index, run) {
            return Err(MergeError::Twice {
                one: one.to_owned(),
                other: run.to_owned(),
                part: shard.part.to_string(),
            });
        }
    }
    let Some(shard) = &first.info.shard else {
        return Ok(None);
    };
    let missing: Vec<String> = (1..=shard.part.of)
        .filter(|index| !seen.contains_key(index))
        .take(100)
        .map(|index| index.to_string())
        .collect();
    if !missing.is_empty() {
        return Err(MergeError::Missing {
            missing: missing.join(", "),
            of: shard.part.of,
        });
    }
    let ran: BTreeSet<&str> = parts
        .iter()
        .flat_map(|part| part.info.cells.iter().map(|cell| cell.id.as_str()))
        .collect();
    if let Some(cell) = shard.plan.iter().find(|cell| !ran.contains(cell.id.as_str())) {
        return Err(MergeError::Plans {
            one: first.info.run.clone(),
            other: "the others".to_owned(),
            what: format!("cell {} of their plan is in none", cell.id),
        });
    }
    Ok(Some(shard.plan.clone()))
}
