//! Hands each event to every reporter, in one order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use coldcut_core::outcome::event::{Event, Phase, Stamped};

/// Something that shows or keeps events.
pub trait Reporter: Send {
    /// Takes the next event.
    fn event(&mut self, event: &Stamped);

    /// No event comes any more. Not called where coldcut is interrupted.
    fn end(&mut self) {}
}

/// Where events go.
#[derive(Clone)]
pub struct EventSink {
    inner: Arc<Mutex<Vec<Box<dyn Reporter>>>>,
    start: Instant,
}

impl EventSink {
    /// A sink that starts its clock now.
    pub fn new(reporters: Vec<Box<dyn Reporter>>) -> Self {
        Self {
            inner: Arc::new(Mutex::new(reporters)),
            start: Instant::now(),
        }
    }

    /// Reports an event.
    pub fn send(&self, event: Event) {
        let mut reporters = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let stamped = Stamped {
            at: self.start.elapsed().as_secs_f64(),
            event,
        };
        for reporter in reporters.iter_mut() {
            reporter.event(&stamped);
        }
    }

    /// Reports something the user should know.
    pub fn notice(&self, cell: Option<&str>, text: impl Into<String>) {
        self.send(Event::Notice {
            cell: cell.map(str::to_owned),
            text: text.into(),
        });
    }

    /// Reports that a cell goes on to its next phase.
    pub fn phase(&self, cell: &str, phase: Phase) {
        self.send(Event::Phase {
            cell: cell.to_owned(),
            phase,
        });
    }

    /// Tells every reporter that no event comes any more.
    pub fn end(&self) {
        let mut reporters = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        reporters.iter_mut().for_each(|reporter| reporter.end());
    }

    /// Seconds since the sink was made.
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

impl std::fmt::Debug for EventSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSink").finish_non_exhaustive()
    }
}
