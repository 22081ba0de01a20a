//! Steps that look at what the kernel does.

use coldcut_wire::{Op, op};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::bounded;
use super::head::Head;
use super::lowering::Lowering;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::names::Label;
use crate::scenario::yaml::units::Millis;

/// Options of `trace`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct TraceShape {
    /// The event, `SYSTEM:NAME`, such as `writeback:balance_dirty_pages`.
    event: At<String>,
    /// Numbers of each event that become series, by the names that they have in the trace's text.
    #[serde(default)]
    fields: Vec<At<Label>>,
    /// The kernel's own filter, such as `pause > 0`.
    filter: Option<At<String>>,
}

impl TraceShape {
    pub(super) fn lower(&self, head: &Head, cx: &mut Lowering<'_>) -> Lowered<Op> {
        let Some(label) = &head.label else {
            let problem = Problem::new(&head.key.span, "a trace needs a label, which is its name");
            return Err(problem.help("what it sees is measured as `LABEL.FIELD`").into());
        };
        let (event, span) = (&self.event.value, &self.event.span);
        let fits = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if !event
            .split_once(':')
            .is_some_and(|(system, name)| fits(system) && fits(name))
        {
            let message =
                format!("expected an event such as `writeback:balance_dirty_pages`, found `{event}`");
            return Err(Problem::new(span, message).into());
        }
        let own = ["time", "ret", "errno", "events"];
        if let Some(field) = self
            .fields
            .iter()
            .find(|f| own.contains(&f.value.0.as_str()) || f.value.0.contains('.'))
        {
            let message = format!("a field cannot be named `{}` here", field.value.0);
            return Err(Problem::new(&field.span, message).into());
        }
        let fields: Vec<String> = self.fields.iter().map(|f| f.value.0.clone()).collect();
        cx.traces.begin(label, fields.clone());
        Ok(Op::Trace(op::Trace {
            name: label.value.0.clone(),
            fields,
            event: event.clone(),
            filter: self.filter.as_ref().map(|f| f.value.clone()).unwrap_or_default(),
        }))
    }
}

/// Options of `collect`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_label))]
pub(super) struct CollectShape {
    /// The label of the `trace` step.
    label: At<Label>,
}

impl CollectShape {
    pub(super) fn lower(&self, cx: &mut Lowering<'_>) -> Lowered<Op> {
        Ok(Op::Collect(op::Collect {
            fields: cx.traces.end(&self.label)?,
            name: self.label.value.0.clone(),
        }))
    }
}

/// Options of `observe`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ObserveShape {
    /// The task.
    task: At<Label>,
    /// Functions, one of which must be in its kernel stack; any when not given.
    #[serde(default)]
    stack: Vec<At<Label>>,
    /// Letters of the states that it may be in, such as `D` or `SD`; any when not given.
    state: Option<At<String>>,
    /// For how long it must be seen so; one look is enough when not given. Whoever waits for the disk is in D for a
    /// moment, too.
    lasting: Option<At<Millis>>,
    /// Given up after so long, which makes the cell inconclusive; 1min when not given.
    within: Option<At<Millis>>,
}

impl ObserveShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Op> {
        if self.stack.is_empty() && self.state.is_none() {
            return Err(Problem::new(&self.task.span, "expected a `stack` or a `state` to wait for").into());
        }
        let states = self.state.as_ref().map(|s| s.value.clone()).unwrap_or_default();
        if let Some(state) = &self.state
            && (states.is_empty() || !states.chars().all(|c| "RSDTtI".contains(c)))
        {
            let message = format!("expected letters of states (R, S, D), found `{states}`");
            return Err(Problem::new(&state.span, message).into());
        }
        Ok(Op::Observe(op::Observe {
            lane: cx.tasks.lane(&self.task)?,
            frames: self.stack.iter().map(|f| f.value.0.clone()).collect(),
            states,
            lasting_ms: self.lasting.as_ref().map_or(Ok(0), bounded)?,
            within_ms: self.within.as_ref().map_or(Ok(60_000), bounded)?,
        }))
    }
}

/// Waits for the journal; `within` is how long at most.
pub(super) fn commit(within: &At<Millis>, head: &Head, cx: &Lowering<'_>) -> Lowered<Op> {
    if !cx.recorded {
        let message = "`commit` belongs into `workload`: the setup ends with an unmount, which commits";
        return Err(Problem::new(&head.key.span, message).into());
    }
    Ok(Op::Commit(op::Commit {
        within_ms: bounded(within)?,
    }))
}
