//! Which modules a guest needs, in load order, computed from what the modules say of themselves.
//!
//! A package carries no `modules.dep`, so the order comes from `depends=` (hard) and `softdep=` (when there
//! is such a module), as modprobe.d(5) and depmod(8) describe them. Nothing in the guest answers the kernel's
//! own requests for modules, so soft dependencies matter: without a crc32c driver ext4 does not mount.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::deb::Contents;
use super::decompress::{DecompressError, Format};
use super::elf::ModInfo;
use super::recipe::SetRecipe;

/// Largest unpacked module, in bytes.
const MAX_MODULE: u64 = 256 << 20;

/// Why the needed modules cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// A dependency is not in the packages.
    #[error("`{wanted_by}` depends on `{name}`, which is neither a module here nor built in")]
    Missing {
        /// The missing module.
        name: String,
        /// Who wants it.
        wanted_by: String,
    },
    /// A module that every guest needs is not there.
    #[error("`{0}` is neither a module here nor built in; coldcut's guests cannot do without it")]
    Required(String),
    /// A module cannot be unpacked.
    #[error("{0}: {1}")]
    Unpack(String, DecompressError),
    /// A module is no ELF file, or has no information.
    #[error("{0} is no kernel module: {1}")]
    NotAModule(String, String),
    /// A module was built for another kernel.
    #[error("{file} was built for {found}, the kernel is {expected}")]
    WrongRelease {
        /// The module file.
        file: String,
        /// Its release.
        found: String,
        /// The kernel's release.
        expected: String,
    },
    /// Modules that need each other.
    #[error("modules depend on each other in a circle at `{0}`")]
    Circle(String),
}

/// The modules of one kernel.
#[derive(Debug)]
pub struct ModuleTree<'a> {
    /// Path and packed bytes, by normalised name.
    files: BTreeMap<String, (&'a str, &'a [u8])>,
    builtin: BTreeMap<String, ModInfo>,
    release: &'a str,
}

/// A module ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadableModule {
    /// File name, `virtio_blk.ko`.
    pub file: String,
    /// The unpacked module.
    pub bytes: Vec<u8>,
}

/// Load orders by set, and the modules they name.
#[derive(Debug, Default)]
pub struct ModuleSets {
    /// File names in load order, by set name. A set whose modules are all built in is there, and empty.
    pub sets: BTreeMap<String, Vec<String>>,
    /// The modules by file name.
    pub modules: BTreeMap<String, Vec<u8>>,
}

/// The kernel treats `-` and `_` in module names alike.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// The module's name from its file name or path.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    normal(file.split(".ko").next().unwrap_or(file))
}

impl<'a> ModuleTree<'a> {
    /// Indexes the modules of a kernel of this release.
    pub fn new(contents: &'a Contents, release: &'a str) -> Self {
        let files = contents
            .modules
            .iter()
            .map(|(path, bytes)| (module_name(path), (path.as_str(), bytes.as_slice())))
            .collect();
        let mut builtin: BTreeMap<String, ModInfo> = BTreeMap::new();
        for line in text(contents.builtin.as_deref())
            .lines()
            .filter(|l| !l.trim().is_empty())
        {
            builtin.entry(module_name(line.trim())).or_default();
        }
        // Entries are `module.key=value`, NUL-terminated.
        for entry in text(contents.builtin_modinfo.as_deref()).split('\0') {
            if let Some((key, value)) = entry.split_once('=')
                && let Some((module, key)) = key.split_once('.')
            {
                builtin.entry(normal(module)).or_default().take(key, value);
            }
        }
        Self {
            files,
            builtin,
            release,
        }
    }

    /// Whether the kernel has this module, loadable or built in.
    pub fn has(&self, name: &str) -> bool {
        let name = normal(name);
        self.files.contains_key(&name) || self.builtin.contains_key(&name)
    }

