//! What the tests share: a device in a private directory, and a log in memory.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use coldcut::disk::client::Client;
use coldcut::disk::{ActiveRecording, Device, DeviceHandle};
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::io::{Io, IoId, IoKind, IoLog};
use coldcut_core::recording::mark::Mark;
use coldcut_wire::splitmix::SplitMix;

pub(crate) const WAIT: Duration = Duration::from_secs(10);
/// Long enough to see that no reply comes.
pub(crate) const SILENCE: Duration = Duration::from_millis(150);

pub(crate) struct Rig {
    pub(crate) device: Device,
    pub(crate) handle: DeviceHandle,
    _directory: tempfile::TempDir,
}

impl Rig {
    pub(crate) fn new(base: impl ReadAt + 'static) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let device = Device::bind(&directory.path().join("disk"), Arc::new(base)).expect("a device");
        Self {
            handle: device.handle(),
            device,
            _directory: directory,
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.impatient(WAIT)
    }

    pub(crate) fn impatient(&self, wait: Duration) -> Client {
        Client::connect(self.device.path(), wait).expect("a connection")
    }

    pub(crate) async fn record(&self) -> (ActiveRecording<MemoryLog>, MemoryLog) {
        let log = MemoryLog::default();
        let recording = self
            .handle
            .begin_recording(log.clone(), WAIT)
            .await
            .expect("a recording");
        (recording, log)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Submit(u32, Io, Bytes),
    Complete(u32),
    Fail(u32),
    Mark(String),
}

/// A log in memory; clones are the same log.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryLog(Arc<Mutex<Vec<Event>>>);

impl MemoryLog {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().expect("the log").clone()
    }

    fn push(&mut self, event: Event) {
        self.0.lock().expect("the log").push(event);
    }
}

impl IoLog for MemoryLog {
    fn submit(&mut self, io: Io, data: Bytes) -> io::Result<IoId> {
        let mut events = self.0.lock().expect("the log");
        let id = events.len() as u32;
        events.push(Event::Submit(id, io, data));
        Ok(IoId(id))
    }

    fn complete(&mut self, id: IoId) -> io::Result<()> {
        self.push(Event::Complete(id.0));
        Ok(())
    }

    fn fail(&mut self, id: IoId) -> io::Result<()> {
        self.push(Event::Fail(id.0));
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) -> io::Result<()> {
        self.push(Event::Mark(mark.to_string()));
        Ok(())
    }
}

/// Applies what completed, in order of completion, to `image`.
pub(crate) fn replay(events: &[Event], image: &mut [u8]) {
    for event in events {
        let Event::Complete(done) = event else { continue };
        let (io, data) = events
            .iter()
            .find_map(|event| match event {
                Event::Submit(id, io, data) if id == done => Some((io, data)),
                _ => None,
            })
            .expect("a completion follows its submission");
        let range = io.offset as usize..(io.offset + io.len) as usize;
        match io.kind {
            IoKind::Write => image[range].copy_from_slice(data),
            IoKind::WriteZeroes | IoKind::Discard => image[range].fill(0),
            IoKind::Flush => {}
        }
    }
}

pub(crate) fn whole(image: &dyn ReadAt) -> Vec<u8> {
    let mut bytes = vec![0; image.size() as usize];
    image.read_at(0, &mut bytes).expect("a readable image");
    bytes
}

/// Bytes that differ from place to place.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = SplitMix::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.draw().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
