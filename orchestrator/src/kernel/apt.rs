//! Runs apt with a state of its own, so that the machine's set-up is neither used nor changed.
//!
//! apt checks the signatures of the package lists, and the packages against the lists. What of the machine's
//! configuration still counts is how to reach the network (proxies, credentials of a private mirror).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::archive::Archives;
use super::error::StoreError;
use super::index::{self, Offer};
use super::manifest::PackageRecord;
use super::progress::Progress;
use crate::host::capture::{capture_blocking, within};

/// Largest package list that is read, in bytes; the largest of Debian has 60 MiB.
const MAX_LIST: u64 = 512 << 20;
/// How long reading the package lists may take.
const UPDATE_DEADLINE: Duration = Duration::from_secs(600);
/// How long a download may take without any new byte.
const STALL_DEADLINE: Duration = Duration::from_secs(180);

/// apt with its own state in one directory. One process at a time uses it: hold the store's apt lock.
#[derive(Debug)]
pub struct Apt {
    dir: PathBuf,
    config: PathBuf,
}

/// What the archives offer, and what could not be read.
#[derive(Debug, Default)]
pub struct Lists {
    /// Every kernel offered, lowest version first.
    pub offers: Vec<Offer>,
    /// Releases that no suite offers whole.
    pub incomplete: Vec<String>,
    /// Suites without a package list.
    pub missing: Vec<String>,
    /// What apt complained about.
    pub complaints: Vec<String>,
    /// Why some lists are missing or old, when some could not be fetched.
    pub trouble: Option<String>,
}

