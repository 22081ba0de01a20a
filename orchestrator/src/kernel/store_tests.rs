//! Tests of the store with made-up kernels: what goes in comes out, and damage is seen.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::bzimage::tests::bzimage;
use super::deb::Contents;
use super::deb::tests::deb_of;
use super::decompress::tests::xz;
use super::elf::tests::{module, vmlinux};
use super::entry::Kernel;
use super::error::StoreError;
use super::ingest::Identity;
use super::manifest::{BootKind, Flavour, Origin};
use super::progress::Silent;
use super::staging::Staging;
use super::store::Store;
use super::version::KernelVersion;

struct Bench {
    dir: TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Stores a package as a pull would.
    fn ingest(&self, version: &str, flavour: Flavour, files: &[(&str, &[u8])]) -> Result<Kernel, StoreError> {
        let path = self.file("x.deb", &deb_of(files));
        let mut contents = Contents::default();
        contents
            .add_deb(&path)
            .map_err(|cause| StoreError::Deb { path, cause })?;
        let identity = Identity {
            name: None,
            version: KernelVersion::leading(version),
            flavour,
            origin: Origin::Debian {
                suite: "some-suite".to_owned(),
                packages: Vec::new(),
            },
            label: "x.deb".into(),
        };
        let staging = Staging::new(self.store.kernels())?;
        self.store.ingest(staging, &contents, identity, &Silent)
    }

    fn pulled(&self, release: &str, version: &str, flavour: Flavour) -> Kernel {
        let image = image(release, true);
        let boot = format!("boot/vmlinuz-{release}");
        let base = format!("lib/modules/{release}");
        let vermagic = format!("vermagic={release} SMP");
        let ko = |depends: &str| module(&[depends, &vermagic]);
        let builtin = format!("{base}/modules.builtin");
        let blk = format!("{base}/kernel/drivers/block/virtio_blk.ko.xz");
        let virtio = format!("{base}/kernel/drivers/virtio/virtio.ko");
        let names = b"kernel/drivers/virtio/virtio_pci.ko\nkernel/drivers/char/virtio_console.ko\n";
        self.ingest(
            version,
            flavour,
            &[
                (&boot, &image),
                (&builtin, names),
                (&blk, &xz(&ko("depends=virtio"))),
                (&virtio, &ko("depends=")),
            ],
        )
        .unwrap()
    }

