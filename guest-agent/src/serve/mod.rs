//! The request loop: a reader, the lanes, and one writer that all share.
//!
//! The reader decodes requests and answers ping and power-off itself, so that both work while an operation blocks
//! in the kernel. Everything else goes to the thread of its lane through a bounded queue; a lane's thread begins with
//! its first request. Whoever has something to say takes the [`Sender`]'s lock for one frame.

mod dispatch;

use std::any::Any;
use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use coldcut_wire::{
    Decoder, Done, Failure, FrameError, FromAgent, Hello, LANES, Lane, PROTOCOL, Request, RequestId, ToAgent,
    encode,
};

use crate::failure::refuse;
use crate::link::Sender;
use crate::power::power_off;
use crate::state::{Role, State};

/// Requests of one lane that may wait behind the one that runs.
const QUEUE: usize = 64;
/// Bytes read from the channel at a time.
const READ: usize = 64 << 10;

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

/// Makes the first message of a connection.
pub(crate) fn hello(problems: Vec<String>) -> Hello {
    let uname = rustix::system::uname();
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Hello {
        protocol: PROTOCOL,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        release: uname.release().to_string_lossy().into_owned(),
        uptime_ns: (now.tv_sec as u64)
            .saturating_mul(1_000_000_000)
            .saturating_add(now.tv_nsec as u64),
        problems,
    }
}

/// Says hello and serves requests until the channel ends or the host asks for power-off (which does not return).
/// The state outlives the connection.
pub(crate) fn serve(
    mut read: File,
    write: File,
    hello: &Hello,
    state: &Arc<State>,
) -> Result<(), ServeError> {
    let sender = Sender::new(write);
    let frame = encode(&FromAgent::Hello(hello.clone()))?;
    sender.send_frame(&frame).map_err(ServeError::Channel)?;
    let mut lanes = Lanes {
        sender: sender.clone(),
        state: Arc::clone(state),
        running: [const { None }; LANES as usize],
    };
    let result = lanes.read_requests(&mut read);
    match state.role {
        // The host is gone: nobody waits for what the lanes still do, and PID 1 must not hang on them.
        Role::Init => sender.close(),
        // Standard input may end before the last answer is out.
        Role::Process => lanes.join(),
    }
    result
}

type Job = (RequestId, Request);

/// The lanes of one connection.
struct Lanes {
    sender: Sender,
    state: Arc<State>,
    running: [Option<(SyncSender<Job>, JoinHandle<()>)>; LANES as usize],
}

impl Lanes {
    fn read_requests(&mut self, read: &mut File) -> Result<(), ServeError> {
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
            while let Some(ToAgent::Request { id, lane, body }) = decoder.next_message()? {
                if self.dispatch(id, lane, body).is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// Answers at once or queues; an error means that the host no longer listens.
    fn dispatch(&mut self, id: RequestId, lane: Lane, body: Request) -> Result<(), Failure> {
        match body {
            Request::Ping => self.sender.done(id, Ok(Done::Ok)),
            Request::PowerOff => {
                let _ = self.sender.done(id, Ok(Done::Ok));
                match self.state.role {
                    Role::Init => power_off(),
                    Role::Process => std::process::exit(0),
                }
            }
            body => match self.queue(lane, (id, body)) {
                Ok(()) => Ok(()),
                Err(failure) => self.sender.done(id, Err(failure)),
            },
        }
    }

    /// Hands a request to its lane's thread, which it starts if need be.
    fn queue(&mut self, lane: Lane, job: Job) -> Result<(), Failure> {
        let Some(slot) = self.running.get_mut(usize::from(lane)) else {
            return Err(refuse(format!(
                "lane {lane} is none of the {LANES} that there are"
            )));
        };
        let queue = if let Some((queue, _)) = slot {
            queue
        } else {
            let (queue, requests) = sync_channel(QUEUE);
            let (sender, state) = (self.sender.clone(), Arc::clone(&self.state));
            let thread = std::thread::Builder::new()
                .name(format!("lane-{lane}"))
                .spawn(move || {
                    state.lanes.runs_here(lane);
                    work(lane, &requests, &sender, &state);
                })
                .map_err(|error| refuse(format!("a thread for lane {lane} cannot be started: {error}")))?;
            &slot.insert((queue, thread)).0
        };
        self.state.lanes.asked(lane);
        queue.try_send(job).map_err(|error| {
            self.state.lanes.answered(lane);
            match error {
                TrySendError::Full(_) => refuse(format!("more than {QUEUE} requests are waiting already")),
                TrySendError::Disconnected(_) => refuse(format!("the thread of lane {lane} has ended")),
            }
        })
    }

    /// Waits until every lane has done what it was asked to.
    fn join(self) {
        let threads = self.running.into_iter().flatten().map(|(queue, thread)| {
            drop(queue);
            thread
        });
        for thread in threads.collect::<Vec<_>>() {
            let _ = thread.join();
        }
    }
}

fn work(lane: Lane, requests: &Receiver<Job>, sender: &Sender, state: &State) {
    while let Ok((id, request)) = requests.recv() {
        let result = catch_unwind(AssertUnwindSafe(|| dispatch::run(state, id, request, sender)))
            .unwrap_or_else(|panic| Err(refuse(format!("the agent panicked: {}", panic_text(&*panic)))));
        state.lanes.answered(lane);
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