impl Apt {
    /// Prepares the state in `dir` for these archives.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn new(dir: &Path, archives: &Archives) -> Result<Self, StoreError> {
        for sub in ["etc/parts", "state/lists/partial", "cache/archives/partial"] {
            let path = dir.join(sub);
            fs::create_dir_all(&path).map_err(StoreError::io("create", &path))?;
        }
        let trust = match &archives.keyring {
            Some(keyring) => format!("Signed-By: {}", keyring.display()),
            None => "Trusted: yes".to_owned(),
        };
        let stanza = |(uri, suite): &(String, String)| {
            format!(
                "Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\nArchitectures: amd64\n{trust}\n"
            )
        };
        let sources = archives.suites.iter().map(stanza).collect::<Vec<_>>().join("\n");
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text)
                .map_err(StoreError::io("write", &path))
                .map(|()| path)
        };
        write("etc/kernels.sources", &sources)?;
        write("state/status", "")?;
        let config = write("etc/apt.conf", &configuration(dir, archives.keyring.is_none())?)?;
        Ok(Self {
            dir: dir.to_owned(),
            config,
        })
    }

    /// Reads the package lists from the archives, and what kernels they offer.
    ///
    /// # Errors
    /// [`StoreError`] when apt is missing or no list can be read.
    pub fn update(&self, archives: &Archives, progress: &dyn Progress) -> Result<Lists, StoreError> {
        progress.stage("reading the package lists");
        let run = self.run("apt-get", &["update"], None, &mut within(UPDATE_DEADLINE))?;
        self.lists(archives, run.complaints)
    }

    /// What the package lists of the last [`Self::update`] offer.
    ///
    /// # Errors
    /// [`StoreError`] when apt is missing or no list can be read.
    pub fn lists(&self, archives: &Archives, complaints: Vec<String>) -> Result<Lists, StoreError> {
        let args = [
            "indextargets",
            "--format",
            "$(FILENAME)\t$(RELEASE)",
            "Created-By: Packages",
        ];
        let run = self.run("apt-get", &args, None, &mut within(UPDATE_DEADLINE))?;
        let mut files: BTreeMap<&str, PathBuf> = BTreeMap::new();
        for (file, suite) in run.output.lines().filter_map(|line| line.split_once('\t')) {
            files.insert(suite, PathBuf::from(file));
        }
        let mut lists = Lists {
            missing: archives.unknown.clone(),
            complaints,
            ..Lists::default()
        };
        let mut offers = Vec::new();
        for (_, suite) in &archives.suites {
            match files.get(suite.as_str()).filter(|file| file.is_file()) {
                Some(file) => {
                    let offered = index::offers(&read_list(file)?, suite);
                    offers.extend(offered.offers);
                    lists.incomplete.extend(offered.incomplete);
                }
                None => lists.missing.push(suite.clone()),
            }
        }
        lists.offers = index::merge(offers);
        let failed = |line: &String| line.starts_with("E: ") || line.contains("Failed to fetch");
        if lists.complaints.iter().any(failed) {
            lists.trouble = Some(explain(&lists.complaints, archives.keyring.as_deref()));
        }
        if files.is_empty() || lists.missing.len() == archives.suites.len() + archives.unknown.len() {
            return Err(StoreError::Apt(explain(
                &lists.complaints,
                archives.keyring.as_deref(),
            )));
        }
        Ok(lists)
    }

    /// Downloads a package into `to` and returns the file. apt compares it with the signed list.
    ///
    /// # Errors
    /// [`StoreError`] when apt fails or the file is not the one of the signed list.
    pub fn download(
        &self,
        package: &PackageRecord,
        to: &Path,
        done_before: u64,
        total: u64,
        progress: &dyn Progress,
    ) -> Result<PathBuf, StoreError> {
        let wanted = format!("{}={}", package.package, package.version);
        let partial = self.dir.join("cache/archives/partial");
        let (mut last, mut since) = (0, Instant::now());
        let mut watch = || {
            let now = size_of_files(to).max(size_of_files(&partial));
            if now != last {
                (last, since) = (now, Instant::now());
            }
            progress.bytes(done_before + now.min(package.size), total);
            since.elapsed() < STALL_DEADLINE
        };
        let run = self.run("apt-get", &["download", &wanted], Some(to), &mut watch)?;
        let mut debs = fs::read_dir(to)
            .map_err(StoreError::io("read", to))?
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "deb"));
        match (run.success, debs.next()) {
            (true, Some(file)) => Ok(file),
            _ => Err(StoreError::Apt(format!(
                "downloading {wanted} failed: {}",
                explain(&run.complaints, None)
            ))),
        }
    }

    /// Reads the package lists from the archives.
    ///
    /// # Errors
    /// [`StoreError`] when apt is missing. That some lists cannot be read shows in what is missing then.
    pub fn refresh(&self, progress: &dyn Progress) -> Result<(), StoreError> {
        progress.stage("reading the package lists");
        self.run("apt-get", &["update"], None, &mut within(UPDATE_DEADLINE))
            .map(drop)
    }

    /// These packages with all that they depend on, each as `NAME=VERSION`, by name.
    ///
    /// # Errors
    /// [`StoreError`] when there are no such packages, or they cannot be together.
    pub fn needed(&self, packages: &[String]) -> Result<Vec<String>, StoreError> {
        let args = ["install", "--simulate", "--no-install-recommends", "-y", "--"];
        let args: Vec<&str> = args
            .into_iter()
            .chain(packages.iter().map(String::as_str))
            .collect();
        let run = self.run("apt-get", &args, None, &mut within(UPDATE_DEADLINE))?;
        if !run.success {
            return Err(StoreError::Apt(format!(
                "{} cannot be had: {}",
                packages.join(", "),
                explain(&run.complaints, None)
            )));
        }
        let mut needed: Vec<String> = run.output.lines().filter_map(installed).collect();
        needed.sort();
        needed.dedup();
        Ok(needed)
    }

    /// Downloads packages, each as `NAME=VERSION`, into `to`, and returns the files by name. apt compares them with the
    /// signed lists.
    ///
    /// # Errors
    /// [`StoreError`] when apt fails, or a package is not there then.
    pub fn download_all(&self, packages: &[String], to: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let partial = self.dir.join("cache/archives/partial");
        let (mut last, mut since) = (0, Instant::now());
        let mut watch = || {
            let now = size_of_files(to).max(size_of_files(&partial));
            if now != last {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() < STALL_DEADLINE
        };
        let args: Vec<&str> = ["download", "--"]
            .into_iter()
            .chain(packages.iter().map(String::as_str))
            .collect();
        let run = self.run("apt-get", &args, Some(to), &mut watch)?;
        let files = fs::read_dir(to).map_err(StoreError::io("read", to))?.flatten();
        let mut debs: Vec<PathBuf> = files
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "deb"))
            .collect();
        debs.sort();
        if run.success && debs.len() == packages.len() {
            return Ok(debs);
        }
        Err(StoreError::Apt(format!(
            "{} of {} packages could not be downloaded: {}",
            packages.len().saturating_sub(debs.len()),
            packages.len(),
            explain(&run.complaints, None)
        )))
    }

    /// Runs apt. `go_on` is asked now and then; when it returns `false`, apt is ended.
    fn run(
        &self,
        program: &str,
        args: &[&str],
        cwd: Option<&Path>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Run, StoreError> {
        let mut command = Command::new(program);
        command.arg("-c").arg(&self.config).args(["-q", "-q"]).args(args);
        command
            .env("LC_ALL", "C")
            .env_remove("APT_CONFIG")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command.current_dir(cwd.unwrap_or(&self.dir));
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Apt(format!(
                "{program} is not on this machine; coldcut reads Debian archives through apt. On Debian it is \
                 always there; elsewhere install apt, or add a kernel of your own: coldcut kernel add"
            )),
            _ => StoreError::Apt(format!("{program} cannot be run: {error}")),
        };
        let Some(captured) = capture_blocking(command, go_on).map_err(failed)? else {
            let what = args.first().copied().unwrap_or_default();
            return Err(StoreError::Apt(format!(
                "{program} {what} made no progress and was stopped"
            )));
        };
        if captured.cut_short {
            return Err(StoreError::Apt(format!("{program} printed more than is read")));
        }
        let output = String::from_utf8_lossy(&captured.stdout).into_owned();
        let errors = String::from_utf8_lossy(&captured.stderr);
        let success = captured.status.success();
        let complaint =
            |line: &&str| line.starts_with("E: ") || line.starts_with("W: ") || line.starts_with("Err:");
        let complaints = errors
            .lines()
            .chain(output.lines())
            .filter(complaint)
            .map(str::to_owned)
            .collect();
        Ok(Run {
            success,
            output,
            complaints,
        })
    }
}

