//! Faults that the disk was told of, and the data that they are about.

use std::collections::BTreeMap;

use coldcut_wire::{PatternName, pattern};

use crate::faults::{Effect, Whose};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem, Sink, Span, line_of};
use crate::scenario::yaml::names::Label;

/// The faults of one sequence of steps.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: BTreeMap<String, Armed>,
    /// Data that faults are about; whether any step writes it is known when all were read.
    about: Vec<(Whose, Span)>,
}

#[derive(Debug)]
struct Armed {
    span: Span,
    effect: Effect,
    released: bool,
}

impl Faults {
    /// Complains about faults for data that nobody writes.
    pub(crate) fn check_data(&self, contents: &[PatternName], sink: &Sink) {
        for (whose, span) in &self.about {
            if contents.iter().any(|content| whose.means(content)) {
                continue;
            }
            let (name, known): (&str, Vec<String>) = match whose {
                Whose::Content(wanted) => (
                    &pattern::label(wanted),
                    contents.iter().map(pattern::label).collect(),
                ),
                Whose::File(file) => (file, contents.iter().map(|c| c.file.clone()).collect()),
            };
            let problem = Problem::new(span, format!("no step writes data of `{name}`"));
            sink.push(problem.nearest(name, known.iter().map(String::as_str)));
        }
    }

    /// Refuses a name that another fault has.
    pub(in crate::scenario::step) fn check_new(&self, name: &At<Label>, text: &str) -> Lowered<()> {
        let Some(first) = self.armed.get(&name.value.0) else {
            return Ok(());
        };
        let line = line_of(text, first.span.start);
        let message = format!("the name `{}` is used twice", name.value.0);
        let problem = Problem::new(&name.span, message);
        Err(problem.label(format!("first used in line {line}")).into())
    }

    /// Notes a fault, and the data that it is about.
    pub(in crate::scenario::step) fn arm(
        &mut self,
        name: &At<Label>,
        effect: Effect,
        about: Option<(Whose, Span)>,
    ) {
        self.about.extend(about);
        let armed = Armed {
            span: name.span.clone(),
            effect,
            released: false,
        };
        self.armed.insert(name.value.0.clone(), armed);
    }

    /// What a fault in force does.
    pub(in crate::scenario::step) fn effect(&self, name: &At<Label>) -> Lowered<Effect> {
        let text = &name.value.0;
        match self.armed.get(text) {
            Some(armed) if !armed.released => Ok(armed.effect),
            Some(_) => Err(Problem::new(&name.span, format!("`{text}` was released already")).into()),
            None => {
                let message = format!("no `hold` or `fail` named `{text}` comes before");
                let problem = Problem::new(&name.span, message);
                Err(problem
                    .nearest(text, self.armed.keys().map(String::as_str))
                    .into())
            }
        }
    }

    /// Ends a fault in force.
    pub(in crate::scenario::step) fn release(&mut self, name: &At<Label>) {
        if let Some(armed) = self.armed.get_mut(&name.value.0) {
            armed.released = true;
        }
    }
}
