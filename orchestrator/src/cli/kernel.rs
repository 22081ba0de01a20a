//! `coldcut kernel …`: the kernel store from the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use coldcut_core::columns::table;
use serde::Serialize;

use super::kernel_build::{self, BuildArgs};
use super::terminal::Terminal;
use crate::kernel::manifest::Origin;
use crate::kernel::recipe::Recipe;
use crate::kernel::{Kernel, Store, StoreError};
use crate::report::stdout::{errln, out, outln};

/// Commands of `coldcut kernel`.
#[derive(Debug, Subcommand)]
pub enum KernelCommand {
    /// Fetch kernels from the Debian archives that this machine uses
    Pull {
        /// A series (6.12), version, release, major version (7), `newest`, range (6.12..7.3) or set (lts); `/every` for each
        /// version of a series or range, `:full` for the full build
        #[arg(required = true)]
        spec: Vec<String>,
        /// Do not look for newer ones where a stored kernel fits
        #[arg(long)]
        if_missing: bool,
        /// Where to fetch from
        #[command(flatten)]
        archive: ArchiveArgs,
    },
    /// List the stored kernels
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Read every file and compare its hash
        #[arg(long)]
        verify: bool,
    },
    /// Add a kernel of your own
    Add {
        /// A bzImage, or a vmlinux with a PVH entry
        #[arg(long, value_name = "FILE", required_unless_present_any = ["deb", "tree"])]
        bzimage: Option<PathBuf>,
        /// Its modules: a lib/modules/RELEASE directory
        #[arg(long, value_name = "DIR", requires = "bzimage")]
        modules: Option<PathBuf>,
        /// In place of these, a Debian kernel package; again for each where a kernel is split
        #[arg(long, value_name = "FILE", conflicts_with = "bzimage")]
        deb: Vec<PathBuf>,
        /// In place of these, a tree in which a kernel was built: bzImage, .config and modules
        #[arg(long, value_name = "DIR", conflicts_with_all = ["bzimage", "deb"])]
        tree: Option<PathBuf>,
        /// What to call it
        #[arg(long)]
        name: String,
    },
    /// Build a kernel of your own and add it: tinyconfig, what a guest needs, and filesystems, all built in
    ///
    /// Built is what TREE has now; objects are kept, so that the next build takes only what changed. The source itself
    /// is not written to. A kernel that was added under the same name is replaced.
    Build(BuildArgs),
    /// List the kernels that the archives offer
    Search {
        /// Show only those that this means; all of them when not given
        spec: Option<String>,
        /// Where to fetch from
        #[command(flatten)]
        archive: ArchiveArgs,
    },
    /// Remove stored kernels that no run uses at the moment
    Remove {
        /// Name, release or digest of each
        #[arg(required = true)]
        spec: Vec<String>,
    },
    /// Remove pulled kernels that are not needed any more
    Gc {
        /// Kernels to keep; every named set when not given
        keep: Vec<String>,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Print, as JSON, the digests of the stored kernels that specs mean
    Lock {
        /// Specs or named sets; every stored kernel when not given
        spec: Vec<String>,
    },
}

/// Where to fetch from, in place of the machine's own package sources.
#[derive(Debug, Clone, Args)]
pub struct ArchiveArgs {
    /// Address of a Debian archive (or `COLDCUT_ARCHIVE`)
    #[arg(long, value_name = "URL")]
    archive: Option<String>,
    /// Address of a Debian security archive (or `COLDCUT_SECURITY_ARCHIVE`)
    #[arg(long, value_name = "URL")]
    security_archive: Option<String>,
    /// Keyring that the archives are signed by (or `COLDCUT_KEYRING`)
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// Take package lists that no key has signed; what is stored from them is marked `not verified`
    #[arg(long)]
    insecure: bool,
}

impl ArchiveArgs {
    /// Tells the store.
    pub(super) fn apply(self, store: &mut Store) {
        let options = &mut store.archive;
        options.main = self.archive.or(options.main.take());
        options.security = self.security_archive.or(options.security.take());
        options.keyring = self.keyring.or(options.keyring.take());
        options.insecure |= self.insecure;
    }
}

/// Runs a command of `coldcut kernel`.
///
/// # Errors
/// Why the command failed.
pub fn run(command: KernelCommand) -> anyhow::Result<()> {
    let mut store = Store::open_default()?;
    match command {
        KernelCommand::Pull {
            spec,
            if_missing,
            archive,
        } => {
            archive.apply(&mut store);
            pull(&store, &spec, if_missing)
        }
        KernelCommand::List { json, verify } => list(&store, json, verify),
        KernelCommand::Add {
            bzimage,
            modules,
            deb,
            tree,
            name,
        } => {
            let progress = Terminal::new();
            let kernel = match (bzimage, tree) {
                (Some(image), _) => store.add(&image, modules.as_deref(), &name, &progress)?,
                (None, Some(tree)) => store.add_tree(&tree, &name, &progress)?,
                (None, None) => store.add_debs(&deb, &name, &progress)?,
            };
            progress.done();
            outln!(
                "{} {} is stored ({})",
                kernel.name(),
                kernel.release(),
                short(&kernel)
            )?;
            Ok(())
        }
        KernelCommand::Build(args) => kernel_build::run(&store, &args),
        KernelCommand::Gc { keep, dry_run } => gc(&store, keep, dry_run),
        KernelCommand::Lock { spec } => lock(&store, &spec),
        KernelCommand::Search { spec, archive } => {
            archive.apply(&mut store);
            search(&store, spec.as_deref())
        }
        KernelCommand::Remove { spec } => {
            for spec in spec {
                let digest = store.find(&spec)?.digest().to_owned();
                store.remove(&digest)?;
                outln!("removed {spec} ({})", &digest[..12])?;
            }
            Ok(())
        }
    }
}

