//! `coldcut matrix`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use coldcut_core::scenario::FsType;
use coldcut_core::scenario::modes::{Disk, Mode, modes};

use super::USAGE;
use super::cells::CellArgs;
use super::run::read_all;
use crate::job::scenario_file::ScenarioFile;
use crate::report::render_run;
use crate::report::stdout::{OutputError, errln, outln};

#[derive(Debug, clap::Args)]
pub(super) struct MatrixArgs {
    /// Scenario files; their variants that hold are run, those that declare a hazard are not
    #[arg(required_unless_present = "list", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Kernels of the store: series, release, name or the beginning of a digest; all are run
    #[arg(
        short,
        long,
        required_unless_present = "list",
        value_delimiter = ',',
        value_name = "KERNEL"
    )]
    kernel: Vec<String>,
    /// Whose modes
    #[arg(long, value_enum)]
    mounts: Filesystem,
    /// Only these modes
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    mode: Vec<String>,
    /// List the modes, what each promises and where that is documented; run nothing
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    cells: CellArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Filesystem {
    /// Mount options and mkfs features of ext4
    Ext4,
}

pub(super) async fn run(args: MatrixArgs) -> anyhow::Result<ExitCode> {
    let Filesystem::Ext4 = args.mounts;
    let known = modes(FsType::Ext4);
    if let Some(unknown) = args
        .mode
        .iter()
        .find(|name| known.iter().all(|mode| mode.name != **name))
    {
        let names: Vec<&str> = known.iter().map(|mode| mode.name).collect();
        bail!("there is no mode `{unknown}`; there are {}", names.join(", "));
    }
    let wanted: Vec<&Mode> = known
        .iter()
        .filter(|mode| args.mode.is_empty() || args.mode.iter().any(|name| name == mode.name))
        .collect();
    if args.list {
        for mode in &wanted {
            list(mode)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(files) = read_all(&args.files) else {
        return Ok(ExitCode::from(USAGE));
    };
    let mut expanded = Vec::new();
    for file in files {
        if file
            .scenario
            .variants()
            .iter()
            .any(|v| v.filesystem.fstype != FsType::Ext4)
        {
            bail!("{} is not about ext4", file.path.display());
        }
        let (scenario, left_out) = file.scenario.in_modes(wanted.iter().copied());
        for left in left_out.iter().filter(|left| !left.is_hazard()) {
            errln!(
                "not run: {}.{}@{}: {}",
                scenario.name,
                left.variant,
                left.mode,
                left.why
            );
        }
        expanded.push(Arc::new(ScenarioFile {
            path: file.path.clone(),
            text: file.text.clone(),
            scenario,
        }));
    }
    if expanded.iter().all(|file| file.scenario.variants().is_empty()) {
        bail!("no variant of these scenarios holds in any of these modes");
    }
    let result = args.cells.run(expanded, &[], &args.kernel, render_run).await?;
    Ok(args.cells.exit_code(&result))
}

fn list(mode: &Mode) -> Result<(), OutputError> {
    let mut how: Vec<String> = Vec::new();
    if !mode.mkfs.is_empty() {
        how.push(format!("mkfs {}", mode.mkfs.join(" ")));
    }
    if !mode.mount.is_empty() {
        how.push(format!("mount {}", mode.mount));
    }
    if mode.disk == Disk::Battery {
        how.push("on a disk without a volatile cache".to_owned());
    }
    let how = if how.is_empty() {
        "as it is".to_owned()
    } else {
        how.join(", ")
    };
    outln!("{}: {how}", mode.name)?;
    outln!("    covers {}: {}", covers(mode), mode.guarantee.says)?;
    outln!("    {}", mode.guarantee.source)
}

fn covers(mode: &Mode) -> &'static str {
    use coldcut_core::scenario::modes::Covers::{All, NotFreshBlocks, Nothing};
    match mode.guarantee.covers {
        All => "everything",
        NotFreshBlocks => "what was made durable",
        Nothing => "nothing, and is observed",
    }
}
