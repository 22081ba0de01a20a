//! Our log against that of QEMU's own blklogwrites driver, stacked on our device for the same workload.

use crate::common::turn;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use coldcut::disk::{Device, FileImage};
use coldcut::kernel::Store;
use coldcut::vm::client::{GuestClient, Mount};
use coldcut::vm::limits::Limits;
use coldcut::vm::machine::{Accel, AccelDecision, DiskSpec, Machine, Qemu};
use coldcut::vm::pool::{machine_spec, write_initrd};
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::io::IoKind;
use coldcut_core::recording::log::{DataRef, LoadOptions, Recorder, Request, WriteLog};
use coldcut_wire::{Op, PatternName, WriteFlags, op};

const SIZE: u64 = 64 << 20;

/// What one epoch (the requests between two flushes) did: offset, length and a digest of the data of every request.
type Epoch = Vec<(u64, u64, blake3::Hash)>;

/// The epochs of a log, in order.
///
/// Three differences between the two logs are legitimate and taken out here:
/// - QEMU has no entry for WRITE_ZEROES: it logs a write of that many zeros. Both become data.
/// - A flush with nothing to flush is dropped by QEMU at different layers: empty epochs do not count.
/// - Requests that were in flight together may complete in another order one layer up: an epoch is a set.
fn epochs(log: &WriteLog, data: &dyn ReadAt) -> Vec<Epoch> {
    let mut epochs = vec![Epoch::new()];
    for request in log.requests() {
        if request.io.kind == IoKind::Flush {
            epochs.push(Epoch::new());
        } else if let Some(epoch) = epochs.last_mut() {
            epoch.push((request.io.offset, request.io.len, digest(&request, data)));
        }
    }
    for epoch in &mut epochs {
        epoch.sort_by_key(|(offset, len, digest)| (*offset, *len, *digest.as_bytes()));
    }
    epochs.retain(|e| !e.is_empty());
    epochs
}

fn digest(request: &Request, data: &dyn ReadAt) -> blake3::Hash {
    let mut bytes = vec![0; request.io.len as usize];
    if let DataRef::Log(offset) = request.data {
        data.read_at(offset, &mut bytes).unwrap();
    }
    blake3::hash(&bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_logs_tell_the_same() {
    turn::take();
    let dir = tempfile::Builder::new().prefix("cc").tempdir_in("/tmp").unwrap();
    let at = |name: &str| dir.path().join(name);
    let kernel = Store::open_default()
        .unwrap()
        .find("6.12")
        .expect("`make kernels` gets kernel 6.12");
    let qemu = Qemu::find().await.unwrap();
    coldcut::fs::make(&at("base.img"), "ext4", SIZE, &[])
        .await
        .unwrap();
    let device = Device::bind(
        &at("disk.sock"),
        Arc::new(FileImage::open(&at("base.img")).unwrap()),
    )
    .unwrap();
    let handle = device.handle();
    let create = |name: &str| File::create(at(name)).unwrap();
    let recorder = Recorder::new(create("ours.log"), create("ours.order"), SIZE, 4096).unwrap();
    let recording = handle
        .begin_recording(recorder, Duration::from_secs(5))
        .await
        .unwrap();

    create("qemu.log");
    write_initrd(&kernel, "ext4", None, &at("initrd")).unwrap();
    let disk = DiskSpec {
        tap: Some(at("qemu.log")),
        ..DiskSpec::nbd(at("disk.sock"), SIZE)
    };
    let tcg = AccelDecision {
        accel: Accel::Tcg,
        why: String::new(),
    };
    let spec = machine_spec(&kernel, at("initrd"), Some(disk), &tcg).unwrap();
    let machine = Machine::boot(&qemu, &spec, &at("console"), Duration::from_secs(180))
        .await
        .unwrap();
    work(&machine).await;
    machine.kill().await;
    let (mut recorder, _) = recording.end().unwrap();
    recorder.finish().unwrap();

    let ours_file = FileImage::open(&at("ours.log")).unwrap();
    let ours = WriteLog::load(
        &ours_file,
        Some(&FileImage::open(&at("ours.order")).unwrap()),
        &LoadOptions::default(),
    );
    let theirs_file = FileImage::open(&at("qemu.log")).unwrap();
    let options = LoadOptions {
        device_size: Some(SIZE),
        ..LoadOptions::default()
    };
    let theirs = WriteLog::load(&theirs_file, None, &options);
    let (ours, theirs) = (
        epochs(&ours.unwrap().log, &ours_file),
        epochs(&theirs.unwrap().log, &theirs_file),
    );
    let writes: usize = ours.iter().map(Vec::len).sum();
    assert!(
        ours.len() >= 10 && writes >= 30,
        "the workload was too small to prove anything: {writes} writes"
    );
    assert_eq!(ours.len(), theirs.len(), "flushes fall in the same places");
    for (number, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(a, b, "epoch {number}");
    }
}

async fn work(machine: &Machine) {
    let client = GuestClient::new(machine, Limits::default());
    let mount = Mount {
        fstype: "ext4".into(),
        data: String::new(),
        flags: Vec::new(),
        others: 0,
        repair: false,
        clock: None,
    };
    client.mount(&mount).await.unwrap().unwrap();
    for i in 0..8 {
        let path = format!("f{i}");
        let content = PatternName {
            file: path.clone(),
            generation: "0".into(),
        };
        let flags = WriteFlags {
            create: true,
            ..WriteFlags::default()
        };
        let len = 5000 * (i + 1);
        let write = Op::Write(op::Write {
            path: path.clone(),
            offset: 0,
            len,
            chunk: 0,
            pattern: content,
            flags,
        });
        client.op("write", write).await.unwrap().unwrap();
        client
            .op(
                "fsync",
                Op::Fsync(op::Fsync {
                    path: path.clone(),
                    directory: false,
                }),
            )
            .await
            .unwrap()
            .unwrap();
        if i % 3 == 2 {
            client
                .op("unlink", Op::Unlink(op::Unlink { path }))
                .await
                .unwrap()
                .unwrap();
        }
    }
    client.op("sync", Op::Sync).await.unwrap().unwrap();
    client.unmount().await.unwrap().unwrap();
}
