//! Measures what it costs to keep and report the results of many cells, compared with rewriting everything for each
//! cell.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use coldcut_core::filesystem::FsType;
use coldcut_core::outcome::event::{Event, Phase};
use coldcut_core::outcome::name::FileName;
use coldcut_core::outcome::result::{
    CellRef, CellResult, KernelRef, Place, RunResult, StateCounts, Violation, format_of,
};
use coldcut_core::outcome::verdict::{Declared, Verdict, ViolationKind};

use crate::report::{
    EventSink, FileReport, JsonLines, Reporter, Summary, render_junit, render_markdown, render_run,
};
use crate::results::{ResultsError, RunDir, RunInfo, load_result};

/// How many cells are kept.
const COUNTS: [usize; 2] = [1_000, 10_000];
/// How many cells the peer keeps. Its time grows with their square.
const PEER: usize = 300;
/// The bar for the largest number of cells.
const BAR: Duration = Duration::from_secs(1);

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BookkeepingError {
    /// A file cannot be written.
    #[error("cannot keep a run: {0}")]
    Io(#[from] io::Error),
    /// What was kept cannot be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// What was read is not what was kept.
    #[error("{kept} cells were kept and {read} read")]
    Lost {
        /// Kept.
        kept: usize,
        /// Read.
        read: usize,
    },
}

/// Times for one number of cells.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// How many cells.
    pub cells: usize,
    /// Events, result.json, JUnit and Markdown, until all are complete and durable.
    pub keep: Duration,
    /// Reading result.json.
    pub read: Duration,
    /// Reconstructing a missing result.json from events.jsonl.
    pub read_events: Duration,
    /// The table.
    pub show: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct BookkeepingBench {
    /// Ours.
    pub kept: Vec<Kept>,
    /// Ours, for as many cells as the peer.
    pub ours: Duration,
    /// The peer's.
    pub peer: Duration,
}

/// Measures in a temporary directory.
///
/// # Errors
/// [`BookkeepingError`].
pub fn bookkeeping() -> Result<BookkeepingBench, BookkeepingError> {
    let dir = tempfile::tempdir()?;
    let kept = COUNTS.iter().map(|count| measure(dir.path(), *count));
    let kept = kept.collect::<Result<_, _>>()?;
    let cells = cells(PEER);
    let (_, ours) = timed(|| keep(dir.path(), &cells))?;
    let ((), peer) = timed(|| everything_each_time(dir.path(), &cells))?;
    Ok(BookkeepingBench { kept, ours, peer })
}

fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, Duration), E> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed()))
}

fn measure(dir: &Path, count: usize) -> Result<Kept, BookkeepingError> {
    let cells = cells(count);
    let (run, keep) = timed(|| keep(dir, &cells))?;
    let (result, read) = timed(|| load_result(&run))?;
    fs::remove_file(run.join("result.json"))?;
    let (told, read_events) = timed(|| load_result(&run))?;
    for result in [&result, &told] {
        if result.cells != cells {
            return Err(BookkeepingError::Lost {
                kept: cells.len(),
                read: result.cells.len(),
            });
        }
    }
    let planned: Vec<CellRef> = cells.iter().map(|result| result.cell.clone()).collect();
    let start = Instant::now();
    std::hint::black_box(render_run(&Summary::new("run", &planned, cells)));
    Ok(Kept {
        cells: count,
        keep,
        read,
        read_events,
        show: start.elapsed(),
    })
}

/// Keeps a run as `coldcut run --junit --markdown` does; gives its directory.
fn keep(dir: &Path, cells: &[CellResult]) -> io::Result<std::path::PathBuf> {
    let mut run = RunDir::create(dir)?;
    let reporters: Vec<Box<dyn Reporter>> = vec![
        Box::new(JsonLines::new(run.events()?)),
        Box::new(FileReport::new(&dir.join("out.xml"), render_junit)?),
        Box::new(FileReport::new(&dir.join("out.md"), render_markdown)?),
    ];
    let events = EventSink::new(reporters);
    let info = info(run.id(), cells);
    run.begin(&info)?;
    events.send(Event::RunStarted {
        run: info.run.to_string(),
        cells: info.cells,
        jobs: 1,
        accel: info.accel,
        dir: None,
    });
    for cell in cells {
        events.send(Event::CellFinished {
            result: Box::new(cell.clone()),
        });
        run.finish_cell(cell.clone())?;
    }
    let totals = run.finish()?.totals;
    events.send(Event::RunFinished { totals, seconds: 0.0 });
    events.end();
    Ok(run.path().to_owned())
}

