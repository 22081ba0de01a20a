//! Writing a run's directory.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coldcut_core::outcome::name::FileName;
use coldcut_core::outcome::result::{CellRef, CellResult, KernelRef, RunResult};
use coldcut_core::outcome::rewrite::Rewrites;
use coldcut_core::outcome::shard::Shard;
use rustix::fs::FallocateFlags;
use serde::{Deserialize, Serialize};

use crate::host::quota::explained;

/// `run.json`: what was asked for, and with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// See [`format_of`](coldcut_core::outcome::result::format_of).
    pub format: u32,
    /// The run's id.
    pub run: FileName,
    /// coldcut's version.
    pub coldcut: String,
    /// QEMU's version.
    pub qemu: String,
    /// Accelerator, and why it was chosen.
    pub accel: String,
    /// Words of the command line.
    pub command_line: Vec<String>,
    /// Seed of everything that is sampled.
    pub seed: u64,
    /// Seconds since 1970.
    pub started: u64,
    /// Kernels by name.
    pub kernels: Vec<KernelRef>,
    /// Scenarios; their texts are in `scenarios/`.
    pub scenarios: Vec<ScenarioInfo>,
    /// Cells, in order.
    pub cells: Vec<CellRef>,
    /// Which part of a larger run this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardInfo>,
}

/// A part of a larger run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// Which part.
    pub part: Shard,
    /// Every cell of the whole run, in order.
    pub plan: Vec<CellRef>,
}

/// A scenario of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioInfo {
    /// Its name.
    pub name: FileName,
    /// Path of the file it came from.
    pub file: String,
    /// Digest of what it says.
    pub digest: String,
}

/// Room that is kept for `result.json`: its file, the least, and what a cell may take of it, in bytes.
const SET_ASIDE: &str = ".set-aside";
const ASIDE: u64 = 4 << 20;
const ASIDE_FOR_A_CELL: u64 = 32 << 10;

/// How long finished cells may be in `events.jsonl` without being made durable.
const SYNC: Duration = Duration::from_secs(1);

/// The directory of a run under way.
///
/// What came of a cell is in `events.jsonl` as soon as it is known. `result.json` holds the same, and is written anew
/// at intervals that grow with it, and when this is dropped: [`load_result`](super::load_result) makes up for what a
/// kill leaves out of it.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    id: FileName,
    /// The indices of the cells in `run.json`.
    indices: HashMap<String, usize>,
    cells: Vec<CellResult>,
    rewrites: Rewrites,
    /// Whether `result.json` lacks something.
    stale: bool,
    events: Option<File>,
    synced: Instant,
}

impl RunDir {
    /// A new, empty directory below `results`, with an id made of the time and a random tail.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(results: &Path) -> io::Result<Self> {
        fs::create_dir_all(results)?;
        let stamp = stamp_now();
        loop {
            let dir = tempfile::Builder::new()
                .prefix(&format!("{stamp}-"))
                .rand_bytes(4)
                .tempdir_in(results)?;
            let path = dir.keep();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let lower = name.to_lowercase();
            let wanted = path.with_file_name(&lower);
            // Ids are lower case, so that they survive any file system they are copied to.
            if lower != name && (wanted.exists() || fs::rename(&path, &wanted).is_err()) {
                fs::remove_dir(&path)?;
                continue;
            }
            fs::set_permissions(&wanted, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            fs::create_dir(wanted.join("cells"))?;
            fs::create_dir(wanted.join("scenarios"))?;
            return Ok(Self {
                path: wanted,
                id: FileName::of(&lower),
                indices: HashMap::new(),
                cells: Vec::new(),
                rewrites: Rewrites::default(),
                stale: false,
                events: None,
                synced: Instant::now(),
            });
        }
    }

    /// Removes the directory and all that is in it: there is no such run.
    pub fn discard(mut self) {
        self.stale = false;
        // What is left of it lacks `run.json`, and so is no run.
        let _ = fs::remove_file(self.path.join("run.json"));
        let _ = fs::remove_dir_all(&self.path);
    }

