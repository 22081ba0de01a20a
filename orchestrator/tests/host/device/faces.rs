//! Serving, recording, cut, serving again; and the device when what it relies on fails.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use coldcut::disk::DeviceError;
use coldcut::disk::client::ClientError;
use coldcut_core::recording::block::{ReadAt, Zeros};
use coldcut_core::recording::io::{Io, IoId, IoKind, IoLog};
use coldcut_core::recording::mark::Mark;

use super::rig::{Event, MemoryLog, Rig, SILENCE, WAIT, noise, whole};

const SIZE: usize = 1 << 20;

fn io(kind: IoKind, offset: u64, len: u64, fua: bool) -> Io {
    Io {
        kind,
        offset,
        len,
        fua,
    }
}

#[tokio::test]
async fn every_change_is_logged_with_its_marks_in_order() {
    let rig = Rig::new(Zeros { size: SIZE as u64 });
    let mut client = rig.client();
    client.write(0, &[1; 512], true).expect("before the recording");
    let (recording, log) = rig.record().await;
    rig.handle.mark(&Mark::from("begin 0 write#0")).expect("a mark");
    client.write(4096, &[2; 1024], false).expect("a write");
    client
        .read(4096, &mut [0; 512])
        .expect("a read, which is not logged");
    client.write(8192, &[3; 512], true).expect("a write with FUA");
    client.write_zeroes(4096, 512, true).expect("zeros");
    client.trim(0, 4096, false).expect("a trim");
    client.trim(512, 512, true).expect("a trim with FUA");
    client.flush().expect("a flush");
    rig.handle.mark(&Mark::from("done 0 write#0")).expect("a mark");
    let (_, content) = recording.end().expect("the log");
    let submit = |id, io, data: &[u8]| Event::Submit(id, io, Bytes::copy_from_slice(data));
    let expected = [
        Event::Mark("begin 0 write#0".into()),
        submit(1, io(IoKind::Write, 4096, 1024, false), &[2; 1024]),
        Event::Complete(1),
        submit(3, io(IoKind::Write, 8192, 512, true), &[3; 512]),
        Event::Complete(3),
        submit(5, io(IoKind::WriteZeroes, 4096, 512, true), &[]),
        Event::Complete(5),
        submit(7, io(IoKind::Discard, 0, 4096, false), &[]),
        Event::Complete(7),
        submit(9, io(IoKind::Discard, 512, 512, true), &[]),
        Event::Complete(9),
        submit(11, io(IoKind::Flush, 0, 0, false), &[]),
        Event::Complete(11),
        Event::Mark("done 0 write#0".into()),
    ];
    assert_eq!(log.events(), expected);
    let content = whole(&content);
    assert_eq!(content[4608..5120], [2; 512]);
    assert_eq!(content[8192..8704], [3; 512]);
    assert_eq!(content.iter().filter(|byte| **byte != 0).count(), 1024);
    let counters = rig.handle.counters();
    let found = (
        counters.writes,
        counters.written_bytes,
        counters.write_zeroes,
        counters.discards,
    );
    assert_eq!(found, (3, 2048, 1, 2));
    assert_eq!(
        (
            counters.reads,
            counters.read_bytes,
            counters.flushes,
            counters.fua
        ),
        (1, 512, 1, 4)
    );
}

#[tokio::test]
async fn what_is_frozen_stays() {
    let rig = Rig::new(noise(1, SIZE));
    let mut client = rig.client();
    client.write(512, &[1; 8192], false).expect("a write");
    let first = rig.handle.freeze().expect("an image");
    let again = rig.handle.freeze().expect("an image");
    assert!(Arc::ptr_eq(&first, &again), "nothing was written between");
    let mut expected = noise(1, SIZE);
    expected[512..8704].fill(1);
    client.write(0, &[2; 4096], false).expect("a write");
    client.trim(4096, 1 << 19, false).expect("a trim");
    let second = rig.handle.freeze().expect("an image");
    assert_eq!(whole(&first), expected);
    expected[..4096].fill(2);
    expected[4096..4096 + (1 << 19)].fill(0);
    assert_eq!(whole(&second), expected);
    let (recording, _) = rig.record().await;
    assert_eq!(whole(recording.base()), expected);
}