/// Writes result.json, JUnit and Markdown anew for every cell.
fn everything_each_time(dir: &Path, cells: &[CellResult]) -> io::Result<()> {
    let planned: Vec<CellRef> = cells.iter().map(|result| result.cell.clone()).collect();
    for done in 1..=cells.len() {
        let summary = Summary::new("run", &planned, cells[..done].to_vec());
        fs::write(dir.join("peer.xml"), render_junit(&summary))?;
        fs::write(dir.join("peer.md"), render_markdown(&summary))?;
        let result = RunResult::new("run", cells[..done].to_vec());
        fs::write(dir.join("peer.json"), serde_json::to_vec_pretty(&result)?)?;
    }
    Ok(())
}

/// Cells of many scenarios on five kernels, every tenth with a violation.
fn cells(count: usize) -> Vec<CellResult> {
    let kernels = ["5.10", "6.1", "6.12", "6.18", "7.3"];
    let cell = |number: usize| {
        let kernel = kernels[number % kernels.len()];
        let (scenario, variant) = (
            format!("scenario-{}", number / 50),
            format!("variant-{}", number % 50 / 5),
        );
        let violated = number % 10 == 7;
        let violation = Violation {
            kind: ViolationKind::Size,
            state: Place::CrashState(format!("b{number}-d")),
            expectation: Some(0),
            rule: None,
            evidence: format!(
                "cut {number} of 400: config has size 0, expected 4096 since `saved` was acknowledged"
            ),
            confirmed: Some(true),
        };
        let kinds = vec![ViolationKind::Size];
        let (declared, verdict) = if violated {
            (Declared::Violates(kinds.clone()), Verdict::Violation { kinds })
        } else {
            (Declared::Holds, Verdict::Pass)
        };
        CellResult {
            kernel: kernel_ref(kernel),
            recovered_on: None,
            cell: CellRef {
                id: FileName::of(&format!("{scenario}.{variant}.{kernel}")),
                scenario: FileName::of(&scenario),
                variant,
                kernel: kernel.to_owned(),
                recovered_on: None,
            },
            filesystem: FsType::first().name().to_owned(),
            mount: "data=ordered".to_owned(),
            standing: declared.standing(&verdict),
            declared,
            verdict,
            states: StateCounts::default(),
            obligations: 120,
            broken: u64::from(violated),
            violations: violated.then_some(violation).into_iter().collect(),
            measured: Vec::new(),
            notes: vec!["the journal was replayed in 12 of 40 images".to_owned()],
            doubted: false,
            millis: BTreeMap::from([(Phase::Record, 900), (Phase::Recover, 4_000), (Phase::Judge, 12)]),
        }
    };
    (0..count).map(cell).collect()
}

fn kernel_ref(name: &str) -> KernelRef {
    KernelRef {
        name: name.to_owned(),
        release: format!("{name}.9-cloud-amd64"),
        digest: blake3::hash(name.as_bytes()).to_hex().to_string(),
    }
}

fn info(run: &str, cells: &[CellResult]) -> RunInfo {
    let cells: Vec<CellRef> = cells.iter().map(|result| result.cell.clone()).collect();
    RunInfo {
        format: format_of(&cells),
        run: FileName::of(run),
        coldcut: env!("CARGO_PKG_VERSION").to_owned(),
        qemu: "not used".to_owned(),
        accel: "not used".to_owned(),
        command_line: Vec::new(),
        seed: 0,
        started: 0,
        kernels: Vec::new(),
        scenarios: Vec::new(),
        cells,
        shard: None,
    }
}

impl fmt::Display for BookkeepingBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        writeln!(f, "   cells   keep ms   read ms   read events ms   table ms")?;
        for kept in &self.kept {
            writeln!(
                f,
                "{:8} {:9.0} {:9.0} {:16.0} {:10.0}",
                kept.cells,
                ms(kept.keep),
                ms(kept.read),
                ms(kept.read_events),
                ms(kept.show)
            )?;
        }
        if let Some(most) = self.kept.last() {
            let met = if most.keep < BAR { "met" } else { "NOT MET" };
            writeln!(
                f,
                "bar: {} cells are kept in less than {} ms: {met}",
                most.cells,
                ms(BAR)
            )?;
        }
        writeln!(
            f,
            "{PEER} cells: {:.0} ms; everything written anew for every cell, without making it durable: {:.0} ms, {:.1} \
             times as long",
            ms(self.ours),
            ms(self.peer),
            self.peer.as_secs_f64() / self.ours.as_secs_f64()
        )
    }
}
