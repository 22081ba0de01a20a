//! The request loop: a reader, a worker, and one writer that both share.
//!
//! The reader decodes requests and answers ping and power-off itself, so that both work while an operation blocks
//! in the kernel. Everything else goes to the worker through a bounded queue. Whoever has something to say takes
//! the [`Sender`]'s lock for one frame, so further workers can join without any change to the others.

use std::any::Any;
use std::fs::File;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use coldcut_wire::{
    Decoder, Done, Failure, FrameError, FromAgent, Hello, Output, Request, RequestId, ToAgent, encode,
};

use crate::failure::refuse;
use crate::session::Session;

/// Requests that may wait behind the one that runs.
const QUEUE: usize = 64;
/// Bytes read from the channel at a time.
const READ: usize = 64 << 10;

/// What the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// PID 1 of a guest.
    Init,
    /// An ordinary process, which mounts nothing and powers nothing off.
    Process,
}

/// Why serving ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The channel to the host failed.
    #[error("the channel to the host failed: {0}")]
    Channel(#[source] io::Error),
    /// The host sent what is no request.
    #[error("the host sent what is no request: {0}")]
    Frame(#[from] FrameError),
}

/// The shared way to the host: the channel, until it is closed.
#[derive(Clone, Debug)]
pub(crate) struct Sender(Arc<Mutex<Option<File>>>);

impl Sender {
    fn new(file: File) -> Self {
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

    fn done(&self, id: RequestId, result: Result<Done, Failure>) -> Result<(), Failure> {
        self.send(&FromAgent::Done { id, result })
    }

    fn send_frame(&self, frame: &[u8]) -> io::Result<()> {
        let mut file = lock(&self.0);
        file.as_mut()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?
            .write_all(frame)
    }

    /// A late answer must not reach the next connection.
    fn close(&self) {
        *lock(&self.0) = None;
    }
}

/// A panic elsewhere has been reported already; what the lock protects stays usable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says hello and serves requests until the channel ends or the host asks for power-off (which does not return).
/// The session outlives the connection.
pub(crate) fn serve(
    mut read: File,
    write: File,
    hello: &Hello,
    session: &Arc<Mutex<Session>>,
) -> Result<(), ServeError> {
    let role = lock(session).role;
    let sender = Sender::new(write);
    let frame = encode(&FromAgent::Hello(hello.clone()))?;
    sender.send_frame(&frame).map_err(ServeError::Channel)?;
    let (queue, requests) = sync_channel(QUEUE);
    let worker = std::thread::Builder::new()
        .name("worker".to_owned())
        .spawn({
            let (sender, session) = (sender.clone(), Arc::clone(session));
            move || work(&requests, &sender, &session)
        })
        .map_err(ServeError::Channel)?;
    let result = read_requests(&mut read, &queue, &sender, role);
    drop(queue);
    match role {
        // The host is gone: nobody waits for what the worker still does, and PID 1 must not hang on it.
        Role::Init => sender.close(),
        // Standard input may end before the last answer is out.
        Role::Process => drop(worker.join()),
    }
    result
}

fn read_requests(
    read: &mut File,
    queue: &SyncSender<(RequestId, Request)>,
    sender: &Sender,
    role: Role,
) -> Result<(), ServeError> {
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; READ];
    loop {
        let len = match read.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ServeError::Channel(error)),
        };
        decoder.push(&buffer[..len]);
        while let Some(ToAgent::Request { id, body }) = decoder.next_message()? {
            if dispatch(id, body, queue, sender, role).is_err() {
                return Ok(());
            }
        }
    }
}

/// Answers at once or queues; an error means that the host no longer listens.
fn dispatch(
    id: RequestId,
    body: Request,
    queue: &SyncSender<(RequestId, Request)>,
    sender: &Sender,
    role: Role,
) -> Result<(), Failure> {
    match body {
        Request::Ping => sender.done(id, Ok(Done::Ok)),
        Request::PowerOff => {
            let _ = sender.done(id, Ok(Done::Ok));
            match role {
                Role::Init => crate::boot::power_off(),
                Role::Process => std::process::exit(0),
            }
        }
        body => match queue.try_send((id, body)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => sender.done(
                id,
                Err(refuse(format!("more than {QUEUE} requests are waiting already"))),
            ),
            Err(TrySendError::Disconnected(_)) => {
                sender.done(id, Err(refuse("the agent's worker has ended")))
            }
        },
    }
}

fn work(requests: &Receiver<(RequestId, Request)>, sender: &Sender, session: &Mutex<Session>) {
    while let Ok((id, request)) = requests.recv() {
        let mut session = lock(session);
        let result = catch_unwind(AssertUnwindSafe(|| session.run(id, request, sender)))
            .unwrap_or_else(|panic| Err(refuse(format!("the agent panicked: {}", panic_text(&*panic)))));
        drop(session);
        if sender.done(id, result).is_err() {
            return;
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
