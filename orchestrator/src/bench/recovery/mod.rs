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
use coldcut_core::oracle::cell::Strategy;
use coldcut_core::outcome::name::FileName;
use coldcut_core::outcome::recovery::Trust;
use coldcut_core::outcome::result::CellRef;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::scenario::Variant;

pub use report::{Phases, RecoveryBench};

use crate::host::scratch::Scratch;
use crate::job::cell::{ResolvedCell, ResolvedJob, run_cell};
use crate::kernel::Kernel;
use crate::record::job::{RecordJob, mount_of};
use crate::record::loaded::LoadedRecording;
use crate::record::recorder::record;
use crate::record::timings::Timings;
use crate::recover::recoverer::{Guest, Machines, RecoverJob, Recoverer as _, Screener as _};
use crate::report::EventSink;
use crate::results::CellDir;
use crate::vm::machine::{AccelDecision, BootImage, Qemu};
use crate::vm::pool::Pool;
use crate::vm::templates::Templates;

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
/// [`Unknown`]: why a state could not be recovered.
pub async fn recovery(options: RecoveryOptions) -> Result<RecoveryBench, Unknown> {
    let scratch = Scratch::new().or_unknown("making a private directory")?;
    let dir = scratch.path().to_owned();
    let warm = pool(&options, Some(&dir.join("warm")), 2)?;
    let cold = pool(&options, None, 2)?;
    let file = workload::busy()?;
    let variant = workload::variant(&file)?;
    let mut bench = Bench::of(&options, &dir, &warm, &variant).await?;
    let turns = options.turns.max(1);
    let mut rates = Rates::default();
    let mut guests = [bench.guest(&warm).await?, bench.guest(&warm).await?];
    for _ in 0..turns {
        rates.boots(&mut bench, &cold).await?;
        rates.clones(&mut bench, &warm).await?;
        rates.screening(&mut bench, &warm, &mut guests).await?;
        rates.native(&mut bench).await;
    }
    drop(guests);

    let phases = phases::of(&warm, &bench.jobs(turns * 3)?).await?;
    let (device, raw) = phases::recording(&warm, &options.kernel, &variant, turns).await?;
    let [without, making, cached] = bench.first_verdicts().await?;
    Ok(RecoveryBench {
        kernel: options.kernel.release().to_owned(),
        accel: options.accel.accel.to_string(),
        states: bench.states.len(),
        plain: rates.plain.rate(),
        ours: rates.ours.rate(),
        fresh: rates.fresh.rate(),
        screened: rates.screened.rate(),
        two_clones: rates.two_clones.rate() / rates.fresh.rate(),
        two_screeners: rates.two_screeners.rate() / rates.screened.rate(),
        clone_mib: rates.clone_mib,
        native: rates.no_native.map_or_else(|| Ok(rates.native.rate()), Err),
        phases,
        first_cold: without,
        first_making: making,
        first_cached: cached,
        recording_device: device,
        recording_raw: raw,
    })
}

/// How fast states are recovered, by each way.
#[derive(Default)]
struct Rates {
    plain: Sum,
    ours: Sum,
    fresh: Sum,
    two_clones: Sum,
    screened: Sum,
    two_screeners: Sum,
    native: Sum,
    no_native: Option<String>,
    clone_mib: u32,
}

impl Rates {
    async fn boots(&mut self, bench: &mut Bench, cold: &Pool) -> Result<(), Unknown> {
        let start = Instant::now();
        for _ in 0..PLAIN {
            bench.plain_boot(cold).await?;
        }
        self.plain.add(PLAIN, start);

        let start = Instant::now();
        for _ in 0..COLD {
            Machines.recover(cold, &bench.job()?, Trust::Cold).await?;
        }
        self.ours.add(COLD, start);
        Ok(())
    }

    /// One clone after another, then two at once.
    async fn clones(&mut self, bench: &mut Bench, warm: &Pool) -> Result<(), Unknown> {
        let start = Instant::now();
        for _ in 0..FRESH {
            bench.clone_once(warm).await?;
        }
        self.fresh.add(FRESH, start);
        self.clone_mib = self.clone_mib.max(warm.budget.largest_clone().unwrap_or(0));

        let start = Instant::now();
        let (one, two) = (bench.jobs(SHARED / 2)?, bench.jobs(SHARED / 2)?);
        let half = async |jobs: Vec<RecoverJob>| {
            for job in jobs {
                Machines.recover(warm, &job, Trust::Fresh).await?;
            }
            Ok::<_, Unknown>(())
        };
        tokio::try_join!(half(one), half(two))?;
        self.two_clones.add(SHARED, start);
        Ok(())
    }

