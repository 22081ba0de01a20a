//! Where a cell's time goes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use coldcut_core::outcome::event::Phase;

/// Milliseconds by phase, added up over machines.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    micros: Mutex<BTreeMap<Phase, u64>>,
}

impl Timings {
    /// Adds the time since `start` to a phase.
    pub(crate) fn add(&self, phase: Phase, start: Instant) {
        self.add_micros(phase, start.elapsed().as_micros() as u64);
    }

    /// Adds milliseconds to a phase.
    pub(crate) fn add_millis(&self, phase: Phase, millis: u64) {
        self.add_micros(phase, millis.saturating_mul(1000));
    }

    fn add_micros(&self, phase: Phase, micros: u64) {
        *self
            .micros
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(phase)
            .or_default() += micros;
    }

    /// Milliseconds by phase.
    pub(crate) fn millis(&self) -> BTreeMap<Phase, u64> {
        let micros = self.micros.lock().unwrap_or_else(PoisonError::into_inner);
        micros
            .iter()
            .map(|(phase, us)| (*phase, us.div_ceil(1000)))
            .collect()
    }
}
