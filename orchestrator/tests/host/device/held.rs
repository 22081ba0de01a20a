//! Requests that are held, delayed or failed between submission and completion.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coldcut::disk::client::ClientError;
use coldcut::disk::proto::{Errno, command};
use coldcut::disk::{Admission, DeviceError, DeviceHandle, Request, Resume};
use coldcut_core::recording::block::Zeros;
use coldcut_core::recording::io::IoKind;
use proptest::prelude::*;
use tokio::sync::oneshot::{Sender, channel};

use super::rig::{Event, MemoryLog, Rig, SILENCE, WAIT, noise, replay, whole};

const SIZE: usize = 1 << 20;

type Held = Arc<Mutex<Vec<Sender<Resume>>>>;

/// Holds every request for which `choose` says so.
fn hold(handle: &DeviceHandle, mut choose: impl FnMut(&Request) -> bool + Send + 'static) -> Held {
    let held = Held::default();
    let list = Arc::clone(&held);
    handle.set_injector(Some(Box::new(move |request: &Request| {
        if choose(request) {
            let (sender, receiver) = channel();
            list.lock().expect("the list").push(sender);
            Admission::Hold(receiver)
        } else {
            Admission::Proceed
        }
    })));
    held
}

fn writes_to(offset: u64) -> impl FnMut(&Request) -> bool + Send {
    move |request| matches!(request, Request::Change { io, .. } if io.kind == IoKind::Write && io.offset == offset)
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_held_write_lets_a_flush_pass_and_completes_after_it() {
    let rig = Rig::new(Zeros { size: SIZE as u64 });
    let held = hold(&rig.handle, writes_to(0));
    let (recording, log) = rig.record().await;
    let mut client = rig.client();
    let write = client.send(command::WRITE, 0, 0, 512, &[1; 512]).expect("sent");
    client
        .write(4096, &[2; 512], false)
        .expect("a later write passes");
    client.flush().expect("so does a flush");
    let mut found = [9; 512];
    client.read(0, &mut found).expect("and a read");
    assert_eq!(found, [0; 512], "what is held is not applied");
    assert_eq!(rig.handle.counters().in_flight, 1);
    assert!(matches!(
        rig.handle
            .serve(Arc::new(Zeros { size: SIZE as u64 }), SILENCE)
            .await,
        Err(DeviceError::Busy { in_flight: 1, .. })
    ));
    held.lock()
        .expect("the list")
        .remove(0)
        .send(Resume::Proceed)
        .expect("a held request");
    assert_eq!(client.next_reply().expect("the late reply"), (write, 0));
    let order: Vec<_> = log
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Complete(id) => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(order, [1, 3, 0]);
    let (_, content) = recording.end().expect("the log");
    assert_eq!(whole(&content)[..512], [1; 512]);
}

#[tokio::test]
async fn a_recording_does_not_begin_while_a_request_is_held() {
    let rig = Rig::new(Zeros { size: SIZE as u64 });
    let held = hold(&rig.handle, writes_to(0));
    let mut client = rig.client();
    client.send(command::WRITE, 0, 0, 512, &[1; 512]).expect("sent");
    wait_until("the hold", || rig.handle.counters().in_flight == 1);
    let refused = rig.handle.begin_recording(MemoryLog::default(), SILENCE).await;
    assert!(matches!(refused, Err(DeviceError::Busy { in_flight: 1, .. })));
    let handle = rig.handle.clone();
    let begin = tokio::spawn(async move { handle.begin_recording(MemoryLog::default(), WAIT).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!begin.is_finished());
    // Dropping the other end is a release.
    held.lock().expect("the list").clear();
    let recording = begin
        .await
        .expect("no panic")
        .expect("begins when it is released");
    assert_eq!(
        whole(recording.base())[..512],
        [1; 512],
        "the released write is in the base"
    );
    let (log, _) = recording.end().expect("the log");
    assert_eq!(log.events(), []);
}

#[tokio::test]
async fn failed_requests_are_logged_as_failed_and_not_applied() {
    let rig = Rig::new(Zeros { size: SIZE as u64 });
    let held = hold(&rig.handle, writes_to(0));
    let (recording, log) = rig.record().await;
    let mut client = rig.client();
    let write = client.send(command::WRITE, 0, 0, 512, &[1; 512]).expect("sent");
    wait_until("the hold", || rig.handle.counters().in_flight == 1);
    held.lock()
        .expect("the list")
        .remove(0)
        .send(Resume::Fail(Errno::Io))
        .expect("a held request");
    assert_eq!(client.next_reply().expect("a reply"), (write, 5));
    rig.handle
        .set_injector(Some(Box::new(|_: &Request| Admission::Fail(Errno::NoSpc))));
    assert!(matches!(
        client.write(512, &[1; 512], true),
        Err(ClientError::Server(28))
    ));
    assert!(matches!(
        client.read(0, &mut [0; 512]),
        Err(ClientError::Server(28))
    ));
    let kinds: Vec<_> = log
        .events()
        .iter()
        .map(|event| matches!(event, Event::Fail(_)))
        .collect();
    assert_eq!(kinds, [false, true, false, true]);
    let (_, content) = recording.end().expect("the log");
    assert!(whole(&content).iter().all(|byte| *byte == 0));
    assert_eq!(rig.handle.counters().errors, 3);
}

#[test]
fn a_delay_delays_one_request_alone() {
    let rig = Rig::new(Zeros { size: SIZE as u64 });
    let delay = Duration::from_millis(120);
    rig.handle
        .set_injector(Some(Box::new(move |request: &Request| match request {
            Request::Read { .. } => Admission::Delay(delay),
            Request::Change { .. } => Admission::Proceed,
        })));
    let mut client = rig.client();
    let start = Instant::now();
    let read = client.send(command::READ, 0, 0, 512, &[]).expect("sent");
    client.flush().expect("a flush passes");
    assert_eq!(client.next_reply().expect("the late reply"), (read, 0));
    assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_is_in_flight_at_the_cut_stays_submitted() {
    let rig = Rig::new(Zeros { size: SIZE as u64 });
    let held = hold(&rig.handle, writes_to(0));
    let (recording, log) = rig.record().await;
    let mut client = rig.client();
    let write = client.send(command::WRITE, 0, 0, 512, &[1; 512]).expect("sent");
    client.flush().expect("a flush");
    let (_, content) = recording.end().expect("the log");
    held.lock().expect("the list").clear();
    assert_eq!(
        client.next_reply().expect("a reply"),
        (write, 5),
        "EIO: the power is off"
    );
    assert_eq!(log.events().len(), 3, "no completion after the cut");
    assert_eq!(whole(&content)[..512], [0; 512]);
    assert_eq!(whole(&rig.handle.freeze().expect("an image"))[..512], [0; 512]);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_held_requests_with_it() {
    let rig = Rig::new(Zeros { size: SIZE as u64 });
    let held = hold(&rig.handle, writes_to(0));
    let (_recording, log) = rig.record().await;
    let mut client = rig.client();
    client.send(command::WRITE, 0, 0, 512, &[1; 512]).expect("sent");
    client.flush().expect("a flush");
    drop(client);
    wait_until("the end of the connection", || {
        rig.handle.counters().in_flight == 0
    });
    held.lock().expect("the list").clear();
    rig.client().flush().expect("a flush");
    let completed: Vec<_> = log
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Complete(_)))
        .collect();
    assert_eq!(
        completed,
        [Event::Complete(1), Event::Complete(3)],
        "the flushes alone"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Overlapping writes, some held and released in another order, some failed: the image is what the log says.
    #[test]
    fn the_log_explains_the_image(
        requests in proptest::collection::vec((0..24u64, 1..20u64, 0..4u8, 0..3u8), 1..40),
        releases in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 40),
    ) {
        let rig = Rig::new(noise(7, 64 << 10));
        let mut turn = 0;
        let plan: Vec<bool> = requests.iter().map(|request| request.3 == 0).collect();
        let held = hold(&rig.handle, move |_| {
            turn += 1;
            plan[turn - 1]
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (recording, log) = runtime.block_on(rig.record());
        let mut client = rig.client();
        for (seed, (sector, sectors, kind, _)) in requests.iter().enumerate() {
            let len = sectors * 512;
            let data = noise(seed as u64, len as usize);
            let kind = [command::WRITE, command::WRITE, command::TRIM, command::WRITE_ZEROES][usize::from(*kind)];
            client.send(kind, 0, sector * 512, len as u32, if kind == command::WRITE { &data } else { &[] })
                .expect("sent");
        }
        let waiting = requests.iter().filter(|request| request.3 == 0).count();
        for _ in waiting..requests.len() {
            client.next_reply().expect("a reply");
        }
        wait_until("every hold", || held.lock().expect("the list").len() == waiting);
        for (index, fail) in releases.iter().take(waiting) {
            let mut held = held.lock().expect("the list");
            let at = index.index(held.len());
            let resume = if *fail { Resume::Fail(Errno::Io) } else { Resume::Proceed };
            held.remove(at).send(resume).expect("a held request");
            drop(held);
            let (_, error) = client.next_reply().expect("a reply");
            prop_assert_eq!(error == 0, !fail);
        }
        let (_, content) = recording.end().expect("the log");
        let mut expected = noise(7, 64 << 10);
        replay(&log.events(), &mut expected);
        prop_assert_eq!(whole(&content), expected);
        let submitted = log.events().iter().filter(|event| matches!(event, Event::Submit(..))).count();
        prop_assert_eq!(log.events().len(), submitted * 2);
    }
}
