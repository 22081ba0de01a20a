//! The server's side of the fixed newstyle handshake, as a state machine from bytes to bytes.

use bytes::{Buf, BytesMut};

use super::proto::{self, info, option, option_reply, transmission};

/// Why a connection is closed: the peer broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Client flags that we did not offer.
    #[error("client flags {0:#x}: expected at most {FLAGS:#x}", FLAGS = proto::FLAG_FIXED_NEWSTYLE | proto::FLAG_NO_ZEROES)]
    ClientFlags(u32),
    /// An option does not start with `IHAVEOPT`.
    #[error("option magic {0:#018x}: expected {MAGIC:#018x}", MAGIC = proto::OPTION_MAGIC)]
    OptionMagic(u64),
    /// An option is longer than any that exists.
    #[error("option {option} is {len} bytes long: expected at most {MAX}", MAX = proto::MAX_OPTION)]
    OptionLength {
        /// Which.
        option: u32,
        /// Its length in bytes.
        len: u32,
    },
    /// A client that did not ask for the fixed handshake sent something that only this one has.
    #[error("option {0} from a client without the fixed newstyle flag: expected EXPORT_NAME")]
    NotFixed(u32),
    /// `EXPORT_NAME` names an export that we do not have; the protocol has no reply for that.
    #[error("no export is named {0:?}: expected the empty name")]
    UnknownExport(String),
    /// A request does not start with its magic: the stream is out of step.
    #[error("request magic {0:#010x}: expected {MAGIC:#010x}", MAGIC = proto::REQUEST_MAGIC)]
    RequestMagic(u32),
    /// A write's payload is longer than we said that we take.
    #[error("a write of {0} bytes: expected at most {MAX}", MAX = proto::MAX_PAYLOAD)]
    PayloadLength(u32),
}

/// What the handshake needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// More bytes from the client.
    More,
    /// Nothing: requests follow.
    Transmission,
    /// Nothing: the client wants to end; close after sending what was produced.
    Close,
}

/// The server's side of one handshake. The only export is the default one, whose name is empty.
#[derive(Debug)]
pub(super) struct Handshake {
    size: u64,
    client: Option<ClientFlags>,
}

#[derive(Clone, Copy, Debug)]
struct ClientFlags {
    fixed: bool,
    no_zeroes: bool,
}

