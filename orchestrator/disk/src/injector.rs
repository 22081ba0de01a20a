//! The one place where a request can be held, delayed or failed: between its submission and its completion.

use std::time::Duration;

use tokio::sync::oneshot;

use super::image::Layered;
use super::proto::Errno;
use super::request::Request;

/// Decides about each request right after its submission is logged. It is asked in the order of submission, under
/// the device's lock: it must not block and must not call the device's handle.
pub trait Injector: Send {
    /// What is to happen to `request`. `content` is what is stored now, before it.
    fn admit(&mut self, request: &Request, content: &Stored<'_>) -> Admission;
}

impl<F: FnMut(&Request) -> Admission + Send> Injector for F {
    fn admit(&mut self, request: &Request, _: &Stored<'_>) -> Admission {
        self(request)
    }
}

/// What a device stores.
#[derive(Clone, Copy)]
pub struct Stored<'a>(pub(super) &'a Layered);

impl std::fmt::Debug for Stored<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").finish_non_exhaustive()
    }
}

impl Stored<'_> {
    /// Reads what is stored from `offset` on.
    ///
    /// # Errors
    /// The image's.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, buffer)
    }
}

/// What happens to a request.
#[derive(Debug)]
pub enum Admission {
    /// It is applied and completed now.
    Proceed,
    /// It is answered with this error and not applied.
    Fail(Errno),
    /// It is applied and completed after this time; later requests go on meanwhile.
    Delay(Duration),
    /// It is held until the other end decides; later requests go on meanwhile. Dropping the sender lets
    /// it proceed.
    Hold(oneshot::Receiver<Resume>),
}

/// What becomes of a held request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// It is applied and completed now.
    Proceed,
    /// It is answered with this error and not applied.
    Fail(Errno),
}
