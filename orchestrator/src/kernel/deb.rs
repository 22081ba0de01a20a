//! Takes from a Debian kernel package what coldcut needs: boot image, configuration, modules.
//!
//! Both layouts are known: one `linux-image` package with `/boot` and `/lib/modules` (up to 6.18), and the
//! split `linux-binary`, `linux-base` and `linux-modules` packages (6.19 and later), all under `/usr/lib`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};

use super::ar::ArError;
use super::decompress::DecompressError;
use super::package::{Entry, entries_of_package};

/// Largest file that is taken from a package.
const MAX_FILE: u64 = 256 << 20;
/// Most that is kept in memory from the packages of one kernel.
const MAX_KEPT: u64 = 1 << 30;
/// Most files in the packages of one kernel; the full flavour has about 5,000.
const MAX_ENTRIES: usize = 100_000;

/// Why a package cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The outer container.
    #[error("{0}")]
    Ar(ArError),
    /// There is no `data.tar`.
    #[error("not a Debian package: no data.tar member, only {0}")]
    NoData(String),
    /// `data.tar` is compressed in an unknown way.
    #[error("its {0} has no known compression")]
    UnknownCompression(String),
    /// Decompression failed.
    #[error("{0}")]
    Decompress(#[from] DecompressError),
    /// The tar archive is damaged, or too large.
    #[error("damaged package: {0}")]
    Tar(io::Error),
    /// A name is longer than any.
    #[error("damaged package: a name has more than {0} bytes")]
    LongName(u64),
    /// A file of the package is too large.
    #[error("its file {path} has {size} bytes, more than any kernel file ({MAX_FILE})")]
    FileTooLarge {
        /// The path in the package.
        path: String,
        /// Its size in bytes.
        size: u64,
    },
    /// Two packages, or one, have several kernels.
    #[error("it has two kernels: {0} and {1}")]
    TwoKernels(String, String),
    /// Too much altogether.
    #[error("it has more files, or more bytes, than any kernel package")]
    TooMuch,
}

/// What the packages of one kernel hold, as far as coldcut uses it.
#[derive(Debug, Default)]
pub struct Contents {
    /// Path and bytes of the boot image.
    pub boot: Option<(String, Vec<u8>)>,
    /// The kernel's configuration.
    pub config: Option<Vec<u8>>,
    /// `modules.builtin`: paths of what is built in.
    pub builtin: Option<Vec<u8>>,
    /// `modules.builtin.modinfo`: what built-in modules say of themselves.
    pub builtin_modinfo: Option<Vec<u8>>,
    /// Module files as packed, by path below `lib/modules/<release>/`.
    pub modules: BTreeMap<String, Vec<u8>>,
    /// `<release>` in `lib/modules/<release>`.
    pub modules_release: Option<String>,
    kept: u64,
    entries: usize,
}

/// What a path of a package is to us.
#[derive(Debug, PartialEq, Eq)]
enum Use<'a> {
    Boot,
    Config,
    Builtin(&'a str),
    BuiltinModinfo(&'a str),
    Module(&'a str, &'a str),
    Nothing,
}

/// Trees of modules that no coldcut guest loads; they are most of a full kernel.
const UNUSED: [&str; 17] = [
    "kernel/sound/",
    "kernel/net/",
    "kernel/drivers/net/",
    "kernel/drivers/gpu/",
    "kernel/drivers/media/",
    "kernel/drivers/infiniband/",
    "kernel/drivers/staging/",
    "kernel/drivers/usb/",
    "kernel/drivers/iio/",
    "kernel/drivers/hid/",
    "kernel/drivers/input/",
    "kernel/drivers/bluetooth/",
    "kernel/drivers/isdn/",
    "kernel/drivers/hwmon/",
    "kernel/drivers/video/",
    "kernel/drivers/platform/",
    "kernel/drivers/comedi/",
];

fn classify(path: &str) -> Use<'_> {
    if let Some(name) = path.strip_prefix("boot/") {
        return match name {
            _ if name.contains('/') => Use::Nothing,
            _ if name.starts_with("vmlinuz-") => Use::Boot,
            _ if name.starts_with("config-") => Use::Config,
            _ => Use::Nothing,
        };
    }
    let Some(below) = path
        .strip_prefix("usr/")
        .unwrap_or(path)
        .strip_prefix("lib/modules/")
    else {
        return Use::Nothing;
    };
    match below.split_once('/') {
        Some((_, "vmlinuz")) => Use::Boot,
        Some((_, "config")) => Use::Config,
        Some((release, "modules.builtin")) => Use::Builtin(release),
        Some((release, "modules.builtin.modinfo")) => Use::BuiltinModinfo(release),
        Some((release, file)) if is_module(file) && !UNUSED.iter().any(|tree| file.starts_with(tree)) => {
            Use::Module(release, file)
        }
        _ => Use::Nothing,
    }
}

