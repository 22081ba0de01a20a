//! What a crash state costs: by cold boots, on fresh clones, in screening, and by loop mounts on the host, all of the
//! same recording and in the same run.

mod native;
mod phases;
mod report;
mod workload;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_core::crash::plan::CrashSpec;
use coldcut_core::crash::state::CrashState;
use coldcut_core::outcome::recovery::Trust;
use coldcut_core::outcome::result::CellRef;

pub use report::{Phases, RecoveryBench};

use crate::host::scratch::Scratch;
use crate::job::cell::{ResolvedCell, ResolvedJob, run_cell};
use crate::job::panics::Panicked;
use crate::kernel::Kernel;
use crate::record::loaded::LoadedRecording;
use crate::record::recorder::{RecordJob, mount_of, record};
use crate::record::refused::Refused;
use crate::record::timings::Timings;
use crate::recover::recoverer::{Machines, RecoverJob, Recoverer as _, Screener as _};
use crate::recover::strategy::Strategy;
use crate::report::EventSink;
use crate::results::CellDir;
use crate::vm::machine::{AccelDecision, BootImage, Qemu};
use crate::vm::pool::Pool;
use crate::vm::templates::Templates;
use crate::vm::{OrUnknown as _, Unknown};

/// What to measure with.
#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    /// QEMU.
    pub qemu: Qemu,
    /// How instructions are run.
    pub accel: AccelDecision,
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// Turns that each way gets; they alternate, so that other load on the machine meets all.
    pub turns: usize,
}

/// States that each way recovers in a turn. Few where one takes seconds.
const PLAIN: usize = 1;
const COLD: usize = 2;
const FRESH: usize = 8;
const SCREENED: usize = 60;
const NATIVE: usize = 20;
/// States for the comparison of one worker and two.
const SHARED: usize = 8;

/// How long things took, added up.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    states: usize,
    time: Duration,
}

impl Sum {
    fn add(&mut self, states: usize, since: Instant) {
        self.states += states;
        self.time += since.elapsed();
    }

