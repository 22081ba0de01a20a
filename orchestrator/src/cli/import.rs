//! `coldcut import`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use coldcut_core::filesystem::FsType;
use coldcut_core::import::jlang;
use coldcut_core::scenario::Scenario;

use super::USAGE;
use crate::report::stdout::{errln, outln};

/// The largest workload, in bytes.
const LONGEST: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// CrashMonkey's J-lang workloads
    Jlang(JlangArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct JlangArgs {
    /// A workload, or a directory of workloads
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// Directory to write the scenarios to, each as NAME.yaml; made if it is not there [default: print the scenario]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The filesystem under test
    #[arg(long, default_value = "ext4", value_parser = super::fstype)]
    fs: FsType,
}

pub(super) fn run(command: &ImportCommand) -> anyhow::Result<ExitCode> {
    match command {
        ImportCommand::Jlang(args) => jlang(args),
    }
}

fn jlang(args: &JlangArgs) -> anyhow::Result<ExitCode> {
    let files = workloads(&args.path)?;
    if let Some(dir) = &args.output {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    } else if files.len() > 1 {
        bail!(
            "{} has {} workloads: say where to write them, with --output DIR",
            args.path.display(),
            files.len()
        );
    }
    let mut bad = 0;
    for file in &files {
        match imported(file, args.fs) {
            Ok(Imported { name, text }) => match &args.output {
                Some(dir) => {
                    let path = dir.join(format!("{name}.yaml"));
                    std::fs::write(&path, text)
                        .with_context(|| format!("cannot write {}", path.display()))?;
                }
                None => outln!("{}", text.trim_end())?,
            },
            Err(error) => {
                bad += 1;
                errln!("{}: {error:#}", file.display());
            }
        }
    }
    if let Some(dir) = &args.output {
        outln!("{} scenarios in {}", files.len() - bad, dir.display())?;
    }
    Ok(if bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(USAGE)
    })
}

/// A workload as a scenario.
struct Imported {
    name: String,
    text: String,
}

fn imported(file: &Path, fstype: FsType) -> anyhow::Result<Imported> {
    let size = std::fs::metadata(file)?.len();
    if size > LONGEST {
        bail!("it has {size} bytes; a workload has at most {LONGEST}");
    }
    let text = std::fs::read_to_string(file).context("cannot read it")?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let document = jlang::import(&name, &text, fstype)?;
    let text = document.to_string();
    // What is no valid scenario is not written; the error shows the line of what would have been.
    Scenario::parse(&format!("{}.yaml", document.name), &text)?;
    Ok(Imported {
        name: document.name,
        text,
    })
}

/// The file, or every file of the directory that is not hidden, in the order of their names, numbers by their values.
fn workloads(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let reading = || format!("cannot read {}", path.display());
    if !std::fs::metadata(path).with_context(reading)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && entry.file_type().with_context(reading)?.is_file() {
            files.push(entry.path());
        }
    }
    if files.is_empty() {
        bail!("{} has no workloads", path.display());
    }
    files.sort_by_cached_key(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number: u64 = name[stem.len()..].parse().unwrap_or(0);
        (stem.to_owned(), number, name)
    });
    Ok(files)
}