fn pull(store: &Store, specs: &[String], if_missing: bool) -> anyhow::Result<()> {
    let progress = Terminal::new();
    let pulled = store.pull_all(specs, if_missing, &progress)?;
    progress.done();
    for (spec, kernel) in pulled {
        outln!("{spec} is {} ({})", kernel.name(), short(&kernel))?;
    }
    Ok(())
}

fn gc(store: &Store, mut keep: Vec<String>, dry_run: bool) -> anyhow::Result<()> {
    let recipe = Recipe::built_in()?;
    if keep.is_empty() {
        keep = recipe.kernels.keys().cloned().collect();
    }
    let mut freed = 0;
    for kernel in store.unneeded(&recipe.expand(&keep))? {
        let (name, digest, size) = (
            kernel.name().to_owned(),
            kernel.digest().to_owned(),
            kernel.disk_usage(),
        );
        drop(kernel);
        if dry_run {
            outln!("would remove {name} ({})", &digest[..12])?;
        } else {
            match store.remove(&digest) {
                Ok(()) => outln!("removed {name} ({})", &digest[..12])?,
                Err(StoreError::Busy(why)) => {
                    outln!("{why}")?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
        }
        freed += size;
    }
    outln!(
        "{} MiB {}",
        freed >> 20,
        if dry_run { "would be freed" } else { "freed" }
    )?;
    Ok(())
}

/// One line of `kernel lock`.
#[derive(Serialize)]
struct Locked<'a> {
    spec: &'a str,
    name: &'a str,
    digest: &'a str,
    origin: &'a Origin,
}

fn lock(store: &Store, specs: &[String]) -> anyhow::Result<()> {
    let mut kernels = Vec::new();
    for spec in Recipe::built_in()?.expand(specs) {
        kernels.extend(
            store
                .find_all(&spec)?
                .into_iter()
                .map(|kernel| (spec.clone(), kernel)),
        );
    }
    if specs.is_empty() {
        kernels.extend(
            store
                .list()?
                .into_iter()
                .map(|kernel| (kernel.name().to_owned(), kernel)),
        );
    }
    let locked: Vec<_> = kernels
        .iter()
        .map(|(spec, k)| Locked {
            spec,
            name: k.name(),
            digest: k.digest(),
            origin: &k.manifest().origin,
        })
        .collect();
    outln!("{}", serde_json::to_string_pretty(&locked)?)?;
    Ok(())
}

fn list(store: &Store, json: bool, verify: bool) -> anyhow::Result<()> {
    let (kernels, newer) = store.scan()?;
    for error in newer {
        errln!("note: {error}");
    }
    if verify {
        kernels.iter().try_for_each(Kernel::verify)?;
    }
    if json {
        let manifests: Vec<_> = kernels.iter().map(Kernel::manifest).collect();
        outln!("{}", serde_json::to_string_pretty(&manifests)?)?;
        return Ok(());
    }
    if kernels.is_empty() {
        outln!("no kernels are stored; to get one: coldcut kernel pull 6.12")?;
        return Ok(());
    }
    let header = ["NAME", "VERSION", "FLAVOUR", "FROM", "ON DISK", "DIGEST"].map(str::to_owned);
    let rows = kernels.iter().map(|kernel| {
        let manifest = kernel.manifest();
        let from = match &manifest.origin {
            Origin::Debian { suite, .. } => suite.clone(),
            Origin::File { file } => file.clone(),
        };
        let size = format!("{} MiB", kernel.disk_usage() >> 20);
        [
            kernel.name().to_owned(),
            manifest.version.clone(),
            manifest.flavour.to_string(),
            from,
            size,
            short(kernel),
        ]
    });
    let all: Vec<_> = std::iter::once(header).chain(rows).collect();
    out!("{}", table(&all))?;
    Ok(())
}

fn search(store: &Store, spec: Option<&str>) -> anyhow::Result<()> {
    let progress = Terminal::new();
    let wanted = spec.map(crate::kernel::spec::Spec::parse).transpose()?;
    let puller = store.puller(&progress)?;
    progress.done();
    let header = ["RELEASE", "VERSION", "FLAVOUR", "SUITE", "DOWNLOAD"].map(str::to_owned);
    let fits = |o: &&crate::kernel::index::Offer| {
        wanted
            .as_ref()
            .is_none_or(|w| w.fits(o.version, &o.release, o.flavour))
    };
    let rows = puller.offers().iter().filter(fits).map(|offer| {
        let size = format!("{:.1} MiB", offer.size() as f64 / f64::from(1 << 20));
        [
            offer.release.clone(),
            offer.version.to_string(),
            offer.flavour.to_string(),
            offer.suite.clone(),
            size,
        ]
    });
    let all: Vec<_> = std::iter::once(header).chain(rows).collect();
    out!("{}", table(&all))?;
    Ok(())
}

fn short(kernel: &Kernel) -> String {
    kernel.digest().chars().take(12).collect()
}