/// True for the name of a module file, packed or not.
pub fn is_module(file: &str) -> bool {
    [".ko", ".ko.xz", ".ko.zst", ".ko.gz"]
        .iter()
        .any(|ext| file.ends_with(ext))
}

impl Contents {
    /// Reads one package and adds what it holds.
    ///
    /// # Errors
    /// [`DebError`].
    pub fn add_deb(&mut self, path: &Path) -> Result<(), DebError> {
        entries_of_package(path, &mut |entry| self.add(entry))
    }

    /// Adds an entry, if it is of use.
    fn add(&mut self, entry: &mut Entry<'_>) -> Result<(), DebError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(DebError::TooMuch);
        }
        let path = Some(entry.name).filter(|_| entry.kind.is_file()).and_then(plain);
        let Some(path) = path.filter(|path| classify(path) != Use::Nothing) else {
            return Ok(());
        };
        let size = entry.size;
        if size > MAX_FILE {
            return Err(DebError::FileTooLarge { path, size });
        }
        // The size is the archive's word; memory is taken as bytes come.
        let mut bytes = Vec::new();
        entry.data.read_to_end(&mut bytes).map_err(DebError::Tar)?;
        self.take(&path, bytes)
    }

    /// Keeps a file of a package (or of an unpacked tree) when it is of use. `path` is relative to `/`.
    ///
    /// # Errors
    /// [`DebError`].
    pub fn take(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), DebError> {
        self.kept += bytes.len() as u64;
        if self.kept > MAX_KEPT {
            return Err(DebError::TooMuch);
        }
        match classify(path) {
            Use::Boot => {
                if let Some((first, _)) = &self.boot {
                    return Err(DebError::TwoKernels(first.clone(), path.to_owned()));
                }
                self.boot = Some((path.to_owned(), bytes));
            }
            Use::Config => self.config = Some(bytes),
            Use::Builtin(release) => {
                self.one_release(release)?;
                self.builtin = Some(bytes);
            }
            Use::BuiltinModinfo(release) => {
                self.one_release(release)?;
                self.builtin_modinfo = Some(bytes);
            }
            Use::Module(release, file) => {
                self.one_release(release)?;
                self.modules.insert(file.to_owned(), bytes);
            }
            Use::Nothing => {}
        }
        Ok(())
    }

    fn one_release(&mut self, release: &str) -> Result<(), DebError> {
        match &self.modules_release {
            Some(first) if first != release => Err(DebError::TwoKernels(first.clone(), release.to_owned())),
            Some(_) => Ok(()),
            None => {
                self.modules_release = Some(release.to_owned());
                Ok(())
            }
        }
    }
}

