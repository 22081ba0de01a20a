//! `coldcut kernel build`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::kernel::BuildArgs;
use super::terminal::Terminal;
use crate::kernel::build::{Build, output_of};
use crate::kernel::fragment::Fragment;
use crate::kernel::{Flavour, Kernel, Progress as _, Store, StoreError};
use crate::report::stdout::outln;

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
    let kernel = add(store, &build.output, &name)?;
    outln!(
        "{} {} is stored ({})",
        kernel.name(),
        kernel.release(),
        &kernel.digest()[..12]
    )?;
    Ok(())
}

/// Adds what was built; an earlier kernel of that name gives way.
fn add(store: &Store, output: &Path, name: &str) -> anyhow::Result<Kernel> {
    let progress = Terminal::new();
    let added = match store.add_tree(output, name, &progress) {
        Err(StoreError::NameTaken { digest, .. }) => {
            let earlier = store.find(&digest)?;
            if earlier.manifest().flavour != Flavour::Custom {
                bail!("the name `{name}` belongs to a pulled kernel; choose another --name");
            }
            drop(earlier);
            store.remove(&digest)?;
            store.add_tree(output, name, &progress)
        }
        // Nothing that matters changed since another name was given to it.
        Err(StoreError::SameKernel { digest, .. }) => store.find(&digest),
        added => added,
    };
    progress.done();
    Ok(added?)
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
