//! The disk itself, without sockets: content, log, injector and counters under one lock, hence one total order.

use std::any::Any;
use std::sync::Arc;

use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::io::{Io, IoId, IoKind, IoLog};

use super::error::DeviceError;
use super::image::Layered;
use super::injector::{Admission, Injector, Resume, Stored};
use super::proto::{self, Errno};
use super::request::Request;

/// What a device has done since it was bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// READ requests answered with data.
    pub reads: u64,
    /// Bytes of those.
    pub read_bytes: u64,
    /// WRITE requests completed.
    pub writes: u64,
    /// Bytes of those.
    pub written_bytes: u64,
    /// FLUSH requests completed.
    pub flushes: u64,
    /// TRIM requests completed.
    pub discards: u64,
    /// `WRITE_ZEROES` requests completed.
    pub write_zeroes: u64,
    /// Completed requests of any kind with FUA.
    pub fua: u64,
    /// Requests answered with an error.
    pub errors: u64,
    /// Requests submitted and not answered now.
    pub in_flight: u32,
}

/// A log that can be had back as what it is.
pub(crate) trait AnyLog: IoLog {
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<L: IoLog + 'static> AnyLog for L {
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What the device does with requests.
enum Face {
    /// Serves them.
    Open,
    /// Serves and logs them.
    Recording(Box<dyn AnyLog>),
    /// Answers them with EIO: the recording has ended, which was the power cut.
    Cut,
}

/// A request between submission and completion.
#[derive(Debug)]
pub(crate) struct Ticket {
    cookie: u64,
    request: Request,
    id: Option<IoId>,
    /// The face's number at submission: what was submitted to one face never completes on the next.
    era: u64,
}

/// What became of a request.
pub(crate) enum Started {
    /// Its reply is in the buffer.
    Replied,
    /// It is in flight until this says how it goes on.
    Waiting(Ticket, Admission),
}

pub(crate) struct Disk {
    image: Layered,
    face: Face,
    /// Where the disks start that acknowledge flushes without heeding them.
    deaf: Vec<u64>,
    /// Bytes that are held in memory at most.
    most_held: u64,
    era: u64,
    injector: Option<Box<dyn Injector>>,
    broken: Option<DeviceError>,
    counters: Counters,
}

impl Disk {
    pub(crate) fn new(base: Arc<dyn ReadAt>) -> Self {
        Self {
            image: Layered::new(base),
            face: Face::Open,
            deaf: Vec::new(),
            most_held: u64::MAX,
            era: 0,
            injector: None,
            broken: None,
            counters: Counters::default(),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.image.size()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    pub(crate) fn health(&self) -> Result<(), DeviceError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn set_injector(&mut self, injector: Option<Box<dyn Injector>>) {
        self.injector = injector;
    }

    /// Holds no more than so many bytes of what is written.
    pub(crate) fn hold_at_most(&mut self, bytes: u64) {
        self.most_held = bytes;
    }

    /// The disks that start here acknowledge flushes from now on without heeding them.
    pub(crate) fn ignore_flushes(&mut self, starts: Vec<u64>) {
        self.deaf = starts;
    }

    /// Whether a request is a flush that its disk does not heed: nothing becomes durable by it, and the log has none.
    fn unheeded(&self, io: &Io) -> bool {
        io.kind == IoKind::Flush && self.deaf.contains(&io.offset)
    }

    pub(crate) fn freeze(&mut self) -> Result<Arc<super::FrozenImage>, DeviceError> {
        self.health()?;
        Ok(self.image.freeze())
    }

    /// Starts a recording; the caller has seen that nothing is in flight, under the same lock.
    pub(crate) fn begin(&mut self, log: Box<dyn AnyLog>) -> Result<Arc<super::FrozenImage>, DeviceError> {
        self.health()?;
        if matches!(self.face, Face::Recording(_)) {
            return Err(DeviceError::Recording);
        }
        self.era += 1;
        self.face = Face::Recording(log);
        Ok(self.image.freeze())
    }

    pub(crate) fn end(&mut self) -> Result<Box<dyn AnyLog>, DeviceError> {
        self.health()?;
        match std::mem::replace(&mut self.face, Face::Cut) {
            Face::Recording(log) => {
                self.era += 1;
                Ok(log)
            }
            other => {
                self.face = other;
                Err(DeviceError::NotRecording)
            }
        }
    }

    /// Serves another image; the caller has seen that nothing is in flight, under the same lock.
    pub(crate) fn serve(&mut self, base: Arc<dyn ReadAt>) -> Result<(), DeviceError> {
        self.health()?;
        if matches!(self.face, Face::Recording(_)) {
            return Err(DeviceError::Recording);
        }
        if base.size() != self.size() {
            return Err(DeviceError::OtherSize {
                found: base.size(),
                expected: self.size(),
            });
        }
        self.era += 1;
        self.face = Face::Open;
        self.image = Layered::new(base);
        Ok(())
    }

    /// Gives the log to `entry`. An error of the log breaks the device.
    pub(crate) fn with_log<T>(
        &mut self,
        entry: impl FnOnce(&mut dyn IoLog) -> std::io::Result<T>,
    ) -> Result<T, DeviceError> {
        self.health()?;
        match &mut self.face {
            Face::Recording(log) => {
                let outcome = entry(&mut **log);
                outcome.map_err(|error| self.break_with(DeviceError::Log(Arc::new(error))))
            }
            Face::Open | Face::Cut => Err(DeviceError::NotRecording),
        }
    }

    /// Submits a request; the injector says how it goes on. The reply of one that is done goes to `out`.
    ///
    /// # Errors
    /// The device is broken: nothing may be acknowledged any more.
    pub(crate) fn start(
        &mut self,
        cookie: u64,
        request: Result<Request, Errno>,
        out: &mut Vec<u8>,
    ) -> Result<Started, DeviceError> {
        self.health()?;
        let request = match request {
            Ok(request) if !matches!(self.face, Face::Cut) => request,
            Ok(_) => return Ok(self.refuse(cookie, Errno::Io, out)),
            Err(errno) => return Ok(self.refuse(cookie, errno, out)),
        };
        let id = match (&request, &self.face) {
            (Request::Change { io, data }, Face::Recording(_)) if !self.unheeded(io) => {
                Some(self.with_log(|log| log.submit(*io, data.clone()))?)
            }
            _ => None,
        };
        self.counters.in_flight += 1;
        let admission = match &mut self.injector {
            Some(injector) => injector.admit(&request, &Stored(&self.image)),
            None => Admission::Proceed,
        };
        let ticket = Ticket {
            cookie,
            request,
            id,
            era: self.era,
        };
        match admission {
            Admission::Proceed => self.finish(ticket, Resume::Proceed, out)?,
            Admission::Fail(errno) => self.finish(ticket, Resume::Fail(errno), out)?,
            wait @ (Admission::Delay(_) | Admission::Hold(_)) => return Ok(Started::Waiting(ticket, wait)),
        }
        Ok(Started::Replied)
    }

    /// Applies and completes a request, or fails it, and then appends its reply to `out`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn finish(
        &mut self,
        ticket: Ticket,
        resume: Resume,
        out: &mut Vec<u8>,
    ) -> Result<(), DeviceError> {
        self.counters.in_flight = self.counters.in_flight.saturating_sub(1);
        self.health()?;
        let Ticket {
            cookie,
            request,
            id,
            era,
        } = ticket;
        if era != self.era {
            self.refuse(cookie, Errno::Io, out);
            return Ok(());
        }
        if let Resume::Fail(errno) = resume {
            if let Some(id) = id {
                self.with_log(|log| log.fail(id))?;
            }
            self.refuse(cookie, errno, out);
            return Ok(());
        }
        match request {
            Request::Read { offset, len } => self.read(cookie, offset, len, out),
            Request::Change { io, data } => {
                let range = io.offset..io.offset + io.len;
                // Nothing but the log can fail, and it comes first: never applied and not complete, never complete
                // and not applied.
                if let Some(id) = id {
                    self.with_log(|log| log.complete(id))?;
                }
                match io.kind {
                    IoKind::Write => {
                        self.image.write(io.offset, &data);
                        if self.image.held() > self.most_held {
                            return Err(self.break_with(DeviceError::TooMuch(self.most_held)));
                        }
                        self.counters.writes += 1;
                        self.counters.written_bytes += io.len;
                    }
                    IoKind::WriteZeroes => {
                        self.image.zero(range);
                        self.counters.write_zeroes += 1;
                    }
                    IoKind::Discard => {
                        self.image.zero(range);
                        self.counters.discards += 1;
                    }
                    IoKind::Flush => self.counters.flushes += 1,
                }
                self.counters.fua += u64::from(io.fua);
                proto::put_reply(out, cookie, 0);
                Ok(())
            }
        }
    }

    /// A request whose client is gone: it stays submitted and never completes.
    pub(crate) fn abandon(&mut self, requests: u32) {
        self.counters.in_flight = self.counters.in_flight.saturating_sub(requests);
    }

    fn read(&mut self, cookie: u64, offset: u64, len: u32, out: &mut Vec<u8>) -> Result<(), DeviceError> {
        let before = out.len();
        proto::put_reply(out, cookie, 0);
        let start = out.len();
        out.resize(start + len as usize, 0);
        if let Err(error) = self.image.read_at(offset, &mut out[start..]) {
            out.truncate(before);
            return Err(self.image_failed(error));
        }
        self.counters.reads += 1;
        self.counters.read_bytes += u64::from(len);
        Ok(())
    }

    fn refuse(&mut self, cookie: u64, errno: Errno, out: &mut Vec<u8>) -> Started {
        self.counters.errors += 1;
        proto::put_reply(out, cookie, errno as u32);
        Started::Replied
    }

    fn image_failed(&mut self, error: std::io::Error) -> DeviceError {
        self.break_with(DeviceError::Image(Arc::new(error)))
    }

    /// Stops the device for good; why it stopped, which is the first reason.
    pub(crate) fn break_with(&mut self, error: DeviceError) -> DeviceError {
        self.broken.get_or_insert(error).clone()
    }
}
