//! Several disks: each has a socket of its own and sees its own bytes, and one log has what happens to all of them.

use std::path::PathBuf;
use std::sync::Arc;

use coldcut::disk::client::Client;
use coldcut::disk::{Device, DeviceError, Faults};
use coldcut_core::faults::{Effect, Fault, Filter, Kind};
use coldcut_core::recording::block::{ReadAt as _, Zeros};
use coldcut_core::recording::disks::Disks;
use coldcut_core::recording::io::IoKind;

use super::rig::{Event, MemoryLog, WAIT};

const SECOND: u64 = 1 << 20;

/// A disk of 64 KiB, and one of 32 KiB from the first MiB on.
struct Two {
    device: Device,
    sockets: Vec<PathBuf>,
    _directory: tempfile::TempDir,
}

fn two() -> Two {
    let directory = tempfile::tempdir().expect("a directory");
    let sockets = ["a", "b"].map(|name| directory.path().join(name)).to_vec();
    let disks = Disks::laid_out(&[64 << 10, 32 << 10], SECOND).expect("two disks");
    let base = Arc::new(Zeros { size: disks.size() });
    let device = Device::bind_all(&sockets, &disks, base).expect("a device");
    Two {
        device,
        sockets,
        _directory: directory,
    }
}

impl Two {
    fn clients(&self) -> [Client; 2] {
        [0, 1].map(|number: usize| Client::connect(&self.sockets[number], WAIT).expect("a connection"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_client_sees_its_disk_and_one_log_sees_all() {
    let two = two();
    let handle = two.device.handle();
    let log = MemoryLog::default();
    let recording = handle
        .begin_recording(log.clone(), WAIT)
        .await
        .expect("a recording");
    let [mut first, mut second] = two.clients();
    assert_eq!((first.size(), second.size()), (64 << 10, 32 << 10));
    first.write(4096, &[1; 4096], false).expect("written");
    second.write(4096, &[2; 4096], false).expect("written");
    second.flush().expect("flushed");
    first.flush().expect("flushed");
    // The second ends where it ends, though the address space goes on before it.
    assert!(second.write(32 << 10, &[3; 512], false).is_err());
    for (client, fill) in [(&mut first, 1), (&mut second, 2)] {
        let mut bytes = [0; 4096];
        client.read(4096, &mut bytes).expect("read");
        assert_eq!(bytes, [fill; 4096]);
    }
    let seen: Vec<(IoKind, u64, u64, Option<u8>)> = log
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Submit(_, io, data) => Some((io.kind, io.offset, io.len, data.first().copied())),
            _ => None,
        })
        .collect();
    let wanted = [
        (IoKind::Write, 4096, 4096, Some(1)),
        (IoKind::Write, SECOND + 4096, 4096, Some(2)),
        (IoKind::Flush, SECOND, 0, None),
        (IoKind::Flush, 0, 0, None),
    ];
    assert_eq!(seen, wanted);
    let completed = log
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Complete(_)));
    assert_eq!(completed.count(), wanted.len());
    let (_, content) = recording.end().expect("ended");
    let mut bytes = [0; 1];
    content.read_at(SECOND + 4096, &mut bytes).expect("read");
    assert_eq!(bytes, [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_ignores_flushes_acknowledges_them_and_the_log_has_none() {
    let two = two();
    let handle = two.device.handle();
    handle.ignore_flushes(vec![SECOND]);
    let log = MemoryLog::default();
    let _recording = handle
        .begin_recording(log.clone(), WAIT)
        .await
        .expect("a recording");
    let [mut first, mut second] = two.clients();
    second.write(0, &[2; 512], false).expect("written");
    second.flush().expect("flushed");
    first.flush().expect("flushed");
    let flushes: Vec<u64> = log
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Submit(_, io, _) if io.kind == IoKind::Flush => Some(io.offset),
            _ => None,
        })
        .collect();
    assert_eq!(flushes, [0]);
}

#[test]
fn a_faults_range_is_of_the_first_disk() {
    let two = two();
    let faults = Faults::default().with_ranges_until(64 << 10);
    two.device.handle().set_injector(Some(faults.injector()));
    let open_ended = Fault {
        name: "bad".to_owned(),
        filter: Filter {
            kind: Kind::Write,
            whose: None,
            range: Some(8192..u64::MAX),
        },
        effect: Effect::Fail,
        count: None,
    };
    faults.arm(open_ended, None, WAIT);
    let [mut first, mut second] = two.clients();
    first.write(0, &[1; 4096], false).expect("before the range");
    assert!(first.write(60 << 10, &[1; 4096], false).is_err());
    second.write(8192, &[2; 4096], false).expect("on the other disk");
}

#[test]
fn sockets_and_disks_must_fit() {
    let directory = tempfile::tempdir().expect("a directory");
    let disks = Disks::laid_out(&[4096, 4096], SECOND).expect("two disks");
    let sockets = vec![directory.path().join("a")];
    let base = Arc::new(Zeros { size: disks.size() });
    let refused = Device::bind_all(&sockets, &disks, base);
    assert!(matches!(refused, Err(DeviceError::Size(_))));
    let both = [directory.path().join("a"), directory.path().join("b")];
    let refused = Device::bind_all(&both, &disks, Arc::new(Zeros { size: 8192 }));
    assert!(matches!(refused, Err(DeviceError::Size(_))));
}