/// The package that a line of a simulated installation is about: `Inst NAME (VERSION …`.
fn installed(line: &str) -> Option<String> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
    let (_, rest) = rest.split_once('(')?;
    let version = rest
        .split([' ', ')'])
        .next()
        .filter(|version| !version.is_empty())?;
    Some(format!("{name}={version}"))
}

struct Run {
    success: bool,
    output: String,
    complaints: Vec<String>,
}

/// The apt configuration. Read after the machine's own, so what is cleared here stays cleared.
fn configuration(dir: &Path, insecure: bool) -> Result<String, StoreError> {
    let text = dir.display().to_string();
    if text.contains(['"', '\\', '\n']) || dir.to_str().is_none() {
        let error = std::io::Error::other("apt cannot use a path with quotes, backslashes or line breaks");
        return Err(StoreError::io("use", dir)(error));
    }
    Ok(format!(
        r#"Dir "{text}";
Dir::State "{text}/state";
Dir::State::lists "{text}/state/lists";
Dir::State::status "{text}/state/status";
Dir::State::extended_states "{text}/state/extended_states";
Dir::Cache "{text}/cache";
Dir::Cache::archives "{text}/cache/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc "{text}/etc";
Dir::Etc::sourcelist "{text}/etc/kernels.sources";
Dir::Etc::sourceparts "{text}/etc/parts";
Dir::Etc::preferences "{text}/etc/none";
Dir::Etc::preferencesparts "{text}/etc/parts";
Dir::Etc::trusted "{text}/etc/none";
Dir::Etc::trustedparts "{text}/etc/parts";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
Dir::Log "{text}/state";
#clear APT::Architectures;
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "{insecure}";
Acquire::AllowWeakRepositories "{insecure}";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::GzipIndexes "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
"#
    ))
}

fn read_list(path: &Path) -> Result<String, StoreError> {
    let file = fs::File::open(path).map_err(StoreError::io("read", path))?;
    let mut text = Vec::new();
    file.take(MAX_LIST)
        .read_to_end(&mut text)
        .map_err(StoreError::io("read", path))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn size_of_files(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .filter_map(|e| e.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|m| m.len())
        .sum()
}

/// Says in plain words what apt's complaints mean.
fn explain(complaints: &[String], keyring: Option<&Path>) -> String {
    let all = complaints.join("\n");
    let has = |texts: &[&str]| texts.iter().any(|t| all.contains(t));
    let meaning = if has(&["NO_PUBKEY", "Missing key", "not signed", "EXPKEYSIG", "BADSIG"]) {
        format!(
            "the archive's signature does not check against {} (an old keyring? install a current \
             debian-archive-keyring, or give --keyring)",
            keyring.unwrap_or(Path::new("the keyring")).display()
        )
    } else if has(&["No space left"]) {
        "the disk is full".to_owned()
    } else if has(&["is expired", "not valid yet"]) {
        "the archive's package lists are out of date, or this machine's clock is wrong".to_owned()
    } else if has(&[
        "Could not resolve",
        "Temporary failure resolving",
        "Could not connect",
        "Unable to connect",
        "Connection failed",
        "Network is unreachable",
        "Connection timed out",
    ]) {
        "the archive cannot be reached (no network? a proxy that apt does not know?)".to_owned()
    } else if has(&["Hash Sum mismatch", "unexpected size"]) {
        "the archive is being updated, or a cache in between is stale; try again later".to_owned()
    } else if has(&[
        "404",
        "does not have a Release file",
        "Unable to locate package",
        "was not found",
    ]) {
        "the archive does not have it (any more); package lists change often, try again".to_owned()
    } else {
        "apt failed".to_owned()
    };
    let mut shown: Vec<&str> = complaints.iter().map(String::as_str).take(6).collect();
    shown.dedup();
    if shown.is_empty() {
        meaning
    } else {
        format!("{meaning}. apt says:\n  {}", shown.join("\n  "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_installation_says_what_is_needed() {
        let line = "Inst libc6 (2.41-12 Debian:13.1/stable [amd64])";
        assert_eq!(installed(line).as_deref(), Some("libc6=2.41-12"));
        let upgrade = "Inst dash [0.5.11] (0.5.12-12 Debian:13.1/stable [amd64]) []";
        assert_eq!(installed(upgrade).as_deref(), Some("dash=0.5.12-12"));
        for line in [
            "Conf libc6 (2.41-12 Debian:13.1/stable [amd64])",
            "Inst libc6",
            "Inst libc6 ()",
        ] {
            assert_eq!(installed(line), None, "{line}");
        }
    }
}
