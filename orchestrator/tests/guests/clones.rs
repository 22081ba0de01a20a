//! Clones and screening guests on real kernels: what they recover is what a booted kernel recovers, and nothing of
//! another disk.

use crate::common::{self, turn};
use std::path::Path;
use std::sync::Arc;

use coldcut::disk::{Device, FileImage};
use coldcut::host::scratch::Scratch;
use coldcut::kernel::{Kernel, Store};
use coldcut::recover::recoverer::{Machines, RecoverJob, Recoverer as _, Screener as _};
use coldcut::report::EventSink;
use coldcut::vm::client::{GuestClient, Mount};
use coldcut::vm::machine::{Accel, AccelDecision, DiskSpec, Machine, Qemu};
use coldcut::vm::pool::Pool;
use coldcut::vm::templates::Templates;
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::recording::block::ReadAt as _;
use coldcut_core::recording::disks::Disks;

const KERNELS: [&str; 3] = ["5.10", "6.1", "6.12"];

fn kernel(name: &str) -> Arc<Kernel> {
    Arc::new(Store::open_default().unwrap().find(name).unwrap())
}

/// A pool whose templates are in `dir`.
async fn pool(dir: &Path) -> Pool {
    turn::take();
    let qemu = Qemu::find().await.unwrap();
    let accel = AccelDecision {
        accel: Accel::Tcg,
        why: "a test".into(),
    };
    let scratch = Scratch::new().unwrap();
    Pool::new(qemu, accel, scratch, EventSink::new(Vec::new()), 2)
        .with_templates(Templates::open(dir).unwrap())
}

fn ext4() -> Mount {
    Mount {
        fstype: "ext4".into(),
        data: String::new(),
        flags: Vec::new(),
        others: 0,
        repair: false,
        clock: None,
    }
}

/// A filesystem of `mib` MiB with the file `name` in it, made by debugfs.
async fn disk(dir: &Path, name: &str, mib: u64) -> Arc<FileImage> {
    let path = dir.join(format!("{name}.img"));
    coldcut::fs::make(&path, "ext4", mib << 20, &[]).await.unwrap();
    let text = dir.join("text");
    std::fs::write(&text, name.repeat(3000)).unwrap();
    let write = format!("write {} {name}", text.display());
    let output = std::process::Command::new("/sbin/debugfs")
        .args(["-w", "-R", &write])
        .arg(&path)
        .output()
        .expect("debugfs of e2fsprogs");
    assert!(output.status.success(), "{}", common::text(&output));
    Arc::new(FileImage::open(&path).unwrap())
}

fn job(dir: &Path, kernel: &Arc<Kernel>, image: &Arc<FileImage>) -> RecoverJob {
    RecoverJob {
        image: Arc::clone(image) as _,
        disks: Disks::one(image.size()),
        noted: None,
        kernel: Arc::clone(kernel),
        mount: ext4(),
        patterns: Arc::new(Vec::new()),
        console: dir.join("console.log"),
        fsck: false,
        programs: None,
        asked: None,
    }
}

/// A clone with this disk, which nobody has mounted yet.
async fn clone_with(
    pool: &Pool,
    kernel: &Arc<Kernel>,
    image: &Arc<FileImage>,
    dir: &Path,
) -> (Machine, Device) {
    let socket = pool.fresh_path(".sock");
    let device = Device::bind(&socket, Arc::clone(image) as _).unwrap();
    let initrd = pool.initrd(kernel, "ext4", None).unwrap();
    let spec = pool
        .spec(kernel, initrd, Some(DiskSpec::nbd(socket, image.size())))
        .unwrap();
    let (machine, trust) = pool.fresh(&spec, &dir.join("clone.log")).await.unwrap();
    assert_eq!(trust, Trust::Fresh);
    (machine, device)
}

