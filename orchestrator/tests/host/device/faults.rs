//! Faults and pace as scenarios use them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use coldcut::disk::client::ClientError;
use coldcut::disk::proto::command;
use coldcut::disk::{Faults, Overdue, Resume};
use coldcut_core::faults::{Effect, Fault, Filter, Kind, Pace, Whose};
use coldcut_core::recording::block::Zeros;
use coldcut_wire::PatternName;
use coldcut_wire::pattern::{Pattern, pattern_id};

use super::rig::{Event, Rig, SILENCE, WAIT};

const SIZE: u64 = 1 << 20;

fn name(file: &str, generation: &str) -> PatternName {
    PatternName {
        file: file.to_owned(),
        generation: generation.to_owned(),
    }
}

fn data(name: &PatternName, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Pattern::new(name).fill(0, &mut bytes);
    bytes
}

fn fault(name: &str, kind: Kind, effect: Effect, count: Option<u32>) -> Fault {
    Fault {
        name: name.to_owned(),
        filter: Filter {
            kind,
            whose: None,
            range: None,
        },
        effect,
        count,
    }
}

fn faulty(pace: Pace) -> (Rig, Faults) {
    let rig = Rig::new(Zeros { size: SIZE });
    let faults = Faults::new(pace);
    rig.handle.set_injector(Some(faults.injector()));
    (rig, faults)
}

#[tokio::test]
async fn a_write_is_held_by_whose_data_it_carries() {
    let (rig, faults) = faulty(Pace::default());
    let (victim, other) = (name("victim", "1"), name("other", "1"));
    let mut held = fault("data", Kind::Write, Effect::Hold, Some(1));
    held.filter.whose = Some(Whose::File("victim".to_owned()));
    faults.arm(held, Some(BTreeSet::from([pattern_id(&victim)])), WAIT);
    let (_recording, log) = rig.record().await;
    let mut client = rig.client();
    client
        .write(0, &data(&other, 4096), false)
        .expect("another file's");
    client.write(4096, &[7; 4096], false).expect("nobody's");
    assert!(
        tokio::time::timeout(SILENCE, faults.held("data", 1))
            .await
            .is_err(),
        "nothing is held yet"
    );
    // One sector among many is enough.
    let mixed = [vec![0; 4096], data(&victim, 512), vec![1; 3584]].concat();
    let write = client.send(command::WRITE, 0, 8192, 8192, &mixed).expect("sent");
    tokio::time::timeout(WAIT, faults.held("data", 1))
        .await
        .expect("held");
    assert_eq!(faults.in_force(), [("data".to_owned(), 1, 1)]);
    // It is submitted and not applied; a second one passes, since the fault was for one.
    assert!(matches!(log.events().last(), Some(Event::Submit(_, io, _)) if io.offset == 8192));
    client
        .write(65536, &data(&victim, 4096), false)
        .expect("the second one passes");
    let mut found = [9; 4096];
    client.read(12288, &mut found).expect("a read");
    assert_eq!(found, [0; 4096]);
    assert_eq!(faults.release("data", Resume::Proceed), Some((1, 1)));
    assert_eq!(client.next_reply().expect("the late reply"), (write, 0));
    client.read(12288, &mut found).expect("a read");
    assert_eq!(found[..512], data(&victim, 512));
    assert_eq!(faults.release("data", Resume::Proceed), None);
}

#[tokio::test]
async fn a_read_is_held_by_what_is_stored_there() {
    let (rig, faults) = faulty(Pace::default());
    let victim = name("victim", "0");
    let mut client = rig.client();
    client.write(4096, &data(&victim, 4096), false).expect("written");
    let mut held = fault("reading", Kind::Read, Effect::Hold, Some(1));
    held.filter.whose = Some(Whose::Content(victim.clone()));
    faults.arm(held, Some(BTreeSet::from([pattern_id(&victim)])), WAIT);
    client.read(8192, &mut [0; 4096]).expect("nobody's");
    let read = client.send(command::READ, 0, 0, 8192, &[]).expect("sent");
    tokio::time::timeout(WAIT, faults.held("reading", 1))
        .await
        .expect("held");
    assert_eq!(
        faults.release("reading", Resume::Fail(coldcut::disk::proto::Errno::Io)),
        Some((1, 1))
    );
    assert_eq!(client.next_reply().expect("a reply"), (read, 5));
}

