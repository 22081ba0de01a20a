//! Makes the fixture `dm-log-writes-KERNEL.*` of `coldcut-core`: a log that a real kernel's dm-log-writes target wrote.
//!
//! `cargo run --example dm_log_writes_fixture [KERNEL] [DIR]`; needs QEMU, `cc` with a static C library, mke2fs, and the
//! kernel from `coldcut kernel pull`.
//!
//! A guest cuts one disk into a data part and a log part, and runs `guest.c` on them. That disk is our own device, which
//! records as well: see `below.rs` for what the two recordings must agree in before anything is written.

mod below;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use coldcut::disk::{Device, FileImage};
use coldcut::kernel::Store;
use coldcut::vm::agent_binary::AGENT;
use coldcut::vm::initramfs;
use coldcut::vm::machine::{Accel, AccelDecision, DiskSpec, Machine, Qemu};
use coldcut::vm::pool::machine_spec;
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::log::Recorder;
use coldcut_core::recording::log::dmlog::{self, ENTRY_LEN, EntryHeader, SUPERBLOCK_LEN, Superblock};
use coldcut_wire::{Done, ExecSpec, MountSpec, Output, Request};

/// Bytes of the filesystem.
const FILESYSTEM: u64 = 8 << 20;
/// Bytes of the data part: some stay behind the filesystem for raw writes.
const DATA: u64 = FILESYSTEM + (64 << 10);
/// Bytes of the log part.
const LOG: u64 = 24 << 20;
const LIMIT: Duration = Duration::from_secs(180);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let series = args.next().unwrap_or_else(|| "6.12".to_owned());
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let to = args
        .next()
        .map_or_else(|| here.join("core/tests/fixtures"), PathBuf::from);
    std::fs::create_dir_all(&to)?;

    let dir = tempfile::Builder::new().prefix("cc").tempdir_in("/tmp")?;
    let run = record(dir.path(), here, &series).await?;
    let slice = below::Slice::new(run.content.as_ref(), DATA, LOG);
    let log = cut_at_its_end(&slice.read_all()?)?;
    let data = below::Slice::new(run.content.as_ref(), 0, DATA).read_all()?;
    let agreed = below::agree(&run.base, &log, &data, run.recorder)?;
    println!(
        "{agreed} flush states of the log are what our own recording says was durable on the disk below"
    );

    let name = |what: &str| to.join(format!("dm-log-writes-{series}.{what}"));
    for (what, bytes) in [("log.zst", &log), ("base.zst", &run.base)] {
        let packed = zstd::encode_all(bytes.as_slice(), 19)?;
        println!(
            "{}: {} bytes, {} unpacked",
            name(what).display(),
            packed.len(),
            bytes.len()
        );
        std::fs::write(name(what), packed)?;
    }
    std::fs::write(name("final.blake3"), format!("{}\n", blake3::hash(&data)))?;
    Ok(())
}

/// What a run leaves.
struct Run {
    /// The data part before.
    base: Vec<u8>,
    /// The whole disk after.
    content: Arc<dyn ReadAt>,
    /// Our own recording of the whole disk.
    recorder: below::Recording,
}

async fn record(dir: &Path, here: &Path, series: &str) -> anyhow::Result<Run> {
    let at = |name: &str| dir.join(name);
    let image = at("disk.img");
    let options = ["-b", "1024", "-J", "size=1", "-N", "64"].map(str::to_owned);
    coldcut::fs::make(&image, "ext4", FILESYSTEM, &options).await?;
    File::options().write(true).open(&image)?.set_len(DATA + LOG)?;
    let base = below::Slice::new(&FileImage::open(&image)?, 0, DATA).read_all()?;

    let programs = at("programs");
    std::fs::create_dir(&programs)?;
    let compiler = Command::new("cc")
        .args(["-static", "-Os", "-Wall", "-Wextra", "-o"])
        .arg(programs.join("guest"))
        .arg(here.join("examples/dm_log_writes_fixture/guest.c"))
        .status()
        .context("cc")?;
    ensure!(compiler.success(), "cc: {compiler}");

    let device = Device::bind(&at("disk.sock"), Arc::new(FileImage::open(&image)?))?;
    let recorder = Recorder::new(below::memory(), below::memory(), DATA + LOG, 4096)?;
    let recording = device.handle().begin_recording(recorder, LIMIT).await?;
    let machine = boot(dir, series).await?;
    let outcome = work(&machine).await;
    machine.kill().await;
    outcome?;
    let (mut recorder, content) = recording.end()?;
    recorder.finish()?;
    Ok(Run {
        base,
        content,
        recorder,
    })
}

