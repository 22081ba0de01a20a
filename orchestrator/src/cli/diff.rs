//! `coldcut diff`.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use coldcut_core::crash::index::{Digest, DigestCursor};
use coldcut_core::crash::state::{CrashState, PlanKind, Set};
use coldcut_core::outcome::diff::{
    Difference, IoProfile, common, recoveries, render_differences, render_profiles,
};
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::outcome::result::{CellRef, CellResult};
use coldcut_core::recording::log::Cut;
use coldcut_core::scenario::Variant;

use super::ResultsArg;
use super::machines::MachineArgs;
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::Store;
use crate::record::job::mount_of;
use crate::record::loaded::LoadedRecording;
use crate::recover::recoverer::{Machines, RecoverJob, Recoverer as _};
use crate::report::stdout::{OutputError, errln, out, outln};
use crate::report::{EventSink, verdict_text};
use crate::results::{CellDir, RunInfo, find_run, load_result, load_run};
use crate::vm::pool::Pool;

/// Say what differs between kernels: in what they send to the disk, and in what they recover
///
/// With two RUNs (or RUN/CELL) cells of the same scenario and variant are compared; with one, its cells on different
/// kernels. Kernels that recovered the same recording (`recover_on`) are compared content by content: the same log and
/// state, two kernels. Where each made its own recording, their crash states have no content in common: what is compared
/// is what was recovered at the same points of the workload, where the same had been acknowledged. With --on, each
/// content of RUN is recovered again on another kernel.
///
/// Exit codes: 0 no difference, 1 some, 2 usage, 3 nothing could be compared.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// A run, or a cell of it
    #[arg(value_name = "RUN[/CELL]")]
    left: String,
    /// Another
    #[arg(value_name = "RUN[/CELL]")]
    right: Option<String>,
    /// Recover the contents of RUN on this kernel of the store, and compare
    #[arg(long, value_name = "KERNEL", conflicts_with = "right")]
    on: Option<String>,
    /// With --on: at most so many contents of a cell; how many are left out is said
    #[arg(long, value_name = "N", default_value_t = 100)]
    most: usize,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    results: ResultsArg,
}

/// A cell of a finished run.
struct Cell {
    reference: CellRef,
    /// Release of the kernel that recorded.
    release: String,
    /// Release of the kernel that recovered.
    recovered: String,
    result: Option<CellResult>,
    variant: Variant,
    dir: CellDir,
    recording: LoadedRecording,
    /// As a replay command names it.
    name: String,
}

/// What was found, counted.
#[derive(Default)]
struct Sum {
    compared: usize,
    differ: usize,
}

impl Sum {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match (self.compared, self.differ) {
            (0, 0) => 3,
            (_, 0) => 0,
            _ => 1,
        })
    }
}

pub(super) async fn run(args: DiffArgs) -> anyhow::Result<ExitCode> {
    let left = cells(&args.results.results, &args.left)?;
    let mut sum = Sum::default();
    if let Some(kernel) = &args.on {
        for cell in &left {
            on(cell, kernel, &args, &mut sum).await?;
        }
        return Ok(sum.exit_code());
    }
    let right = args
        .right
        .as_ref()
        .map(|right| cells(&args.results.results, right))
        .transpose()?;
    let pairs = pairs(&left, right.as_deref());
    if pairs.is_empty() {
        bail!(match right {
            Some(_) => "the two have no scenario and variant in common",
            None => "no scenario ran on several kernels here; give a second run, or --on KERNEL",
        });
    }
    for (a, b) in pairs {
        compare(a, b, &mut sum)?;
    }
    Ok(sum.exit_code())
}

/// Reads a run's cells, or one of them.
fn cells(results: &Path, text: &str) -> anyhow::Result<Vec<Cell>> {
    let (dir, only) = match (find_run(results, text), text.rsplit_once('/')) {
        (Ok(dir), _) => (dir, None),
        (Err(_), Some((run, cell))) => (find_run(results, run)?, Some(cell)),
        (Err(error), None) => return Err(error.into()),
    };
    let info = load_run(&dir)?;
    let wanted = |cell: &&CellRef| only.is_none_or(|only| cell.id == only);
    let found: Vec<Cell> = info
        .cells
        .iter()
        .filter(wanted)
        .filter_map(|cell| load(&dir, &info, cell).transpose())
        .collect::<anyhow::Result<_>>()?;
    if found.is_empty() {
        let ids: Vec<&str> = info.cells.iter().map(|c| c.id.as_str()).collect();
        bail!(
            "{text} names no cell with a recording; the run has {}",
            ids.join(", ")
        );
    }
    Ok(found)
}

