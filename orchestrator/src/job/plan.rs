//! Plans a run: the recordings that it consists of, and for each of them the kernels that recover it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use coldcut_core::outcome::name::FileName;
use coldcut_core::outcome::result::{CellRef, KernelRef};
use coldcut_core::outcome::rounds::round_id;
use coldcut_core::outcome::shard::Shard;
use coldcut_core::scenario::{SAME, Variant};

use crate::job::scenario_file::ScenarioFile;
use crate::kernel::{Kernel, Store, StoreError};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct RunSelection {
    /// Scenarios.
    pub files: Vec<Arc<ScenarioFile>>,
    /// Kernels, with the names that the user gave them. Each scenario is recorded on each of them.
    pub kernels: Vec<(String, Arc<Kernel>)>,
    /// Names of variants; all of them when empty.
    pub variants: Vec<String>,
    /// The recovering kernels, in place of the variants' own; when empty, the variants decide.
    pub recover_on: Vec<String>,
    /// How often each cell is run.
    pub repeat: u32,
    /// Only the cells of this part.
    pub shard: Option<Shard>,
}

/// A recording that is planned, and the cells that are made of it.
#[derive(Clone, Debug)]
pub struct PlannedRecording {
    /// Its name, the same for every round: the id of the recording kernel's cell.
    pub id: String,
    /// The scenario.
    pub file: Arc<ScenarioFile>,
    /// Its variant.
    pub variant: Variant,
    /// The kernel that records.
    pub kernel: Arc<Kernel>,
    /// The cells, each with the kernel that recovers.
    pub cells: Vec<(CellRef, Arc<Kernel>)>,
}

/// A run that is planned.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// What was selected.
    pub selection: RunSelection,
    /// The recordings of the part that was asked for, in order.
    pub recordings: Vec<PlannedRecording>,
    /// Every cell of the whole run, in order, whichever part it is in.
    pub whole: Vec<CellRef>,
    /// What the user should know of it.
    pub notes: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum RunPlanError {
    /// No kernel was named.
    #[error("no kernel was named")]
    NoKernel,
    /// A variant that no scenario has was named.
    #[error("no scenario here has a variant `{wanted}`; there are {}", known.join(", "))]
    NoVariant {
        /// What was named.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Two cells have the same name.
    #[error("cell {0} occurs twice: scenarios given together need different names")]
    Twice(String),
    /// A recovering kernel is not stored.
    #[error("{variant} is to be recovered")]
    Recovering {
        /// Scenario and variant.
        variant: String,
        /// Why not.
        source: Box<StoreError>,
    },
}

/// A recovering kernel, by the name that the user gave it; `None` for the one that recorded.
type Recovering = (Option<String>, Arc<Kernel>);

impl RunSelection {
    /// Plans the run.
    ///
    /// # Errors
    /// [`RunPlanError`].
    pub fn plan(self, store: &Store) -> Result<RunPlan, RunPlanError> {
        if self.kernels.is_empty() {
            return Err(RunPlanError::NoKernel);
        }
        let mut planner = Planner {
            selection: &self,
            store,
            found: self.kernels.iter().cloned().collect(),
            live: Vec::new(),
        };
        let all = planner.recordings()?;
        let notes = planner.notes();
        let whole: Vec<CellRef> = all.iter().flat_map(PlannedRecording::names).collect();
        self.check(&whole)?;
        // All rounds of a cell, and all kernels that recover it, are in one part: where rounds differ, that part says
        // so, and nothing is recorded twice.
        let in_part =
            |recording: &PlannedRecording| self.shard.is_none_or(|shard| shard.contains(&recording.id));
        Ok(RunPlan {
            recordings: all.into_iter().filter(in_part).collect(),
            selection: self,
            whole,
            notes,
        })
    }

    /// Checks that everything named exists, and that no two cells share a name.
    fn check(&self, cells: &[CellRef]) -> Result<(), RunPlanError> {
        let names = || {
            let variants = self.files.iter().flat_map(|file| file.scenario.variants());
            variants.map(|variant| &variant.name)
        };
        if let Some(wanted) = self
            .variants
            .iter()
            .find(|wanted| !names().any(|name| name == *wanted))
        {
            return Err(RunPlanError::NoVariant {
                wanted: wanted.clone(),
                known: names().cloned().collect(),
            });
        }
        let mut seen = HashSet::new();
        match cells.iter().find(|cell| !seen.insert(&cell.id)) {
            Some(twice) => Err(RunPlanError::Twice(twice.id.to_string())),
            None => Ok(()),
        }
    }
}

impl PlannedRecording {
    /// Its cells' names.
    pub fn names(&self) -> impl Iterator<Item = CellRef> {
        self.cells.iter().map(|(cell, _)| cell.clone())
    }
}

impl RunPlan {
    /// The cells of the part that was asked for, in order.
    pub fn cells(&self) -> impl Iterator<Item = CellRef> {
        self.recordings.iter().flat_map(PlannedRecording::names)
    }

    /// Every kernel of the part, each name once: those that record, and those that recover.
    pub fn kernels(&self) -> Vec<KernelRef> {
        let cells = self.recordings.iter().flat_map(|recording| &recording.cells);
        let recovering = cells.filter_map(|(cell, kernel)| Some((cell.recovered_on.as_ref()?, kernel)));
        let recording = self.selection.kernels.iter().map(|(name, kernel)| (name, kernel));
        let mut seen = HashSet::new();
        recording
            .chain(recovering)
            .filter(|(name, _)| seen.insert(*name))
            .map(|(name, kernel)| reference(name, kernel))
            .collect()
    }

    /// A kernel of the plan, which is known to exist.
    pub(crate) fn first_kernel(&self) -> Result<&Arc<Kernel>, RunPlanError> {
        let first = self.selection.kernels.first();
        first.map(|(_, kernel)| kernel).ok_or(RunPlanError::NoKernel)
    }
}

/// A kernel as data, by the name that it has in a run.
pub(crate) fn reference(name: &str, kernel: &Kernel) -> KernelRef {
    KernelRef {
        name: name.to_owned(),
        release: kernel.release().to_owned(),
        digest: kernel.digest().to_owned(),
    }
}

/// A plan being made.
struct Planner<'s> {
    selection: &'s RunSelection,
    store: &'s Store,
    /// Kernels by the names that were used for them.
    found: HashMap<String, Arc<Kernel>>,
    /// Variants without a crash that were to be recovered elsewhere.
    live: Vec<String>,
}

