//! What a sequence of steps is lowered with.

use std::collections::BTreeMap;

use super::known::{Faults, Handles, Tasks, Traces};
use crate::scenario::model::Programs;
use crate::scenario::yaml::error::{Sink, Span};

/// What a sequence of steps is lowered with, and what is known of the steps before the next one.
pub(crate) struct Lowering<'a> {
    pub(super) text: &'a str,
    pub(super) sink: &'a Sink,
    pub(super) programs: &'a Programs,
    /// Whether these steps are recorded: only then do they have labels.
    pub(super) recorded: bool,
    pub(super) handles: Handles,
    pub(super) tasks: Tasks,
    pub(super) traces: Traces,
    pub(crate) faults: Faults,
    /// Labels and where they were given.
    pub(super) labels: BTreeMap<String, Span>,
    /// Steps so far: the next one's index.
    pub(super) count: u32,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(text: &'a str, sink: &'a Sink, programs: &'a Programs, recorded: bool) -> Self {
        Self {
            text,
            sink,
            programs,
            recorded,
            handles: Handles::default(),
            tasks: Tasks::default(),
            traces: Traces::default(),
            faults: Faults::default(),
            labels: BTreeMap::new(),
            count: 0,
        }
    }
}
