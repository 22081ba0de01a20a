//! The conversation with the agent in the guest. The guest is hostile: frames are bounded, every wait has a deadline.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coldcut_core::outcome::unknown::TimedOut;

use coldcut_wire::{
    Decoder, Done, Failure, FrameError, FromAgent, Hello, Lane, Output, PROTOCOL, Request, ToAgent,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// Parts of answers that may wait unread before the guest is made to wait.
const QUEUE: usize = 64;

/// A clone's first request; far from the numbers that the template's host has used.
const FIRST_ID_OF_A_CLONE: u32 = 1 << 20;

/// Why the agent gave no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// The request failed in the guest.
    #[error("{}", .0.what)]
    Failed(Failure),
    /// No answer came in time.
    #[error("the agent did not answer ({what}) within {} s", limit.as_secs())]
    Timeout {
        /// The request.
        what: String,
        /// The deadline.
        limit: Duration,
        /// What kind of error it is.
        source: TimedOut,
    },
    /// The connection ended.
    #[error("the guest closed its connection ({what})")]
    Closed {
        /// The request under way.
        what: String,
    },
    /// The agent violated the protocol.
    #[error("the agent sent something unreadable: {0}")]
    Frame(#[from] FrameError),
    /// Another build of the agent.
    #[error("the agent speaks protocol {found}, this coldcut {PROTOCOL}")]
    Protocol {
        /// Its protocol.
        found: u32,
    },
    /// An answer of the wrong shape.
    #[error("the agent's answer to {what} makes no sense: {said}")]
    Nonsense {
        /// The request.
        what: String,
        /// What it said.
        said: String,
    },
    /// More parts than allowed.
    #[error("the agent's answer to {what} is longer than allowed")]
    TooMuch {
        /// The request.
        what: String,
    },
}

type Part = Result<Output, Result<Done, Failure>>;
type Pending = Arc<Mutex<HashMap<u32, mpsc::Sender<Part>>>>;

/// A connected agent.
#[derive(Debug)]
pub struct Guest {
    /// Its greeting.
    pub hello: Hello,
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    pending: Pending,
    next_id: AtomicU32,
    /// Why the reading side ended, once it has.
    broken: Arc<Mutex<Option<String>>>,
}

/// The parts of an answer, as they come.
#[derive(Debug)]
pub struct Reply {
    id: u32,
    what: String,
    deadline: Instant,
    limit: Duration,
    parts: mpsc::Receiver<Part>,
    pending: Pending,
}

/// What [`Reply::next`] gives.
#[derive(Debug)]
pub enum Next {
    /// A part; more follow.
    Output(Output),
    /// The end.
    Done(Done),
}

impl Reply {
    /// The request.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The next part.
    ///
    /// # Errors
    /// [`GuestError`]; the request is over after one.
    pub async fn next(&mut self) -> Result<Next, GuestError> {
        match timeout_at(self.deadline, self.parts.recv()).await {
            Ok(Some(Ok(output))) => Ok(Next::Output(output)),
            Ok(Some(Err(Ok(done)))) => Ok(Next::Done(done)),
            Ok(Some(Err(Err(failure)))) => Err(GuestError::Failed(failure)),
            Ok(None) => Err(GuestError::Closed {
                what: self.what.clone(),
            }),
            Err(_) => Err(GuestError::Timeout {
                what: self.what.clone(),
                limit: self.limit,
                source: TimedOut,
            }),
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

impl Guest {
    /// Waits for the agent's greeting.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn connect(stream: UnixStream, limit: Duration) -> Result<Self, GuestError> {
        let (reader, writer) = stream.into_split();
        let pending = Pending::default();
        let broken = Arc::new(Mutex::new(None));
        let (greet, greeting) = oneshot::channel();
        tokio::spawn(read(reader, Arc::clone(&pending), greet, Arc::clone(&broken)));
        let hello = match tokio::time::timeout(limit, greeting).await {
            Err(_) => {
                return Err(GuestError::Timeout {
                    what: "boot".into(),
                    limit,
                    source: TimedOut,
                });
            }
            Ok(Err(_)) => {
                let why = broken.lock().unwrap_or_else(PoisonError::into_inner).take();
                let what = why.map_or("boot".to_owned(), |why| format!("boot: {why}"));
                return Err(GuestError::Closed { what });
            }
            Ok(Ok(hello)) => hello,
        };
        if hello.protocol != PROTOCOL {
            return Err(GuestError::Protocol {
                found: hello.protocol,
            });
        }
        Ok(Self {
            hello,
            writer: writer.into(),
            pending,
            next_id: AtomicU32::new(1),
            broken,
        })
    }

    /// Takes over the agent of a guest that was saved after its greeting: it greets nobody again.
    pub fn adopt(stream: UnixStream, hello: Hello) -> Self {
        let (reader, writer) = stream.into_split();
        let pending = Pending::default();
        let broken = Arc::new(Mutex::new(None));
        // Its receiver is gone: a greeting now would be an agent that was restarted.
        let (greet, _) = oneshot::channel();
        tokio::spawn(read(reader, Arc::clone(&pending), greet, Arc::clone(&broken)));
        Self {
            hello,
            writer: writer.into(),
            pending,
            next_id: AtomicU32::new(FIRST_ID_OF_A_CLONE),
            broken,
        }
    }

    /// Sends a request to the main lane; its answer comes through the [`Reply`], all of it within `limit`.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn request(&self, what: &str, body: Request, limit: Duration) -> Result<Reply, GuestError> {
        self.request_in(0, what, body, limit).await
    }

    /// As [`Self::request`], in any lane: it runs beside the requests of other lanes.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn request_in(
        &self,
        lane: Lane,
        what: &str,
        body: Request,
        limit: Duration,
    ) -> Result<Reply, GuestError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let deadline = Instant::now() + limit;
        let bytes = coldcut_wire::encode(&ToAgent::Request { id, lane, body })?;
        let (sender, parts) = mpsc::channel(QUEUE);
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, sender);
        let reply = Reply {
            id,
            what: what.to_owned(),
            deadline,
            limit,
            parts,
            pending: Arc::clone(&self.pending),
        };
        if let Some(why) = self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(GuestError::Closed {
                what: format!("{what}: {why}"),
            });
        }
        let write = async { self.writer.lock().await.write_all(&bytes).await };
        match timeout_at(deadline, write).await {
            Ok(Ok(())) => Ok(reply),
            Ok(Err(error)) => Err(GuestError::Closed {
                what: format!("{what}: {error}"),
            }),
            Err(_) => Err(GuestError::Timeout {
                what: what.to_owned(),
                limit,
                source: TimedOut,
            }),
        }
    }

    /// A request to the main lane whose answer has no parts.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn call(&self, what: &str, body: Request, limit: Duration) -> Result<Done, GuestError> {
        self.call_in(0, what, body, limit).await
    }

    /// As [`Self::call`], in any lane.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn call_in(
        &self,
        lane: Lane,
        what: &str,
        body: Request,
        limit: Duration,
    ) -> Result<Done, GuestError> {
        let mut reply = self.request_in(lane, what, body, limit).await?;
        match reply.next().await? {
            Next::Done(done) => Ok(done),
            Next::Output(output) => Err(GuestError::Nonsense {
                what: what.to_owned(),
                said: format!("{output:.200?}"),
            }),
        }
    }

    /// A request whose parts are collected, at most `most` of them.
    ///
    /// # Errors
    /// [`GuestError`].
    pub async fn collect(
        &self,
        what: &str,
        body: Request,
        limit: Duration,
        most: usize,
    ) -> Result<(Vec<Output>, Done), GuestError> {
        let mut reply = self.request(what, body, limit).await?;
        let mut parts = Vec::new();
        loop {
            match reply.next().await? {
                Next::Done(done) => return Ok((parts, done)),
                Next::Output(_) if parts.len() == most => {
                    return Err(GuestError::TooMuch {
                        what: what.to_owned(),
                    });
                }
                Next::Output(output) => parts.push(output),
            }
        }
    }
}