    /// Computes every set of the recipe that this kernel can satisfy.
    ///
    /// # Errors
    /// [`ModuleError`].
    pub fn sets(&self, recipe: &BTreeMap<String, SetRecipe>) -> Result<ModuleSets, ModuleError> {
        let mut resolver = Resolver {
            tree: self,
            infos: HashMap::new(),
            crypto: None,
        };
        let mut out = ModuleSets::default();
        for (name, set) in recipe {
            if let Some(missing) = set.need.iter().find(|m| !self.has(m)) {
                if set.required {
                    return Err(ModuleError::Required(missing.clone()));
                }
                continue;
            }
            let mut order = Order::default();
            for module in set.want.iter().filter(|m| self.has(m)).chain(&set.need) {
                resolver.visit(&normal(module), &mut order)?;
            }
            let mut files = Vec::new();
            for module in order.done {
                let (_, bytes) = resolver
                    .infos
                    .get(&module)
                    .ok_or_else(|| ModuleError::Required(module.clone()))?;
                let file = format!("{module}.ko");
                out.modules.entry(file.clone()).or_insert_with(|| bytes.clone());
                files.push(file);
            }
            out.sets.insert(name.clone(), files);
        }
        Ok(out)
    }
}

fn text(bytes: Option<&[u8]>) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes.unwrap_or_default())
}

/// The order being built: what is done, and what is under way (to see circles).
#[derive(Default)]
struct Order {
    done: Vec<String>,
    seen: BTreeSet<String>,
    open: Vec<String>,
}

struct Resolver<'t, 'a> {
    tree: &'t ModuleTree<'a>,
    /// Information and unpacked bytes, by name.
    infos: HashMap<String, (ModInfo, Vec<u8>)>,
    /// Algorithm names to modules, read when first needed.
    crypto: Option<BTreeMap<String, Vec<String>>>,
}

impl Resolver<'_, '_> {
    /// Adds `name` after everything that it needs.
    fn visit(&mut self, name: &str, order: &mut Order) -> Result<(), ModuleError> {
        if order.seen.contains(name) {
            return Ok(());
        }
        if order.open.iter().any(|open| open == name) {
            return Err(ModuleError::Circle(name.to_owned()));
        }
        let loadable = self.tree.files.contains_key(name);
        let info = if loadable {
            self.load(name)?.clone()
        } else {
            self.builtin(name)
        };
        order.open.push(name.to_owned());
        for soft in &info.soft_pre {
            for module in self.providers(soft)? {
                // A soft dependency that leads back here is dropped, as modprobe does.
                if !order.open.contains(&module) {
                    self.visit(&module, order)?;
                }
            }
        }
        for hard in &info.depends {
            let hard = normal(hard);
            if !self.tree.has(&hard) {
                return Err(ModuleError::Missing {
                    name: hard,
                    wanted_by: name.to_owned(),
                });
            }
            self.visit(&hard, order)?;
        }
        order.open.pop();
        order.seen.insert(name.to_owned());
        if loadable {
            order.done.push(name.to_owned());
        }
        for soft in &info.soft_post {
            for module in self.providers(soft)? {
                if !order.open.contains(&module) {
                    self.visit(&module, order)?;
                }
            }
        }
        Ok(())
    }

    fn builtin(&self, name: &str) -> ModInfo {
        self.tree.builtin.get(name).cloned().unwrap_or_default()
    }

    /// Unpacks and reads a module, once.
    fn load(&mut self, name: &str) -> Result<&ModInfo, ModuleError> {
        if !self.infos.contains_key(name) {
            let (path, packed) = self
                .tree
                .files
                .get(name)
                .ok_or_else(|| ModuleError::Required(name.to_owned()))?;
            let bytes = unpack(path, packed)?;
            let info =
                ModInfo::of_module(&bytes).map_err(|e| ModuleError::NotAModule((*path).to_owned(), e))?;
            if let Some(found) = info.release.as_ref().filter(|r| *r != self.tree.release) {
                let (file, found) = ((*path).to_owned(), found.clone());
                return Err(ModuleError::WrongRelease {
                    file,
                    found,
                    expected: self.tree.release.to_owned(),
                });
            }
            self.infos.insert(name.to_owned(), (info, bytes));
        }
        Ok(&self.infos[name].0)
    }

