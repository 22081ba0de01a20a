//! The device's thread: accepts clients at a unix socket and serves them one after the other.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::disks::{Disk as Seen, Disks};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::{self, ConnectionError};
use super::error::DeviceError;
use super::faces::Disk;
use super::handle::{DeviceHandle, Shared};
use super::proto;
use super::session::SessionError;

/// What `COLDCUT_LOG` calls the disk: it is a module of coldcut to whoever reads the log.
const LOGGED_AS: &str = "coldcut::disk";
const MAX_SIZE: u64 = 16 << 40;
/// How long a client may take to get to its first request.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// A disk that a client can attach at a unix socket; or several, each at a socket of its own, under one lock and so in
/// one order. It has a thread of its own, so that nothing else that goes on
/// can slow it down. Dropping it shuts it down.
#[derive(Debug)]
pub struct Device {
    handle: DeviceHandle,
    paths: Vec<PathBuf>,
    thread: Option<JoinHandle<()>>,
}

impl Device {
    /// Serves `base` at a new unix socket `path`, whose directory must be private. Clients can connect at once; a
    /// second one is served when the first has left.
    ///
    /// # Errors
    /// `Size` for a base that no block device can be; `Bind` when the socket cannot be made, such as for a path that
    /// exists or is longer than 107 bytes.
    pub fn bind(path: &Path, base: Arc<dyn ReadAt>) -> Result<Self, DeviceError> {
        let disks = Disks::one(base.size());
        Self::bind_all(&[path.to_owned()], &disks, base)
    }

    /// Serves each of `disks`, which `base` holds one after another, at the socket of the same place in `paths`.
    ///
    /// # Errors
    /// As [`Self::bind`]; `Size` too when there are not as many sockets as disks, or `base` is not theirs.
    pub fn bind_all(paths: &[PathBuf], disks: &Disks, base: Arc<dyn ReadAt>) -> Result<Self, DeviceError> {
        let size = base.size();
        let whole = size.is_multiple_of(u64::from(proto::MIN_BLOCK));
        if size == 0 || size > MAX_SIZE || !whole || disks.size() != size || disks.count() != paths.len() {
            return Err(DeviceError::Size(size));
        }
        let failed = |error| DeviceError::Bind {
            path: paths[0].clone(),
            error: Arc::new(error),
        };
        let mut listeners = Vec::new();
        for (path, seen) in paths.iter().zip(disks.iter()) {
            listeners.push((listen(path)?, seen));
        }
        let shared = Shared::new(Disk::new(base));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name("coldcut-device".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    let _notice = Notice(&shared);
                    if let Err(error) = runtime.block_on(accept_all(listeners, &shared)) {
                        tracing::error!(target: LOGGED_AS, %error, "the device's socket");
                    }
                }
            })
            .map_err(failed)?;
        Ok(Self {
            handle: DeviceHandle { shared },
            paths: paths.to_vec(),
            thread: Some(thread),
        })
    }

    /// The handle that controls it.
    pub fn handle(&self) -> DeviceHandle {
        self.handle.clone()
    }

    /// The socket to which clients connect.
    pub fn path(&self) -> &Path {
        &self.paths[0]
    }

    /// Closes the connection, removes the socket and waits for the thread, which takes microseconds.
    ///
    /// # Errors
    /// The error that had stopped the device before.
    pub fn shutdown(mut self) -> Result<(), DeviceError> {
        self.stop();
        self.handle.health()
    }

    fn stop(&mut self) {
        self.handle.shutdown();
        if let Some(thread) = self.thread.take() {
            if thread.join().is_err() {
                tracing::error!(target: LOGGED_AS, "the device's thread panicked");
            }
            for path in &self.paths {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Wakes those who wait for the disk when the thread ends, so that they notice a panic.
struct Notice<'a>(&'a Shared);

impl Drop for Notice<'_> {
    fn drop(&mut self) {
        self.0.with(|_| ());
    }
}

fn listen(path: &Path) -> Result<StdListener, DeviceError> {
    let listen = || {
        let listener = StdListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|error| DeviceError::Bind {
        path: path.to_owned(),
        error: Arc::new(error),
    })
}

/// Serves every disk until the device is shut down.
async fn accept_all(listeners: Vec<(StdListener, Seen)>, shared: &Arc<Shared>) -> io::Result<()> {
    let mut serving = JoinSet::new();
    for (listener, seen) in listeners {
        let shared = Arc::clone(shared);
        serving.spawn(async move { accept(listener, seen, &shared).await });
    }
    while let Some(ended) = serving.join_next().await {
        // A panic of one is one of the thread.
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    }
    Ok(())
}

/// Waits until the device is shut down.
async fn shut_down(down: &mut watch::Receiver<bool>) {
    // The sender lives in `Shared`, which whoever waits keeps.
    let _ = down.wait_for(|down| *down).await;
}

async fn accept(listener: StdListener, seen: Seen, shared: &Arc<Shared>) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let mut down = shared.down.subscribe();
    loop {
        let mut stream = tokio::select! {
            () = shut_down(&mut down) => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, or a client that has left already.
                    tracing::warn!(target: LOGGED_AS, %error, "accept a client");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            },
        };
        serve_until_down(shared, seen, &mut stream).await;
    }
}

/// Serves one client until it leaves or the device is shut down.
pub(crate) async fn serve_until_down<S>(shared: &Arc<Shared>, seen: Seen, stream: &mut S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut down = shared.down.subscribe();
    let outcome = tokio::select! {
        () = shut_down(&mut down) => return,
        outcome = connection::serve(Arc::clone(shared), seen, stream, HANDSHAKE_DEADLINE) => outcome,
    };
    match outcome {
        Ok(()) => {}
        Err(ConnectionError::Session(SessionError::Device(error))) => {
            tracing::error!(target: LOGGED_AS, %error, "the device answers nothing more");
            // Neither an answer nor an end that a guest could take for the disk's: it times out.
            shut_down(&mut down).await;
        }
        Err(error) => tracing::warn!(target: LOGGED_AS, %error, "closed the client's connection"),
    }
}
