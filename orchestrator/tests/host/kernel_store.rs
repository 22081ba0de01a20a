//! The kernel store against real archives: needs the machine's Debian archive (or what `COLDCUT_ARCHIVE`
//! names), apt and the archive's keyring.

use std::fs;
use std::path::Path;

use coldcut::kernel::{BootKind, Silent, Store, StoreError};

#[test]
fn pulls_a_real_kernel_and_finds_it_again_without_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().to_owned()).unwrap();
    let kernel = store.pull("6.12", &Silent).unwrap();
    assert_eq!(kernel.manifest().series, "6.12");
    assert!(kernel.release().starts_with("6.12.") && kernel.release().ends_with("-cloud-amd64"));
    assert_eq!(
        kernel.manifest().boot,
        BootKind::Pvh,
        "{:?}",
        kernel.manifest().boot_note
    );
    kernel.verify().unwrap();

    let config = fs::read_to_string(kernel.config().unwrap()).unwrap();
    assert!(config.contains("CONFIG_PVH=y"));
    // The load order must put every module after what it depends on; the last is what was asked for.
    let modules = kernel
        .modules(&["base", "fs:ext4", "fs:xfs", "fs:btrfs", "dm-log-writes"])
        .unwrap();
    let index = |name: &str| modules.iter().position(|(n, _)| n == name);
    assert!(index("dm_mod.ko").unwrap() < index("dm_log_writes.ko").unwrap());
    assert!(index("raid6_pq.ko").unwrap() < index("btrfs.ko").unwrap());
    assert!(index("xfs.ko").is_some());
    for (name, path) in &modules {
        assert!(fs::read(path).unwrap().starts_with(b"\x7fELF"), "{name}");
    }
    // Nothing but the entry is left, and every module is reached by some set.
    let entries: Vec<_> = fs::read_dir(dir.path().join("kernels"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(entries, [kernel.dir()]);
    let sets = &kernel.manifest().sets;
    for file in fs::read_dir(kernel.dir().join("modules")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(sets.values().flatten().any(|m| *m == name), "{name} is in no set");
    }

    // With an archive that cannot be reached the stored kernel is used; another is refused.
    let mut offline = Store::open(dir.path().to_owned()).unwrap();
    offline.archive.main = Some("http://127.0.0.1:9/debian".to_owned());
    offline.archive.security = Some("http://127.0.0.1:9/debian-security".to_owned());
    assert_eq!(offline.pull("6.12", &Silent).unwrap().digest(), kernel.digest());
    let error = offline.pull("5.10", &Silent).unwrap_err();
    assert!(matches!(error, StoreError::Apt(_)), "{error}");
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

#[test]
fn an_archive_that_is_not_signed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    for suite in ["trixie-backports", "bookworm-backports"] {
        let dists = archive.join("dists").join(suite);
        fs::create_dir_all(dists.join("main/binary-amd64")).unwrap();
        fs::write(dists.join("main/binary-amd64/Packages"), "").unwrap();
        fs::write(dists.join("Release"), format!("Origin: Debian\nSuite: {suite}\n")).unwrap();
    }
    let mut store = Store::open(dir.path().join("store")).unwrap();
    store.archive.main = Some(format!("file:{}", archive.display()));
    store.archive.security = Some(format!("file:{}", archive.display()));
    let error = store.pull("6.12", &Silent).unwrap_err().to_string();
    assert!(
        error.contains("signature does not check") || error.contains("is not signed"),
        "{error}"
    );
    assert!(entries(store.root()).is_empty());
    // It is read only when the user says so; this one offers nothing.
    store.archive.insecure = true;
    store.archive.keyring = Some("/nonexistent/keyring.gpg".into());
    let error = store.pull("6.12", &Silent).unwrap_err();
    assert!(matches!(error, StoreError::NotOffered { .. }), "{error}");
}

fn entries(root: &Path) -> Vec<fs::DirEntry> {
    fs::read_dir(root.join("kernels"))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}