    /// The modules that a soft dependency names: a module, or who implements a crypto algorithm.
    ///
    /// Of several implementations the generic one is taken: it loads on every processor.
    fn providers(&mut self, name: &str) -> Result<Vec<String>, ModuleError> {
        let plain = normal(name);
        if self.tree.has(&plain) {
            return Ok(vec![plain]);
        }
        let generic = format!("{plain}_generic");
        if self.tree.has(&generic) {
            return Ok(vec![generic]);
        }
        if self.crypto.is_none() {
            self.crypto = Some(self.read_crypto()?);
        }
        let of = self
            .crypto
            .as_ref()
            .and_then(|c| c.get(&plain))
            .cloned()
            .unwrap_or_default();
        let builtin = of.iter().any(|m| self.tree.builtin.contains_key(m));
        let generic = of.iter().find(|m| m.ends_with("_generic")).or_else(|| of.first());
        Ok(if builtin {
            Vec::new()
        } else {
            generic.cloned().into_iter().collect()
        })
    }

    /// Reads the aliases `crypto-<algorithm>` (and plain ones) of the crypto and library modules.
    fn read_crypto(&mut self) -> Result<BTreeMap<String, Vec<String>>, ModuleError> {
        const TREES: [&str; 3] = ["kernel/crypto/", "kernel/arch/x86/crypto/", "kernel/lib/"];
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut add = |module: &str, info: &ModInfo| {
            for alias in &info.aliases {
                let algorithm = alias.strip_prefix("crypto-").unwrap_or(alias);
                let list = found.entry(normal(algorithm)).or_default();
                if !list.iter().any(|m| m == module) {
                    list.push(module.to_owned());
                }
            }
        };
        for (name, info) in &self.tree.builtin {
            add(name, info);
        }
        for (name, (path, packed)) in &self.tree.files {
            if TREES.iter().any(|tree| path.starts_with(tree)) {
                let bytes = unpack(path, packed)?;
                let info = ModInfo::of_module(&bytes);
                add(
                    name,
                    &info.map_err(|e| ModuleError::NotAModule((*path).to_owned(), e))?,
                );
            }
        }
        Ok(found)
    }
}

