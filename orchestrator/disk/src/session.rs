//! One client's conversation, without a socket: bytes in, bytes out.

use bytes::BytesMut;
use coldcut_core::recording::disks::Disk as Seen;

use super::error::DeviceError;
use super::faces::{Disk, Started, Ticket};
use super::handshake::{Handshake, Next, ProtocolError};
use super::injector::Admission;
use super::request::{self, Parsed};

/// How many bytes of replies are gathered before they are sent.
const OUT_LIMIT: usize = 256 << 10;

/// What a conversation needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// At least this many more bytes from the client.
    More(usize),
    /// What was produced is sent first; then advance again.
    Drain,
    /// What was produced is sent, then the connection is closed.
    Close,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// The state of one conversation.
pub(crate) struct NbdSession {
    handshake: Option<Handshake>,
    /// The disk that the client sees, and where it starts among all.
    seen: Seen,
}

impl NbdSession {
    pub(crate) fn start(seen: Seen, out: &mut Vec<u8>) -> Self {
        Self {
            handshake: Some(Handshake::start(seen.size, out)),
            seen,
        }
    }

    /// Whether requests may follow.
    pub(crate) fn in_transmission(&self) -> bool {
        self.handshake.is_none()
    }

    /// Takes complete messages from `input`, in order; appends replies to `out`, and requests that must wait to
    /// `waiting`.
    pub(crate) fn advance(
        &mut self,
        disk: &mut Disk,
        input: &mut BytesMut,
        out: &mut Vec<u8>,
        waiting: &mut Vec<(Ticket, Admission)>,
    ) -> Result<Flow, SessionError> {
        if let Some(handshake) = &mut self.handshake {
            match handshake.advance(input, out)? {
                Next::More => return Ok(Flow::More(1)),
                Next::Close => return Ok(Flow::Close),
                Next::Transmission => self.handshake = None,
            }
        }
        while out.len() < OUT_LIMIT {
            match request::take(input, self.seen.size)? {
                None => return Ok(Flow::More(request::missing(input)?)),
                Some(Parsed::Disconnect) => return Ok(Flow::Close),
                Some(Parsed::Request { cookie, request }) => {
                    let request = request.map(|request| request.shifted(self.seen.start));
                    match disk.start(cookie, request, out)? {
                        Started::Replied => {}
                        Started::Waiting(ticket, admission) => {
                            waiting.push((ticket, admission));
                        }
                    }
                }
            }
        }
        Ok(Flow::Drain)
    }
}
