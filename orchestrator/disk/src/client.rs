//! A small blocking NBD client: the only peer that sends FUA as it pleases, and requests that no decent client sends.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::proto::{self, Header, command, command_flag, info, option, option_reply};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket, or a time-out.
    #[error("the NBD connection: {0}")]
    Io(#[from] io::Error),
    /// The server answered with this error.
    #[error("the NBD server answered with error {0}")]
    Server(u32),
    /// The server broke the protocol.
    #[error("the NBD server sent {0}")]
    Protocol(String),
}

/// A connection in transmission.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    size: u64,
    flags: u16,
    cookie: u64,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects to a unix socket and goes to transmission with the default export. `deadline` bounds each later wait.
    ///
    /// # Errors
    /// No server, or one that refuses.
    pub fn connect(path: &Path, deadline: Duration) -> Result<Self, ClientError> {
        Self::over(UnixStream::connect(path)?, deadline)
    }

    /// Likewise over a socket that is connected already.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn over(mut stream: UnixStream, deadline: Duration) -> Result<Self, ClientError> {
        stream.set_read_timeout(Some(deadline))?;
        stream.set_write_timeout(Some(deadline))?;
        let greeting: [u8; 18] = read(&mut stream)?;
        let mut expected = proto::INIT_MAGIC.to_be_bytes().to_vec();
        expected.extend_from_slice(&proto::OPTION_MAGIC.to_be_bytes());
        if greeting[..16] != expected {
            return Err(ClientError::Protocol(format!("greeting {greeting:02x?}")));
        }
        let ours = proto::FLAG_FIXED_NEWSTYLE | proto::FLAG_NO_ZEROES;
        let mut message = u32::from(ours).to_be_bytes().to_vec();
        message.extend_from_slice(&proto::OPTION_MAGIC.to_be_bytes());
        message.extend_from_slice(&option::GO.to_be_bytes());
        // Length of the data, length of the name, no name, one kind of information.
        message.extend_from_slice(&8u32.to_be_bytes());
        message.extend_from_slice(&0u32.to_be_bytes());
        message.extend_from_slice(&1u16.to_be_bytes());
        message.extend_from_slice(&info::BLOCK_SIZE.to_be_bytes());
        stream.write_all(&message)?;
        let mut export = None;
        loop {
            let head: [u8; 20] = read(&mut stream)?;
            let [m @ .., _, _, _, _, k0, k1, k2, k3, l0, l1, l2, l3] = head;
            let kind = u32::from_be_bytes([k0, k1, k2, k3]);
            let len = u32::from_be_bytes([l0, l1, l2, l3]);
            if u64::from_be_bytes(m) != proto::OPTION_REPLY_MAGIC || len > proto::MAX_OPTION {
                return Err(ClientError::Protocol(format!("option reply {head:02x?}")));
            }
            let mut data = vec![0; len as usize];
            stream.read_exact(&mut data)?;
            match (kind, &data[..]) {
                (option_reply::ACK, _) => break,
                (option_reply::INFO, &[0, 0, s0, s1, s2, s3, s4, s5, s6, s7, f0, f1]) => {
                    let size = u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
                    export = Some((size, u16::from_be_bytes([f0, f1])));
                }
                (option_reply::INFO, _) => {}
                (error, _) => return Err(ClientError::Server(error)),
            }
        }
        let (size, flags) =
            export.ok_or_else(|| ClientError::Protocol("no information about the export".to_owned()))?;
        Ok(Self {
            stream,
            size,
            flags,
            cookie: 0,
            buffer: Vec::new(),
        })
    }

    /// The export's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its transmission flags.
    pub fn flags(&self) -> u16 {
        self.flags
    }

    /// Fills `buffer` from byte `offset` on.
    ///
    /// # Errors
    /// The server's error, or a broken connection; so for all that follow.
    pub fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), ClientError> {
        let cookie = self.send(command::READ, 0, offset, buffer.len() as u32, &[])?;
        self.reply(cookie)?;
        self.payload(buffer)
    }

    /// Stores `data` at byte `offset`, durable on return when `fua`.
    ///
    /// # Errors
    /// [`ClientError`]: what the server answered, or a broken connection.
    #[allow(missing_docs)]
    pub fn write(&mut self, offset: u64, data: &[u8], fua: bool) -> Result<(), ClientError> {
        let cookie = self.send(command::WRITE, fua_flag(fua), offset, data.len() as u32, data)?;
        self.reply(cookie)
    }

    /// Makes completed writes durable.
    ///
    /// # Errors
    /// [`ClientError`]: what the server answered, or a broken connection.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        let cookie = self.send(command::FLUSH, 0, 0, 0, &[])?;
        self.reply(cookie)
    }

    /// Says that a range is no longer needed.
    ///
    /// # Errors
    /// [`ClientError`]: what the server answered, or a broken connection.
    pub fn trim(&mut self, offset: u64, len: u32, fua: bool) -> Result<(), ClientError> {
        let cookie = self.send(command::TRIM, fua_flag(fua), offset, len, &[])?;
        self.reply(cookie)
    }

    /// Makes a range read as zeros.
    ///
    /// # Errors
    /// [`ClientError`]: what the server answered, or a broken connection.
    pub fn write_zeroes(&mut self, offset: u64, len: u32, fua: bool) -> Result<(), ClientError> {
        let cookie = self.send(command::WRITE_ZEROES, fua_flag(fua), offset, len, &[])?;
        self.reply(cookie)
    }

    /// Sends a request as it is given, sensible or not, and does not wait; its cookie.
    ///
    /// # Errors
    /// [`ClientError`]: what the server answered, or a broken connection.
    pub fn send(
        &mut self,
        kind: u16,
        flags: u16,
        offset: u64,
        len: u32,
        data: &[u8],
    ) -> Result<u64, ClientError> {
        self.cookie += 1;
        let header = Header {
            flags,
            kind,
            cookie: self.cookie,
            offset,
            len,
        };
        self.buffer.clear();
        self.buffer.extend_from_slice(&header.encode());
        self.buffer.extend_from_slice(data);
        self.stream.write_all(&self.buffer)?;
        Ok(self.cookie)
    }

    /// Waits for the next reply without payload: its cookie and error (0 for success).
    ///
    /// # Errors
    /// [`ClientError`]: what the server answered, or a broken connection.
    pub fn next_reply(&mut self) -> Result<(u64, u32), ClientError> {
        let reply: [u8; proto::REPLY_LEN] = read(&mut self.stream)?;
        let [m0, m1, m2, m3, e0, e1, e2, e3, cookie @ ..] = reply;
        if u32::from_be_bytes([m0, m1, m2, m3]) != proto::SIMPLE_REPLY_MAGIC {
            return Err(ClientError::Protocol(format!("reply {reply:02x?}")));
        }
        Ok((u64::from_be_bytes(cookie), u32::from_be_bytes([e0, e1, e2, e3])))
    }

    /// Receives what follows the reply to a READ.
    ///
    /// # Errors
    /// [`ClientError`]: what the server answered, or a broken connection.
    pub fn payload(&mut self, buffer: &mut [u8]) -> Result<(), ClientError> {
        Ok(self.stream.read_exact(buffer)?)
    }

    /// The socket, to send what is no request at all.
    pub fn stream(&mut self) -> &mut UnixStream {
        &mut self.stream
    }

    /// Says goodbye and waits until the server has closed.
    ///
    /// # Errors
    /// [`ClientError`]: what the server answered, or a broken connection.
    pub fn disconnect(mut self) -> Result<(), ClientError> {
        self.send(command::DISC, 0, 0, 0, &[])?;
        match self.stream.read(&mut [0; 1])? {
            0 => Ok(()),
            _ => Err(ClientError::Protocol("bytes after the goodbye".to_owned())),
        }
    }

    fn reply(&mut self, expected: u64) -> Result<(), ClientError> {
        match self.next_reply()? {
            (cookie, 0) if cookie == expected => Ok(()),
            (cookie, error) if cookie == expected => Err(ClientError::Server(error)),
            (cookie, _) => Err(ClientError::Protocol(format!(
                "a reply to {cookie}: expected {expected}"
            ))),
        }
    }
}

fn fua_flag(fua: bool) -> u16 {
    if fua { command_flag::FUA } else { 0 }
}

fn read<const N: usize>(stream: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