#[tokio::test]
async fn requests_fail_once_always_and_in_a_range() {
    let (rig, faults) = faulty(Pace::default());
    let mut client = rig.client();
    let failed = |result: Result<(), ClientError>| matches!(result, Err(ClientError::Server(5)));
    faults.arm(fault("once", Kind::Write, Effect::Fail, Some(1)), None, WAIT);
    assert!(failed(client.write(0, &[1; 512], false)));
    client.write(0, &[1; 512], false).expect("once is once");

    let mut range = fault("range", Kind::Write, Effect::Fail, None);
    range.filter.range = Some(4096..8192);
    faults.arm(range, None, WAIT);
    for _ in 0..3 {
        assert!(failed(client.write(4096, &[1; 512], false)));
        assert!(failed(client.write(0, &[1; 8192], false)));
    }
    client.write(8192, &[1; 512], false).expect("beside the range");
    client.read(4096, &mut [0; 512]).expect("reads are another kind");
    assert_eq!(faults.release("range", Resume::Proceed), Some((6, 0)));
    client.write(4096, &[1; 512], false).expect("the fault has ended");

    faults.arm(fault("flush", Kind::Flush, Effect::Fail, None), None, WAIT);
    assert!(failed(client.flush()));
}

#[tokio::test]
async fn what_is_held_too_long_is_released_and_said() {
    let (rig, faults) = faulty(Pace::default());
    let within = Duration::from_millis(80);
    faults.arm(fault("slow", Kind::Flush, Effect::Hold, None), None, within);
    faults.arm(fault("patient", Kind::Write, Effect::Hold, None), None, WAIT);
    let mut client = rig.client();
    assert!(tokio::time::timeout(SILENCE, faults.overdue()).await.is_err());
    let write = client.send(command::WRITE, 0, 0, 512, &[1; 512]).expect("sent");
    let start = Instant::now();
    let flush = client.send(command::FLUSH, 0, 0, 0, &[]).expect("sent");
    let overdue = tokio::time::timeout(WAIT, faults.overdue())
        .await
        .expect("overdue");
    assert_eq!(
        overdue,
        Overdue {
            name: "slow".to_owned(),
            within
        }
    );
    assert!(start.elapsed() >= within);
    assert_eq!(client.next_reply().expect("released"), (flush, 0));
    assert_eq!(faults.in_force(), [("patient".to_owned(), 1, 1)]);
    faults.release("patient", Resume::Proceed);
    assert_eq!(client.next_reply().expect("released"), (write, 0));
}

#[tokio::test]
async fn a_slow_device_takes_its_time_and_a_fast_one_again_does_not() {
    let (rig, faults) = faulty(Pace::new(Some(1 << 20), 0));
    let mut client = rig.client();
    let mut time = |what: &dyn Fn(&mut coldcut::disk::client::Client)| {
        let start = Instant::now();
        what(&mut client);
        start.elapsed()
    };
    let write = |client: &mut coldcut::disk::client::Client| {
        for at in 0..4 {
            client
                .write(at << 16, &vec![1; 64 << 10], false)
                .expect("written");
        }
    };
    assert!(time(&write) >= Duration::from_millis(245), "256 KiB at 1 MiB/s");
    faults.set_pace(None, Some(Duration::from_millis(50)));
    faults.set_pace(Some(None), None);
    assert!(time(&|client| client.flush().expect("flushed")) >= Duration::from_millis(50));
    faults.set_pace(None, Some(Duration::ZERO));
    assert!(time(&write) < Duration::from_millis(200), "no limit any more");
}