async fn boot(dir: &Path, series: &str) -> anyhow::Result<Machine> {
    let kernel = Store::open_default()?.find(series)?;
    let modules = kernel.modules(&["base", "fs:ext4", "dm-log-writes"])?;
    let initrd = initramfs::build(AGENT, &modules, Some(&dir.join("programs")))?;
    std::fs::write(dir.join("initrd"), initrd)?;
    let disk = DiskSpec::nbd(dir.join("disk.sock"), DATA + LOG);
    let tcg = AccelDecision {
        accel: Accel::Tcg,
        why: String::new(),
    };
    let spec = machine_spec(&kernel, dir.join("initrd"), Some(disk), &tcg)?;
    let qemu = Qemu::find().await?;
    let machine = Machine::boot(&qemu, &spec, &dir.join("console"), LIMIT).await?;
    println!("kernel {}", machine.guest.hello.release);
    Ok(machine)
}

async fn work(machine: &Machine) -> anyhow::Result<()> {
    // Programs run in a mounted filesystem; the one that matters is mounted by the program itself.
    let nowhere = MountSpec {
        device: coldcut::vm::client::DEVICE.to_owned(),
        others: Vec::new(),
        fstype: "tmpfs".to_owned(),
        data: String::new(),
        flags: Vec::new(),
        wait_ms: 30_000,
        clock: None,
        existing_dir: None,
    };
    machine
        .guest
        .call("mount", Request::Mount(nowhere), LIMIT)
        .await?;
    let program = ExecSpec {
        argv: ["guest", coldcut::vm::client::DEVICE, &DATA.to_string()]
            .map(str::to_owned)
            .to_vec(),
        env: Vec::new(),
        cwd: String::new(),
        root: None,
        timeout_ms: LIMIT.as_millis() as u64,
    };
    let (said, done) = machine
        .guest
        .collect("guest", Request::Exec(program), LIMIT * 2, 1000)
        .await?;
    for part in said {
        if let Output::Line { text, .. } = part {
            println!("guest: {text}");
        }
    }
    if done != (Done::Exec { code: 0 }) {
        bail!(
            "the guest's program failed: {done:?}\n{}",
            machine.console.tail(20).join("\n")
        );
    }
    Ok(())
}

/// The log without the unused rest of its device. The target's own closing mark must be its last entry.
fn cut_at_its_end(device: &[u8]) -> anyhow::Result<Vec<u8>> {
    let head = device
        .first_chunk::<SUPERBLOCK_LEN>()
        .context("no room for a superblock")?;
    let superblock = Superblock::decode(head)?;
    let sector = superblock.sector_size as usize;
    let (mut at, mut last) = (sector, &[][..]);
    for number in 0..superblock.entries {
        let bytes = device
            .get(at..at + sector)
            .with_context(|| format!("entry {number}"))?;
        let header = EntryHeader::decode(bytes.first_chunk::<ENTRY_LEN>().context("a whole header")?);
        last = &bytes[ENTRY_LEN..ENTRY_LEN + header.data_len as usize];
        at += sector
            + if header.has_data() {
                header.sectors as usize * sector
            } else {
                0
            };
    }
    ensure!(
        last == dmlog::END_MARK.as_bytes(),
        "the log was not closed: its last entry says {:?}",
        String::from_utf8_lossy(last)
    );
    println!("{} entries in sectors of {sector} bytes", superblock.entries);
    Ok(device.get(..at).context("a whole last entry")?.to_vec())
}