#[tokio::test]
async fn after_the_cut_there_is_only_eio_until_another_image_is_served() {
    let rig = Rig::new(Zeros { size: SIZE as u64 });
    let mut client = rig.client();
    let (recording, log) = rig.record().await;
    assert!(matches!(
        rig.handle.begin_recording(MemoryLog::default(), WAIT).await,
        Err(DeviceError::Recording)
    ));
    assert!(matches!(
        rig.handle.serve(Arc::new(noise(2, SIZE)), WAIT).await,
        Err(DeviceError::Recording)
    ));
    client.write(0, &[1; 512], false).expect("a write");
    let (_, content) = recording.end().expect("the log");
    assert!(matches!(
        client.write(512, &[2; 512], true),
        Err(ClientError::Server(5))
    ));
    assert!(matches!(client.flush(), Err(ClientError::Server(5))));
    assert!(matches!(
        client.read(0, &mut [0; 512]),
        Err(ClientError::Server(5))
    ));
    assert!(matches!(
        rig.handle.mark(&Mark::End),
        Err(DeviceError::NotRecording)
    ));
    assert_eq!(log.events().len(), 2);
    assert_eq!(whole(&content)[..1024], [[1; 512], [0; 512]].concat());
    assert_eq!(
        whole(&rig.handle.freeze().expect("an image"))[..1024],
        [[1; 512], [0; 512]].concat()
    );

    let other = rig.handle.serve(Arc::new(noise(2, SIZE + 512)), WAIT).await;
    assert!(matches!(other, Err(DeviceError::OtherSize { .. })));
    rig.handle
        .serve(Arc::new(noise(2, SIZE)), WAIT)
        .await
        .expect("the next image");
    let mut found = vec![0; SIZE];
    client
        .read(0, &mut found)
        .expect("a read over the same connection");
    assert_eq!(found, noise(2, SIZE));
    let (recording, log) = rig.record().await;
    client.flush().expect("a flush");
    assert_eq!(log.events().len(), 2, "recovery is logged too");
    recording.end().expect("the log");
}

/// A log whose completions wait for leave.
struct SlowLog(MemoryLog, Receiver<()>);

impl IoLog for SlowLog {
    fn submit(&mut self, io: Io, data: Bytes) -> io::Result<IoId> {
        self.0.submit(io, data)
    }

    fn complete(&mut self, id: IoId) -> io::Result<()> {
        self.1.recv().map_err(io::Error::other)?;
        self.0.complete(id)
    }

    fn fail(&mut self, id: IoId) -> io::Result<()> {
        self.0.fail(id)
    }

    fn mark(&mut self, mark: &Mark) -> io::Result<()> {
        self.0.mark(mark)
    }
}

#[tokio::test]
async fn no_reply_leaves_before_its_completion_is_logged() {
    let rig = Rig::new(Zeros { size: SIZE as u64 });
    let log = MemoryLog::default();
    let (leave, wait) = channel();
    let _recording = rig
        .handle
        .begin_recording(SlowLog(log.clone(), wait), WAIT)
        .await
        .expect("a recording");
    let mut client = rig.client();
    let cookie = client.send(1, 0, 0, 512, &[1; 512]).expect("sent");
    client
        .stream()
        .set_read_timeout(Some(SILENCE))
        .expect("a timeout");
    assert!(client.next_reply().is_err(), "a reply before the completion");
    assert_eq!(log.events().len(), 1, "submitted only");
    client.stream().set_read_timeout(Some(WAIT)).expect("a timeout");
    leave.send(()).expect("a log that waits");
    assert_eq!(client.next_reply().expect("a reply"), (cookie, 0));
    assert_eq!(log.events().len(), 2);
}

/// A log on a disk that is full after some entries.
struct FullLog(u32);

impl FullLog {
    fn entry(&mut self) -> io::Result<IoId> {
        self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        Ok(IoId(self.0))
    }
}

impl IoLog for FullLog {
    fn submit(&mut self, _: Io, _: Bytes) -> io::Result<IoId> {
        self.entry()
    }

    fn complete(&mut self, _: IoId) -> io::Result<()> {
        self.entry().map(drop)
    }

    fn fail(&mut self, _: IoId) -> io::Result<()> {
        self.entry().map(drop)
    }