fn names(recovery: &Recovery) -> Vec<String> {
    assert!(recovery.mount_error.is_none(), "{recovery:?}");
    let names = recovery
        .tree
        .iter()
        .map(|e| String::from_utf8_lossy(&e.path).into_owned());
    names.filter(|n| !n.is_empty() && n != "lost+found").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_knows_its_own_disk_only_whatever_its_size() {
    for name in KERNELS {
        let dir = tempfile::tempdir().unwrap();
        let kernel = kernel(name);
        let pool = pool(&dir.path().join("templates")).await;
        // The template's disk had no capacity.
        for (file, mib) in [("small", 16), ("large", 200)] {
            let image = disk(dir.path(), file, mib).await;
            let job = job(dir.path(), &kernel, &image);
            let fresh = Machines.recover(&pool, &job, Trust::Fresh).await.unwrap();
            assert_eq!(fresh.trust, Trust::Fresh, "{name}: a clone, not a boot");
            assert_eq!(names(&fresh), [file], "{name}");
            assert!(
                fresh.dmesg.iter().any(|l| l.text.contains("EXT4-fs (vda)")),
                "{name}: {:?}",
                fresh.dmesg
            );
            let cold = Machines.recover(&pool, &job, Trust::Cold).await.unwrap();
            assert_eq!(cold.trust, Trust::Cold);
            assert!(
                cold.same_as(&fresh),
                "{name}: a clone recovers what a booted kernel does"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn screening_leaves_nothing_behind_and_a_planted_leak_shows() {
    for name in KERNELS {
        let dir = tempfile::tempdir().unwrap();
        let kernel = kernel(name);
        let pool = pool(&dir.path().join("templates")).await;
        let (first, second) = (
            disk(dir.path(), "first", 32).await,
            disk(dir.path(), "second", 32).await,
        );
        let jobs = [&first, &second].map(|image| job(dir.path(), &kernel, image));
        let mut guest = Machines.screener(&pool, &jobs[0]).await.unwrap();
        for (round, at) in [0, 1, 0, 0, 1].into_iter().enumerate() {
            let recovery = guest.recover(&pool, &jobs[at]).await.unwrap();
            assert_eq!(
                names(&recovery),
                [["first", "second"][at]],
                "{name}, round {round}"
            );
            assert!(!guest.spoiled());
        }
        drop(guest);

        // Without the unmount and the flush between two states, the walk does see the state before: so the rounds
        // above would have shown a leak.
        let (machine, device) = clone_with(&pool, &kernel, &first, dir.path()).await;
        let client = GuestClient::new(&machine, pool.limits);
        let read_only = Mount {
            flags: vec!["ro".into()],
            ..ext4()
        };
        client.mount(&read_only).await.unwrap().unwrap();
        let listed = |tree: Vec<coldcut_wire::TreeEntry>| tree.iter().any(|e| e.path == b"first");
        assert!(listed(client.walk(Vec::new(), 1 << 30).await.unwrap()));
        let quiet = std::time::Duration::from_secs(30);
        device
            .handle()
            .serve(Arc::clone(&second) as _, quiet)
            .await
            .unwrap();
        assert!(
            listed(client.walk(Vec::new(), 1 << 30).await.unwrap()),
            "{name}: the guest still shows the first disk: the plant leaks"
        );
        client.unmount().await.unwrap().unwrap();
        client.flush_device(&read_only).await.unwrap();
        client.mount(&read_only).await.unwrap().unwrap();
        assert!(!listed(client.walk(Vec::new(), 1 << 30).await.unwrap()), "{name}");
        machine.kill().await;
        drop(device);
    }
}

/// A time of day, in seconds since 1970.
const SET: u64 = 1_700_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn clones_have_randomness_and_a_clock_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = kernel("6.12");
    let pool = pool(&dir.path().join("templates")).await;
    let image = disk(dir.path(), "any", 16).await;
    let mut generations = Vec::new();
    for clock in [None, None, Some(SET * 1_000_000_000)] {
        // A new file's inode generation is random, and its time is the guest's clock.
        let (machine, device) = clone_with(&pool, &kernel, &image, dir.path()).await;
        let client = GuestClient::new(&machine, pool.limits);
        let mount = Mount { clock, ..ext4() };
        client.mount(&mount).await.unwrap().unwrap();
        let create = coldcut_wire::Op::Create(coldcut_wire::op::Create {
            path: "new".into(),
            mode: 0o644,
            exclusive: false,
        });
        client.op("create", create).await.unwrap().unwrap();
        client.unmount().await.unwrap().unwrap();
        machine.kill().await;
        let raw = dir.path().join("after.img");
        coldcut::disk::export_sparse(&*device.handle().freeze().unwrap(), &raw).unwrap();
        let output = std::process::Command::new("/sbin/debugfs")
            .args(["-R", "stat new"])
            .arg(&raw)
            .output()
            .unwrap();
        let text = common::text(&output);
        let generation = text
            .split("Generation:")
            .nth(1)
            .and_then(|t| t.split_whitespace().next())
            .unwrap_or_else(|| panic!("no generation: {text}"))
            .to_owned();
        generations.push(generation);
        let created = std::fs::metadata(&raw).unwrap().modified().unwrap();
        let made = text.split("crtime: 0x").nth(1).and_then(|t| t.get(..8)).unwrap();
        let made = u64::from_str_radix(made, 16).unwrap();
        let now = created.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let now = clock.map_or(now, |_| SET);
        assert!(
            now.abs_diff(made) < 600,
            "the clone's clock is right: {made} and {now}"
        );
    }
    assert_ne!(
        generations[0], generations[1],
        "two clones draw different random numbers"
    );
}
