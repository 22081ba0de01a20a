//! Frames: `length: u32 little-endian`, then that many bytes of postcard-encoded message.

use serde::{Serialize, de::DeserializeOwned};

/// Longest payload of a frame, in bytes. A peer that announces more is broken or hostile.
pub const MAX_FRAME: usize = 1 << 20;

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced length is over [`MAX_FRAME`].
    #[error("a frame of {0} bytes is announced, more than the {MAX_FRAME} allowed")]
    TooLong(u64),
    /// The payload does not decode.
    #[error("a frame does not decode: {0}")]
    Malformed(#[from] postcard::Error),
    /// The payload decodes with bytes left over.
    #[error("a frame has {0} bytes after its message")]
    Trailing(usize),
}

/// One message as a frame.
///
/// # Errors
/// [`FrameError::TooLong`] when the message does not fit a frame: the sender must split it.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = postcard::to_extend(message, vec![0; 4])?;
    let len = bytes.len() - 4;
    if len > MAX_FRAME {
        return Err(FrameError::TooLong(len as u64));
    }
    bytes[..4].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(bytes)
}

/// Collects bytes and yields messages. Never holds more than one frame beyond what was pushed.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// An empty decoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// Any [`FrameError`]; the stream is unusable after one.
    pub fn next_message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let rest = &self.buffer[self.start..];
        let Some(head) = rest.first_chunk::<4>() else {
            return Ok(None);
        };
        let len = u32::from_le_bytes(*head) as usize;
        if len > MAX_FRAME {
            return Err(FrameError::TooLong(len as u64));
        }
        let Some(payload) = rest.get(4..4 + len) else {
            return Ok(None);
        };
        let (message, left) = postcard::take_from_bytes(payload)?;
        if !left.is_empty() {
            return Err(FrameError::Trailing(left.len()));
        }
        self.start += 4 + len;
        Ok(Some(message))
    }
}
