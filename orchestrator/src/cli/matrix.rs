//! `coldcut matrix`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use coldcut_core::filesystem::{Covers, Disk, FsType, Mode};

use super::USAGE;
use super::cells::CellArgs;
use super::run::read_all;
use crate::job::scenario_file::ScenarioFile;
use crate::report::render_run;
use crate::report::stdout::{OutputError, errln, outln};

#[derive(Debug, clap::Args)]
pub(super) struct MatrixArgs {
    /// Scenario files; their variants that hold are run. Those that declare a hazard are not run in other modes of the
    /// same filesystem, and are run in those of another one
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
    /// Whose modes; scenarios of another filesystem are made as this one, no smaller than it can be
    #[arg(long, value_parser = fstypes())]
    mounts: String,
    /// Only these modes
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    mode: Vec<String>,
    /// List the modes, what each promises and where that is documented; run nothing
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    cells: CellArgs,
}

fn fstypes() -> clap::builder::PossibleValuesParser {
    FsType::all().map(FsType::name).collect::<Vec<_>>().into()
}

pub(super) async fn run(args: MatrixArgs) -> anyhow::Result<ExitCode> {
    let Some(fstype) = FsType::named(&args.mounts) else {
        bail!("there is no filesystem `{}`", args.mounts);
    };
    let known = fstype.modes;
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
    for file in args.cells.judged(files)? {
        let (scenario, left_out) = file.scenario.in_modes(fstype, wanted.iter().copied());
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
    match mode.guarantee.covers {
        Covers::All => "everything",
        Covers::Posix => "what POSIX promises",
        Covers::NotFreshBlocks => "what was made durable",
        Covers::Nothing => "nothing, and is observed",
    }
}
