//! One client's connection: moves bytes between a socket and a [`NbdSession`], and waits for what is held.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;

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

/// Serves one client until it leaves, breaks the protocol, or the device breaks. `handshake` is how long the client
/// may take to get to its first request.
pub(crate) async fn serve<S>(
    shared: Arc<Shared>,
    stream: &mut S,
    handshake: Duration,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = BytesMut::with_capacity(BUFFER);
    let mut out = Vec::with_capacity(BUFFER);
    let mut session = NbdSession::start(shared.with(|disk| disk.size()), &mut out);
    let mut waiting = Waiting {
        shared: Arc::clone(&shared),
        tasks: JoinSet::new(),
    };
    let mut held = Vec::new();
    let deadline = tokio::time::Instant::now() + handshake;
    loop {
        let flow = shared.with(|disk| session.advance(disk, &mut input, &mut out, &mut held));
        for (ticket, admission) in held.drain(..) {
            waiting
                .tasks
                .spawn(async move { (ticket, wait(admission).await) });
        }
        let flow = match flow {
            Ok(flow) => flow,
            Err(error) => {
                // Replies that were complete before the error are owed to the client; a broken device owes nothing.
                if matches!(error, SessionError::Protocol(_)) {
                    stream.write_all(&out).await?;
                }
                return Err(error.into());
            }
        };
        if !out.is_empty() {
            if session.in_transmission() {
                send(stream, &mut out).await?;
            } else {
                let sent = tokio::time::timeout_at(deadline, send(stream, &mut out)).await;
                sent.map_err(|_| ConnectionError::Handshake(handshake))??;
            }
        }
        let more = match flow {
            Flow::Close => return Ok(()),
            Flow::Drain => continue,
            Flow::More(bytes) => bytes,
        };
        if input.capacity() - input.len() < more.max(READ_AHEAD) {
            input.reserve(more.max(READ_AHEAD));
        }
        if !session.in_transmission() {
            let read = tokio::time::timeout_at(deadline, stream.read_buf(&mut input)).await;
            if read.map_err(|_| ConnectionError::Handshake(handshake))?? == 0 {
                return left(&input);
            }
            continue;
        }
        if waiting.tasks.is_empty() {
            if stream.read_buf(&mut input).await? == 0 {
                return left(&input);
            }
            continue;
        }
        let may_read = waiting.tasks.len() < MAX_WAITING;
        tokio::select! {
            biased;
            Some(done) = waiting.tasks.join_next() => {
                // A waiting task does not panic and is not aborted while the set lives.
                if let Ok((ticket, resume)) = done {
                    shared.with(|disk| disk.finish(ticket, resume, &mut out)).map_err(SessionError::from)?;
                }
            }
            read = stream.read_buf(&mut input), if may_read => {
                if read? == 0 {
                    return left(&input);
                }
            }
        }
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
    use crate::disk::faces::Disk;
    use crate::disk::proto;

    /// What a client that says `bytes` and then neither speaks nor reads gets within 50 ms.
    async fn after(bytes: &[u8], window: usize) -> Result<(), ConnectionError> {
        let shared = Shared::new(Disk::new(Arc::new(Zeros { size: 1 << 20 })));
        let (mut client, mut server) = tokio::io::duplex(window);
        client.write_all(bytes).await.expect("room for the bytes");
        let limit = Duration::from_millis(50);
        let serving = serve(shared, &mut server, limit);
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
