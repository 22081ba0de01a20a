//! Controls a device while it serves.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::io::IoLog;
use coldcut_core::recording::mark::Mark;
use tokio::sync::{Notify, watch};

use super::error::DeviceError;
use super::faces::{Counters, Disk};
use super::image::FrozenImage;
use super::injector::Injector;

/// The disk, its lock, and the tasks that wait for it.
pub(crate) struct Shared {
    disk: Mutex<Disk>,
    idle: Notify,
    broken: watch::Sender<bool>,
    pub(crate) down: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(disk: Disk) -> Arc<Self> {
        Arc::new(Self {
            disk: Mutex::new(disk),
            idle: Notify::new(),
            broken: watch::Sender::new(false),
            down: watch::Sender::new(false),
        })
    }

    /// Does something to the disk, as one step of the total order.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Disk) -> T) -> T {
        let poisoned = self.disk.is_poisoned();
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if poisoned {
            disk.break_with(DeviceError::Panicked);
        }
        let busy = disk.counters().in_flight > 0;
        let outcome = act(&mut disk);
        if busy && disk.counters().in_flight == 0 {
            self.idle.notify_waiters();
        }
        if disk.health().is_err() && !*self.broken.borrow() {
            self.broken.send_replace(true);
        }
        outcome
    }

    /// Does something at a moment when nothing is in flight.
    async fn when_idle<T>(
        &self,
        within: Duration,
        act: impl FnOnce(&mut Disk) -> T,
    ) -> Result<T, DeviceError> {
        let mut act = Some(act);
        let attempt = async {
            loop {
                let idle = self.idle.notified();
                tokio::pin!(idle);
                idle.as_mut().enable();
                let outcome = self.with(|disk| {
                    if disk.counters().in_flight == 0 {
                        act.take().map(|act| act(disk))
                    } else {
                        None
                    }
                });
                if let Some(outcome) = outcome {
                    return outcome;
                }
                idle.await;
            }
        };
        tokio::time::timeout(within, attempt)
            .await
            .map_err(|_| DeviceError::Busy {
                in_flight: self.with(|disk| disk.counters().in_flight),
                waited: within,
            })
    }
}

/// Controls a device; clones control the same one. The operations are steps of the device's one total order.
#[derive(Clone)]
pub struct DeviceHandle {
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for DeviceHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceHandle")
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl DeviceHandle {
    /// The device's size in bytes: of all its disks, one after another.
    pub fn size(&self) -> u64 {
        self.shared.with(|disk| disk.size())
    }

    /// Starts to log. Waits up to `within` until nothing is in flight; in the same moment the content is frozen as
    /// the recording's base image, so nothing can come between base and log.
    ///
    /// # Errors
    /// `Busy` when requests are still in flight, `Recording` when there is a recording already, or the error that
    /// stopped the device.
    pub async fn begin_recording<L: IoLog + 'static>(
        &self,
        log: L,
        within: Duration,
    ) -> Result<ActiveRecording<L>, DeviceError> {
        let base = self
            .shared
            .when_idle(within, |disk| disk.begin(Box::new(log)))
            .await??;
        Ok(ActiveRecording {
            handle: self.clone(),
            base,
            log: PhantomData,
        })
    }

    /// Places a mark in the log's order, now.
    ///
    /// # Errors
    /// `NotRecording`, or the error that stopped the device.
    pub fn mark(&self, mark: &Mark) -> Result<(), DeviceError> {
        self.shared.with(|disk| disk.with_log(|log| log.mark(mark)))
    }

    /// The content now: all that was completed. Later writes do not reach it. It costs no copy, but after a write
    /// each call adds a layer that later reads pass through.
    ///
    /// # Errors
    /// The error that stopped the device.
    pub fn freeze(&self) -> Result<Arc<FrozenImage>, DeviceError> {
        self.shared.with(Disk::freeze)
    }

    /// Serves another image of the same size from now on, with a new empty overlay, over the same connection. Waits
    /// up to `within` until nothing is in flight. Also opens a device whose recording has ended.
    ///
    /// # Errors
    /// `Busy`, `Recording`, `OtherSize`, or the error that stopped the device.
    pub async fn serve(&self, base: Arc<dyn ReadAt>, within: Duration) -> Result<(), DeviceError> {
        self.shared.when_idle(within, |disk| disk.serve(base)).await?
    }

    /// Installs what can hold, delay or fail requests, or removes it. Requests held before stay held.
    pub fn set_injector(&self, injector: Option<Box<dyn Injector>>) {
        self.shared.with(|disk| disk.set_injector(injector));
    }

    /// From now on, a guest that writes more than so many bytes of the disk breaks it: what is written is held in memory.
    pub fn hold_at_most(&self, bytes: u64) {
        self.shared.with(|disk| disk.hold_at_most(bytes));
    }

    /// From now on the disks that start at these bytes acknowledge flushes without heeding them: what was written to them
    /// stays volatile, and the log knows of no flush.
    pub fn ignore_flushes(&self, starts: Vec<u64>) {
        self.shared.with(|disk| disk.ignore_flushes(starts));
    }

    /// What the device has done so far.
    pub fn counters(&self) -> Counters {
        self.shared.with(|disk| disk.counters())
    }

    /// Whether the device works. A device that does not work never answers another request, so its guest can only
    /// time out; ask this before judging what a guest said.
    ///
    /// # Errors
    /// The error that stopped the device.
    pub fn health(&self) -> Result<(), DeviceError> {
        self.shared.with(|disk| disk.health())
    }

    /// Waits until the device breaks, and says why; for ever when it does not.
    pub async fn broken(&self) -> DeviceError {
        let mut broken = self.shared.broken.subscribe();
        loop {
            if let Err(error) = self.health() {
                return error;
            }
            // The sender lives in `shared`, which this handle keeps.
            let _ = broken.changed().await;
        }
    }

    /// Closes the connection and the socket. Returns at once; [`super::Device::shutdown`] waits.
    pub fn shutdown(&self) {
        self.shared.down.send_replace(true);
    }
}

/// A recording under way. Dropping it leaves the device recording.
#[derive(Debug)]
pub struct ActiveRecording<L> {
    handle: DeviceHandle,
    base: Arc<FrozenImage>,
    log: PhantomData<fn() -> L>,
}

impl<L: IoLog + 'static> ActiveRecording<L> {
    /// What the device held when the recording began.
    pub fn base(&self) -> &Arc<FrozenImage> {
        &self.base
    }

    /// Ends the recording, which is the power cut: the log and the content at this moment, then nothing but EIO for
    /// the client, until [`DeviceHandle::serve`]. Requests in flight stay submitted in the log and never complete.
    ///
    /// # Errors
    /// `NotRecording` when the device no longer records, or the error that stopped it: then the log is unusable.
    pub fn end(self) -> Result<(L, Arc<FrozenImage>), DeviceError> {
        let (log, content) = self.handle.shared.with(|disk| {
            let content = disk.freeze()?;
            Ok::<_, DeviceError>((disk.end()?, content))
        })?;
        let log = log.into_any().downcast().map_err(|_| DeviceError::NotRecording)?;
        Ok((*log, content))
    }
}
