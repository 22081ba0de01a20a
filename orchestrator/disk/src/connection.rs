//! One client's connection: moves bytes between a socket and a [`NbdSession`], and waits for what is held.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use coldcut_core::recording::disks::Disk as Seen;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::faces::Ticket;
use super::handle::Shared;
use super::injector::{Admission, Resume};
use super::session::{Flow, NbdSession, SessionError};

/// Nothing more is read from a client that has this many requests held or delayed.
const MAX_WAITING: usize = 256;
/// Free space in the input buffer before each read; small requests come many at a time.
const READ_AHEAD: usize = 16 << 10;
const BUFFER: usize = 64 << 10;
/// An output buffer that grew beyond this is given back.
const KEEP: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the client's socket: {0}")]
    Io(#[from] io::Error),
    #[error("the client did not finish the handshake within {0:?}")]
    Handshake(Duration),
    #[error("the client went away in the middle of a message")]
    Truncated,
}

/// Requests that are held or delayed. When the connection ends they stay submitted and never complete.
struct Waiting {
    shared: Arc<Shared>,
    tasks: JoinSet<(Ticket, Resume)>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.with(|disk| disk.abandon(self.tasks.len() as u32));
    }
}

/// Serves one of the disks to one client until it leaves, breaks the protocol, or the device breaks. `handshake` is how long the client
/// may take to get to its first request.
pub(crate) async fn serve<S>(
    shared: Arc<Shared>,
    seen: Seen,
    stream: &mut S,
    handshake: Duration,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut out = Vec::with_capacity(BUFFER);
    let session = NbdSession::start(seen, &mut out);
    let mut connection = Connection {
        stream,
        input: BytesMut::with_capacity(BUFFER),
        out,
        session,
        waiting: Waiting {
            shared,
            tasks: JoinSet::new(),
        },
        handshake,
        deadline: Instant::now() + handshake,
    };
    loop {
        let flow = connection.advance().await?;
        connection.send().await?;
        let more = match flow {
            Flow::Close => return Ok(()),
            Flow::Drain => continue,
            Flow::More(bytes) => bytes,
        };
        if let Happened::Left = connection.next(more).await? {
            return left(&connection.input);
        }
    }
}

/// A client's connection.
struct Connection<'a, S> {
    stream: &'a mut S,
    input: BytesMut,
    out: Vec<u8>,
    session: NbdSession,
    waiting: Waiting,
    handshake: Duration,
    /// When the handshake must be done.
    deadline: Instant,
}

/// What happened on a connection.
enum Happened {
    /// Bytes came, or a request that was held is done.
    Progress,
    /// The client sends nothing more.
    Left,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Handles what was received; requests that the device holds or delays wait beside.
    async fn advance(&mut self) -> Result<Flow, ConnectionError> {
        let mut held = Vec::new();
        let Self {
            session, input, out, ..
        } = self;
        let flow = self
            .waiting
            .shared
            .with(|disk| session.advance(disk, input, out, &mut held));
        for (ticket, admission) in held {
            self.waiting
                .tasks
                .spawn(async move { (ticket, wait(admission).await) });
        }
        // Replies that were complete before the error are owed to the client; a broken device owes nothing.
        if let Err(SessionError::Protocol(_)) = flow {
            self.stream.write_all(&self.out).await?;
        }
        Ok(flow?)
    }

    async fn send(&mut self) -> Result<(), ConnectionError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sending = send(self.stream, &mut self.out);
        if self.session.in_transmission() {
            return Ok(sending.await?);
        }
        let sent = timeout_at(self.deadline, sending).await;
        Ok(sent.map_err(|_| ConnectionError::Handshake(self.handshake))??)
    }

    /// Waits for the client's next bytes, of which at least `more` are wanted, or for a request that is held.
    async fn next(&mut self, more: usize) -> Result<Happened, ConnectionError> {
        if self.input.capacity() - self.input.len() < more.max(READ_AHEAD) {
            self.input.reserve(more.max(READ_AHEAD));
        }
        let reading = self.stream.read_buf(&mut self.input);
        if !self.session.in_transmission() {
            let read = timeout_at(self.deadline, reading).await;
            return Ok(came(
                read.map_err(|_| ConnectionError::Handshake(self.handshake))??,
            ));
        }
        let Waiting { shared, tasks } = &mut self.waiting;
        if tasks.is_empty() {
            return Ok(came(reading.await?));
        }
        let may_read = tasks.len() < MAX_WAITING;
        tokio::select! {
            biased;
            Some(done) = tasks.join_next() => {
                // A waiting task does not panic and is not aborted while the set lives.
                if let Ok((ticket, resume)) = done {
                    shared.with(|disk| disk.finish(ticket, resume, &mut self.out)).map_err(SessionError::from)?;
                }
                Ok(Happened::Progress)
            }
            read = reading, if may_read => Ok(came(read?)),
        }
    }
}

fn came(bytes: usize) -> Happened {
    if bytes == 0 {
        Happened::Left
    } else {
        Happened::Progress
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, out: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(out).await?;
    if out.capacity() > KEEP {
        *out = Vec::with_capacity(BUFFER);
    } else {
        out.clear();
    }
    Ok(())
}

fn left(input: &BytesMut) -> Result<(), ConnectionError> {
    if input.is_empty() {
        Ok(())
    } else {
        Err(ConnectionError::Truncated)
    }
}

async fn wait(admission: Admission) -> Resume {
    match admission {
        Admission::Proceed => Resume::Proceed,
        Admission::Fail(errno) => Resume::Fail(errno),
        Admission::Delay(time) => {
            tokio::time::sleep(time).await;
            Resume::Proceed
        }
        Admission::Hold(resume) => resume.await.unwrap_or(Resume::Proceed),
    }
}

#[cfg(test)]
mod tests {
    use coldcut_core::recording::block::Zeros;

    use super::*;
    use crate::faces::Disk;
    use crate::proto;

    /// What a client that says `bytes` and then neither speaks nor reads gets within 50 ms.
    async fn after(bytes: &[u8], window: usize) -> Result<(), ConnectionError> {
        let shared = Shared::new(Disk::new(Arc::new(Zeros { size: 1 << 20 })));
        let (mut client, mut server) = tokio::io::duplex(window);
        client.write_all(bytes).await.expect("room for the bytes");
        let limit = Duration::from_millis(50);
        let seen = Seen {
            start: 0,
            size: 1 << 20,
        };
        let serving = serve(shared, seen, &mut server, limit);
        let outcome = tokio::time::timeout(Duration::from_secs(5), serving).await;
        drop(client);
        outcome.expect("served without an end")
    }

    #[tokio::test]
    async fn a_handshake_has_a_deadline() {
        let list = [&proto::OPTION_MAGIC.to_be_bytes()[..], &[0, 0, 0, 3, 0, 0, 0, 0]].concat();
        let flags = 3u32.to_be_bytes().to_vec();
        let half = [flags.clone(), list[..7].to_vec()].concat();
        for (what, bytes) in [
            ("silent", vec![]),
            ("flags only", flags.clone()),
            ("half an option", half),
        ] {
            let outcome = after(&bytes, 4096).await;
            assert!(
                matches!(outcome, Err(ConnectionError::Handshake(_))),
                "{what}: {outcome:?}"
            );
        }
        // It asks again and again and never reads the answers.
        let deaf = [flags, list.repeat(200)].concat();
        let outcome = after(&deaf, deaf.len()).await;
        assert!(
            matches!(outcome, Err(ConnectionError::Handshake(_))),
            "deaf: {outcome:?}"
        );
    }
}