fn unpack(path: &str, packed: &[u8]) -> Result<Vec<u8>, ModuleError> {
    match Format::of(packed).filter(|_| !super::elf::is_elf(packed)) {
        Some(format) => format
            .decompress(packed, MAX_MODULE)
            .map_err(|e| ModuleError::Unpack(path.to_owned(), e)),
        None => Ok(packed.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::decompress::tests::xz;
    use super::super::elf::tests::module;
    use super::*;

    const RELEASE: &str = "6.1.0-9";

    fn contents(modules: &[(&str, &[&str])], builtin: &str, modinfo: &str) -> Contents {
        let mut contents = Contents::default();
        let base = format!("lib/modules/{RELEASE}");
        for (path, entries) in modules {
            let mut entries = entries.to_vec();
            entries.push("vermagic=6.1.0-9 SMP ");
            let bytes = module(&entries);
            let bytes = if path.contains(".ko.xz") {
                xz(&bytes)
            } else {
                bytes
            };
            contents.take(&format!("{base}/kernel/{path}"), bytes).unwrap();
        }
        contents
            .take(&format!("{base}/modules.builtin"), builtin.into())
            .unwrap();
        contents
            .take(&format!("{base}/modules.builtin.modinfo"), modinfo.into())
            .unwrap();
        contents
    }

    fn recipe(need: &[&str], want: &[&str], required: bool) -> BTreeMap<String, SetRecipe> {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        BTreeMap::from([(
            "set".to_owned(),
            SetRecipe {
                need: list(need),
                want: list(want),
                required,
            },
        )])
    }

    fn order(contents: &Contents, need: &[&str]) -> Result<Option<Vec<String>>, ModuleError> {
        let sets = ModuleTree::new(contents, RELEASE).sets(&recipe(need, &[], false))?;
        Ok(sets
            .sets
            .get("set")
            .map(|files| files.iter().map(|f| f.replace(".ko", "")).collect()))
    }

    #[test]
    fn orders_hard_and_soft_dependencies() {
        let contents = contents(
            &[
                (
                    "fs/ext4/ext4.ko.xz",
                    &["depends=jbd2,mb-cache", "softdep=pre: crc32c"],
                ),
                ("fs/jbd2/jbd2.ko", &["depends="]),
                ("fs/mb-cache.ko", &["depends="]),
                ("lib/libcrc32c.ko", &["depends=", "softdep=pre: crc32c"]),
                ("crypto/crc32c_generic.ko", &["depends=", "alias=crypto-crc32c"]),
                (
                    "arch/x86/crypto/crc32c-intel.ko",
                    &["depends=", "alias=crypto-crc32c"],
                ),
                ("fs/xfs/xfs.ko", &["depends=libcrc32c"]),
            ],
            "",
            "",
        );
        assert_eq!(
            order(&contents, &["ext4"]).unwrap().unwrap(),
            ["crc32c_generic", "jbd2", "mb_cache", "ext4"]
        );
        assert_eq!(
            order(&contents, &["xfs"]).unwrap().unwrap(),
            ["crc32c_generic", "libcrc32c", "xfs"]
        );
        assert_eq!(order(&contents, &["f2fs"]).unwrap(), None);
    }

    #[test]
    fn built_in_modules_are_not_loaded_but_their_soft_dependencies_are() {
        let contents = contents(
            &[("crypto/sha256_generic.ko", &["depends=", "alias=crypto-sha256"])],
            "kernel/fs/ext4/ext4.ko\nkernel/fs/jbd2/jbd2.ko\n",
            "ext4.softdep=pre: sha256\0jbd2.license=GPL\0",
        );
        assert_eq!(order(&contents, &["ext4"]).unwrap().unwrap(), ["sha256_generic"]);
        assert!(order(&contents, &["jbd2"]).unwrap().unwrap().is_empty());
    }

    #[test]
    fn algorithms_are_found_by_alias() {
        let contents = contents(
            &[
                (
                    "fs/btrfs/btrfs.ko",
                    &["depends=", "softdep=pre: xxhash64 blake2b-256 sha256 nothing"],
                ),
                ("crypto/xxhash_generic.ko", &["depends=", "alias=crypto-xxhash64"]),
                (
                    "crypto/blake2b_generic.ko",
                    &["depends=", "alias=crypto-blake2b-256"],
                ),
                ("crypto/sha256_other.ko", &["depends=", "alias=crypto-sha256"]),
            ],
            "kernel/lib/crypto/sha256.ko\n",
            "sha256_built.alias=crypto-sha256\0",
        );
        assert_eq!(
            order(&contents, &["btrfs"]).unwrap().unwrap(),
            ["xxhash_generic", "blake2b_generic", "btrfs"]
        );
    }

    #[test]
    fn what_does_not_fit_gets_a_reason() {
        let one = contents(&[("a.ko", &["depends=nowhere"])], "", "");
        assert!(
            order(&one, &["a"])
                .unwrap_err()
                .to_string()
                .contains("`a` depends on `nowhere`")
        );
        let circle = contents(&[("a.ko", &["depends=b"]), ("b.ko", &["depends=a"])], "", "");
        assert!(order(&circle, &["a"]).unwrap_err().to_string().contains("circle"));
        let soft = contents(
            &[("a.ko", &["softdep=pre: b"]), ("b.ko", &["softdep=pre: a"])],
            "",
            "",
        );
        assert_eq!(order(&soft, &["a"]).unwrap().unwrap(), ["b", "a"]);
        let tree = ModuleTree::new(&one, RELEASE);
        let error = tree.sets(&recipe(&["virtio_blk"], &[], true)).unwrap_err();
        assert!(error.to_string().contains("`virtio_blk`"), "{error}");
        let other = ModuleTree::new(&soft, "6.2.0");
        let error = other.sets(&recipe(&["a"], &[], true)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("built for 6.1.0-9, the kernel is 6.2.0"),
            "{error}"
        );
    }

    #[test]
    fn wanted_modules_come_first_when_there_are_any() {
        let contents = contents(&[("a.ko", &["depends="]), ("w.ko", &["depends="])], "", "");
        let sets = ModuleTree::new(&contents, RELEASE)
            .sets(&recipe(&["a"], &["w", "absent"], false))
            .unwrap();
        assert_eq!(sets.sets["set"], ["w.ko", "a.ko"]);
        assert_eq!(sets.modules.keys().collect::<Vec<_>>(), ["a.ko", "w.ko"]);
    }
}