/// A cell with its recording; `None`, said, when it has none.
fn load(dir: &Path, info: &RunInfo, cell: &CellRef) -> anyhow::Result<Option<Cell>> {
    let path = dir.join("cells").join(&cell.id);
    if !path.join("write.log").is_file() {
        errln!("note: {} has no recording", cell.id);
        return Ok(None);
    }
    let file = ScenarioFile::read(&dir.join("scenarios").join(format!("{}.yaml", cell.scenario)))?;
    let variant = file
        .scenario
        .find_variant(&cell.variant)
        .context("the run's own scenario lacks this variant")?;
    let cell_dir = CellDir::open(&path)?;
    let recording = match LoadedRecording::load(&cell_dir) {
        Ok(recording) => recording,
        Err(error) => {
            errln!("note: {}: {error}", cell.id);
            return Ok(None);
        }
    };
    let result = load_result(dir)
        .ok()
        .and_then(|r| r.cells.into_iter().find(|c| c.cell.id == cell.id));
    let release = |name: &String| {
        let kernel = info.kernels.iter().find(|k| k.name == *name);
        kernel.map_or_else(|| name.clone(), |k| k.release.clone())
    };
    Ok(Some(Cell {
        reference: cell.clone(),
        release: release(&cell.kernel),
        recovered: release(cell.recovered_on.as_ref().unwrap_or(&cell.kernel)),
        result,
        variant,
        dir: cell_dir,
        recording,
        name: format!("{}/{}", dir.display(), cell.id),
    }))
}

impl Cell {
    /// Its kernel's release, or both.
    fn kernels(&self) -> String {
        if self.reference.recovered_on.is_none() {
            self.release.clone()
        } else {
            format!("{} → {}", self.release, self.recovered)
        }
    }

    /// Whether it is made of the same recording as another: the very file, or one with the same bytes.
    fn same_recording(&self, other: &Self) -> bool {
        if self.reference.kernel != other.reference.kernel {
            return false;
        }
        let (a, b) = (self.dir.log(), other.dir.log());
        match (fs::metadata(&a), fs::metadata(&b)) {
            (Ok(x), Ok(y)) if (x.dev(), x.ino()) == (y.dev(), y.ino()) => true,
            (Ok(x), Ok(y)) if x.len() == y.len() => {
                matches!((digest_of(&a), digest_of(&b)), (Ok(a), Ok(b)) if a == b)
            }
            _ => false,
        }
    }
}

fn digest_of(path: &Path) -> std::io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut fs::File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize())
}

/// Which cells are compared: of the same scenario and variant. Within a run each with the first that has the same
/// recording, else with the first. Of two runs those on the same kernels where both have them, else each with each.
fn pairs<'c>(left: &'c [Cell], right: Option<&'c [Cell]>) -> Vec<(&'c Cell, &'c Cell)> {
    let same = |a: &Cell, b: &Cell| {
        (&a.reference.scenario, &a.reference.variant) == (&b.reference.scenario, &b.reference.variant)
    };
    let mut out = Vec::new();
    for (place, a) in left.iter().enumerate() {
        if let Some(right) = right {
            let of: Vec<&Cell> = right.iter().filter(|b| same(a, b)).collect();
            let kernels = |cell: &Cell| (cell.release.clone(), cell.recovered.clone());
            match of.iter().find(|b| kernels(b) == kernels(a)) {
                Some(b) if of.len() > 1 => out.push((a, *b)),
                _ => out.extend(of.into_iter().map(|b| (a, b))),
            }
        } else {
            let mut earlier = left[..place].iter().filter(|b| same(a, b));
            let first = earlier.clone().next();
            out.extend(earlier.find(|b| b.same_recording(a)).or(first).map(|b| (b, a)));
        }
    }
    out
}

fn compare(a: &Cell, b: &Cell, sum: &mut Sum) -> anyhow::Result<()> {
    outln!(
        "{} {}: {} | {}",
        a.reference.scenario,
        a.reference.variant,
        a.kernels(),
        b.kernels()
    )?;
    if let (Some(x), Some(y)) = (&a.result, &b.result) {
        let (x, y) = (verdict_text(&x.verdict), verdict_text(&y.verdict));
        sum.differ += usize::from(x != y);
        outln!("  verdict: {}", if x == y { x } else { format!("{x} | {y}") })?;
    }
    if a.same_recording(b) {
        return compare_contents(a, b, sum);
    }
    let table = render_profiles(&IoProfile::of(&a.recording.log), &IoProfile::of(&b.recording.log));
    if table.is_empty() {
        outln!("  sent to the disk: the same counts in every step")?;
    } else {
        sum.differ += 1;
        outln!("  sent to the disk:")?;
        for line in table.lines() {
            outln!("  {line}")?;
        }
    }
    let mut left = Kept::new(a)?;
    let mut right = Kept::new(b)?;
    let mut places = Vec::new();
    let mut missing = 0;
    for (name, cut_a, cut_b) in common(&a.recording.log, &b.recording.log) {
        for (set, words) in [
            (Set::Durable, "what is durable alone"),
            (Set::Completed, "all that completed"),
        ] {
            match (left.at(cut_a, set.clone())?, right.at(cut_b, set)?) {
                (Some(x), Some(y)) => places.push((format!("{name}, {words}"), recoveries(&x, &y))),
                _ => missing += 1,
            }
        }
    }
    show("recovered at the same points", &places, missing, sum)?;
    Ok(())
}