impl<'s> Planner<'s> {
    /// Every recording, in order, whichever part it is in.
    fn recordings(&mut self) -> Result<Vec<PlannedRecording>, RunPlanError> {
        let selection = self.selection;
        let mut all = Vec::new();
        for file in &selection.files {
            for variant in file.scenario.variants() {
                if selection.variants.is_empty() || selection.variants.contains(&variant.name) {
                    self.add(&mut all, file, variant)?;
                }
            }
        }
        Ok(all)
    }

    /// Adds the recordings of a variant.
    fn add(
        &mut self,
        all: &mut Vec<PlannedRecording>,
        file: &Arc<ScenarioFile>,
        variant: &'s Variant,
    ) -> Result<(), RunPlanError> {
        let selection = self.selection;
        let name = format!("{}.{}", file.scenario.name, variant.name);
        let wanted = self.recover_on(&name, variant);
        for (kernel_name, kernel) in &selection.kernels {
            let id = FileName::of(&format!("{name}.{kernel_name}")).to_string();
            let recovering = self
                .recovering(wanted, kernel)
                .map_err(|source| RunPlanError::Recovering {
                    variant: name.clone(),
                    source: Box::new(source),
                })?;
            for round in 1..=selection.repeat {
                let cell = |(other, kernel): &Recovering| {
                    let id = match other {
                        None => id.clone(),
                        Some(other) => FileName::of(&format!("{id}.on-{other}")).to_string(),
                    };
                    let cell = CellRef {
                        id: FileName::of(&round_id(&id, round)),
                        scenario: FileName::of(&file.scenario.name),
                        variant: variant.name.clone(),
                        kernel: kernel_name.clone(),
                        recovered_on: other.clone(),
                    };
                    (cell, Arc::clone(kernel))
                };
                all.push(PlannedRecording {
                    id: id.clone(),
                    file: Arc::clone(file),
                    variant: variant.clone(),
                    kernel: Arc::clone(kernel),
                    cells: recovering.iter().map(cell).collect(),
                });
            }
        }
        Ok(())
    }

    /// Where a variant is to be recovered: without a crash there is nothing to recover elsewhere.
    fn recover_on(&mut self, name: &str, variant: &'s Variant) -> &'s [String] {
        let wanted = &self.selection.recover_on;
        if wanted.is_empty() {
            return &variant.recover_on;
        }
        if variant.has_crash() {
            return wanted;
        }
        if wanted.iter().any(|spec| spec != SAME) {
            self.live.push(name.to_owned());
        }
        &[]
    }

    /// The kernels that these specs mean for what a kernel recorded, each once.
    fn recovering(
        &mut self,
        wanted: &[String],
        recorded: &Arc<Kernel>,
    ) -> Result<Vec<Recovering>, StoreError> {
        let mut all: Vec<Recovering> = Vec::new();
        for spec in wanted {
            let kernel = if spec == SAME {
                Arc::clone(recorded)
            } else if let Some(known) = self.found.get(spec) {
                Arc::clone(known)
            } else {
                let kernel = Arc::new(self.store.find(spec)?);
                self.found.insert(spec.clone(), Arc::clone(&kernel));
                kernel
            };
            // Two names may mean one kernel.
            if !all.iter().any(|(_, known)| known.digest() == kernel.digest()) {
                let same = kernel.digest() == recorded.digest();
                // A kernel that also records in this run is called what it is called there.
                let mut recording = self.selection.kernels.iter();
                let known = recording.find(|(_, k)| k.digest() == kernel.digest());
                let name = known.map_or(spec, |(name, _)| name);
                all.push(((!same).then(|| name.clone()), kernel));
            }
        }
        if all.is_empty() {
            all.push((None, Arc::clone(recorded)));
        }
        Ok(all)
    }

    fn notes(&self) -> Vec<String> {
        let note = format!(
            "without a crash there is nothing to recover elsewhere: {}",
            self.live.join(", ")
        );
        (!self.live.is_empty()).then_some(note).into_iter().collect()
    }
}
