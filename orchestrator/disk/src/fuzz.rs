//! A whole conversation from bytes, for fuzzing and for tests: no socket, no thread, no clock.

use std::io::Cursor;
use std::sync::Arc;

use bytes::BytesMut;
use coldcut_core::recording::block::{ReadAt as _, Zeros};
use coldcut_core::recording::disks::Disk as Seen;
use coldcut_core::recording::log::Recorder;

use super::error::DeviceError;
use super::faces::Disk;
use super::session::{Flow, NbdSession};

/// What a conversation left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Everything that the server sent.
    pub replies: Vec<u8>,
    /// Whether the server closed the connection: the client said goodbye, or broke the protocol.
    pub closed: bool,
    /// The disk's content after it.
    pub content: Vec<u8>,
    /// The recording of the disk from the first byte on: log and sidecar.
    pub recording: (Vec<u8>, Vec<u8>),
}

/// Feeds arbitrary bytes to a conversation over a zeroed disk of `size` bytes that records, as a client does that sends
/// them in pieces of `piece` bytes and reads every reply at once. Replies take up to `size` bytes for each 28 of input.
///
/// # Errors
/// The disk broke or the recording failed, which nothing that a client sends may cause.
pub fn converse(input: &[u8], piece: usize, size: u64) -> Result<Conversation, DeviceError> {
    type Memory = Cursor<Vec<u8>>;
    let failed = |error| DeviceError::Log(Arc::new(error));
    let mut disk = Disk::new(Arc::new(Zeros { size }));
    let recorder = Recorder::new(Memory::default(), Memory::default(), size, 4096).map_err(failed)?;
    disk.begin(Box::new(recorder))?;
    let mut replies = Vec::new();
    let closed = feed(&mut disk, input, piece, &mut |bytes| {
        replies.extend_from_slice(bytes);
    })?;
    let image = disk.freeze()?;
    let mut content = vec![0; size as usize];
    image
        .read_at(0, &mut content)
        .map_err(|error| DeviceError::Image(Arc::new(error)))?;
    let recorder = disk.end()?.into_any().downcast::<Recorder<Memory, Memory>>();
    let Ok(mut recorder) = recorder else {
        return Err(DeviceError::NotRecording);
    };
    recorder.finish().map_err(failed)?;
    let (log, sidecar) = recorder.into_inner();
    Ok(Conversation {
        replies,
        closed,
        content,
        recording: (log.into_inner(), sidecar.into_inner()),
    })
}

/// Feeds arbitrary bytes to a conversation over a disk of 1 MiB, as a client that sends them in pieces of `piece`
/// bytes; how many reply bytes came. For fuzzing: nothing that a client sends may panic or take unbounded memory.
pub fn fuzz(input: &[u8], piece: usize) -> usize {
    let mut disk = Disk::new(Arc::new(Zeros { size: 1 << 20 }));
    let mut replied = 0;
    // A disk over zeros that does not record has nothing that can break it.
    let _ = feed(&mut disk, input, piece, &mut |bytes| replied += bytes.len());
    replied
}

/// Whether the server closed the connection.
fn feed(
    disk: &mut Disk,
    input: &[u8],
    piece: usize,
    client: &mut dyn FnMut(&[u8]),
) -> Result<bool, DeviceError> {
    let (mut buffer, mut out, mut waiting) = (BytesMut::new(), Vec::new(), Vec::new());
    let seen = Seen {
        start: 0,
        size: disk.size(),
    };
    let mut session = NbdSession::start(seen, &mut out);
    for piece in input.chunks(piece.max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            let flow = session.advance(disk, &mut buffer, &mut out, &mut waiting);
            client(&out);
            out.clear();
            match flow {
                Ok(Flow::More(_)) => break,
                Ok(Flow::Drain) => {}
                Ok(Flow::Close) => return Ok(true),
                Err(_) => {
                    disk.health()?;
                    return Ok(true);
                }
            }
        }
    }
    client(&out);
    Ok(false)
}