    /// Names of what is in the directory of entries.
    fn entries(&self) -> Vec<String> {
        let names = fs::read_dir(self.store.kernels_dir()).unwrap();
        names
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn image(release: &str, pvh: bool) -> Vec<u8> {
    let inner = vmlinux(format!("text of {release}").as_bytes(), pvh.then_some(0x1000));
    bzimage(release, &xz(&inner), Some(inner.len() as u32))
}

fn names(modules: &[(String, PathBuf)]) -> Vec<&str> {
    modules.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_pulled_kernel_is_found_by_every_name() {
    let bench = Bench::new();
    let kernel = bench.pulled("6.1.0-9-cloud-amd64", "6.1.27-1", Flavour::Cloud);
    let digest = kernel.digest().to_owned();
    for spec in [
        "6.1",
        "6.1.27",
        "newest",
        "6.1.0-9-cloud-amd64",
        "6.1:cloud",
        &digest,
        &digest[..8],
    ] {
        assert_eq!(bench.store.find(spec).unwrap().digest(), digest, "{spec}");
    }
    for spec in ["6.1.0", "6.1:full", "6.12", &digest[..7], "other"] {
        let text = bench.store.find(spec).unwrap_err().to_string();
        assert!(
            text.contains("stored: 6.1.0-9-cloud-amd64") && text.contains("kernel pull"),
            "{spec}: {text}"
        );
    }
    assert_eq!(kernel.boot_image().unwrap(), kernel.dir().join("vmlinux"));
    assert!(
        fs::read(kernel.boot_image().unwrap())
            .unwrap()
            .starts_with(b"\x7fELF")
    );
    assert!(kernel.bzimage().unwrap().is_file());
    kernel.verify().unwrap();
}

#[test]
fn modules_come_in_load_order_once_and_unpacked() {
    let bench = Bench::new();
    let kernel = bench.pulled("6.1.0-9-cloud-amd64", "6.1.27-1", Flavour::Cloud);
    let modules = kernel.modules(&["base", "disk"]).unwrap();
    assert_eq!(names(&modules), ["virtio.ko", "virtio_blk.ko"]);
    for (_, path) in &modules {
        assert!(
            fs::read(path).unwrap().starts_with(b"\x7fELF"),
            "{}",
            path.display()
        );
    }
    assert!(kernel.modules(&["console"]).unwrap().is_empty());
    assert!(kernel.has_set("console") && !kernel.has_set("fs:f2fs"));
    let text = kernel.modules(&["base", "fs:f2fs"]).unwrap_err().to_string();
    assert!(
        text.contains("`fs:f2fs`") && text.contains("kernel pull 6.1:full"),
        "{text}"
    );
}

#[test]
fn of_a_series_the_newest_cloud_build_is_taken() {
    let bench = Bench::new();
    bench.pulled("6.1.0-9-cloud-amd64", "6.1.90-1", Flavour::Cloud);
    bench.pulled("6.1.0-10-cloud-amd64", "6.1.172-1", Flavour::Cloud);
    bench.pulled("6.1.0-10-amd64", "6.1.172-1", Flavour::Full);
    bench.pulled("6.12.1-cloud-amd64", "6.12.1-1", Flavour::Cloud);
    let of = |spec| bench.store.find(spec).unwrap().name().to_owned();
    assert_eq!(of("6.1"), "6.1.0-10-cloud-amd64");
    assert_eq!(of("6.1:full"), "6.1.0-10-amd64");
    assert_eq!(of("6.1.90"), "6.1.0-9-cloud-amd64");
    assert_eq!(of("newest"), "6.12.1-cloud-amd64");
    let listed: Vec<_> = bench
        .store
        .list()
        .unwrap()
        .iter()
        .map(|k| k.name().to_owned())
        .collect();
    assert_eq!(
        listed,
        [
            "6.1.0-9-cloud-amd64",
            "6.1.0-10-amd64",
            "6.1.0-10-cloud-amd64",
            "6.12.1-cloud-amd64"
        ]
    );
}

#[test]
fn the_same_kernel_has_the_same_digest_everywhere() {
    let (one, two) = (Bench::new(), Bench::new());
    let first = one.pulled("6.1.0-9-cloud-amd64", "6.1.27-1", Flavour::Cloud);
    assert_eq!(
        first.digest(),
        two.pulled("6.1.0-9-cloud-amd64", "6.1.27-1", Flavour::Cloud)
            .digest()
    );
    assert_eq!(
        first.digest(),
        one.pulled("6.1.0-9-cloud-amd64", "6.1.27-1", Flavour::Cloud)
            .digest()
    );
    assert_eq!(one.entries(), [first.digest()]);
    assert_ne!(
        first.digest(),
        two.pulled("6.1.0-8-cloud-amd64", "6.1.25-1", Flavour::Cloud)
            .digest()
    );
}

#[test]
fn without_a_pvh_entry_the_bzimage_boots() {
    let bench = Bench::new();
    let path = bench.file("bzImage", &image("6.1.0", false));
    let kernel = bench.store.add(&path, None, "mine", &Silent).unwrap();
    assert_eq!(kernel.manifest().boot, BootKind::BzImage);
    assert_eq!(kernel.boot_image().unwrap(), kernel.dir().join("bzImage"));
    assert!(
        kernel
            .manifest()
            .boot_note
            .as_ref()
            .unwrap()
            .contains("CONFIG_PVH")
    );
    assert!(kernel.modules(&["base", "fs:ext4"]).unwrap().is_empty());
    // A user's own kernel is not meant by a series.
    assert!(bench.store.find("6.1").is_err());
    assert_eq!(bench.store.find("mine").unwrap().digest(), kernel.digest());
}

#[test]
fn adding_needs_a_name_of_its_own() {
    let bench = Bench::new();
    let path = bench.file("bzImage", &image("6.1.0", true));
    let other = bench.file("other", &image("6.2.0", true));
    let add = |path: &Path, name: &str| bench.store.add(path, None, name, &Silent);
    let first = add(&path, "mine").unwrap();
    assert_eq!(add(&path, "mine").unwrap().digest(), first.digest());
    assert!(matches!(add(&other, "mine"), Err(StoreError::NameTaken { .. })));
    assert!(matches!(add(&path, "yours"), Err(StoreError::SameKernel { .. })));
    for bad in [
        "", "6.12", "6.12.3", "newest", "a b", "../x", "-x", ".x", "x:full",
    ] {
        assert!(matches!(add(&other, bad), Err(StoreError::BadName(_))), "{bad}");
    }
    assert_eq!(bench.entries(), [first.digest()]);
}

#[test]
fn a_vmlinux_with_a_directory_of_modules_is_taken() {
    let bench = Bench::new();
    let kernel = bench.file(
        "vmlinux",
        &vmlinux(b"Linux version 6.9.1-me (a@b) #1", Some(0x1000)),
    );
    let ko = |depends: &str| module(&[depends, "vermagic=6.9.1-me SMP"]);
    bench.file(
        "lib/modules/6.9.1-me/kernel/drivers/block/virtio_blk.ko",
        &ko("depends=virtio"),
    );
    bench.file(
        "lib/modules/6.9.1-me/kernel/drivers/virtio/virtio.ko",
        &ko("depends="),
    );
    let dir = bench.dir.path().join("lib/modules/6.9.1-me");
    let added = bench.store.add(&kernel, Some(&dir), "mine", &Silent).unwrap();
    assert_eq!(added.release(), "6.9.1-me");
    assert_eq!(
        names(&added.modules(&["disk"]).unwrap()),
        ["virtio.ko", "virtio_blk.ko"]
    );
    // Modules of another build are refused.
    let other = bench.file(
        "other",
        &vmlinux(b"Linux version 6.9.2-me (a@b) #1", Some(0x1000)),
    );
    let text = bench
        .store
        .add(&other, Some(&dir), "other", &Silent)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("built for 6.9.1-me, the kernel is 6.9.2-me"),
        "{text}"
    );
}

#[test]
fn what_is_no_kernel_is_refused_and_leaves_nothing() {
    let bench = Bench::new();
    let path = bench.file("notes.txt", b"not a kernel at all");
    let text = bench
        .store
        .add(&path, None, "mine", &Silent)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("notes.txt: not a kernel: expected an x86 bzImage"),
        "{text}"
    );
    let text = bench
        .store
        .add(&bench.dir.path().join("absent"), None, "mine", &Silent)
        .unwrap_err()
        .to_string();
    assert!(text.contains("cannot read") && text.contains("absent"), "{text}");
    let text = bench
        .ingest("6.1.1", Flavour::Cloud, &[("usr/share/x", b"y")])
        .unwrap_err()
        .to_string();
    assert!(text.contains("hold no vmlinuz"), "{text}");
    // A Debian kernel without a disk driver is of no use.
    let files: [(&str, &[u8]); 2] = [
        ("boot/vmlinuz-6.1.0", &image("6.1.0", true)),
        ("lib/modules/6.1.0/modules.builtin", b""),
    ];
    let text = bench
        .ingest("6.1.1", Flavour::Cloud, &files)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("modules of 6.1.0") && text.contains("cannot do without"),
        "{text}"
    );
    assert!(bench.entries().is_empty(), "{:?}", bench.entries());
}