/// Reads until the stream ends or stops making sense.
async fn read(
    mut reader: OwnedReadHalf,
    pending: Pending,
    greet: oneshot::Sender<Hello>,
    broken: Arc<Mutex<Option<String>>>,
) {
    let why = match read_all(&mut reader, &pending, greet).await {
        Ok(()) => "it ended".to_owned(),
        Err(error) => error,
    };
    *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    // Whoever waits sees their channel close.
    pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

async fn read_all(
    reader: &mut OwnedReadHalf,
    pending: &Pending,
    greet: oneshot::Sender<Hello>,
) -> Result<(), String> {
    let mut greet = Some(greet);
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        while let Some(message) = decoder.next_message::<FromAgent>().map_err(|e| e.to_string())? {
            let (id, part) = match message {
                FromAgent::Hello(hello) => {
                    let greet = greet.take().ok_or("a second greeting: the agent was restarted")?;
                    greet
                        .send(hello)
                        .map_err(|_| "a greeting that nobody expects: the agent was restarted")?;
                    continue;
                }
                FromAgent::Output { id, output } => (id, Ok(output)),
                FromAgent::Done { id, result } => (id, Err(result)),
            };
            let sender = pending
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&id)
                .cloned();
            // An answer that nobody waits for any more (its request timed out) is dropped.
            if let Some(sender) = sender {
                let _ = sender.send(part).await;
            }
        }
        match reader.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(count) => decoder.push(&buffer[..count]),
            Err(error) => return Err(error.to_string()),
        }
    }
}
