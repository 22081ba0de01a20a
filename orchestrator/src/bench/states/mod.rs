//! What it costs to judge crash states: every one of them, covered by what recoveries read, beside the plans that recover
//! each distinct image, of the same recordings and in the same run.

mod explored;
mod workload;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_core::crash::index::DigestCursor;
use coldcut_core::crash::plan::CrashSpec;
use coldcut_core::crash::state::{CrashState, PlanKind};
use coldcut_core::outcome::recovery::Recovery;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::log::Cut;
use coldcut_core::scenario::Variant;

use self::explored::{Explored, explore};
use self::workload::{WORKLOADS, Workload};
use crate::kernel::Kernel;
use crate::record::job::{RecordJob, mount_of};
use crate::record::loaded::LoadedRecording;
use crate::record::recorder::record;
use crate::record::timings::Timings;
use crate::recover::recoverer::{Machines, RecoverJob, Recoverer, Screener as _};
use crate::results::CellDir;
use crate::vm::pool::Pool;

/// What to measure.
#[derive(Clone, Debug)]
pub struct StatesOptions {
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// Only recordings whose names contain this.
    pub only: String,
    /// Recoveries for each recording, at most.
    pub most: u64,
    /// States of each recording that are recovered although an earlier recovery answers for them.
    pub check: u64,
}

/// Images of the sampled plan that are recovered; the time of the others is extrapolated.
const SAMPLED: usize = 120;

/// A plan that recovers each distinct image.
#[derive(Debug)]
struct Plan {
    states: usize,
    distinct: usize,
    recovered: usize,
    time: Duration,
}

impl Plan {
    /// Seconds that all of its images take, at the rate of those that were recovered.
    fn seconds(&self) -> f64 {
        self.time.as_secs_f64() * self.distinct as f64 / self.recovered.max(1) as f64
    }
}

/// A screening guest, started anew where a state spoiled it.
struct Screen<'a> {
    pool: &'a Pool,
    kernel: &'a Arc<Kernel>,
    variant: &'a Variant,
    dir: &'a Path,
    guest: Option<<Machines as Recoverer>::Screener>,
}

impl Screen<'_> {
    async fn recover(&mut self, image: Arc<dyn ReadAt>) -> Result<Recovery, Unknown> {
        let job = RecoverJob {
            image,
            kernel: Arc::clone(self.kernel),
            mount: mount_of(self.variant),
            patterns: Arc::new(self.variant.patterns()),
            console: self.dir.join("console.log"),
            fsck: false,
        };
        let mut guest = match self.guest.take() {
            Some(guest) => guest,
            None => Machines.screener(self.pool, &job).await?,
        };
        let recovery = guest.recover(self.pool, &job).await?;
        if !guest.spoiled() {
            self.guest = Some(guest);
        }
        Ok(recovery)
    }
}

/// Measures every workload, and gives each one's report to `each` as soon as it is there.
///
/// # Errors
/// [`Unknown`]: what kept a state from being recovered.
pub async fn states(
    pool: &Arc<Pool>,
    options: &StatesOptions,
    mut each: impl FnMut(String),
) -> Result<(), Unknown> {
    for (number, workload) in WORKLOADS.iter().enumerate() {
        if workload.name.contains(&options.only) {
            let dir = pool.scratch.path().join(format!("states-{number}"));
            each(measure(pool, options, workload, dir).await?);
        }
    }
    Ok(())
}

