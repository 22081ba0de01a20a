//! The device's thread: accepts clients at a unix socket and serves them one after the other.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use coldcut_core::recording::block::ReadAt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;

use super::connection::{self, ConnectionError};
use super::error::DeviceError;
use super::faces::Disk;
use super::handle::{DeviceHandle, Shared};
use super::proto;
use super::session::SessionError;

const MAX_SIZE: u64 = 16 << 40;
/// How long a client may take to get to its first request.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// A disk that a client can attach at a unix socket. It has a thread of its own, so that nothing else that goes on
/// can slow it down. Dropping it shuts it down.
#[derive(Debug)]
pub struct Device {
    handle: DeviceHandle,
    path: PathBuf,
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
        let size = base.size();
        if size == 0 || size > MAX_SIZE || !size.is_multiple_of(u64::from(proto::MIN_BLOCK)) {
            return Err(DeviceError::Size(size));
        }
        let failed = |error| DeviceError::Bind {
            path: path.to_owned(),
            error: Arc::new(error),
        };
        let listener = StdListener::bind(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
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
                    if let Err(error) = runtime.block_on(accept(listener, &shared)) {
                        tracing::error!(%error, "the device's socket");
                    }
                }
            })
            .map_err(failed)?;
        Ok(Self {
            handle: DeviceHandle { shared },
            path: path.to_owned(),
            thread: Some(thread),
        })
    }

    /// The handle that controls it.
    pub fn handle(&self) -> DeviceHandle {
        self.handle.clone()
    }

    /// The socket to which clients connect.
    pub fn path(&self) -> &Path {
        &self.path
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
                tracing::error!("the device's thread panicked");
            }
            let _ = std::fs::remove_file(&self.path);
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

async fn accept(listener: StdListener, shared: &Arc<Shared>) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let mut down = shared.down.subscribe();
    loop {
        let mut stream = tokio::select! {
            _ = down.wait_for(|down| *down) => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, or a client that has left already.
                    tracing::warn!(%error, "accept a client");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            },
        };
        serve_until_down(shared, &mut stream).await;
    }
}

/// Serves one client until it leaves or the device is shut down.
pub(crate) async fn serve_until_down<S>(shared: &Arc<Shared>, stream: &mut S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut down = shared.down.subscribe();
    let outcome = tokio::select! {
        _ = down.wait_for(|down| *down) => return,
        outcome = connection::serve(Arc::clone(shared), stream, HANDSHAKE_DEADLINE) => outcome,
    };
    match outcome {
        Ok(()) => {}
        Err(ConnectionError::Session(SessionError::Device(error))) => {
            tracing::error!(%error, "the device answers nothing more");
            // Neither an answer nor an end that a guest could take for the disk's: it times out.
            let _ = down.wait_for(|down| *down).await;
        }
        Err(error) => tracing::warn!(%error, "closed the client's connection"),
    }
}