    /// The run's id.
    pub fn id(&self) -> &FileName {
        &self.id
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `run.json` and points `latest` here.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn begin(&mut self, info: &RunInfo) -> io::Result<()> {
        self.describe(info)?;
        self.publish()
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn describe(&mut self, info: &RunInfo) -> io::Result<()> {
        let indices = info.cells.iter().enumerate();
        self.indices = indices
            .map(|(index, cell)| (cell.id.to_string(), index))
            .collect();
        self.set_aside();
        write_json(&self.path.join("run.json"), info)
    }

    /// Takes room on the disk that is given back when `result.json` finds none; without it, nothing is promised.
    fn set_aside(&self) {
        let most = ASIDE.max(ASIDE_FOR_A_CELL * self.indices.len() as u64);
        let taken = File::create(self.path.join(SET_ASIDE))
            .and_then(|file| Ok(rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, most)?));
        if taken.is_err() {
            let _ = fs::remove_file(self.path.join(SET_ASIDE));
        }
    }

    /// Points `latest` here.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn publish(&self) -> io::Result<()> {
        let latest = self.path.with_file_name("latest");
        let temporary = self.path.with_file_name(format!(".latest-{}", self.id));
        std::os::unix::fs::symlink(self.id.as_str(), &temporary)?;
        fs::rename(temporary, latest)
    }

    /// Keeps a scenario's text beside its results.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_scenario(&self, name: &FileName, text: &str) -> io::Result<()> {
        fs::write(self.path.join("scenarios").join(format!("{name}.yaml")), text)
    }

    /// The file that the event stream goes to.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn events(&mut self) -> io::Result<File> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(self.path.join("events.jsonl"))?;
        self.events = Some(file.try_clone()?);
        Ok(file)
    }

    /// A cell's own directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn cell(&self, id: &FileName) -> io::Result<CellDir> {
        CellDir::create(&self.path.join("cells").join(id))
    }

    /// Adds a cell's result, which the event stream has told; writes `result.json` when that is due.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn finish_cell(&mut self, result: CellResult) -> io::Result<()> {
        self.cells.push(result);
        self.stale = true;
        if self.synced.elapsed() >= SYNC {
            self.sync()?;
        }
        if self.rewrites.due(self.cells.len()) {
            self.write()?;
        }
        Ok(())
    }

    /// Writes `result.json` with every cell that was added.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(&mut self) -> io::Result<RunResult> {
        self.sync()?;
        self.write()?;
        let _ = fs::remove_file(self.path.join(SET_ASIDE));
        Ok(RunResult::new(&self.id, self.cells.clone()))
    }

    /// Adds every cell's result at once and writes `result.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish_all(&mut self, mut results: Vec<CellResult>) -> io::Result<RunResult> {
        self.cells.append(&mut results);
        self.finish()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.synced = Instant::now();
        self.events.as_ref().map_or(Ok(()), File::sync_data)
    }

    fn write(&mut self) -> io::Result<()> {
        let index = |id: &str| self.indices.get(id).copied().unwrap_or(usize::MAX);
        self.cells.sort_by_key(|result| index(&result.cell.id));
        let result = RunResult::new(&self.id, std::mem::take(&mut self.cells));
        let path = self.path.join("result.json");
        let mut written = write_json(&path, &result);
        if written
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::StorageFull)
            && fs::remove_file(self.path.join(SET_ASIDE)).is_ok()
        {
            written = write_json(&path, &result);
        }
        let written = written.map_err(|error| explained(&path, 0, error));
        self.cells = result.cells;
        self.stale = written.is_err();
        written
    }
}

impl Drop for RunDir {
    /// An interrupted run leaves every cell in `result.json`.
    fn drop(&mut self) {
        if self.stale {
            // Whoever is told of an error here can do nothing about it, and `events.jsonl` has the cells.
            let _ = self.write();
        }
        let _ = fs::remove_file(self.path.join(SET_ASIDE));
    }
}

