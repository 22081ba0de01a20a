//! Running a selection of cells into a run's directory: what `coldcut run` and `coldcut bisect` share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use coldcut_core::event::Event;
use coldcut_core::result::{CellRef, CellResult, KernelRef, RESULT_FORMAT, RunResult};
use coldcut_core::rounds::round_id;
use coldcut_core::scenario::Variant;
use coldcut_core::shard::Shard;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::machines::{MachineArgs, open_lab};
use crate::kernel::Kernel;
use crate::report::{EventSink, JsonLines, Reporter};
use crate::results::{RunDir, RunInfo, ScenarioInfo, ShardInfo};
use crate::run::cell::{CellJob, run_cell};
use crate::run::lab::Lab;
use crate::run::recover::Machines;
use crate::run::templates::Templates;
use crate::run::tiers::Policy;
use crate::scenario_file::ScenarioFile;

/// What to run, and how.
pub(super) struct Batch<'a> {
    /// Scenarios.
    pub(super) files: Vec<Arc<ScenarioFile>>,
    /// Kernels with the names by which the user knows them; each scenario runs on each.
    pub(super) kernels: Vec<(String, Arc<Kernel>)>,
    /// Variants; all where there are none.
    pub(super) variants: &'a [String],
    /// Seed of everything that is sampled.
    pub(super) seed: u64,
    /// Who recovers what.
    pub(super) policy: Policy,
    /// How machines are run.
    pub(super) machines: &'a MachineArgs,
    /// Directory of all runs.
    pub(super) results: &'a Path,
    /// Who shows the events, besides the run's own file.
    pub(super) screen: Vec<Box<dyn Reporter>>,
    /// Only the cells of this part.
    pub(super) shard: Option<Shard>,
    /// How often each cell is run.
    pub(super) repeat: u32,
}

/// A finished run.
pub(super) struct Ran {
    /// Its directory.
    pub(super) dir: PathBuf,
    /// Its results.
    pub(super) result: RunResult,
}

impl Batch<'_> {
    /// Runs every cell and keeps everything.
    ///
    /// # Errors
    /// What keeps the run as a whole from being made; what goes wrong in a cell makes that cell Inconclusive.
    pub(super) async fn run(self) -> anyhow::Result<Ran> {
        let (_, first) = self.kernels.first().context("no kernel was named")?;
        let (mut jobs, mut plan) = (Vec::new(), Vec::new());
        for file in &self.files {
            for variant in file.scenario.variants() {
                if !self.variants.is_empty() && !self.variants.contains(&variant.name) {
                    continue;
                }
                for (name, kernel) in &self.kernels {
                    let id = file_name(&format!("{}.{}.{name}", file.scenario.name, variant.name));
                    for round in 1..=self.repeat {
                        let cell = CellRef {
                            id: round_id(&id, round),
                            scenario: file.scenario.name.clone(),
                            variant: variant.name.clone(),
                            kernel: name.clone(),
                        };
                        let job = (cell, Arc::clone(file), variant.clone(), Arc::clone(kernel));
                        // All rounds of a cell are in one part: where they differ, that part says so.
                        if self.shard.is_none_or(|shard| shard.contains(&id)) {
                            jobs.push(job.clone());
                        }
                        plan.push(job.0);
                    }
                }
            }
        }
        check_selection(self.variants, &self.files, &plan)?;

        let mut run_dir = RunDir::create(self.results)
            .with_context(|| format!("cannot make a run in {}", self.results.display()))?;
        let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(JsonLines::new(run_dir.events()?))];
        reporters.extend(self.screen);
        let events = EventSink::new(reporters);
        // A part may have no cells; then nothing is started.
        let lab = if jobs.is_empty() && self.shard.is_some() {
            None
        } else {
            let mut lab = open_lab(self.machines, events.clone(), first).await?;
            if self.policy != Policy::Cold {
                let cache = crate::kernel::Store::default_root()?;
                lab = lab.with_templates(Templates::open(&cache)?);
            }
            Some(Arc::new(lab))
        };
        let unused = || "not used".to_owned();

        let info = RunInfo {
            format: RESULT_FORMAT,
            run: run_dir.id().to_owned(),
            coldcut: env!("CARGO_PKG_VERSION").to_owned(),
            qemu: lab.as_ref().map_or_else(unused, |lab| lab.qemu.version.clone()),
            accel: lab
                .as_ref()
                .map_or_else(unused, |lab| format!("{}: {}", lab.accel.accel, lab.accel.why)),
            command_line: std::env::args().collect(),
            seed: self.seed,
            started: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |d| d.as_secs()),
            kernels: self
                .kernels
                .iter()
                .map(|(name, k)| KernelRef {
                    name: name.clone(),
                    release: k.release().to_owned(),
                    digest: k.digest().to_owned(),
                })
                .collect(),
            scenarios: self
                .files
                .iter()
                .map(|f| ScenarioInfo {
                    name: f.scenario.name.clone(),
                    file: f.path.display().to_string(),
                    digest: f.scenario.digest().to_hex().to_string(),
                })
                .collect(),
            cells: jobs.iter().map(|(cell, ..)| cell.clone()).collect(),
            shard: self.shard.map(|part| ShardInfo { part, plan }),
        };
        run_dir
            .begin(&info)
            .with_context(|| format!("cannot write to {}", run_dir.path().display()))?;
        for file in &self.files {
            run_dir.keep_scenario(&file.scenario.name, &file.text)?;
        }
        events.send(Event::RunStarted {
            run: info.run.clone(),
            cells: info.cells.clone(),
            jobs: self.machines.jobs(),
            accel: info.accel.clone(),
        });

        let count = jobs.len();
        let mut result = RunResult::new(&info.run, Vec::new());
        if let Some(lab) = &lab {
            let mut cells = in_order(jobs, &run_dir, lab, self.policy)?;
            while let Some(cell) = cells.recv().await {
                result = run_dir.finish_cell(cell).context("cannot write result.json")?;
            }
        } else {
            run_dir
                .finish_cells(Vec::new())
                .context("cannot write result.json")?;
        }
        if result.cells.len() < count {
            bail!(
                "{} cells died; this is a defect of coldcut",
                count - result.cells.len()
            );
        }
        events.send(Event::RunFinished {
            totals: result.totals,
            seconds: events.seconds(),
        });
        Ok(Ran {
            dir: run_dir.path().to_owned(),
            result,
        })
    }
}