    /// States a second.
    fn rate(self) -> f64 {
        self.states as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

/// Everything that the measurements share.
struct Bench {
    options: RecoveryOptions,
    dir: PathBuf,
    recording: LoadedRecording,
    states: Vec<CrashState>,
    next: usize,
}

/// Measures.
///
/// # Errors
/// [`Unknown`]: what kept a state from being recovered.
pub async fn recovery(options: RecoveryOptions) -> Result<RecoveryBench, Unknown> {
    let scratch = Scratch::new().or_unknown("making a private directory")?;
    let dir = scratch.path().to_owned();
    let warm = pool(&options, Some(&dir.join("warm")), 2)?;
    let cold = pool(&options, None, 2)?;
    let file = workload::busy()?;
    let variant = workload::variant(&file)?;
    let cell = CellDir::open(&dir.join("cell")).or_unknown("making a directory")?;
    let job = RecordJob {
        cell: "bench",
        variant: &variant,
        kernel: &options.kernel,
        home: &dir,
        dir: &cell,
        refused: &Refused::new(),
        panicked: &Panicked::new(),
        cold: false,
    };
    record(&warm, &job, &Timings::default()).await?;
    let recording = LoadedRecording::load(&cell)?;
    let planned = CrashSpec::default()
        .states(&recording.log)
        .or_unknown("planning")?;
    let states: Vec<CrashState> = planned.collect();
    let mut bench = Bench {
        options: options.clone(),
        dir: dir.clone(),
        recording,
        states,
        next: 0,
    };

    let mut sums = [Sum::default(); 4];
    let [plain, ours, fresh, screened] = &mut sums;
    let (mut alone, mut shared) = ([Sum::default(); 2], [Sum::default(); 2]);
    let mut native = Sum::default();
    let mut no_native = None;
    let mut clone_mib = 0;
    let mut guests = [bench.guest(&warm).await?, bench.guest(&warm).await?];
    for _ in 0..options.turns.max(1) {
        let start = Instant::now();
        for _ in 0..PLAIN {
            bench.plain_boot(&cold).await?;
        }
        plain.add(PLAIN, start);

        let start = Instant::now();
        for _ in 0..COLD {
            Machines.recover(&cold, &bench.job()?, Trust::Cold).await?;
        }
        ours.add(COLD, start);

        let start = Instant::now();
        for _ in 0..FRESH {
            bench.clone_once(&warm).await?;
        }
        fresh.add(FRESH, start);
        alone[0].add(FRESH, start);
        clone_mib = clone_mib.max(warm.budget.largest_clone().unwrap_or(0));

        let start = Instant::now();
        let (a, b): (Vec<RecoverJob>, Vec<RecoverJob>) = (bench.jobs(SHARED / 2)?, bench.jobs(SHARED / 2)?);
        let half = |jobs: Vec<RecoverJob>| {
            let warm = &warm;
            async move {
                for job in jobs {
                    Machines.recover(warm, &job, Trust::Fresh).await?;
                }
                Ok::<_, Unknown>(())
            }
        };
        tokio::try_join!(half(a), half(b))?;
        shared[0].add(SHARED, start);

        let jobs = bench.jobs(SCREENED)?;
        let start = Instant::now();
        for job in &jobs {
            guests[0].recover(&warm, job).await?;
        }
        screened.add(SCREENED, start);
        alone[1].add(SCREENED, start);

        let jobs = bench.jobs(SCREENED)?;
        let start = Instant::now();
        let (first, second) = jobs.split_at(SCREENED / 2);
        let [one, two] = &mut guests;
        let half = async |guest: &mut <Machines as crate::recover::recoverer::Recoverer>::Screener,
                          jobs: &[RecoverJob]| {
            for job in jobs {
                guest.recover(&warm, job).await?;
            }
            Ok::<_, Unknown>(())
        };
        tokio::try_join!(half(one, first), half(two, second))?;
        shared[1].add(SCREENED, start);

        if no_native.is_none() {
            let start = Instant::now();
            match bench.native_loop(NATIVE).await {
                Ok(()) => native.add(NATIVE, start),
                Err(error) => no_native = Some(error.0),
            }
        }
    }
    drop(guests);

    let phases = phases::of(&warm, &bench.jobs(options.turns.max(1) * 3)?).await?;
    let (device, raw) = phases::recording(&warm, &options.kernel, &variant, options.turns.max(1)).await?;
    let [without, making, cached] = bench.first_verdicts().await?;
    Ok(RecoveryBench {
        kernel: options.kernel.release().to_owned(),
        accel: options.accel.accel.to_string(),
        states: bench.states.len(),
        plain: plain.rate(),
        ours: ours.rate(),
        fresh: fresh.rate(),
        screened: screened.rate(),
        native: no_native.map_or_else(|| Ok(native.rate()), Err),
        two_clones: shared[0].rate() / alone[0].rate(),
        two_screeners: shared[1].rate() / alone[1].rate(),
        clone_mib,
        phases,
        first_cold: without,
        first_making: making,
        first_cached: cached,
        recording_device: device,
        recording_raw: raw,
    })
}

/// A pool that nobody listens to.
fn pool(options: &RecoveryOptions, templates: Option<&Path>, jobs: usize) -> Result<Arc<Pool>, Unknown> {
    let scratch = Scratch::new().or_unknown("making a private directory")?;
    let events = EventSink::new(Vec::new());
    let mut pool = Pool::new(options.qemu.clone(), options.accel.clone(), scratch, events, jobs);
    if let Some(dir) = templates {
        pool = pool.with_templates(Templates::open(dir).map_err(|e| Unknown(e.to_string()))?);
    }
    Ok(Arc::new(pool))
}

impl Bench {
    /// Another state each time, all over the recording.
    fn job(&mut self) -> Result<RecoverJob, Unknown> {
        // A step without a common divisor with any likely count visits them all.
        self.next = (self.next + 61) % self.states.len();
        let state = &self.states[self.next];
        let file = workload::busy()?;
        let variant = workload::variant(&file)?;
        Ok(RecoverJob {
            image: Arc::new(self.recording.image(state)?),
            kernel: Arc::clone(&self.options.kernel),
            mount: mount_of(&variant),
            contents: Arc::new(variant.contents()),
            console: self.dir.join("console.log"),
            fsck: false,
        })
    }

    fn jobs(&mut self, count: usize) -> Result<Vec<RecoverJob>, Unknown> {
        (0..count).map(|_| self.job()).collect()
    }

    async fn guest(
        &mut self,
        pool: &Pool,
    ) -> Result<<Machines as crate::recover::recoverer::Recoverer>::Screener, Unknown> {
        let job = self.job()?;
        Machines.screener(pool, &job).await
    }

    async fn clone_once(&mut self, pool: &Pool) -> Result<(), Unknown> {
        let recovery = Machines.recover(pool, &self.job()?, Trust::Fresh).await?;
        if recovery.trust == Trust::Fresh {
            Ok(())
        } else {
            Err(Unknown(
                "there was no clone, so nothing can be said of clones".into(),
            ))
        }
    }

    /// As a script would do it: the packaged kernel image, no trimmed command line.
    async fn plain_boot(&mut self, pool: &Pool) -> Result<(), Unknown> {
        let image = self.options.kernel.bzimage();
        let image = image.ok_or_else(|| Unknown("this kernel has no bzImage in the store".into()))?;
        let job = self.job()?;
        let plain = |spec: &mut crate::vm::machine::MachineSpec| {
            spec.kernel = BootImage { path: image.clone() };
            spec.trimmed = false;
        };
        crate::recover::recoverer::recover_cold_with(pool, &job, plain)
            .await
            .map(drop)
    }

    async fn native_loop(&mut self, count: usize) -> Result<(), Unknown> {
        for job in self.jobs(count)? {
            let path = self.dir.join("native.img");
            native::recover(job.image, path, self.dir.join("native")).await?;
        }
        Ok(())
    }

    /// Seconds from the start of a cell to its verdict: by cold boots; with a template that must be made; with one
    /// from the cache.
    async fn first_verdicts(&self) -> Result<[f64; 3], Unknown> {
        let templates = self.dir.join("first");
        let mut seconds = [0.0; 3];
        for (place, (strategy, templates)) in [
            (Strategy::Cold, None),
            (Strategy::Tiered, Some(&templates)),
            (Strategy::Tiered, Some(&templates)),
        ]
        .into_iter()
        .enumerate()
        {
            let start = Instant::now();
            let pool = pool(&self.options, templates.map(PathBuf::as_path), 2)?;
            let file = workload::small()?;
            let cell = ResolvedCell {
                cell: CellRef {
                    id: "first".into(),
                    scenario: "bench".into(),
                    variant: "default".into(),
                    kernel: self.options.kernel.name().to_owned(),
                    recovered_on: None,
                },
                kernel: Arc::clone(&self.options.kernel),
                dir: CellDir::open(&self.dir.join(format!("first-{place}")))
                    .or_unknown("making a directory")?,
            };
            let job = ResolvedJob {
                variant: workload::variant(&file)?,
                file,
                kernel: Arc::clone(&self.options.kernel),
                strategy,
                cells: vec![cell],
            };
            let result = run_cell(pool, Arc::new(Machines), job).await?;
            if result.verdict != coldcut_core::outcome::verdict::Verdict::Pass {
                return Err(Unknown(format!("the first verdict is {:?}", result.verdict)));
            }
            seconds[place] = start.elapsed().as_secs_f64();
        }
        Ok(seconds)
    }
}