async fn measure(
    pool: &Arc<Pool>,
    options: &StatesOptions,
    workload: &Workload,
    dir: PathBuf,
) -> Result<String, Unknown> {
    let (_, variant) = workload.scenario()?;
    let cell = CellDir::open(&dir).or_unknown("making a directory")?;
    let job = RecordJob {
        cell: "bench",
        variant: &variant,
        kernel: &options.kernel,
        home: &dir,
        dir: &cell,
        cold: false,
    };
    record(pool, &job, &Timings::default())
        .await
        .map_err(|failure| failure.why)?;
    let recording = LoadedRecording::load(&cell)?;
    let mut screen = Screen {
        pool,
        kernel: &options.kernel,
        variant: &variant,
        dir: &dir,
        guest: None,
    };
    // So that no plan's time has the guest's start in it.
    screen.recover(Arc::clone(&recording.sources.base)).await?;
    let barriers = distinct(&recording, PlanKind::Barriers, usize::MAX, &mut screen).await?;
    let sampled = distinct(&recording, PlanKind::Reorder, SAMPLED, &mut screen).await?;
    let cuts: BTreeSet<Cut> = CrashSpec::of(PlanKind::Reorder)
        .states(&recording.log)
        .or_unknown("planning")?
        .map(|state| state.cut)
        .collect();
    let cuts: Vec<Cut> = cuts.into_iter().collect();
    let all = explore(&recording, &cuts, &mut screen, options.most, options.check).await?;
    Ok(report(workload, &barriers, &sampled, &all))
}

/// Recovers the distinct images of a plan, at most so many.
async fn distinct(
    recording: &LoadedRecording,
    plan: PlanKind,
    most: usize,
    screen: &mut Screen<'_>,
) -> Result<Plan, Unknown> {
    let mut cursor = DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())
        .or_unknown("reading the recording")?;
    let spec = CrashSpec::of(plan);
    let (mut known, mut images) = (BTreeSet::new(), Vec::<CrashState>::new());
    let mut states = 0;
    for state in spec.states(&recording.log).or_unknown("planning")? {
        states += 1;
        if known.insert(cursor.digest(&state).or_unknown("reading the recording")?) {
            images.push(state);
        }
    }
    let recovered = images.len().min(most);
    let start = Instant::now();
    // Spread over the recording, so that the others may be extrapolated.
    for number in 0..recovered {
        let state = &images[number * images.len() / recovered];
        screen.recover(Arc::new(recording.image(state)?)).await?;
    }
    Ok(Plan {
        states,
        distinct: images.len(),
        recovered,
        time: start.elapsed(),
    })
}

fn report(workload: &Workload, barriers: &Plan, sampled: &Plan, all: &Explored) -> String {
    let seconds = all.time.as_secs_f64();
    let ratio = |one: f64, other: f64| one / other.max(1e-9);
    format!(
        "{name}\n  \
         barriers          {b_states} states, {b} recoveries, {b_time:.1} s\n  \
         reorder, sampled  {r_states} states, {r} recoveries, {r_time:.1} s{extrapolated}\n  \
         every state       {cuts} cuts, {states} states, {covered} covered, {classes} classes, {n} recoveries, \
         {seconds:.1} s ({recovering:.1} s in recoveries), {reads} blocks read each\n  \
         recoveries        {of_b:.2} of barriers', {of_r:.1} times fewer than the sampled plan's\n  \
         time              {t_b:.2} of barriers', {t_r:.1} times less than the sampled plan's; {rate:.1e} states/s\n  \
         checked           {checked} states recovered besides, {differing} otherwise than their class\n",
        name = workload.name,
        b_states = barriers.states,
        b = barriers.distinct,
        b_time = barriers.seconds(),
        r_states = sampled.states,
        r = sampled.distinct,
        r_time = sampled.seconds(),
        extrapolated = if sampled.recovered < sampled.distinct {
            format!(" (extrapolated from {})", sampled.recovered)
        } else {
            String::new()
        },
        cuts = all.cuts,
        states = all.states,
        covered = if all.covered == all.states {
            "all".to_owned()
        } else {
            all.covered.to_string()
        },
        classes = all.classes,
        n = all.recoveries,
        recovering = all.recovering.as_secs_f64(),
        reads = all.reads,
        of_b = ratio(all.recoveries as f64, barriers.distinct as f64),
        of_r = ratio(sampled.distinct as f64, all.recoveries as f64),
        t_b = ratio(seconds, barriers.seconds()),
        t_r = ratio(sampled.seconds(), seconds),
        rate = all.covered.to_string().parse::<f64>().unwrap_or(f64::INFINITY) / seconds.max(1e-9),
        checked = all.checked,
        differing = all.differing,
    )
}