/// What two kernels made of the same disks.
fn compare_contents(a: &Cell, b: &Cell, sum: &mut Sum) -> anyhow::Result<()> {
    outln!("  the same recording")?;
    let mut places = Vec::new();
    let mut missing = 0;
    for (digest, state) in contents(a)? {
        let kept = |cell: &Cell| read(&cell.dir.recovery(&digest.to_string()));
        match (kept(a)?, kept(b)?) {
            (Some(x), Some(y)) => {
                let name = format!("coldcut replay {}/{}", b.name, state.id());
                places.push((name, recoveries(&x, &y)));
            }
            _ => missing += 1,
        }
    }
    show("recovered from the same contents", &places, missing, sum)?;
    Ok(())
}

/// Shows what differs, the same differences once.
fn show(
    title: &str,
    places: &[(String, Vec<Difference>)],
    missing: usize,
    sum: &mut Sum,
) -> Result<(), OutputError> {
    sum.compared += places.len();
    let differing: Vec<&(String, Vec<Difference>)> = places.iter().filter(|(_, d)| !d.is_empty()).collect();
    sum.differ += differing.len();
    let left_out = if missing > 0 {
        format!("; {missing} were not recovered on both")
    } else {
        String::new()
    };
    outln!(
        "  {title}: {} compared, {} differ{left_out}",
        places.len(),
        differing.len()
    )?;
    let mut groups: Vec<(&Vec<Difference>, Vec<&str>)> = Vec::new();
    for (name, differences) in differing {
        match groups.iter_mut().find(|(of, _)| *of == differences) {
            Some((_, names)) => names.push(name),
            None => groups.push((differences, vec![name])),
        }
    }
    for (differences, names) in groups {
        let more = match names.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        outln!("    {}{more}", names[0])?;
        out!("{}", render_differences(differences, "      "))?;
    }
    Ok(())
}

/// A cell's kept recoveries, found by crash state.
struct Kept<'c> {
    cell: &'c Cell,
    cursor: DigestCursor,
}

impl<'c> Kept<'c> {
    fn new(cell: &'c Cell) -> anyhow::Result<Self> {
        let recording = &cell.recording;
        Ok(Self {
            cell,
            cursor: DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())?,
        })
    }

    /// What was recovered at a cut, if the run's plan went there.
    fn at(&mut self, cut: Cut, set: Set) -> anyhow::Result<Option<Recovery>> {
        let digest = self
            .cursor
            .digest(&CrashState::new(PlanKind::Barriers, cut, set))?;
        read(&self.cell.dir.recovery(&digest.to_string()))
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Option<Recovery>> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("{} is not a recovery of coldcut's", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Recovers a cell's contents on another kernel: the same log and state.
async fn on(cell: &Cell, spec: &str, args: &DiffArgs, sum: &mut Sum) -> anyhow::Result<()> {
    let kernel = Arc::new(Store::open_default()?.find(spec)?);
    outln!(
        "{} {}: recorded on {}, recovered on {} | recovered on {}",
        cell.reference.scenario,
        cell.reference.variant,
        cell.release,
        cell.recovered,
        kernel.release()
    )?;
    let pool = Pool::open(args.machines.settings(), EventSink::new(Vec::new()), &kernel)
        .await?
        .with_cached_templates()?;
    let contents = contents(cell)?;
    let mut places = Vec::new();
    let mut missing = contents.len().saturating_sub(args.most);
    for (digest, state) in contents.into_iter().take(args.most) {
        let Some(before) = read(&cell.dir.recovery(&digest.to_string()))? else {
            missing += 1;
            continue;
        };
        let id = state.id();
        let job = RecoverJob {
            image: Arc::new(cell.recording.image(&state)?),
            kernel: Arc::clone(&kernel),
            mount: mount_of(&cell.variant),
            contents: Arc::new(cell.variant.contents()),
            console: cell.dir.console(&format!("diff-{id}")),
            fsck: before.fsck.is_some(),
        };
        match Machines.recover(&pool, &job, Trust::Fresh).await {
            Ok(after) => {
                let differences = recoveries(&before, &after);
                places.push((
                    format!("coldcut replay {}/{id} --kernel {spec}", cell.name),
                    differences,
                ));
            }
            Err(error) => {
                missing += 1;
                errln!("note: {id} could not be recovered: {error}");
            }
        }
    }
    show("recovered from the same contents", &places, missing, sum)?;
    Ok(())
}

/// The distinct contents of a cell's plan with the first state that has each.
fn contents(cell: &Cell) -> anyhow::Result<Vec<(Digest, CrashState)>> {
    let recording = &cell.recording;
    let mut cursor = DigestCursor::new(Arc::clone(&recording.index), recording.sources.clone())?;
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for state in cell.variant.crash.states(&recording.log)? {
        let digest = cursor.digest(&state)?;
        if seen.insert(digest) {
            out.push((digest, state));
        }
    }
    Ok(out)
}