#[test]
fn damage_is_seen() {
    let bench = Bench::new();
    let kernel = bench.pulled("6.1.0-9-cloud-amd64", "6.1.27-1", Flavour::Cloud);
    let vmlinux = kernel.dir().join("vmlinux");
    let whole = fs::read(&vmlinux).unwrap();
    let mut changed = whole.clone();
    changed[70] ^= 1;
    fs::write(&vmlinux, &changed).unwrap();
    let text = bench.store.find("6.1").unwrap().verify().unwrap_err().to_string();
    assert!(text.contains("contents of vmlinux have changed"), "{text}");
    fs::write(&vmlinux, &whole[1..]).unwrap();
    let text = bench.store.find("6.1").unwrap_err().to_string();
    assert!(text.contains("is damaged: vmlinux has"), "{text}");
    fs::write(&vmlinux, &whole).unwrap();
    let bzimage = kernel.bzimage().unwrap();
    let packed = fs::read(&bzimage).unwrap();
    fs::remove_file(&bzimage).unwrap();
    let text = bench.store.find("6.1").unwrap_err().to_string();
    assert!(text.contains("No such file"), "{text}");
    fs::write(&bzimage, &packed).unwrap();
    kernel.verify().unwrap();

    let manifest = kernel.dir().join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let load = |text: &str| {
        fs::write(&manifest, text).unwrap();
        bench.store.find("6.1").unwrap_err().to_string()
    };
    let newer = load(&text.replacen("\"format\": 2", "\"format\": 3, \"new\": 1", 1));
    assert!(
        newer.contains("has format 3; this coldcut knows formats up to 2"),
        "{newer}"
    );
    assert!(load(&text[..text.len() / 2]).contains("is damaged: manifest.json"));
    assert!(load(&text.replace("virtio_blk.ko\"", "other.ko\"")).contains("does not have the digest"));
    assert!(load(&text.replace("\"vmlinux\"", "\"../../vmlinux\"")).contains("files outside the entry"));
}

