//! What it costs to judge crash states: every one of them, covered by what recoveries read, beside the plans that recover
//! each distinct image, of the same recordings and in the same run.

mod workload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_core::crash::plan::CrashSpec;
use coldcut_core::crash::state::PlanKind;
use coldcut_core::oracle::cell::{Recoveries, Round, Strategy};
use coldcut_core::outcome::recovery::Trust;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::scenario::Variant;

use self::workload::WORKLOADS;
use crate::kernel::Kernel;
use crate::record::job::RecordJob;
use crate::record::loaded::LoadedRecording;
use crate::record::recorder::record;
use crate::record::timings::Timings;
use crate::recover::explore::{Explored, Exploring, explore};
use crate::recover::images::{Planned, Recovering};
use crate::recover::recoverer::Machines;
use crate::recover::rounds::recover_round;
use crate::results::CellDir;
use crate::vm::pool::Pool;

/// What to measure.
#[derive(Clone, Debug)]
pub struct StatesOptions {
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// Only recordings whose names contain this; in another mode, the mode is part of the name.
    pub only: String,
    /// The plan: `all` or `all-torn`.
    pub plan: PlanKind,
    /// Whether to measure in every other mode of each filesystem too.
    pub modes: bool,
    /// Recoveries for each recording, at most.
    pub most: u64,
    /// States of one cut that the sampled plan draws, at most.
    pub per_cut: u32,
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
        for (mode, (name, variant)) in workload.variants(options.modes)?.into_iter().enumerate() {
            if !name.contains(&options.only) {
                continue;
            }
            let dir = pool.scratch.path().join(format!("states-{number}-{mode}"));
            let measured = measure(pool, options, (&name, &variant), dir).await;
            each(match measured {
                Ok(report) => report,
                // A mode that this mkfs or kernel does not know.
                Err(unknown) if mode > 0 => format!("{name}\n  not measured: {unknown}\n"),
                Err(unknown) => return Err(unknown),
            });
        }
    }
    Ok(())
}

async fn measure(
    pool: &Arc<Pool>,
    options: &StatesOptions,
    (name, variant): (&str, &Variant),
    dir: PathBuf,
) -> Result<String, Unknown> {
    let cell = CellDir::open(&dir).or_unknown("making a directory")?;
    let job = RecordJob {
        cell: "bench",
        variant,
        kernel: &options.kernel,
        home: &dir,
        dir: &cell,
        cold: false,
    };
    record(pool, &job, &Timings::default())
        .await
        .map_err(|failure| failure.why)?;
    let recording = LoadedRecording::load(&cell)?;
    let bench = Bench {
        pool,
        recovering: Recovering {
            cell: "bench",
            variant,
            kernel: &options.kernel,
            dir: &cell,
            timings: &Arc::default(),
            programs: None,
            asking: None,
        },
        recording: &recording,
    };
    let barriers = bench
        .listed(CrashSpec::of(PlanKind::Barriers), usize::MAX)
        .await?;
    let reorder = CrashSpec {
        per_cut: options.per_cut,
        ..CrashSpec::of(PlanKind::Reorder)
    };
    let sampled = bench.listed(reorder, SAMPLED).await?;
    let all = bench.explored(options).await?;
    Ok(report(name, &barriers, &sampled, &all))
}

/// A recording, and machines for its states.
struct Bench<'a> {
    pool: &'a Arc<Pool>,
    recovering: Recovering<'a>,
    recording: &'a LoadedRecording,
}

impl Bench<'_> {
    /// The variant with another plan.
    fn with(&self, crash: CrashSpec) -> Variant {
        Variant {
            crash,
            ..self.recovering.variant.clone()
        }
    }

    /// Recovers the distinct images of a plan, at most so many.
    async fn listed(&self, plan: CrashSpec, most: usize) -> Result<Plan, Unknown> {
        let Self { recording, pool, .. } = self;
        let planned = Planned::new(recording, &self.with(plan))?;
        let images = &planned.images;
        let recovered = images.len().min(most);
        // Spread over the recording, so that the others may be extrapolated.
        let spread = (0..recovered).map(|number| images[number * images.len() / recovered].clone());
        let work = self.recovering.work(pool, recording, &Arc::new(spread.collect()));
        let round = Round {
            trust: Trust::Screened,
            images: (0..recovered).collect(),
        };
        let mut known = Recoveries::new(recovered);
        let start = Instant::now();
        recover_round(pool, &Arc::new(Machines), &work, &mut known, &round).await;
        let time = start.elapsed();
        if let Some(unknown) = known.outcomes().find_map(|outcome| outcome.as_ref().err()) {
            return Err(unknown.clone());
        }
        Ok(Plan {
            states: planned.states.len(),
            distinct: images.len(),
            recovered,
            time,
        })
    }

    /// Covers every state of every cut.
    async fn explored(&self, options: &StatesOptions) -> Result<Explored, Unknown> {
        let Self { recording, pool, .. } = self;
        let variant = self.with(CrashSpec::of(options.plan));
        let spec = CrashSpec {
            budget: Some(options.most),
            ..variant.crash.clone()
        };
        let planned = Planned::new(recording, &variant)?;
        let exploration = planned.exploration(recording, &spec);
        let exploration = exploration.ok_or_else(|| Unknown::new("the plan is not a complete one"))?;
        let check = options.check;
        let exploring = Exploring {
            samples: Box::new(move |_| check),
            // There are too many for clones.
            sampler: Trust::Screened,
            ..self
                .recovering
                .exploring(pool, recording, Strategy::Tiered, None, None)
        };
        explore(pool, &Arc::new(Machines), exploring, exploration).await
    }
}

fn report(name: &str, barriers: &Plan, sampled: &Plan, all: &Explored) -> String {
    let seconds = all.time.as_secs_f64();
    let ratio = |one: f64, other: f64| one / other.max(1e-9);
    let done = &all.completeness;
    let differing = all.differing.iter();
    let reads = all.reads.iter();
    let reads: Vec<String> = reads
        .map(|(reader, blocks)| format!("{} {blocks}", reader.name()))
        .collect();
    let differing: String = differing.flat_map(|line| ["  DIFFERS ", line, "\n"]).collect();
    format!(
        "{name}\n  \
         barriers          {b_states} states, {b} recoveries, {b_time:.1} s\n  \
         reorder, sampled  {r_states} states, {r} recoveries, {r_time:.1} s{extrapolated}\n  \
         every state       {cuts} cuts, {states} states, {covered} covered, {classes} classes, {n} recoveries, \
         {seconds:.1} s, read by each: {reads}\n  \
         recoveries        {of_b:.2} of barriers', {of_r:.1} times fewer than the sampled plan's\n  \
         time              {t_b:.2} of barriers', {t_r:.1} times less than the sampled plan's; {rate:.1e} states/s\n  \
         checked           {checked} states recovered besides, {differs} otherwise than their class\n{differing}",
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
        cuts = done.cuts,
        states = done.states,
        covered = if done.is_whole() {
            "all".to_owned()
        } else {
            done.covered.to_string()
        },
        classes = done.classes,
        n = done.recoveries,
        reads = reads.join(", "),
        of_b = ratio(done.recoveries as f64, barriers.distinct as f64),
        of_r = ratio(sampled.distinct as f64, done.recoveries as f64),
        t_b = ratio(seconds, barriers.seconds()),
        t_r = ratio(sampled.seconds(), seconds),
        rate = done.covered.0.to_string().parse::<f64>().unwrap_or(f64::INFINITY) / seconds.max(1e-9),
        checked = done.sampled,
        differs = done.differing,
    )
}