/// The path without `./`, when it is plain UTF-8 and does not climb.
fn plain(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir | Component::RootDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::ar::tests::archive;
    use super::super::decompress::tests::{gzip, xz, zstd};
    use std::io::Read;

    use tar::EntryType;

    use super::*;

    pub(crate) fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, data) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// A package whose data member is xz.
    pub(crate) fn deb_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        archive(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", b""),
            ("data.tar.xz", &xz(&tar_of(files))),
        ])
    }

    fn read(bytes: &[u8]) -> Result<Contents, DebError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.deb");
        std::fs::write(&path, bytes).unwrap();
        let mut contents = Contents::default();
        contents.add_deb(&path).map(|()| contents)
    }

    const FILES: [(&str, &[u8]); 7] = [
        ("./boot/vmlinuz-6.1.0-9-cloud-amd64", b"image"),
        ("./boot/config-6.1.0-9-cloud-amd64", b"CONFIG_X=y"),
        ("./boot/System.map-6.1.0-9-cloud-amd64", b"map"),
        (
            "./lib/modules/6.1.0-9-cloud-amd64/modules.builtin",
            b"kernel/fs/ext4/ext4.ko\n",
        ),
        ("./lib/modules/6.1.0-9-cloud-amd64/kernel/fs/xfs/xfs.ko", b"xfs"),
        ("./lib/modules/6.1.0-9-cloud-amd64/kernel/sound/snd.ko", b"noise"),
        ("./usr/share/doc/x/copyright", b"text"),
    ];

    #[test]
    fn takes_what_is_needed_under_each_compression() {
        let tar = tar_of(&FILES);
        for (name, data) in [
            ("data.tar", tar.clone()),
            ("data.tar.xz", xz(&tar)),
            ("data.tar.zst", zstd(&tar)),
            ("data.tar.gz", gzip(&tar)),
        ] {
            let contents = read(&archive(&[("debian-binary", b"2.0\n"), (name, &data)])).unwrap();
            let boot = contents.boot.unwrap();
            assert_eq!(
                (boot.0.as_str(), &boot.1[..]),
                ("boot/vmlinuz-6.1.0-9-cloud-amd64", &b"image"[..])
            );
            assert_eq!(contents.config.unwrap(), b"CONFIG_X=y");
            assert_eq!(contents.builtin.unwrap(), b"kernel/fs/ext4/ext4.ko\n");
            assert_eq!(
                contents.modules.keys().collect::<Vec<_>>(),
                ["kernel/fs/xfs/xfs.ko"],
                "{name}"
            );
            assert_eq!(contents.modules_release.as_deref(), Some("6.1.0-9-cloud-amd64"));
        }
    }

    #[test]
    fn knows_the_split_layout() {
        assert_eq!(
            classify("usr/lib/modules/7.3.4+deb13-cloud-amd64/vmlinuz"),
            Use::Boot
        );
        assert_eq!(classify("usr/lib/modules/7.3.4/config"), Use::Config);
        assert_eq!(
            classify("usr/lib/modules/7.3/kernel/a.ko.xz"),
            Use::Module("7.3", "kernel/a.ko.xz")
        );
        assert_eq!(
            classify("usr/lib/modules/7.3/modules.builtin.modinfo"),
            Use::BuiltinModinfo("7.3")
        );
        assert_eq!(classify("boot/grub/vmlinuz-x"), Use::Nothing);
    }

    #[test]
    fn bad_packages_get_a_reason() {
        let says = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        assert!(says(b"hello").contains("not a Debian package"));
        assert!(says(&archive(&[("debian-binary", b"2.0\n")])).contains("only debian-binary"));
        assert!(says(&archive(&[("data.tar.xz", b"no xz at all")])).contains("no known compression"));
        let packed = xz(&tar_of(&FILES));
        let cut = &packed[..packed.len() / 2];
        assert!(says(&archive(&[("data.tar.xz", cut)])).contains("damaged package"));
        let two = deb_of(&[("boot/vmlinuz-a", b"1"), ("boot/vmlinuz-b", b"2")]);
        assert!(says(&two).contains("two kernels: boot/vmlinuz-a and boot/vmlinuz-b"));
    }

    /// A tar stream with one entry of this type in front of `FILES`.
    fn tar_with(kind: EntryType, data: &mut dyn Read, size: u64) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path("x").unwrap();
        header.set_size(size);
        header.set_cksum();
        builder.append(&header, data).unwrap();
        let mut all = builder.into_inner().unwrap();
        all.truncate(512 + size.next_multiple_of(512) as usize);
        all.extend(tar_of(&FILES));
        all
    }

    #[test]
    fn names_are_bounded() {
        for kind in [EntryType::GNULongName, EntryType::XHeader] {
            let size = 64 << 20;
            let tar = tar_with(kind, &mut io::repeat(b'n').take(size), size);
            let deb = archive(&[("debian-binary", b"2.0\n"), ("data.tar.zst", &zstd(&tar))]);
            let error = read(&deb).map(|_| ()).unwrap_err();
            assert!(matches!(error, DebError::LongName(_)), "{error}");
        }
        // One that is long and no longer than paths are names the file that follows it.
        let name = format!(
            "lib/modules/6.1.0-9-cloud-amd64/kernel/{}/long.ko",
            "d".repeat(200)
        );
        let tar = tar_of(&[(&name, b"module")]);
        let contents = read(&archive(&[("debian-binary", b"2.0\n"), ("data.tar", &tar)])).unwrap();
        assert!(contents.modules.keys().next().unwrap().ends_with("/long.ko"));
        let record = b"40 path=boot/vmlinuz-of-pax-12345678901\n";
        let tar = tar_with(EntryType::XHeader, &mut &record[..], record.len() as u64);
        let contents = read(&archive(&[("debian-binary", b"2.0\n"), ("data.tar", &tar)])).unwrap();
        assert_eq!(contents.boot.unwrap().0, "boot/vmlinuz-of-pax-12345678901");
    }

    #[test]
    fn climbing_paths_are_ignored() {
        assert_eq!(plain(Path::new("./boot/../etc/passwd")), None);
        assert_eq!(plain(Path::new("/boot/x")).as_deref(), Some("boot/x"));
    }
}
