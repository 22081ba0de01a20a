//! Measures how quickly the disk under test answers, against qemu-nbd on a raw file in the same run.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut_wire::splitmix::SplitMix;

use crate::disk::client::{Client, ClientError};
use crate::disk::proto::command;
use crate::disk::{Device, DeviceError, FileImage};
use crate::host::process::Process;

const SIZE: u64 = 256 << 20;
const BLOCK: usize = 4096;
const DEADLINE: Duration = Duration::from_secs(10);
/// Turns that each server gets; they alternate, so that other load on the machine meets both.
const TURNS: usize = 5;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No qemu-nbd.
    #[error("cannot start qemu-nbd (Debian package qemu-utils), the other side of the comparison: {0}")]
    Peer(io::Error),
    /// It runs, but does not serve.
    #[error("qemu-nbd did not serve within {DEADLINE:?}: {0}")]
    PeerSilent(ClientError),
    /// A file in the directory for temporary files.
    #[error("a temporary file: {0}")]
    File(#[from] io::Error),
    /// Our own device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A request.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Requests of 4 KiB a second at random offsets of 256 MiB in the page cache; the median of five turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Reads, one at a time.
    pub read: f64,
    /// Writes, one at a time.
    pub write: f64,
    /// Reads, 16 in flight.
    pub read16: f64,
    /// Writes, 16 in flight.
    pub write16: f64,
}

/// Both servers' rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeviceBench {
    /// This crate's device.
    pub ours: Rates,
    /// qemu-nbd.
    pub qemu_nbd: Rates,
}

impl fmt::Display for DeviceBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "4 KiB requests/s      coldcut     qemu-nbd   ratio")?;
        for (name, of) in [
            (
                "read, 1 in flight",
                (|rates: &Rates| rates.read) as fn(&Rates) -> f64,
            ),
            ("write, 1 in flight", |rates| rates.write),
            ("read, 16 in flight", |rates| rates.read16),
            ("write, 16 in flight", |rates| rates.write16),
        ] {
            let (ours, peer) = (of(&self.ours), of(&self.qemu_nbd));
            writeln!(f, "{name:19} {ours:9.0}    {peer:9.0}  {:5.2}×", ours / peer)?;
        }
        Ok(())
    }
}

/// Measures the device for about `time` and qemu-nbd for as long.
///
/// # Errors
/// qemu-nbd is missing, or a request fails.
pub fn device(time: Duration) -> Result<DeviceBench, BenchError> {
    let directory = tempfile::tempdir()?;
    let raw = directory.path().join("raw");
    std::fs::write(&raw, vec![0x5a; SIZE as usize])?;
    let device = Device::bind(&directory.path().join("ours"), Arc::new(FileImage::open(&raw)?))?;
    let copy = directory.path().join("copy");
    std::fs::copy(&raw, &copy)?;
    let socket = directory.path().join("theirs");
    let _peer = peer(&copy, &socket)?;
    let mut ours = Client::connect(device.path(), DEADLINE)?;
    let mut theirs = connect(&socket)?;
    let turn = time / (4 * TURNS as u32);
    let mut measured: [[Vec<f64>; 4]; 2] = Default::default();
    for _ in 0..TURNS {
        for (kind, (command, depth)) in [
            (command::READ, 1),
            (command::WRITE, 1),
            (command::READ, 16),
            (command::WRITE, 16),
        ]
        .into_iter()
        .enumerate()
        {
            for (side, client) in [&mut ours, &mut theirs].into_iter().enumerate() {
                measured[side][kind].push(rate(client, command, depth, turn)?);
            }
        }
    }
    let [ours, qemu_nbd] = measured.map(|side| {
        let [read, write, read16, write16] = side.map(median);
        Rates {
            read,
            write,
            read16,
            write16,
        }
    });
    Ok(DeviceBench { ours, qemu_nbd })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Requests a second with `depth` in flight.
fn rate(client: &mut Client, kind: u16, depth: usize, time: Duration) -> Result<f64, ClientError> {
    let payload = vec![0xa5; if kind == command::WRITE { BLOCK } else { 0 }];
    let mut answer = vec![0; if kind == command::READ { BLOCK } else { 0 }];
    let mut random = SplitMix::new(1);
    let start = Instant::now();
    let mut done = 0u32;
    while start.elapsed() < time {
        for _ in 0..depth {
            let offset = random.below(SIZE / BLOCK as u64) * BLOCK as u64;
            client.send(kind, 0, offset, BLOCK as u32, &payload)?;
        }
        for _ in 0..depth {
            let (_, error) = client.next_reply()?;
            if error != 0 {
                return Err(ClientError::Server(error));
            }
            client.payload(&mut answer)?;
            done += 1;
        }
    }
    Ok(f64::from(done) / start.elapsed().as_secs_f64())
}

fn connect(socket: &Path) -> Result<Client, BenchError> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match Client::connect(socket, DEADLINE) {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > deadline => return Err(BenchError::PeerSilent(error)),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Starts a qemu-nbd that ends when the value is dropped.
fn peer(image: &Path, socket: &Path) -> Result<Process, BenchError> {
    let mut command = Command::new("qemu-nbd");
    command
        .args(["--format=raw", "--cache=writeback", "--socket"])
        .arg(socket)
        .arg(image)
        .stdin(Stdio::null());
    Process::spawn(command).map_err(BenchError::Peer)
}
