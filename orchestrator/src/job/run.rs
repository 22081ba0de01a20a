//! Runs a plan into a run's directory: what `coldcut run` and `coldcut bisect` share.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use coldcut_core::oracle::cell::Strategy;
use coldcut_core::outcome::event::Event;
use coldcut_core::outcome::name::FileName;
use coldcut_core::outcome::result::{CellRef, RunResult, format_of};

use crate::job::data::{CellsJob, ResolveError, Resolver};
use crate::job::earlier::Earlier;
use crate::job::plan::{RunPlan, RunPlanError};
use crate::job::schedule::in_order;
use crate::kernel::Store;
use crate::report::{EventSink, Failure, FileReport, JsonLines, Reporter, render_html};
use crate::results::{RunDir, RunInfo, ScenarioInfo, ShardInfo};
use crate::vm::open::{MachineSettings, OpenPoolError};
use crate::vm::pool::Pool;

/// The page about a run, in its directory.
pub(crate) const PAGE: &str = "report.html";

/// How a plan is run.
#[derive(Clone, Copy, Debug)]
pub struct RunSettings<'a> {
    /// Seed of everything that is sampled.
    pub seed: u64,
    /// Which machines recover which images.
    pub strategy: Strategy,
    /// How machines are run.
    pub machines: MachineSettings,
    /// Directory of all runs.
    pub results: &'a Path,
    /// The run with whose recordings this one goes on.
    pub resume: Option<&'a Earlier>,
    /// From when on no recording is begun any more; what was begun is finished, and the rest left out.
    pub until: Option<Instant>,
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its directory.
    pub dir: PathBuf,
    /// Its results.
    pub result: RunResult,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is nothing to run.
    #[error(transparent)]
    Plan(#[from] RunPlanError),
    /// A job cannot be run here.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// There are no machines.
    #[error(transparent)]
    Pool(#[from] OpenPoolError),
    /// No directory can be made for a run.
    #[error("cannot make a run in {}", path.display())]
    Make {
        /// Directory of all runs.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The run's directory cannot be written to.
    #[error("cannot write to {}", path.display())]
    Write {
        /// The directory, or a file of it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Cells ended without a result.
    #[error("{0} cells died; this is a defect of coldcut")]
    Died(usize),
}

/// A run's directory, and where its events go.
struct Begun {
    dir: RunDir,
    events: EventSink,
    /// Whether events could not be kept.
    failure: Failure,
    /// `None` where the part has no cells.
    pool: Option<Arc<Pool>>,
}

/// Runs every cell of a plan and keeps everything; `screen` shows the events besides the run's own file.
///
/// # Errors
/// Why there is no run at all. What goes wrong in a cell makes that cell Inconclusive.
pub async fn run(
    plan: &RunPlan,
    settings: &RunSettings<'_>,
    store: &Store,
    screen: Vec<Box<dyn Reporter>>,
) -> Result<Ran, RunError> {
    let mut begun = begin(plan, settings, screen).await?;
    let dir = begun.dir.path().to_owned();
    let write = |source| RunError::Write {
        path: dir.clone(),
        source,
    };
    let info = info(plan, settings, &begun);
    begun.dir.begin(&info).map_err(write)?;
    for file in &plan.selection.files {
        let kept = begun
            .dir
            .keep_scenario(&FileName::of(&file.scenario.name), &file.text);
        kept.map_err(write)?;
    }
    begun.events.send(Event::RunStarted {
        run: info.run.to_string(),
        cells: info.cells.clone(),
        jobs: settings.machines.jobs,
        accel: info.accel.clone(),
        dir: Some(dir.clone()),
    });
    if let Some(pool) = &begun.pool {
        let mut resolver = Resolver::new(store);
        plan.selection
            .kernels
            .iter()
            .for_each(|(_, kernel)| resolver.know(kernel));
        let mut jobs = Vec::with_capacity(plan.recordings.len());
        for recording in &plan.recordings {
            recording
                .cells
                .iter()
                .for_each(|(_, kernel)| resolver.know(kernel));
            let mut job = CellsJob::new(recording, settings.strategy, &dir);
            job.resume = settings.resume.and_then(|earlier| earlier.recording(recording));
            if let (Some(earlier), None) = (settings.resume, &job.resume) {
                let text = format!("run {} has no such recording: it is made anew", earlier.id());
                begun.events.notice(Some(&recording.id), text);
            }
            jobs.push(resolver.resolve(&job)?);
        }
        let mut cells = in_order(jobs, pool, settings.until);
        while let Some(cell) = cells.recv().await {
            begun.dir.finish_cell(cell).map_err(write)?;
            if let Some(error) = begun.failure.get() {
                return Err(write(error));
            }
        }
    }
    let result = begun.dir.finish().map_err(write)?;
    let over = settings.until.is_some_and(|until| Instant::now() >= until);
    if result.cells.len() < info.cells.len() && !over {
        return Err(RunError::Died(info.cells.len() - result.cells.len()));
    }
    begun.events.send(Event::RunFinished {
        totals: result.totals,
        seconds: begun.events.seconds(),
    });
    begun.events.end();
    Ok(Ran { dir, result })
}

/// Makes the directory, and opens the pool where there are cells to run.
async fn begin(
    plan: &RunPlan,
    settings: &RunSettings<'_>,
    screen: Vec<Box<dyn Reporter>>,
) -> Result<Begun, RunError> {
    let first = plan.first_kernel()?;
    let make = |source| RunError::Make {
        path: settings.results.to_owned(),
        source,
    };
    let mut dir = RunDir::create(settings.results).map_err(make)?;
    let kept = JsonLines::new(dir.events().map_err(make)?);
    let failure = kept.failure();
    let page = FileReport::at_end(&dir.path().join(PAGE), render_html);
    let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(kept), Box::new(page)];
    reporters.extend(screen);
    let events = EventSink::new(reporters);
    // A part may have no cells; then nothing is started.
    let pool = if plan.recordings.is_empty() && plan.selection.shard.is_some() {
        None
    } else {
        let mut pool = Pool::open(settings.machines, events.clone(), first).await?;
        if settings.strategy != Strategy::Cold {
            pool = pool.with_cached_templates()?;
        }
        Some(Arc::new(pool))
    };
    Ok(Begun {
        dir,
        events,
        failure,
        pool,
    })
}

/// What `run.json` holds.
fn info(plan: &RunPlan, settings: &RunSettings<'_>, begun: &Begun) -> RunInfo {
    let of_pool = |text: fn(&Pool) -> String| begun.pool.as_deref().map_or("not used".to_owned(), text);
    let scenarios = plan.selection.files.iter().map(|file| ScenarioInfo {
        name: FileName::of(&file.scenario.name),
        file: file.path.display().to_string(),
        digest: file.scenario.digest().to_hex().to_string(),
    });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let cells: Vec<CellRef> = plan.cells().collect();
    RunInfo {
        format: format_of(&plan.whole),
        run: begun.dir.id().clone(),
        coldcut: env!("CARGO_PKG_VERSION").to_owned(),
        qemu: of_pool(|pool| pool.qemu.version.clone()),
        accel: of_pool(|pool| format!("{}: {}", pool.accel.accel, pool.accel.why)),
        command_line: std::env::args().collect(),
        seed: settings.seed,
        started: now.map_or(0, |since| since.as_secs()),
        kernels: plan.kernels(),
        scenarios: scenarios.collect(),
        cells,
        shard: plan.selection.shard.map(|part| ShardInfo {
            part,
            plan: plan.whole.clone(),
        }),
    }
}
