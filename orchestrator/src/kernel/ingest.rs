//! From the contents of packages, or a user's files, to an entry of the store.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::bzimage::{self, ImageKind};
use super::deb::Contents;
use super::decompress::DecompressError;
use super::elf;
use super::entry::Kernel;
use super::error::StoreError;
use super::manifest::{BootKind, FORMAT, Flavour, Manifest, Origin};
use super::modules::{ModuleSets, ModuleTree};
use super::progress::Progress;
use super::recipe::Recipe;
use super::spec::{Spec, Wanted};
use super::staging::Staging;
use super::store::Store;
use super::unpacked::{self, VMLINUX};
use super::version::KernelVersion;

/// Most files that are looked at below a directory of modules.
const MAX_TREE: usize = 100_000;

/// What is known of a kernel before it is unpacked.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The name to give, else the release.
    pub(crate) name: Option<String>,
    /// The upstream version, else that of the release.
    pub(crate) version: Option<KernelVersion>,
    pub(crate) flavour: Flavour,
    pub(crate) origin: Origin,
    /// For messages.
    pub(crate) label: PathBuf,
}

impl Store {
    /// Adds a bzImage or vmlinux of the user's own under a name.
    ///
    /// `modules` is a `lib/modules/<release>` directory (or one above it). Without it everything that a guest
    /// needs must be built in. Adding the same files under the same name again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the files give no kernel, or the name is taken or not valid.
    pub fn add(
        &self,
        image: &Path,
        modules: Option<&Path>,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<Kernel, StoreError> {
        check_name(name)?;
        let mut contents = Contents::default();
        contents.boot = Some((
            image.display().to_string(),
            read_bounded(image, bzimage::MAX_IMAGE)?,
        ));
        if let Some(dir) = modules {
            add_tree(&mut contents, dir)?;
        }
        self.add_contents(&contents, image, name, progress)
    }

    /// Adds the kernel of a build tree: its bzImage, its configuration, and the modules that it lists as built.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_tree(&self, tree: &Path, name: &str, progress: &dyn Progress) -> Result<Kernel, StoreError> {
        check_name(name)?;
        let image = tree.join("arch/x86/boot/bzImage");
        let mut contents = Contents::default();
        contents.boot = Some((
            image.display().to_string(),
            read_bounded(&image, bzimage::MAX_IMAGE)?,
        ));
        let mut take = |path: &Path, as_if: &str| -> Result<(), StoreError> {
            let bytes = read_bounded(path, bzimage::MAX_IMAGE)?;
            contents.take(as_if, bytes).map_err(|cause| StoreError::Deb {
                path: path.to_owned(),
                cause,
            })
        };
        let base = "lib/modules/given";
        for (file, as_if) in [
            (".config", "boot/config-given"),
            ("modules.builtin", "lib/modules/given/modules.builtin"),
            (
                "modules.builtin.modinfo",
                "lib/modules/given/modules.builtin.modinfo",
            ),
        ] {
            let path = tree.join(file);
            if path.is_file() {
                take(&path, as_if)?;
            }
        }
        // A line a module: `kernel/fs/ext4/ext4.ko` up to 6.1, `fs/ext4/ext4.o` since.
        let order = fs::read_to_string(tree.join("modules.order")).unwrap_or_default();
        for line in order.lines().take(MAX_TREE) {
            let line = line.strip_prefix("kernel/").unwrap_or(line);
            let stem = line
                .strip_suffix(".ko")
                .or_else(|| line.strip_suffix(".o"))
                .unwrap_or(line);
            let inside =
                !stem.is_empty() && !stem.starts_with('/') && !stem.split('/').any(|part| part == "..");
            let path = tree.join(format!("{stem}.ko"));
            if inside && path.is_file() {
                take(&path, &format!("{base}/kernel/{stem}.ko"))?;
            }
        }
        self.add_contents(&contents, &image, name, progress)
    }

    /// Adds the kernel of a tree that was built anew: an earlier kernel of the user's own with that name gives way, and a
    /// kernel that came out as one that is stored already is that one.
    ///
    /// # Errors
    /// [`StoreError::PulledName`] when the name belongs to a pulled kernel; else as [`Self::add`].
    pub fn add_built(&self, tree: &Path, name: &str, progress: &dyn Progress) -> Result<Kernel, StoreError> {
        match self.add_tree(tree, name, progress) {
            Err(StoreError::NameTaken { digest, .. }) => {
                let earlier = self.find(&digest)?;
                if earlier.manifest().flavour != Flavour::Custom {
                    return Err(StoreError::PulledName(name.to_owned()));
                }
                drop(earlier);
                self.remove(&digest)?;
                self.add_tree(tree, name, progress)
            }
            // Nothing that matters changed since another name was given to it.
            Err(StoreError::SameKernel { digest, .. }) => self.find(&digest),
            added => added,
        }
    }

