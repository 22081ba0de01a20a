//! Several runs as one: the parts of a run that several machines shared, or runs that have no cell in common.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use coldcut_core::outcome::result::{CellRef, CellResult, RunResult, format_of};

use super::{ResultsError, RunInfo, ShardInfo, load_result, load_run};

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

/// Why runs cannot be merged.
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
    /// Two runs use the same name for different things.
    #[error("{one} and {other} contradict each other: {what}")]
    Contradiction {
        /// One run.
        one: String,
        /// The other.
        other: String,
        /// What they disagree about.
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
    let order = whole(parts)?;
    let mut merger = Merger {
        parts,
        info: RunInfo {
            kernels: Vec::new(),
            scenarios: Vec::new(),
            shard: None,
            ..first.clone()
        },
        cells: HashMap::new(),
    };
    for part in 0..parts.len() {
        merger.add_kernels(part)?;
        merger.add_scenarios(part)?;
        merger.add_cells(part)?;
    }
    let in_order = match order {
        Some(plan) => plan,
        None => parts.iter().flat_map(|part| part.info.cells.clone()).collect(),
    };
    Ok(merger.finish(in_order))
}

/// Runs being put together.
struct Merger<'p> {
    parts: &'p [Part],
    info: RunInfo,
    /// The part that each cell is in.
    cells: HashMap<String, usize>,
}

impl Merger<'_> {
    /// Says that a part contradicts an earlier one: the first that `has` what is contradicted.
    fn contradiction(&self, index: usize, has: impl Fn(&RunInfo) -> bool, what: String) -> MergeError {
        let earlier = self.parts[..index].iter().position(|part| has(&part.info));
        MergeError::Contradiction {
            one: self.parts[earlier.unwrap_or(0)].info.run.to_string(),
            other: self.parts[index].info.run.to_string(),
            what,
        }
    }

    fn add_kernels(&mut self, index: usize) -> Result<(), MergeError> {
        for kernel in &self.parts[index].info.kernels {
            match self.info.kernels.iter().find(|known| known.name == kernel.name) {
                Some(known) if known == kernel => {}
                Some(known) => {
                    let what = format!(
                        "kernel {} is {} ({}) in one and {} ({}) in the other",
                        kernel.name, known.release, known.digest, kernel.release, kernel.digest
                    );
                    return Err(self.contradiction(index, |run| run.kernels.contains(known), what));
                }
                None => self.info.kernels.push(kernel.clone()),
            }
        }
        Ok(())
    }

    fn add_scenarios(&mut self, index: usize) -> Result<(), MergeError> {
        for scenario in &self.parts[index].info.scenarios {
            let mut known = self.info.scenarios.iter();
            match known.find(|known| known.name == scenario.name) {
                Some(known) if known.digest == scenario.digest => {}
                Some(known) => {
                    let what = format!("scenario {} says different things in the two", scenario.name);
                    return Err(self.contradiction(index, |run| run.scenarios.contains(known), what));
                }
                None => self.info.scenarios.push(scenario.clone()),
            }
        }
        Ok(())
    }

    fn add_cells(&mut self, index: usize) -> Result<(), MergeError> {
        let info = &self.parts[index].info;
        if info.seed != self.info.seed {
            return Err(self.contradiction(index, |_| true, "they have different seeds".to_owned()));
        }
        for cell in &info.cells {
            if self.cells.insert(cell.id.to_string(), index).is_some() {
                let what = format!(
                    "cell {} is in both (to run a cell several times, use --repeat)",
                    cell.id
                );
                let has = |run: &RunInfo| run.cells.iter().any(|known| known.id == cell.id);
                return Err(self.contradiction(index, has, what));
            }
        }
        Ok(())
    }

    /// The whole, its cells in this order.
    fn finish(mut self, in_order: Vec<CellRef>) -> Merged {
        let results = self.parts.iter().flat_map(|part| &part.result);
        let results = results.flat_map(|result| &result.cells);
        let results: HashMap<&CellRef, &CellResult> = results.map(|result| (&result.cell, result)).collect();
        let cells: Vec<(CellRef, usize, Option<CellResult>)> = in_order
            .into_iter()
            .filter_map(|cell| Some((self.cells.remove(cell.id.as_str())?, cell)))
            .map(|(index, cell)| {
                let result = results.get(&cell).map(|result| (*result).clone());
                (cell, index, result)
            })
            .collect();
        self.info.cells = cells.iter().map(|(cell, ..)| cell.clone()).collect();
        self.info.format = format_of(&self.info.cells);
        Merged {
            info: self.info,
            cells,
        }
    }
}

/// The plan of the run whose parts these are; `None` when they are runs of their own.
fn whole(parts: &[Part]) -> Result<Option<Vec<CellRef>>, MergeError> {
    let sharded = |part: &Part| part.info.shard.is_some();
    let (Some(part), Some(whole)) = (
        parts.iter().find(|part| sharded(part)),
        parts.iter().find(|part| !sharded(part)),
    ) else {
        let shards: Vec<(&str, &ShardInfo)> = parts
            .iter()
            .filter_map(|part| Some((part.info.run.as_str(), part.info.shard.as_ref()?)))
            .collect();
        return match shards.first() {
            None => Ok(None),
            Some((_, first)) => {
                same_plan(&shards)?;
                every_part(&shards)?;
                every_cell(parts, &first.plan)?;
                Ok(Some(first.plan.clone()))
            }
        };
    };
    Err(MergeError::Mixed {
        part: part.info.run.to_string(),
        whole: whole.info.run.to_string(),
    })
}

/// Makes sure that all are parts of one run, and none is there twice.
fn same_plan(shards: &[(&str, &ShardInfo)]) -> Result<(), MergeError> {
    let mut seen: HashMap<u32, &str> = HashMap::new();
    let (one, first) = shards[0];
    for (run, shard) in shards {
        let what = if shard.part.of != first.part.of {
            format!(
                "one is of {} parts, the other of {}",
                first.part.of, shard.part.of
            )
        } else if shard.plan != first.plan {
            "they have different cells in all".to_owned()
        } else if let Some(one) = seen.insert(shard.part.index, run) {
            return Err(MergeError::Twice {
                one: one.to_owned(),
                other: (*run).to_owned(),
                part: shard.part.to_string(),
            });
        } else {
            continue;
        };
        return Err(MergeError::Plans {
            one: one.to_owned(),
            other: (*run).to_owned(),
            what,
        });
    }
    Ok(())
}

/// Makes sure that no part is missing.
fn every_part(shards: &[(&str, &ShardInfo)]) -> Result<(), MergeError> {
    let of = shards[0].1.part.of;
    let there: HashSet<u32> = shards.iter().map(|(_, shard)| shard.part.index).collect();
    let missing: Vec<String> = (1..=of)
        .filter(|index| !there.contains(index))
        .take(100)
        .map(|index| index.to_string())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(MergeError::Missing {
        missing: missing.join(", "),
        of,
    })
}

/// Makes sure that every cell of the plan is in a part.
fn every_cell(parts: &[Part], plan: &[CellRef]) -> Result<(), MergeError> {
    let cells = parts.iter().flat_map(|part| &part.info.cells);
    let ran: HashSet<&str> = cells.map(|cell| cell.id.as_str()).collect();
    match plan.iter().find(|cell| !ran.contains(cell.id.as_str())) {
        None => Ok(()),
        Some(cell) => Err(MergeError::Plans {
            one: parts[0].info.run.to_string(),
            other: "the others".to_owned(),
            what: format!("cell {} of their plan is in none", cell.id),
        }),
    }
}
