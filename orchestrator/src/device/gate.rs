//! The one place where a request can be held, delayed or failed: between its submission and its completion.

use std::time::Duration;

use tokio::sync::oneshot;

use super::proto::Errno;
use super::request::Request;

/// Decides about each request right after its submission is logged. It is asked in the order of submission, under
/// the device's lock: it must not block and must not call the device's handle.
pub trait Gate: Send {
    /// What is to happen to `request`.
    fn admit(&mut self, request: &Request) -> Admission;
}

impl<F: FnMut(&Request) -> Admission + Send> Gate for F {
    fn admit(&mut self, request: &Request) -> Admission {
        self(request)
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
    /// It is held until the other end says how it goes on; later requests go on meanwhile. Dropping the sender lets
    /// it proceed.
    Hold(oneshot::Receiver<Resume>),
}

/// How a held request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// It is applied and completed now.
    Proceed,
    /// It is answered with this error and not applied.
    Fail(Errno),
}
