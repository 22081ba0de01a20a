//! From bytes to requests: every length and offset is judged here, once.

use bytes::{Buf, Bytes, BytesMut};
use coldcut_core::recording::io::{Io, IoKind};

use super::handshake::ProtocolError;
use super::proto::{self, Errno, Header, command, command_flag};

/// A request that is within the device's bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Send `len` bytes from `offset` on.
    Read {
        /// First byte.
        offset: u64,
        /// Bytes, at least 1.
        len: u32,
    },
    /// Change what is stored, or make it durable.
    Change {
        /// What.
        io: Io,
        /// `io.len` bytes for a write, otherwise empty.
        data: Bytes,
    },
}

impl Request {
    /// The same request in the address space in which its disk starts at this byte.
    #[must_use]
    pub(super) fn shifted(self, start: u64) -> Self {
        match self {
            Self::Read { offset, len } => Self::Read {
                offset: offset + start,
                len,
            },
            Self::Change { io, data } => {
                let offset = io.offset + start;
                Self::Change {
                    io: Io { offset, ..io },
                    data,
                }
            }
        }
    }
}

/// What was taken from the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A request, or the error to answer it with.
    Request {
        /// The client's name for it.
        cookie: u64,
        /// The request.
        request: Result<Request, Errno>,
    },
    /// The client says goodbye; it expects no reply.
    Disconnect,
}

/// Takes one whole request from `input`; `None` when there is none yet. `size` is the device's, in bytes.
///
/// # Errors
/// The stream is out of step or about to be: close.
pub(super) fn take(input: &mut BytesMut, size: u64) -> Result<Option<Parsed>, ProtocolError> {
    let Some(header) = peek(input)? else {
        return Ok(None);
    };
    let payload = payload_len(&header);
    if input.len() < proto::HEADER_LEN + payload {
        return Ok(None);
    }
    input.advance(proto::HEADER_LEN);
    let data = if payload == 0 {
        Bytes::new()
    } else {
        input.split_to(payload).freeze()
    };
    if header.kind == command::DISC {
        return Ok(Some(Parsed::Disconnect));
    }
    Ok(Some(Parsed::Request {
        cookie: header.cookie,
        request: judge(&header, data, size),
    }))
}

/// How many bytes are missing before [`take`] can succeed; 0 when it can.
///
/// # Errors
/// As [`take`].
pub(super) fn missing(input: &[u8]) -> Result<usize, ProtocolError> {
    let whole = peek(input)?.map_or(proto::HEADER_LEN, |header| {
        proto::HEADER_LEN + payload_len(&header)
    });
    Ok(whole.saturating_sub(input.len()))
}

fn peek(input: &[u8]) -> Result<Option<Header>, ProtocolError> {
    let Some(bytes) = input.first_chunk::<{ proto::HEADER_LEN }>() else {
        return Ok(None);
    };
    let header = Header::decode(bytes).map_err(ProtocolError::RequestMagic)?;
    if header.kind == command::WRITE && header.len > proto::MAX_PAYLOAD {
        return Err(ProtocolError::PayloadLength(header.len));
    }
    Ok(Some(header))
}

fn payload_len(header: &Header) -> usize {
    if header.kind == command::WRITE {
        header.len as usize
    } else {
        0
    }
}

fn judge(header: &Header, data: Bytes, size: u64) -> Result<Request, Errno> {
    let (kind, flags) = match header.kind {
        command::READ => (None, command_flag::FUA),
        command::WRITE => (Some(IoKind::Write), command_flag::FUA),
        command::FLUSH => (Some(IoKind::Flush), command_flag::FUA),
        command::TRIM => (Some(IoKind::Discard), command_flag::FUA),
        command::WRITE_ZEROES => (
            Some(IoKind::WriteZeroes),
            command_flag::FUA | command_flag::NO_HOLE,
        ),
        _ => return Err(Errno::Inval),
    };
    if header.flags & !flags != 0 {
        return Err(Errno::Inval);
    }
    if kind == Some(IoKind::Flush) {
        if header.offset != 0 || header.len != 0 {
            return Err(Errno::Inval);
        }
        let io = Io {
            kind: IoKind::Flush,
            offset: 0,
            len: 0,
            fua: false,
        };
        return Ok(Request::Change { io, data });
    }
    let (offset, len) = (header.offset, u64::from(header.len));
    let unit = u64::from(proto::MIN_BLOCK);
    if len == 0 || offset % unit != 0 || len % unit != 0 {
        return Err(Errno::Inval);
    }
    let inside = offset.checked_add(len).is_some_and(|end| end <= size);
    match kind {
        None if !inside || header.len > proto::MAX_PAYLOAD => Err(Errno::Inval),
        None => Ok(Request::Read {
            offset,
            len: header.len,
        }),
        Some(_) if !inside => Err(Errno::NoSpc),
        Some(kind) => {
            let fua = header.flags & command_flag::FUA != 0;
            Ok(Request::Change {
                io: Io {
                    kind,
                    offset,
                    len,
                    fua,
                },
                data,
            })
        }
    }
}
