//! Running a selection of cells into a run's directory: what `coldcut run` and `coldcut bisect` share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use coldcut_core::outcome::event::Event;
use coldcut_core::outcome::result::{CellRef, CellResult, KernelRef, RunResult, format_of};
use coldcut_core::outcome::shard::Shard;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::machines::{MachineArgs, open_pool};
use super::recordings::Recording;
use crate::job::cell::{CellJob, CellsJob, run_cells};
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::{Kernel, Store};
use crate::recover::recoverer::Machines;
use crate::recover::strategy::Strategy;
use crate::report::{EventSink, JsonLines, Reporter};
use crate::results::{RunDir, RunInfo, ScenarioInfo, ShardInfo};
use crate::vm::pool::Pool;
use crate::vm::templates::Templates;

/// What to run, and how.
pub(super) struct Batch<'a> {
    /// Scenarios.
    pub(super) files: Vec<Arc<ScenarioFile>>,
    /// Kernels with the names by which the user knows them; each scenario runs on each.
    pub(super) kernels: Vec<(String, Arc<Kernel>)>,
    /// Variants; all where there are none.
    pub(super) variants: &'a [String],
    /// Who recovers, in place of what the variants say.
    pub(super) recover_on: Option<&'a Vec<String>>,
    /// Where recovering kernels are found.
    pub(super) store: &'a Store,
    /// Seed of everything that is sampled.
    pub(super) seed: u64,
    /// Who recovers what.
    pub(super) strategy: Strategy,
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
        let recordings = self.recordings()?;
        let plan: Vec<CellRef> = recordings.iter().flat_map(Recording::names).collect();
        // All rounds of a cell, and all kernels that recover it, are in one part: where rounds differ, that part says
        // so, and nothing is recorded twice.
        let in_part = |recording: &Recording| self.shard.is_none_or(|shard| shard.contains(&recording.id));
        let jobs: Vec<Recording> = recordings.into_iter().filter(in_part).collect();
        let cells: Vec<CellRef> = jobs.iter().flat_map(Recording::names).collect();
        check_selection(self.variants, &self.files, &plan)?;

        let mut run_dir = RunDir::create(self.results)
            .with_context(|| format!("cannot make a run in {}", self.results.display()))?;
        let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(JsonLines::new(run_dir.events()?))];
        reporters.extend(self.screen);
        let events = EventSink::new(reporters);
        // A part may have no cells; then nothing is started.
        let pool = if jobs.is_empty() && self.shard.is_some() {
            None
        } else {
            let mut pool = open_pool(self.machines, events.clone(), first).await?;
            if self.strategy != Strategy::Cold {
                let cache = Store::default_root()?;
                pool = pool.with_templates(Templates::open(&cache)?);
            }
            Some(Arc::new(pool))
        };
        let unused = || "not used".to_owned();

        let info = RunInfo {
            format: format_of(&plan),
            run: run_dir.id().to_owned(),
            coldcut: env!("CARGO_PKG_VERSION").to_owned(),
            qemu: pool
                .as_ref()
                .map_or_else(unused, |pool| pool.qemu.version.clone()),
            accel: pool
                .as_ref()
                .map_or_else(unused, |pool| format!("{}: {}", pool.accel.accel, pool.accel.why)),
            command_line: std::env::args().collect(),
            seed: self.seed,
            started: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |d| d.as_secs()),
            kernels: kernels_of(&self.kernels, &jobs),
            scenarios: self
                .files
                .iter()
                .map(|f| ScenarioInfo {
                    name: f.scenario.name.clone(),
                    file: f.path.display().to_string(),
                    digest: f.scenario.digest().to_hex().to_string(),
                })
                .collect(),
            cells,
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

        let count = info.cells.len();
        let mut result = RunResult::new(&info.run, Vec::new());
        if let Some(pool) = &pool {
            let mut cells = in_order(jobs, &run_dir, pool, self.strategy)?;
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

/// Begins recordings in order, at most as many at once as machines, so that the first verdicts come early.
fn in_order(
    jobs: Vec<Recording>,
    run_dir: &RunDir,
    pool: &Arc<Pool>,
    strategy: Strategy,
) -> anyhow::Result<mpsc::Receiver<CellResult>> {
    let count: usize = jobs.iter().map(|recording| recording.cells.len()).sum();
    let (sender, results) = mpsc::channel(count.max(1));
    let mut ready = Vec::new();
    for recording in jobs {
        let mut cells = Vec::new();
        for (cell, kernel) in recording.cells {
            let dir = run_dir.cell(&cell.id)?;
            cells.push(CellJob { cell, kernel, dir });
        }
        ready.push(CellsJob {
            file: recording.file,
            variant: recording.variant,
            kernel: recording.kernel,
            strategy,
            cells,
        });
    }
    let pool = Arc::clone(pool);
    tokio::spawn(async move {
        let turns = Arc::new(Semaphore::new(pool.jobs));
        let mut tasks = JoinSet::new();
        for job in ready {
            let Ok(turn) = Arc::clone(&turns).acquire_owned().await else {
                break;
            };
            let (pool, sender) = (Arc::clone(&pool), sender.clone());
            tasks.spawn(async move {
                // There is room for every result; it fails only when nobody wants them any more.
                let done = move |result| drop(sender.try_send(result));
                Box::pin(run_cells(pool, Arc::new(Machines), job, done)).await;
                drop(turn);
            });
        }
        drop(sender);
        while tasks.join_next().await.is_some() {}
    });
    Ok(results)
}

/// Every kernel of a run, each once.
fn kernels_of(recording: &[(String, Arc<Kernel>)], jobs: &[Recording]) -> Vec<KernelRef> {
    let recovering = jobs.iter().flat_map(|recording| &recording.cells);
    let recovering = recovering.filter_map(|(cell, kernel)| Some((cell.recovered_on.as_ref()?, kernel)));
    let mut all: Vec<KernelRef> = Vec::new();
    for (name, kernel) in recording
        .iter()
        .map(|(name, kernel)| (name, kernel))
        .chain(recovering)
    {
        if !all.iter().any(|known| known.name == *name) {
            all.push(KernelRef {
                name: name.clone(),
                release: kernel.release().to_owned(),
                digest: kernel.digest().to_owned(),
            });
        }
    }
    all
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
