//! Traces under way.

use std::collections::BTreeMap;

use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem, Sink, Span};
use crate::scenario::yaml::names::Label;

/// Traces under way: the fields that they are asked for, and where they began.
#[derive(Debug, Default)]
pub(in crate::scenario::step) struct Traces(BTreeMap<String, (Vec<String>, Span)>);

impl Traces {
    pub(in crate::scenario::step) fn begin(&mut self, label: &At<Label>, fields: Vec<String>) {
        self.0.insert(label.value.0.clone(), (fields, label.span.clone()));
    }

    /// Ends a trace; gives its fields.
    pub(in crate::scenario::step) fn end(&mut self, label: &At<Label>) -> Lowered<Vec<String>> {
        let name = &label.value.0;
        if let Some((fields, _)) = self.0.remove(name) {
            return Ok(fields);
        }
        let problem = Problem::new(&label.span, format!("no trace `{name}` is under way here"));
        Err(problem.nearest(name, self.0.keys().map(String::as_str)).into())
    }

    /// Complains about traces that nobody collects: what they saw would not be known.
    pub(in crate::scenario::step) fn at_the_end(&self, sink: &Sink) {
        for (name, (_, span)) in &self.0 {
            let problem = Problem::new(span, format!("nobody collects the trace `{name}`"));
            sink.push(problem.help(format!("add `- collect: {name}` where it is to end")));
        }
    }
}