#[test]
fn a_kernel_in_use_is_not_removed() {
    let bench = Bench::new();
    let kernel = bench.pulled("6.1.0-9-cloud-amd64", "6.1.27-1", Flavour::Cloud);
    let digest = kernel.digest().to_owned();
    let copy = kernel.clone();
    drop(kernel);
    assert!(matches!(bench.store.remove(&digest), Err(StoreError::Busy(_))));
    assert!(copy.boot_image().unwrap().is_file());
    drop(copy);
    bench.store.remove(&digest).unwrap();
    assert!(bench.entries().is_empty());
}

#[test]
fn many_at_once_make_one_entry() {
    let bench = Bench::new();
    let path = bench.file("bzImage", &image("6.1.0", true));
    std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    // Each opens the store anew, as another process would, and so sweeps as well.
                    let store = Store::open(bench.store.root().to_owned()).unwrap();
                    store
                        .add(&path, None, "mine", &Silent)
                        .unwrap()
                        .digest()
                        .to_owned()
                })
            })
            .collect();
        let digests: Vec<_> = tasks.into_iter().map(|t| t.join().unwrap()).collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(bench.entries(), [digests[0].as_str()]);
    });
}

#[test]
fn an_empty_store_says_how_to_fill_it() {
    let text = Bench::new().store.find("6.12").unwrap_err().to_string();
    assert!(
        text.contains("the store is empty") && text.contains("coldcut kernel pull 6.12"),
        "{text}"
    );
}