type Selected = (CellRef, Arc<ScenarioFile>, Variant, Arc<Kernel>);

/// Begins cells in order, at most as many at once as machines, so that the first verdicts come early.
fn in_order(
    jobs: Vec<Selected>,
    run_dir: &RunDir,
    lab: &Arc<Lab>,
    policy: Policy,
) -> anyhow::Result<mpsc::Receiver<CellResult>> {
    let (sender, results) = mpsc::channel(jobs.len().max(1));
    let mut ready = Vec::new();
    for (cell, file, variant, kernel) in jobs {
        let dir = run_dir.cell(&cell.id)?;
        ready.push(CellJob {
            cell,
            file,
            variant,
            kernel,
            dir,
            policy,
        });
    }
    let lab = Arc::clone(lab);
    tokio::spawn(async move {
        let turns = Arc::new(Semaphore::new(lab.jobs));
        let mut tasks = JoinSet::new();
        for job in ready {
            let Ok(turn) = Arc::clone(&turns).acquire_owned().await else {
                break;
            };
            let (lab, sender) = (Arc::clone(&lab), sender.clone());
            tasks.spawn(async move {
                // Fails only when nobody wants results any more.
                let result = Box::pin(run_cell(lab, Arc::new(Machines), job)).await;
                let _ = sender.send(result).await;
                drop(turn);
            });
        }
        drop(sender);
        while tasks.join_next().await.is_some() {}
    });
    Ok(results)
}

fn check_selection(
    variants: &[String],
    files: &[Arc<ScenarioFile>],
    cells: &[CellRef],
) -> anyhow::Result<()> {
    let known: Vec<&str> = files
        .iter()
        .flat_map(|f| f.scenario.variants())
        .map(|v| v.name.as_str())
        .collect();
    if let Some(unknown) = variants.iter().find(|v| !known.contains(&v.as_str())) {
        bail!(
            "no scenario here has a variant `{unknown}`; there are {}",
            known.join(", ")
        );
    }
    for (at, cell) in cells.iter().enumerate() {
        if cells[..at].iter().any(|other| other.id == cell.id) {
            bail!(
                "cell {} occurs twice: scenarios given together need different names",
                cell.id
            );
        }
    }
    Ok(())
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