    /// One screening guest, then two at once.
    async fn screening(
        &mut self,
        bench: &mut Bench,
        warm: &Pool,
        guests: &mut [Guest; 2],
    ) -> Result<(), Unknown> {
        let all = async |guest: &mut Guest, jobs: &[RecoverJob]| {
            for job in jobs {
                guest.recover(warm, job).await?;
            }
            Ok::<_, Unknown>(())
        };
        let [one, two] = guests;
        let jobs = bench.jobs(SCREENED)?;
        let start = Instant::now();
        all(one, &jobs).await?;
        self.screened.add(SCREENED, start);

        let jobs = bench.jobs(SCREENED)?;
        let start = Instant::now();
        let (first, second) = jobs.split_at(SCREENED / 2);
        tokio::try_join!(all(one, first), all(two, second))?;
        self.two_screeners.add(SCREENED, start);
        Ok(())
    }

    /// The host's own kernel, where that can be had.
    async fn native(&mut self, bench: &mut Bench) {
        if self.no_native.is_some() {
            return;
        }
        let start = Instant::now();
        match bench.native_loop(NATIVE).await {
            Ok(()) => self.native.add(NATIVE, start),
            Err(error) => self.no_native = Some(error.to_string()),
        }
    }
}

/// A pool that nobody listens to.
fn pool(options: &RecoveryOptions, templates: Option<&Path>, jobs: usize) -> Result<Arc<Pool>, Unknown> {
    let scratch = Scratch::new().or_unknown("making a private directory")?;
    let events = EventSink::new(Vec::new());
    let mut pool = Pool::new(options.qemu.clone(), options.accel.clone(), scratch, events, jobs);
    if let Some(dir) = templates {
        pool = pool.with_templates(Templates::open(dir).map_err(|e| Unknown::new(e.to_string()))?);
    }
    Ok(Arc::new(pool))
}

impl Bench {
    /// Records the workload, and plans its crash states.
    async fn of(
        options: &RecoveryOptions,
        dir: &Path,
        warm: &Arc<Pool>,
        variant: &Variant,
    ) -> Result<Self, Unknown> {
        let cell = CellDir::open(&dir.join("cell")).or_unknown("making a directory")?;
        let job = RecordJob {
            cell: "bench",
            variant,
            kernel: &options.kernel,
            home: dir,
            dir: &cell,
            cold: false,
        };
        record(warm, &job, &Timings::default())
            .await
            .map_err(|failure| failure.why)?;
        let recording = LoadedRecording::load(&cell)?;
        let planned = CrashSpec::default()
            .states(&recording.log)
            .or_unknown("planning")?;
        let states: Vec<CrashState> = planned.collect();
        Ok(Self {
            options: options.clone(),
            dir: dir.to_owned(),
            recording,
            states,
            next: 0,
        })
    }

    /// Another state each time, all over the recording.
    fn job(&mut self) -> Result<RecoverJob, Unknown> {
        // A step without a common divisor with any likely count visits them all.
        self.next = (self.next + 61) % self.states.len();
        let state = &self.states[self.next];
        let file = workload::busy()?;
        let variant = workload::variant(&file)?;
        Ok(RecoverJob {
            image: Arc::new(self.recording.image(state)?),
            disks: self.recording.log.disks().clone(),
            noted: None,
            kernel: Arc::clone(&self.options.kernel),
            mount: mount_of(&variant),
            patterns: Arc::new(variant.patterns()),
            console: self.dir.join("console.log"),
            fsck: false,
            programs: None,
            asked: None,
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
            Err(Unknown::new(
                "there was no clone, so nothing can be said of clones",
            ))
        }
    }

    /// As a script would do it: the packaged kernel image, no trimmed command line.
    async fn plain_boot(&mut self, pool: &Pool) -> Result<(), Unknown> {
        let image = self.options.kernel.bzimage();
        let image = image.ok_or_else(|| Unknown::new("this kernel has no bzImage in the store"))?;
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
            native::recover(job.image, &job.mount.fstype, path, self.dir.join("native")).await?;
        }
        Ok(())
    }

    /// Seconds from the start of a cell to its verdict: by cold boots; with a template that must be made; with one
    /// from the cache.
    async fn first_verdicts(&self) -> Result<[f64; 3], Unknown> {
        let templates = self.dir.join("first");
        let mut seconds = [0.0; 3];
        for (index, (strategy, templates)) in [
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
                    id: FileName::of("first"),
                    scenario: FileName::of("bench"),
                    variant: "default".into(),
                    kernel: self.options.kernel.name().to_owned(),
                    recovered_on: None,
                },
                kernel: Arc::clone(&self.options.kernel),
                dir: CellDir::open(&self.dir.join(format!("first-{index}")))
                    .or_unknown("making a directory")?,
            };
            let job = ResolvedJob {
                variant: workload::variant(&file)?,
                file,
                kernel: Arc::clone(&self.options.kernel),
                strategy,
                resume: None,
                cells: vec![cell],
            };
            let result = run_cell(pool, Arc::new(Machines), job).await?;
            if result.verdict != coldcut_core::outcome::verdict::Verdict::Pass {
                return Err(Unknown::new(format!("the first verdict is {:?}", result.verdict)));
            }
            seconds[index] = start.elapsed().as_secs_f64();
        }
        Ok(seconds)
    }
}
