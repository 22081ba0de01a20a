//! Requests and clients that no server should trust.

use std::io::Write;
use std::time::Duration;

use coldcut::disk::client::{Client, ClientError};
use coldcut::disk::proto::{self, command, command_flag};
use coldcut::disk::{Device, DeviceError};
use coldcut_core::recording::block::Zeros;
use proptest::prelude::*;
use std::sync::Arc;

use super::rig::{Rig, SILENCE, WAIT, noise, whole};

const SIZE: u64 = (1 << 20) + 512;

#[track_caller]
fn error_of(client: &mut Client, kind: u16, flags: u16, offset: u64, len: u32) -> u32 {
    let data = if kind == command::WRITE {
        vec![1; len as usize]
    } else {
        Vec::new()
    };
    let cookie = client.send(kind, flags, offset, len, &data).expect("sent");
    let (found, error) = client.next_reply().expect("a reply");
    assert_eq!(found, cookie);
    error
}

#[tokio::test]
async fn every_bound_is_checked_and_nothing_of_it_is_logged() {
    const INVAL: u32 = 22;
    const NOSPC: u32 = 28;
    let rig = Rig::new(Zeros { size: SIZE });
    let (recording, log) = rig.record().await;
    let mut client = rig.client();
    let cases = [
        (command::READ, 0, SIZE, 512, INVAL),
        (command::READ, 0, SIZE - 512, 1024, INVAL),
        (command::READ, 0, u64::MAX - 511, 512, INVAL),
        (command::READ, 0, 0, 0, INVAL),
        (command::READ, 0, 0, proto::MAX_PAYLOAD + 512, INVAL),
        (command::READ, 0, 1, 512, INVAL),
        (command::READ, command_flag::NO_HOLE, 0, 512, INVAL),
        (command::WRITE, 0, SIZE, 512, NOSPC),
        (command::WRITE, 0, SIZE - 512, 1024, NOSPC),
        (command::WRITE, 0, u64::MAX - 511, 1024, NOSPC),
        (command::WRITE, 0, 0, 0, INVAL),
        (command::WRITE, 0, 512, 511, INVAL),
        (command::WRITE, command_flag::FAST_ZERO, 0, 512, INVAL),
        (command::TRIM, 0, SIZE, 512, NOSPC),
        (command::TRIM, 0, 0, u32::MAX - 511, NOSPC),
        (command::WRITE_ZEROES, 0, 512, SIZE as u32, NOSPC),
        (command::WRITE_ZEROES, command_flag::FAST_ZERO, 0, 512, INVAL),
        (command::FLUSH, 0, 512, 0, INVAL),
        (command::FLUSH, 0, 0, 512, INVAL),
        (command::CACHE, 0, 0, 512, INVAL),
        (7, 0, 0, 512, INVAL),
        (u16::MAX, u16::MAX, u64::MAX, u32::MAX, INVAL),
    ];
    for (kind, flags, offset, len, expected) in cases {
        let found = error_of(&mut client, kind, flags, offset, len);
        assert_eq!(
            found, expected,
            "type {kind}, flags {flags:#x}, {len} bytes at {offset}"
        );
    }
    assert_eq!(log.events(), []);
    let counters = rig.handle.counters();
    assert_eq!((counters.errors, counters.in_flight), (cases.len() as u64, 0));
    let (_, content) = recording.end().expect("the log");
    assert!(whole(&content).iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn a_wrong_magic_or_an_endless_write_closes_the_connection() {
    let rig = Rig::new(Zeros { size: SIZE });
    let (_recording, log) = rig.record().await;
    let mut client = rig.client();
    client
        .stream()
        .write_all(&[0x25; proto::HEADER_LEN])
        .expect("sent");
    assert!(matches!(client.next_reply(), Err(ClientError::Io(_))));

    let mut client = rig.client();
    client
        .send(command::WRITE, 0, 0, proto::MAX_PAYLOAD + 1, &[])
        .expect("sent");
    assert!(matches!(client.next_reply(), Err(ClientError::Io(_))));
    assert_eq!(log.events(), []);
    rig.client().flush().expect("the next client is served");
}

#[tokio::test]
async fn a_client_that_leaves_inside_a_write_changes_nothing() {
    let rig = Rig::new(noise(1, 1 << 20));
    let (recording, log) = rig.record().await;
    for sent in [0, 1, 4095] {
        let mut client = rig.client();
        client
            .send(command::WRITE, 0, 0, 4096, &vec![7; sent])
            .expect("sent");
        drop(client);
    }
    // Served only after the others are gone.
    rig.client().flush().expect("a flush");
    assert_eq!(log.events().len(), 2, "only the flush: {:?}", log.events());
    let (_, content) = recording.end().expect("the log");
    assert_eq!(whole(&content), noise(1, 1 << 20));
}

#[test]
fn one_client_at_a_time() {
    let rig = Rig::new(Zeros { size: SIZE });
    let mut first = rig.client();
    first.flush().expect("a flush");
    assert!(
        Client::connect(rig.device.path(), SILENCE).is_err(),
        "a second client must wait"
    );
    first.flush().expect("the first is still served");
    let path = rig.device.path().to_owned();
    let second =
        std::thread::spawn(move || Client::connect(&path, WAIT).and_then(|mut client| client.flush()));
    std::thread::sleep(Duration::from_millis(20));
    first.disconnect().expect("a clean end");
    second
        .join()
        .expect("no panic")
        .expect("the second is served then");
}

#[test]
fn shutdown_closes_even_a_silent_client_and_removes_the_socket() {
    let rig = Rig::new(Zeros { size: SIZE });
    let mut client = rig.client();
    let path = rig.device.path().to_owned();
    rig.device.shutdown().expect("a healthy device");
    assert!(client.flush().is_err());
    assert!(!path.exists());
}

#[test]
fn a_device_that_cannot_be_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("disk");
    for size in [0, 511, 513, (16 << 40) + 512] {
        let refused = Device::bind(&path, Arc::new(Zeros { size }));
        assert!(
            matches!(refused, Err(DeviceError::Size(found)) if found == size),
            "{size}"
        );
    }
    let long = directory.path().join("x".repeat(108));
    let refused = Device::bind(&long, Arc::new(Zeros { size: SIZE }));
    assert!(matches!(refused, Err(DeviceError::Bind { .. })));
    std::fs::write(&path, "taken").expect("a file");
    let refused = Device::bind(&path, Arc::new(Zeros { size: SIZE }));
    assert!(matches!(refused, Err(DeviceError::Bind { .. })));
    assert_eq!(std::fs::read(&path).expect("a file"), b"taken");
}

/// Mostly sensible request headers, so that a random stream gets past the first one.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let magic = prop_oneof![20 => Just(proto::REQUEST_MAGIC), 1 => any::<u32>()];
    let offset = prop_oneof![4 => (0..2100u64).prop_map(|sector| sector * 512), 1 => any::<u64>()];
    let len = prop_oneof![4 => (0..9u32).prop_map(|sectors| sectors * 512), 1 => any::<u32>()];
    (magic, any::<u16>(), 0..9u16, offset, len, 0..5000usize).prop_map(
        |(magic, flags, kind, offset, len, tail)| {
            let mut bytes = magic.to_be_bytes().to_vec();
            bytes.extend((flags & 0x13).to_be_bytes());
            bytes.extend(kind.to_be_bytes());
            bytes.extend(7u64.to_be_bytes());
            bytes.extend(offset.to_be_bytes());
            bytes.extend(len.to_be_bytes());
            if kind == command::WRITE {
                bytes.extend(vec![1; if len <= 4096 { len as usize } else { tail }]);
            }
            bytes
        },
    )
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096), piece in 1..600usize) {
        prop_assert!(coldcut::disk::fuzz(&bytes, piece) >= 18);
    }

    #[test]
    fn replies_do_not_depend_on_how_the_bytes_arrive(
        requests in proptest::collection::vec(request(), 0..30), piece in 1..6000usize,
    ) {
        let mut bytes = 3u32.to_be_bytes().to_vec();
        bytes.extend(proto::OPTION_MAGIC.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 0]);
        bytes.extend(requests.concat());
        let whole = coldcut::disk::fuzz(&bytes, bytes.len());
        prop_assert!(whole >= 28);
        prop_assert_eq!(coldcut::disk::fuzz(&bytes, piece), whole);
    }
}
