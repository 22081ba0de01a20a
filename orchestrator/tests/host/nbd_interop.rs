//! The disk under test with real peers: the tools of QEMU.

use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use coldcut::disk::{Device, DeviceHandle};
use coldcut_core::recording::block::{ReadAt, Zeros};
use coldcut_core::recording::io::{Io, IoId, IoKind, IoLog};
use coldcut_core::recording::mark::Mark;

const SIZE: u64 = 16 << 20;
const WAIT: Duration = Duration::from_secs(10);

/// The kinds of what completed, in order.
#[derive(Default)]
struct Log {
    submitted: Vec<Io>,
    completed: Vec<Io>,
}

impl IoLog for Log {
    fn submit(&mut self, io: Io, data: bytes::Bytes) -> std::io::Result<IoId> {
        assert_eq!(
            data.len() as u64,
            if io.kind == IoKind::Write { io.len } else { 0 }
        );
        self.submitted.push(io);
        Ok(IoId(self.submitted.len() as u32 - 1))
    }

    fn complete(&mut self, id: IoId) -> std::io::Result<()> {
        self.completed.push(self.submitted[id.0 as usize]);
        Ok(())
    }

    fn fail(&mut self, _: IoId) -> std::io::Result<()> {
        Ok(())
    }

    fn mark(&mut self, _: &Mark) -> std::io::Result<()> {
        Ok(())
    }
}

struct Rig {
    device: Device,
    handle: DeviceHandle,
    directory: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let device =
            Device::bind(&directory.path().join("disk"), Arc::new(Zeros { size: SIZE })).expect("a device");
        Self {
            handle: device.handle(),
            device,
            directory,
        }
    }

    fn url(&self) -> String {
        format!("nbd+unix:///?socket={}", self.device.path().display())
    }
}

/// Runs a tool of QEMU, which must be there and must succeed.
#[track_caller]
fn qemu(program: &str, arguments: &[&str]) -> String {
    // timeout(1), so that a server that hangs fails the test.
    let run = Command::new("timeout")
        .arg("60")
        .arg(program)
        .args(arguments)
        .output();
    let Output {
        status,
        stdout,
        stderr,
    } = run.expect("timeout(1) from coreutils is needed for this test");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    assert_ne!(
        status.code(),
        Some(127),
        "{program} is needed for this test (Debian package qemu-utils): {text}"
    );
    assert!(status.success(), "{program} {arguments:?}: {status}\n{text}");
    text
}

#[test]
fn qemu_nbd_lists_the_export() {
    let rig = Rig::new();
    let socket = rig.device.path().display().to_string();
    let text = qemu("qemu-nbd", &["--list", "--socket", &socket]);
    for expected in [
        "exports available: 1",
        "export: ''",
        "size:  16777216",
        "flush fua trim zeroes )",
        "min block: 512",
        "opt block: 4096",
        "max block: 33554432",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
}

#[test]
fn qemu_img_sees_the_size() {
    let rig = Rig::new();
    let text = qemu("qemu-img", &["info", "--output=json", "-f", "raw", &rig.url()]);
    assert!(text.contains("\"virtual-size\": 16777216"), "{text}");
}

/// Every kind of request, and what reads back.
const COMMANDS: &[&str] = &[
    "write -P 0x11 0 64k",
    "flush",
    "write -f -P 0x22 64k 4k",
    "write -P 0x33 1M 6M",
    "write -z 2M 1M",
    "write -z -u -f 3M 64k",
    "discard 4M 1M",
    "read -P 0x11 0 64k",
    "read -P 0x22 64k 4k",
    "read -P 0x33 1M 1M",
    "read -P 0 2M 1M",
    "read -P 0 3M 64k",
    "read -P 0 4M 1M",
    "read -P 0 8M 8M",
    "read -P 0x33 5M 2M",
    "aio_write -P 0x44 9M 128k",
    "aio_write -P 0x55 10M 128k",
    "aio_read -P 0x33 1M 128k",
    "aio_flush",
    "read -P 0x44 9M 128k",
    "read -P 0x55 10M 128k",
    // Not a whole sector: QEMU reads, merges and writes the sector, and the log stays in sectors.
    "write -P 0x66 12582913 3",
];

#[tokio::test]
async fn qemu_io_writes_what_is_logged() {
    let rig = Rig::new();
    let recording = rig
        .handle
        .begin_recording(Log::default(), WAIT)
        .await
        .expect("a recording");
    let url = rig.url();
    let mut arguments = vec!["-f", "raw", "-d", "unmap", "-t", "writeback"];
    for command in COMMANDS {
        arguments.extend(["-c", command]);
    }
    arguments.push(&url);
    let text = qemu("qemu-io", &arguments);
    assert!(!text.contains("failed"), "{text}");

    let (log, content) = recording.end().expect("the log");
    let done = |kind, offset, len, fua| {
        log.completed.contains(&Io {
            kind,
            offset,
            len,
            fua,
        })
    };
    assert!(done(IoKind::Write, 0, 64 << 10, false), "{:?}", log.completed);
    assert!(
        done(IoKind::Write, 64 << 10, 4096, true),
        "a write with FUA: {:?}",
        log.completed
    );
    assert!(
        done(IoKind::WriteZeroes, 2 << 20, 1 << 20, false),
        "{:?}",
        log.completed
    );
    assert!(
        done(IoKind::WriteZeroes, 3 << 20, 64 << 10, true),
        "{:?}",
        log.completed
    );
    assert!(
        done(IoKind::Discard, 4 << 20, 1 << 20, false),
        "{:?}",
        log.completed
    );
    assert!(done(IoKind::Flush, 0, 0, false), "{:?}", log.completed);
    assert!(done(IoKind::Write, 12_582_912, 512, false), "{:?}", log.completed);
    assert_eq!(log.submitted.len(), log.completed.len());
    let mut sector = [0; 512];
    content.read_at(12_582_912, &mut sector).expect("a read");
    assert_eq!(sector[..5], [0, 0x66, 0x66, 0x66, 0]);
}

#[test]
fn a_cache_mode_without_write_cache_makes_every_write_durable() {
    let rig = Rig::new();
    let url = rig.url();
    qemu(
        "qemu-io",
        &[
            "-f",
            "raw",
            "-t",
            "writethrough",
            "-c",
            "write -P 1 0 4k",
            "-c",
            "write -z 8k 4k",
            &url,
        ],
    );
    let counters = rig.handle.counters();
    assert_eq!(
        (counters.writes, counters.write_zeroes, counters.fua),
        (1, 1, 2),
        "{counters:?}"
    );
}

#[test]
fn qemu_img_copies_there_and_back() {
    let rig = Rig::new();
    let file = |name: &str| rig.directory.path().join(name).display().to_string();
    let (source, back) = (file("source"), file("back"));
    let mut bytes = vec![0; SIZE as usize];
    for (at, byte) in bytes[3 << 20..9 << 20].iter_mut().enumerate() {
        *byte = (at / 4096 * 31 + at % 251) as u8;
    }
    std::fs::write(&source, &bytes).expect("a file");
    qemu(
        "qemu-img",
        &["convert", "-n", "-f", "raw", "-O", "raw", &source, &rig.url()],
    );
    qemu(
        "qemu-img",
        &["convert", "-f", "raw", "-O", "raw", &rig.url(), &back],
    );
    assert!(std::fs::read(&back).expect("a file") == bytes, "the copy differs");
    let image = rig.handle.freeze().expect("an image");
    let mut found = vec![0; SIZE as usize];
    image.read_at(0, &mut found).expect("a read");
    assert!(found == bytes, "the device's content differs");
}
