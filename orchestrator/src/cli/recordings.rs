//! What a run consists of: recordings, and for each of them the kernels that recover it.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use coldcut_core::outcome::result::CellRef;
use coldcut_core::outcome::rounds::round_id;
use coldcut_core::scenario::{SAME, Variant};

use super::batch::Batch;
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::Kernel;

/// A recording to make, and the cells that are made of it.
#[derive(Clone)]
pub(super) struct Recording {
    /// What it is called, whichever round it is: as the cell of the kernel that recorded.
    pub(super) id: String,
    /// The scenario.
    pub(super) file: Arc<ScenarioFile>,
    /// Its variant.
    pub(super) variant: Variant,
    /// Who records.
    pub(super) kernel: Arc<Kernel>,
    /// The cells, each with the kernel that recovers.
    pub(super) cells: Vec<(CellRef, Arc<Kernel>)>,
}

impl Recording {
    /// Its cells' names.
    pub(super) fn names(&self) -> impl Iterator<Item = CellRef> {
        self.cells.iter().map(|(cell, _)| cell.clone())
    }
}

/// A kernel that recovers: by the name that the user gave it, or none where it is the one that recorded.
type Recovering = (Option<String>, Arc<Kernel>);

impl Batch<'_> {
    /// Every recording of the run, in order, whichever part it is in.
    ///
    /// # Errors
    /// When a kernel that is to recover is not stored.
    pub(super) fn recordings(&self) -> anyhow::Result<Vec<Recording>> {
        let mut found: HashMap<String, Arc<Kernel>> = self.kernels.iter().cloned().collect();
        let mut all = Vec::new();
        let mut live = Vec::new();
        for file in &self.files {
            for variant in file.scenario.variants() {
                if !self.variants.is_empty() && !self.variants.contains(&variant.name) {
                    continue;
                }
                let wanted: &[String] = match self.recover_on {
                    Some(wanted) if variant.is_live() => {
                        if wanted.iter().any(|spec| spec != SAME) {
                            live.push(format!("{}.{}", file.scenario.name, variant.name));
                        }
                        &[]
                    }
                    Some(wanted) => wanted,
                    None => &variant.recover_on,
                };
                for (name, kernel) in &self.kernels {
                    let id = file_name(&format!("{}.{}.{name}", file.scenario.name, variant.name));
                    let recovering = self.recovering(wanted, kernel, &mut found).with_context(|| {
                        format!("{}.{} is to be recovered", file.scenario.name, variant.name)
                    })?;
                    for round in 1..=self.repeat {
                        let cell = |(other, kernel): &Recovering| {
                            let id = match other {
                                None => id.clone(),
                                Some(other) => file_name(&format!("{id}.on-{other}")),
                            };
                            let cell = CellRef {
                                id: round_id(&id, round),
                                scenario: file.scenario.name.clone(),
                                variant: variant.name.clone(),
                                kernel: name.clone(),
                                recovered_on: other.clone(),
                            };
                            (cell, Arc::clone(kernel))
                        };
                        all.push(Recording {
                            id: id.clone(),
                            file: Arc::clone(file),
                            variant: variant.clone(),
                            kernel: Arc::clone(kernel),
                            cells: recovering.iter().map(cell).collect(),
                        });
                    }
                }
            }
        }
        if !live.is_empty() {
            eprintln!(
                "note: without a crash there is nothing to recover elsewhere: {}",
                live.join(", ")
            );
        }
        Ok(all)
    }

    /// The kernels that these specs mean for what a kernel recorded, each once.
    fn recovering(
        &self,
        wanted: &[String],
        recorded: &Arc<Kernel>,
        found: &mut HashMap<String, Arc<Kernel>>,
    ) -> anyhow::Result<Vec<Recovering>> {
        let mut all: Vec<Recovering> = Vec::new();
        for spec in wanted {
            let kernel = if spec == SAME {
                Arc::clone(recorded)
            } else if let Some(known) = found.get(spec) {
                Arc::clone(known)
            } else {
                let kernel = Arc::new(self.store.find(spec)?);
                found.insert(spec.clone(), Arc::clone(&kernel));
                kernel
            };
            // Two names may mean one kernel.
            if !all.iter().any(|(_, known)| known.digest() == kernel.digest()) {
                let same = kernel.digest() == recorded.digest();
                // A kernel that also records in this run is called what it is called there.
                let known = self.kernels.iter().find(|(_, k)| k.digest() == kernel.digest());
                let name = known.map_or(spec, |(name, _)| name);
                all.push(((!same).then(|| name.clone()), kernel));
            }
        }
        if all.is_empty() {
            all.push((None, Arc::clone(recorded)));
        }
        Ok(all)
    }
}

/// A cell's id as a file name.
fn file_name(id: &str) -> String {
    id.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._+-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}
