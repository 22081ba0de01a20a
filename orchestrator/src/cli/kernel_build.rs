//! `coldcut kernel build`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use coldcut_core::filesystem::FsType;

use super::terminal::Terminal;
use crate::kernel::build::{Build, output_of};
use crate::kernel::fragment::Fragment;
use crate::kernel::{Progress as _, Store};
use crate::report::stdout::outln;

/// What to build, and how.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Kernel source
    tree: PathBuf,
    /// A configuration fragment of your own, which has the last word; again for more
    #[arg(long, value_name = "FRAGMENT")]
    config: Vec<PathBuf>,
    /// Filesystems to build in
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = FsType::first().driver.name)]
    fs: Vec<String>,
    /// What to call it [default: built-TREE]
    #[arg(long)]
    name: Option<String>,
    /// Where objects and the log go [default: a directory of the cache, one for each TREE]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Jobs that make runs at once [default: as many as processors]
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Only configure, and say where the configuration is
    #[arg(long)]
    configure_only: bool,
}

/// Builds a kernel and adds it. Runs on a thread that may block.
pub(super) fn run(store: &Store, args: &BuildArgs) -> anyhow::Result<()> {
    let tree = fs::canonicalize(&args.tree).with_context(|| format!("cannot use {}", args.tree.display()))?;
    let mut fragment = Fragment::guest(&args.fs)?;
    for path in &args.config {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        fragment.add(Fragment::parse(&path.display().to_string(), &text)?);
    }
    let name = args.name.clone().unwrap_or_else(|| default_name(&tree));
    let build = Build {
        output: match &args.output {
            Some(output) => std::path::absolute(output)?,
            None => output_of(store, &tree),
        },
        tree,
        fragment,
        jobs: args
            .jobs
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)),
        configure_only: args.configure_only,
    };
    let progress = Terminal::new();
    progress.stage(&format!("building; log: {}", build.log().display()));
    let terminal = Terminal::is_there();
    let show = |line: &str| {
        if terminal {
            progress.stage(line);
        }
    };
    let made = tokio::runtime::Handle::current().block_on(build.run(show));
    progress.done();
    let made = made?;
    if args.configure_only {
        outln!("{}", made.display())?;
        return Ok(());
    }
    let progress = Terminal::new();
    let kernel = store.add_built(&build.output, &name, &progress);
    progress.done();
    let kernel = kernel?;
    outln!(
        "{} {} is stored ({})",
        kernel.name(),
        kernel.release(),
        &kernel.digest()[..12]
    )?;
    Ok(())
}

fn default_name(tree: &Path) -> String {
    let name = tree.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._+~-".contains(c) {
            c
        } else {
            '_'
        }
    };
    format!("built-{}", name.chars().map(plain).take(80).collect::<String>())
}