impl Handshake {
    /// Starts a handshake for an export of `size` bytes: appends the greeting to `out`.
    pub(super) fn start(size: u64, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&proto::INIT_MAGIC.to_be_bytes());
        out.extend_from_slice(&proto::OPTION_MAGIC.to_be_bytes());
        out.extend_from_slice(&(proto::FLAG_FIXED_NEWSTYLE | proto::FLAG_NO_ZEROES).to_be_bytes());
        Self { size, client: None }
    }

    /// Takes complete messages from `input` and appends the answers to `out`.
    ///
    /// # Errors
    /// The peer broke the protocol: close.
    pub(super) fn advance(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Next, ProtocolError> {
        let client = match self.client {
            Some(client) => client,
            None => match take_client_flags(input)? {
                Some(client) => *self.client.insert(client),
                None => return Ok(Next::More),
            },
        };
        loop {
            let Some((kind, data)) = take_option(input)? else {
                return Ok(Next::More);
            };
            if !client.fixed && kind != option::EXPORT_NAME {
                return Err(ProtocolError::NotFixed(kind));
            }
            match kind {
                option::EXPORT_NAME => {
                    if !data.is_empty() {
                        return Err(ProtocolError::UnknownExport(
                            String::from_utf8_lossy(&data).into_owned(),
                        ));
                    }
                    out.extend_from_slice(&self.size.to_be_bytes());
                    out.extend_from_slice(&transmission::OURS.to_be_bytes());
                    if !client.no_zeroes {
                        out.extend_from_slice(&[0; 124]);
                    }
                    return Ok(Next::Transmission);
                }
                option::ABORT => {
                    put_option_reply(out, kind, option_reply::ACK, &[]);
                    return Ok(Next::Close);
                }
                option::LIST if data.is_empty() => {
                    put_option_reply(out, kind, option_reply::SERVER, &0u32.to_be_bytes());
                    put_option_reply(out, kind, option_reply::ACK, &[]);
                }
                option::LIST => refuse(out, kind, option_reply::ERR_INVALID, "LIST takes no data"),
                option::INFO | option::GO => {
                    if self.describe(kind, &data, out) && kind == option::GO {
                        return Ok(Next::Transmission);
                    }
                }
                _ => refuse(
                    out,
                    kind,
                    option_reply::ERR_UNSUP,
                    "this server does not have that option",
                ),
            }
        }
    }

    /// Answers `INFO` or `GO`; whether with success.
    fn describe(&self, kind: u32, data: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(name) = export_name(data) else {
            refuse(
                out,
                kind,
                option_reply::ERR_INVALID,
                "expected name length, name, count, kinds",
            );
            return false;
        };
        if !name.is_empty() {
            refuse(
                out,
                kind,
                option_reply::ERR_UNKNOWN,
                "the only export has the empty name",
            );
            return false;
        }
        let mut export = Vec::with_capacity(12);
        export.extend_from_slice(&info::EXPORT.to_be_bytes());
        export.extend_from_slice(&self.size.to_be_bytes());
        export.extend_from_slice(&transmission::OURS.to_be_bytes());
        put_option_reply(out, kind, option_reply::INFO, &export);
        let mut blocks = Vec::with_capacity(14);
        blocks.extend_from_slice(&info::BLOCK_SIZE.to_be_bytes());
        for bytes in [proto::MIN_BLOCK, proto::PREFERRED_BLOCK, proto::MAX_PAYLOAD] {
            blocks.extend_from_slice(&bytes.to_be_bytes());
        }
        put_option_reply(out, kind, option_reply::INFO, &blocks);
        put_option_reply(out, kind, option_reply::ACK, &[]);
        true
    }
}

fn take_client_flags(input: &mut BytesMut) -> Result<Option<ClientFlags>, ProtocolError> {
    if input.len() < 4 {
        return Ok(None);
    }
    let flags = input.get_u32();
    if flags & !u32::from(proto::FLAG_FIXED_NEWSTYLE | proto::FLAG_NO_ZEROES) != 0 {
        return Err(ProtocolError::ClientFlags(flags));
    }
    Ok(Some(ClientFlags {
        fixed: flags & u32::from(proto::FLAG_FIXED_NEWSTYLE) != 0,
        no_zeroes: flags & u32::from(proto::FLAG_NO_ZEROES) != 0,
    }))
}

/// One whole option: magic u64, kind u32, length u32, data.
fn take_option(input: &mut BytesMut) -> Result<Option<(u32, BytesMut)>, ProtocolError> {
    let mut head: &[u8] = input;
    if head.len() < 16 {
        return Ok(None);
    }
    let magic = head.get_u64();
    if magic != proto::OPTION_MAGIC {
        return Err(ProtocolError::OptionMagic(magic));
    }
    let (option, len) = (head.get_u32(), head.get_u32());
    if len > proto::MAX_OPTION {
        return Err(ProtocolError::OptionLength { option, len });
    }
    if head.len() < len as usize {
        return Ok(None);
    }
    input.advance(16);
    Ok(Some((option, input.split_to(len as usize))))
}

/// The name in the data of `INFO` and `GO` (length u32, name, count u16, count × u16); `None` when malformed.
fn export_name(mut data: &[u8]) -> Option<&[u8]> {
    let len = data.try_get_u32().ok()? as usize;
    let (name, mut rest) = data.split_at_checked(len)?;
    let count = rest.try_get_u16().ok()?;
    (rest.len() == usize::from(count) * 2).then_some(name)
}

fn put_option_reply(out: &mut Vec<u8>, option: u32, kind: u32, data: &[u8]) {
    out.extend_from_slice(&proto::OPTION_REPLY_MAGIC.to_be_bytes());
    out.extend_from_slice(&option.to_be_bytes());
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    out.extend_from_slice(data);
}

fn refuse(out: &mut Vec<u8>, option: u32, kind: u32, why: &str) {
    put_option_reply(out, option, kind, why.as_bytes());
}