#[test]
fn several_kernels_and_what_is_not_needed() {
    let bench = Bench::new();
    for (release, version) in [
        ("6.1.0-9-cloud-amd64", "6.1.90-1"),
        ("6.1.0-10-cloud-amd64", "6.1.172-1"),
        ("6.12.1-cloud-amd64", "6.12.1-1"),
    ] {
        bench.pulled(release, version, Flavour::Cloud);
    }
    let own = bench.file("bzImage", &image("6.3.0", true));
    bench.store.add(&own, None, "mine", &Silent).unwrap();
    let all = |spec: &str| {
        let found = bench.store.find_all(spec).unwrap();
        found
            .iter()
            .map(|k| k.name().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(all("6.1..6.12"), "6.1.0-10-cloud-amd64 6.12.1-cloud-amd64");
    assert_eq!(all("6.1/every"), "6.1.0-9-cloud-amd64 6.1.0-10-cloud-amd64");
    assert!(
        bench
            .store
            .find("6.1..6.12")
            .unwrap_err()
            .to_string()
            .contains("may name several")
    );
    let unneeded = |keep: &[&str]| {
        let keep: Vec<_> = keep.iter().map(|k| (*k).to_owned()).collect();
        let kernels = bench.store.unneeded(&keep).unwrap();
        kernels
            .iter()
            .map(|k| k.name().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        unneeded(&["6.1", "5.10"]),
        "6.1.0-9-cloud-amd64 6.12.1-cloud-amd64"
    );
    assert_eq!(unneeded(&["6.1..6.12/every"]), "");
}

#[test]
fn packages_of_ones_own_are_taken() {
    let bench = Bench::new();
    let base = "usr/lib/modules/7.0.1-me";
    let ko = module(&["depends=", "vermagic=7.0.1-me SMP"]);
    let names: Vec<u8> = ["virtio_pci", "virtio_console", "virtio_blk"]
        .iter()
        .flat_map(|n| format!("kernel/{n}.ko\n").into_bytes())
        .collect();
    let debs = [
        bench.file(
            "a.deb",
            &deb_of(&[(&format!("{base}/vmlinuz"), &image("7.0.1-me", true))]),
        ),
        bench.file("b.deb", &deb_of(&[(&format!("{base}/modules.builtin"), &names)])),
        bench.file(
            "c.deb",
            &deb_of(&[(&format!("{base}/kernel/fs/xfs/xfs.ko.xz"), &xz(&ko))]),
        ),
    ];
    let kernel = bench.store.add_debs(&debs, "mine", &Silent).unwrap();
    assert_eq!(names_of(&kernel, "fs:xfs"), ["xfs.ko"]);
    assert!(kernel.has_set("base"));
    let text = bench
        .store
        .add_debs(&debs[1..], "other", &Silent)
        .unwrap_err()
        .to_string();
    assert!(text.contains("hold no vmlinuz"), "{text}");
}

/// Keeps the notes.
#[derive(Debug, Default)]
struct Notes(std::sync::Mutex<Vec<String>>);

impl super::Progress for Notes {
    fn stage(&self, _: &str) {}

    fn bytes(&self, _: u64, _: u64) {}

    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

#[test]
fn a_damaged_image_is_refused_and_one_that_needs_modules_says_so() {
    let bench = Bench::new();
    let sound = image("6.1.0", true);
    for (what, bytes) in [
        ("cut", sound[..sound.len() - 100].to_vec()),
        ("changed", {
            let mut bytes = sound.clone();
            let middle = bytes.len() - 120;
            bytes[middle] ^= 0xff;
            bytes
        }),
    ] {
        let path = bench.file(what, &bytes);
        let added = bench.store.add(&path, None, "mine", &Silent);
        assert!(
            matches!(added, Err(StoreError::Image { .. })),
            "{what}: {added:?}"
        );
    }
    assert!(bench.store.list().unwrap().is_empty());
    for (drivers, said) in [
        ("text", true),
        ("\0virtio_blk\0\0virtio_console\0virtio-pci\0", false),
    ] {
        let notes = Notes::default();
        let inner = vmlinux(drivers.as_bytes(), Some(0x1000));
        let image = bzimage("6.1.0", &xz(&inner), Some(inner.len() as u32));
        let name = if said { "bare" } else { "whole" };
        let path = bench.file(name, &image);
        bench.store.add(&path, None, name, &notes).unwrap();
        let notes = notes.0.into_inner().unwrap();
        assert_eq!(
            notes.iter().any(|note| note.contains("virtio_blk")),
            said,
            "{notes:?}"
        );
    }
}

fn names_of(kernel: &Kernel, set: &str) -> Vec<String> {
    kernel
        .modules(&[set])
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}