    /// Adds the kernel of one or more `.deb` files of the user's own under a name.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_debs(
        &self,
        debs: &[PathBuf],
        name: &str,
        progress: &dyn Progress,
    ) -> Result<Kernel, StoreError> {
        check_name(name)?;
        let mut contents = Contents::default();
        for deb in debs {
            contents.add_deb(deb).map_err(|cause| StoreError::Deb {
                path: deb.clone(),
                cause,
            })?;
        }
        self.add_contents(
            &contents,
            debs.first().map_or(Path::new("no package"), PathBuf::as_path),
            name,
            progress,
        )
    }

    fn add_contents(
        &self,
        contents: &Contents,
        from: &Path,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<Kernel, StoreError> {
        let file = from
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let identity = Identity {
            name: Some(name.to_owned()),
            version: None,
            flavour: Flavour::Custom,
            origin: Origin::File { file },
            label: from.to_owned(),
        };
        let staging = Staging::new(self.kernels())?;
        self.ingest(staging, contents, identity, progress)
    }

    /// Stores a kernel from what its packages hold.
    pub(crate) fn ingest(
        &self,
        mut staging: Staging,
        contents: &Contents,
        identity: Identity,
        progress: &dyn Progress,
    ) -> Result<Kernel, StoreError> {
        let label = &identity.label;
        let image_error = |cause| StoreError::Image {
            path: label.clone(),
            cause,
        };
        let Some((_, image)) = &contents.boot else {
            return Err(image_error(bzimage::ImageError::NotAKernel(
                "; the packages hold no vmlinuz".into(),
            )));
        };
        progress.stage("extracting the kernel");
        let kind = bzimage::kind(image).map_err(image_error)?;
        let release = bzimage::release(image).map_err(image_error)?;
        let stored = store_image(&mut staging, kind, image).map_err(image_error)??;
        say_what_it_lacks(&stored, contents, &release, progress);
        let (boot, boot_note) = (stored.boot, stored.slower);
        if let Some(config) = &contents.config {
            staging.write("config", config)?;
        }
        progress.stage("choosing modules");
        let ModuleSets { sets, modules } = Self::module_sets(contents, &release, identity.flavour)?;
        for (file, bytes) in &modules {
            staging.write(&format!("modules/{file}"), bytes)?;
        }
        let leading = KernelVersion::leading(&release);
        let version = identity
            .version
            .or(leading)
            .ok_or_else(|| image_error(bzimage::ImageError::NoRelease))?;
        let mut manifest = Manifest {
            format: FORMAT,
            digest: String::new(),
            name: identity.name.unwrap_or_else(|| release.clone()),
            release,
            version: version.to_string(),
            series: version.series(),
            flavour: identity.flavour,
            boot,
            boot_note,
            origin: identity.origin,
            files: Vec::new(),
            sets,
            stored_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| d.as_secs()),
            coldcut: env!("CARGO_PKG_VERSION").to_owned(),
        };
        progress.stage("storing");
        let kernels = self.kernels();
        let _lock = self.write_lock()?;
        staging.seal(&mut manifest);
        if let Some(kernel) = self.stored_already(&manifest)? {
            return Ok(kernel);
        }
        staging.commit(kernels, &manifest)?;
        let dir = kernels.entry(&manifest.digest);
        unpacked::prune(kernels.root(), unpacked::KEEP, Some(&dir));
        Kernel::load(&dir)?.ok_or_else(|| StoreError::Damaged {
            path: dir,
            what: "it vanished".to_owned(),
        })
    }

    /// The stored kernel that this is, if there is one; an error where one of its name or digest is in the way.
    fn stored_already(&self, manifest: &Manifest) -> Result<Option<Kernel>, StoreError> {
        for other in self.list()? {
            let same_digest = other.digest() == manifest.digest;
            if same_digest && (other.name() == manifest.name || manifest.flavour != Flavour::Custom) {
                return Ok(Some(other));
            }
            let (name, digest) = (other.name().to_owned(), other.digest().to_owned());
            if same_digest {
                return Err(StoreError::SameKernel { name, digest });
            }
            if name == manifest.name && manifest.flavour == Flavour::Custom {
                return Err(StoreError::NameTaken { name, digest });
            }
        }
        Ok(None)
    }

    fn module_sets(contents: &Contents, release: &str, flavour: Flavour) -> Result<ModuleSets, StoreError> {
        if contents.modules.is_empty() && contents.builtin.is_none() {
            // A kernel without modules: nothing tells what is built in.
            return Ok(ModuleSets::default());
        }
        let mut recipe = Recipe::built_in()?.modules;
        if flavour == Flavour::Custom && contents.builtin.is_none() {
            // Without a list of what is built in, a missing module may well be.
            for set in recipe.values_mut() {
                set.required = false;
            }
        }
        ModuleTree::new(contents, release)
            .sets(&recipe)
            .map_err(|cause| StoreError::Modules {
                kernel: release.to_owned(),
                cause,
            })
    }
}

fn check_name(name: &str) -> Result<(), StoreError> {
    let plain = (1..=100).contains(&name.len())
        && !name.starts_with(['-', '.'])
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+~-".contains(c));
    match Spec::parse(name) {
        Ok(Spec {
            wanted: Wanted::Name(_),
            ..
        }) if plain => Ok(()),
        _ => Err(StoreError::BadName(name.to_owned())),
    }
}

fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    let file = fs::File::open(path).map_err(StoreError::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(StoreError::io("read", path))?;
    if bytes.len() as u64 > limit {
        let error = std::io::Error::other(format!("it is larger than {} MiB, as no kernel is", limit >> 20));
        return Err(StoreError::io("use", path)(error));
    }
    Ok(bytes)
}

/// Reads the modules below `dir`, which is `…/lib/modules/<release>` or has that below it.
fn add_tree(contents: &mut Contents, dir: &Path) -> Result<(), StoreError> {
    let mut todo = vec![dir.to_owned()];
    let mut seen = 0;
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).map_err(StoreError::io("read", &at))? {
            let entry = entry.map_err(StoreError::io("read", &at))?;
            seen += 1;
            if seen > MAX_TREE {
                return Err(StoreError::io("use", dir)(std::io::Error::other(
                    "it has more files than any kernel",
                )));
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(StoreError::io("read", &path))?;
            if kind.is_dir() {
                todo.push(path);
            } else if kind.is_file() {
                let text = path.to_string_lossy();
                // The part from the first tree of modules on; the release is checked by each module's vermagic.
                let below = text
                    .rfind("/kernel/")
                    .map(|i| &text[i + 1..])
                    .or_else(|| text.rsplit('/').next());
                let keep = |name: &str| name.starts_with("modules.builtin") || super::deb::is_module(name);
                if let Some(below) = below.filter(|b| keep(b)) {
                    let bytes = read_bounded(&path, bzimage::MAX_IMAGE)?;
                    contents
                        .take(&format!("lib/modules/given/{below}"), bytes)
                        .map_err(|cause| StoreError::Deb {
                            path: path.clone(),
                            cause,
                        })?;
                }
            }
        }
    }
    Ok(())
}

/// A staged kernel image.
struct Stored {
    boot: BootKind,
    /// Why it does not boot through PVH, which is faster.
    slower: Option<String>,
    /// Drivers that every guest needs and that the image does not have, as far as can be seen.
    lacks: Vec<&'static str>,
}

/// The names of drivers that every guest needs, as a kernel has them that has them built in.
const DRIVERS: [&str; 3] = ["virtio_blk", "virtio_console", "virtio-pci"];

/// Stages a kernel image as what QEMU boots fastest. One that is damaged is refused; the result within is of the staging.
fn store_image(
    staging: &mut Staging,
    kind: ImageKind,
    image: &[u8],
) -> Result<Result<Stored, StoreError>, bzimage::ImageError> {
    let stored = |boot, slower, lacks| Stored { boot, slower, lacks };
    let (slower, unpacked) = match kind {
        ImageKind::Vmlinux => {
            let written = staging.write(VMLINUX, image);
            return Ok(written.map(|()| stored(BootKind::Pvh, None, lacks(image))));
        }
        ImageKind::BzImage => match bzimage::extract_vmlinux(image) {
            Ok(vmlinux) => (elf::pvh_entry(&vmlinux).err(), Some(vmlinux)),
            // QEMU and the kernel itself may read what coldcut does not.
            Err(bzimage::ImageError::Payload(DecompressError::Unsupported(how))) => {
                (Some(DecompressError::Unsupported(how).to_string()), None)
            }
            Err(damaged) => return Err(damaged),
        },
    };
    let mut write = || {
        staging.write("bzImage", image)?;
        match (&slower, &unpacked) {
            (None, Some(vmlinux)) => staging.write_derived(VMLINUX, vmlinux),
            _ => Ok(()),
        }
    };
    let written = write();
    let lacks = unpacked.as_deref().map_or_else(Vec::new, lacks);
    let boot = if slower.is_none() {
        BootKind::Pvh
    } else {
        BootKind::BzImage
    };
    Ok(written.map(|()| stored(boot, slower, lacks)))
}

/// Says why a kernel boots more slowly, and what guests will miss.
fn say_what_it_lacks(stored: &Stored, contents: &Contents, release: &str, progress: &dyn Progress) {
    if let Some(why) = &stored.slower {
        progress.note(&format!("{release} boots as a bzImage, which is slower: {why}"));
    }
    let alone = contents.modules.is_empty() && contents.builtin.is_none();
    if alone && !stored.lacks.is_empty() {
        progress.note(&format!(
            "{release} has no {} built in, and came without modules: guests need them (--modules DIR)",
            stored.lacks.join(", ")
        ));
    }
}

fn lacks(vmlinux: &[u8]) -> Vec<&'static str> {
    let has = |name: &str| {
        let wanted = [b"\0", name.as_bytes(), b"\0"].concat();
        let first = wanted[1];
        let mut at = 1;
        while let Some(next) = vmlinux
            .get(at..)
            .and_then(|rest| rest.iter().position(|&b| b == first))
        {
            let start = at + next - 1;
            if vmlinux[start..].starts_with(&wanted) {
                return true;
            }
            at = start + 2;
        }
        false
    };
    DRIVERS.into_iter().filter(|name| !has(name)).collect()
}
