//! Parts of the document, each read on its own.

use crate::crash::plan::CrashSpec;
use crate::outcome::verdict::Declared;
use crate::scenario::device::DeviceShape;
use crate::scenario::expect::ExpectEntry;
use crate::scenario::model::End;
use crate::scenario::outcome;
use crate::scenario::shape::{EndShape, FilesystemShape, OutcomeShape};
use crate::scenario::step::{StepEntry, bounded};
use crate::scenario::yaml::at::{At, Later};
use crate::scenario::yaml::entry::read;
use crate::scenario::yaml::error::{Problem, Sink, Span};
use crate::scenario::yaml::names::KernelSpec;
use crate::scenario::yaml::node::{Node, Value};

/// A part of the document that was read, and where it stands.
pub(super) struct Part<T> {
    pub(super) value: T,
    pub(super) span: Span,
    /// Whether all of it could be read.
    pub(super) whole: bool,
}

/// What the base and each variant have of their own.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) filesystem: Option<Part<FilesystemShape>>,
    pub(super) device: Option<Part<DeviceShape>>,
    pub(super) setup: Option<Part<Vec<StepEntry>>>,
    pub(super) workload: Option<Part<Vec<StepEntry>>>,
    pub(super) crash: Option<Part<CrashSpec>>,
    pub(super) end: Option<End>,
    pub(super) recover_on: Option<Part<Vec<At<KernelSpec>>>>,
    pub(super) expect: Option<Part<Vec<ExpectEntry>>>,
    pub(super) outcome: Option<Declared>,
}

/// Reads parts by the numbers of their nodes.
pub(super) struct Reader<'a> {
    pub(super) nodes: Vec<&'a Node>,
    pub(super) sink: &'a Sink,
}

impl<'a> Reader<'a> {
    pub(super) fn node<T>(&self, later: &Later<T>) -> Option<&'a Node> {
        self.nodes.get(later.id as usize).copied()
    }

    pub(super) fn part<T: for<'de> serde::Deserialize<'de>>(
        &self,
        later: Option<&Later<T>>,
    ) -> Option<Part<T>> {
        let node = self.node(later?)?;
        let value = read(node, &node.span, self.sink)?;
        Some(Part {
            value,
            span: node.span.clone(),
            whole: true,
        })
    }

    pub(super) fn list<T>(
        &self,
        later: Option<&Later<Vec<T>>>,
        entry: fn(&Node, &Sink) -> Option<T>,
    ) -> Option<Part<Vec<T>>> {
        let node = self.node(later?)?;
        let Value::List(items) = &node.value else {
            self.sink.push(Problem::new(&node.span, "expected a list"));
            return None;
        };
        let value: Vec<T> = items.iter().filter_map(|n| entry(n, self.sink)).collect();
        let whole = value.len() == items.len();
        Some(Part {
            value,
            span: node.span.clone(),
            whole,
        })
    }

    pub(super) fn end(&self, later: Option<&Later<EndShape>>) -> Option<End> {
        match self.part(later)?.value {
            EndShape::Cut => Some(End::Cut),
            EndShape::Umount => Some(End::Umount),
            EndShape::Settle(millis) => match bounded(&millis) {
                Ok(millis) => Some(End::Settle { millis }),
                Err(problem) => {
                    self.sink.push(*problem);
                    None
                }
            },
        }
    }

    pub(super) fn outcome(&self, later: Option<&Later<OutcomeShape>>) -> Option<Declared> {
        let part = self.part(later)?;
        outcome::lower(&part.value, &part.span, self.sink)
    }
}

/// Reads the parts that the document and each of its variants may have.
macro_rules! parts {
    ($reader:expr, $doc:expr) => {
        $crate::scenario::resolve::parts::Parts {
            filesystem: $reader.part($doc.filesystem.as_ref()),
            device: $reader.part($doc.device.as_ref()),
            setup: $reader.list($doc.setup.as_ref(), $crate::scenario::step::StepEntry::read),
            workload: $reader.list($doc.workload.as_ref(), $crate::scenario::step::StepEntry::read),
            crash: $reader.part($doc.crash.as_ref()),
            end: $reader.end($doc.end.as_ref()),
            recover_on: $reader.part($doc.recover_on.as_ref()),
            expect: $reader.list($doc.expect.as_ref(), $crate::scenario::expect::ExpectEntry::read),
            outcome: $reader.outcome($doc.outcome.as_ref()),
        }
    };
}
pub(super) use parts;