/// The directory of one cell.
#[derive(Clone, Debug)]
pub struct CellDir {
    path: PathBuf,
}

impl CellDir {
    fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path.join("consoles"))?;
        fs::create_dir_all(path.join("recoveries"))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Opens a cell's directory, and makes it if it does not exist.
    ///
    /// # Errors
    /// When its folders cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::create(path)
    }

    /// The base image, raw and sparse.
    pub fn base(&self) -> PathBuf {
        self.path.join("base.img")
    }

    /// The write log, in the dm-log-writes format.
    pub fn log(&self) -> PathBuf {
        self.path.join("write.log")
    }

    /// What that format cannot hold: submissions and requests in flight.
    pub fn sidecar(&self) -> PathBuf {
        self.path.join("write.log.order")
    }

    /// The write log of the recovery of a state, and what that format cannot hold.
    pub fn again(&self, state: &str) -> (PathBuf, PathBuf) {
        let dir = self.path.join("again").join(file_name(state));
        (dir.join("write.log"), dir.join("write.log.order"))
    }

    /// The digests of the recording's files.
    pub fn seal(&self) -> PathBuf {
        self.path.join("recording.json")
    }

    /// What the workload's steps measured.
    pub fn measurements(&self) -> PathBuf {
        self.path.join("measurements.json")
    }

    /// A console's file, by the name of what its machine was for.
    pub fn console(&self, name: &str) -> PathBuf {
        self.path
            .join("consoles")
            .join(format!("{}.log", file_name(name)))
    }

    /// Where the recovery of an image is kept, by the image's digest.
    pub fn recovery(&self, digest: &str) -> PathBuf {
        self.path.join("recoveries").join(format!("{digest}.json"))
    }
}

/// A name as that of a file, with room for endings. The name of a state of many writes may be longer than a filesystem allows:
/// its digest stands for it then.
fn file_name(name: &str) -> String {
    const MOST: usize = 200;
    if name.len() <= MOST {
        return name.to_owned();
    }
    blake3::hash(name.as_bytes()).to_hex().to_string()
}

/// Writes a file whole or not at all.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    let mut writer = io::BufWriter::with_capacity(1 << 16, &mut file);
    serde_json::to_writer_pretty(&mut writer, value)?;
    writer.write_all(b"\n")?;
    writer.flush()?;
    drop(writer);
    file.as_file()
        .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

/// The current time, in the form that directory names use.
pub fn stamp_now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    stamp(now.map_or(0, |d| d.as_secs()))
}

/// `20261122-151800` in UTC, by Howard Hinnant's civil-from-days algorithm.
fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}-{:02}{:02}{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_many_writes_has_files_too() {
        let dir = tempfile::tempdir().unwrap();
        let cell = CellDir::open(dir.path()).unwrap();
        // A thousand volatile writes, all chosen; and a second state of as many.
        let states = [
            format!("e9-m{}", "f".repeat(250)),
            format!("e9-m{}e", "f".repeat(249)),
        ];
        let consoles = states.map(|state| cell.console(&format!("{state}.explore")));
        assert_ne!(consoles[0], consoles[1]);
        for console in consoles {
            fs::write(console.with_extension("log.qemu"), b"").unwrap();
        }
        assert!(
            cell.console("e9-m3.explore")
                .ends_with("consoles/e9-m3.explore.log")
        );
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(stamp(0), "19700101-000000");
        assert_eq!(stamp(951_782_400), "20000229-000000");
        assert_eq!(stamp(1_795_360_680), "20261122-151800");
    }

    #[test]
    fn ids_are_unique_and_lower_case() {
        let base = tempfile::tempdir().unwrap();
        let a = RunDir::create(base.path()).unwrap();
        let b = RunDir::create(base.path()).unwrap();
        assert_ne!(a.id(), b.id());
        assert_eq!(a.id().as_str(), a.id().to_lowercase());
    }
}