    fn mark(&mut self, _: &Mark) -> io::Result<()> {
        self.entry().map(drop)
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_the_device_loudly() {
    // Full at the submission, at the completion, and at a mark.
    for entries in [2, 3, 4] {
        let rig = Rig::new(Zeros { size: SIZE as u64 });
        let recording = rig
            .handle
            .begin_recording(FullLog(entries), WAIT)
            .await
            .expect("a recording");
        let mut client = rig.impatient(SILENCE);
        client.write(0, &[1; 512], false).expect("a write");
        if entries == 4 {
            client.flush().expect("a flush");
            assert!(matches!(rig.handle.mark(&Mark::End), Err(DeviceError::Log(_))));
        }
        assert!(
            matches!(client.write(0, &[2; 512], false), Err(ClientError::Io(_))),
            "{entries}: no reply"
        );
        assert!(
            matches!(client.read(0, &mut [0; 512]), Err(ClientError::Io(_))),
            "{entries}: nor to a read"
        );
        let broken = tokio::time::timeout(WAIT, rig.handle.broken())
            .await
            .expect("in time");
        assert!(matches!(broken, DeviceError::Log(_)));
        assert!(matches!(rig.handle.health(), Err(DeviceError::Log(_))));
        assert!(matches!(rig.handle.freeze(), Err(DeviceError::Log(_))));
        assert!(matches!(rig.handle.mark(&Mark::End), Err(DeviceError::Log(_))));
        assert!(matches!(recording.end(), Err(DeviceError::Log(_))));
        assert!(
            matches!(rig.device.shutdown(), Err(DeviceError::Log(_))),
            "and shuts down at once"
        );
    }
}

/// An image whose second MiB cannot be read.
struct BadImage;

impl ReadAt for BadImage {
    fn size(&self) -> u64 {
        2 << 20
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset + buffer.len() as u64 > 1 << 20 {
            return Err(io::Error::other("bad sector"));
        }
        buffer.fill(0);
        Ok(())
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_read_is_no_guest_error() {
    let rig = Rig::new(BadImage);
    let (recording, log) = rig.record().await;
    let mut client = rig.impatient(SILENCE);
    for len in [4096, 512] {
        client
            .write((1 << 20) + 512, &vec![1; len], false)
            .expect("a change needs nothing from below");
    }
    client
        .read((1 << 20) + 512, &mut [0; 512])
        .expect("it was written");
    let outcome = client.read(1 << 20, &mut [0; 512]);
    assert!(
        matches!(outcome, Err(ClientError::Io(_))),
        "no reply, above all no EIO: {outcome:?}"
    );
    assert!(matches!(rig.handle.health(), Err(DeviceError::Image(_))));
    assert!(matches!(recording.end(), Err(DeviceError::Image(_))));
    let completed = log
        .events()
        .iter()
        .filter(|event| matches!(event, Event::Complete(_)))
        .count();
    assert_eq!(completed, 2);
}

/// A log with a defect.
struct PanickingLog;

impl IoLog for PanickingLog {
    fn submit(&mut self, _: Io, _: Bytes) -> io::Result<IoId> {
        panic!("a defect, on purpose")
    }

    fn complete(&mut self, _: IoId) -> io::Result<()> {
        Ok(())
    }

    fn fail(&mut self, _: IoId) -> io::Result<()> {
        Ok(())
    }

    fn mark(&mut self, _: &Mark) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_inside_is_never_a_healthy_device() {
    let rig = Rig::new(Zeros { size: SIZE as u64 });
    let recording = rig
        .handle
        .begin_recording(PanickingLog, WAIT)
        .await
        .expect("a recording");
    let mut client = rig.client();
    let handle = rig.handle.clone();
    let broken = tokio::spawn(async move { handle.broken().await });
    tokio::time::sleep(SILENCE).await;
    assert!(client.write(0, &[1; 512], false).is_err());
    let broken = tokio::time::timeout(WAIT, broken)
        .await
        .expect("in time")
        .expect("no panic");
    assert!(matches!(broken, DeviceError::Panicked));
    assert!(matches!(rig.handle.health(), Err(DeviceError::Panicked)));
    assert!(matches!(recording.end(), Err(DeviceError::Panicked)));
    assert!(matches!(rig.device.shutdown(), Err(DeviceError::Panicked)));
}
