//! The way back to the host, which all lanes share.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use coldcut_wire::{Done, Failure, FromAgent, Output, RequestId, encode};

use crate::failure::refuse;
use crate::sync::lock;

/// Sends messages to the host, one at a time, until the channel is closed.
#[derive(Clone, Debug)]
pub(crate) struct Sender(Arc<Mutex<Option<File>>>);

impl Sender {
    /// Sends through `file`.
    pub(crate) fn new(file: File) -> Self {
        Self(Arc::new(Mutex::new(Some(file))))
    }

    /// Sends one message; a message over the frame limit is an error and nothing of it is sent.
    pub(crate) fn send(&self, message: &FromAgent) -> Result<(), Failure> {
        let frame = encode(message).map_err(|error| refuse(format!("an answer cannot be sent: {error}")))?;
        self.send_frame(&frame)
            .map_err(|error| refuse(format!("the channel to the host failed: {error}")))
    }

    /// Sends a part of the answer to request `id`.
    pub(crate) fn output(&self, id: RequestId, output: Output) -> Result<(), Failure> {
        self.send(&FromAgent::Output { id, output })
    }

    /// Ends the answer to request `id`.
    pub(crate) fn done(&self, id: RequestId, result: Result<Done, Failure>) -> Result<(), Failure> {
        self.send(&FromAgent::Done { id, result })
    }

    /// Sends an encoded message.
    pub(crate) fn send_frame(&self, frame: &[u8]) -> io::Result<()> {
        let mut file = lock(&self.0);
        file.as_mut()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?
            .write_all(frame)
    }

    /// Closes the channel: a late answer must not reach the next connection.
    pub(crate) fn close(&self) {
        *lock(&self.0) = None;
    }
}
