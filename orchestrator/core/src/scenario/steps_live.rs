//! Steps that measure, lowered to what the agent does.

use coldcut_wire::{Op, TransferCall, op};

use super::step_entry::StepEntry;
use super::step_live_doc::{
    BurstDoc, CollectDoc, ConsumeDoc, ObserveDoc, PipeDoc, PumpDoc, ReadDoc, SocketDoc, TraceDoc,
    TransferDoc, VmspliceDoc,
};
use super::steps::{Lowering, bounded, flags, nonzero, offset};
use super::yaml::at::At;
use super::yaml::error::{Problem, Span};
use super::yaml::names::{HANDLE, Label, Target};
use super::yaml::units::{Millis, Size};

/// How long a measuring step may take unless it says otherwise, in milliseconds.
const WITHIN: u64 = 120_000;
/// Longest single read(2) or write(2).
const MAX_CALL: u64 = 64 << 20;

type Lowered<T> = Result<T, Box<Problem>>;

impl Lowering<'_> {
    pub(super) fn burst(&self, doc: &BurstDoc) -> Lowered<Op> {
        let path = self.target(&doc.path)?;
        let handle = path.starts_with(HANDLE);
        if handle && !doc.flags.is_empty() {
            let message = format!("`{path}` is open already: flags belong to its `open` step");
            return Err(Problem::new(&doc.path.span, message).into());
        }
        Ok(Op::Burst(op::Burst {
            path,
            offset: offset(doc.offset.as_ref())?,
            len: nonzero(&doc.len)?,
            chunk: call(&doc.chunk)?,
            pattern: self.content(doc.content.as_ref(), &doc.path),
            flags: flags(&doc.flags, !handle),
            fsync_every: doc.fsync_every.as_ref().map_or(0, |n| n.value),
            pause_ms: pause(doc.pause.as_ref())?,
            within_ms: within(doc.within.as_ref())?,
        }))
    }

    pub(super) fn read(&self, doc: &ReadDoc) -> Lowered<Op> {
        let offset = offset(doc.offset.as_ref())?;
        if let Some(at) = doc.offset.as_ref().filter(|_| !offset.is_multiple_of(512)) {
            return Err(Problem::new(&at.span, "the offset of a read must be a multiple of 512").into());
        }
        let len = nonzero(&doc.len)?;
        if len > MAX_CALL {
            return Err(Problem::new(&doc.len.span, "one `read` step reads at most 64MiB").into());
        }
        let times = doc.times.as_ref().map_or(1, |n| n.value);
        if let Some(given) = doc.times.as_ref().filter(|n| n.value == 0) {
            return Err(Problem::new(&given.span, "reading zero times shows nothing").into());
        }
        Ok(Op::Read(op::Read {
            path: self.target(&doc.path)?,
            offset,
            len,
            chunk: doc.chunk.as_ref().map_or(Ok(0), call)?,
            direct: doc.direct,
            times,
            pause_ms: pause(doc.pause.as_ref())?,
            patterns: Vec::new(), // all of the variant's: `resolve` knows them
            within_ms: within(doc.within.as_ref())?,
        }))
    }
}

impl Lowering<'_> {
    pub(super) fn trace(&mut self, doc: &TraceDoc, entry: &StepEntry) -> Lowered<Op> {
        let Some(label) = &entry.label else {
            let problem = Problem::new(&entry.key.span, "a trace needs a label, which is its name");
            return Err(problem.help("what it sees is measured as `LABEL.FIELD`").into());
        };
        let name = label.value.0.clone();
        let (event, span) = (&doc.event.value, &doc.event.span);
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
        if let Some(field) = doc
            .fields
            .iter()
            .find(|f| own.contains(&f.value.0.as_str()) || f.value.0.contains('.'))
        {
            let message = format!("a field cannot be named `{}` here", field.value.0);
            return Err(Problem::new(&field.span, message).into());
        }
        let fields = doc.fields.iter().map(|f| f.value.0.clone()).collect();
        let fields: Vec<String> = fields;
        self.traces
            .insert(name.clone(), (fields.clone(), label.span.clone()));
        Ok(Op::Trace(op::Trace {
            name,
            fields,
            event: event.clone(),
            filter: doc.filter.as_ref().map(|f| f.value.clone()).unwrap_or_default(),
        }))
    }

    pub(super) fn collect(&mut self, doc: &CollectDoc) -> Lowered<Op> {
        let name = &doc.label.value.0;
        if let Some((fields, _)) = self.traces.remove(name) {
            return Ok(Op::Collect(op::Collect {
                name: name.clone(),
                fields,
            }));
        }
        let problem = Problem::new(&doc.label.span, format!("no trace `{name}` is under way here"));
        Err(problem
            .nearest(name, self.traces.keys().map(String::as_str))
            .into())
    }

    /// Complains about traces that nobody collects: what they saw would not be known.
    pub(super) fn uncollected(&self) {
        for (name, (_, span)) in &self.traces {
            let problem = Problem::new(span, format!("nobody collects the trace `{name}`"));
            self.sink
                .push(problem.help(format!("add `- collect: {name}` where it is to end")));
        }
    }

    pub(super) fn commit(&self, within: &At<Millis>, key: &Span) -> Lowered<Op> {
        if !self.recorded {
            let message = "`commit` belongs into `workload`: the setup ends with an unmount, which commits";
            return Err(Problem::new(key, message).into());
        }
        Ok(Op::Commit(op::Commit {
            within_ms: bounded(within)?,
        }))
    }

    pub(super) fn observe(&self, doc: &ObserveDoc) -> Lowered<Op> {
        if doc.stack.is_empty() && doc.state.is_none() {
            return Err(Problem::new(&doc.task.span, "expected a `stack` or a `state` to wait for").into());
        }
        let states = doc.state.as_ref().map(|s| s.value.clone()).unwrap_or_default();
        if let Some(state) = &doc.state
            && (states.is_empty() || !states.chars().all(|c| "RSDTtI".contains(c)))
        {
            let message = format!("expected letters of states (R, S, D), found `{states}`");
            return Err(Problem::new(&state.span, message).into());
        }
        Ok(Op::Observe(op::Observe {
            lane: self.tasks.lane(&doc.task)?,
            frames: doc.stack.iter().map(|f| f.value.0.clone()).collect(),
            states,
            lasting_ms: doc.lasting.as_ref().map_or(Ok(0), bounded)?,
            within_ms: doc.within.as_ref().map_or(Ok(60_000), bounded)?,
        }))
    }

    /// Takes the names of two ends.
    fn ends(&mut self, handle: &At<Label>, ends: [&str; 2]) -> Lowered<String> {
        let name = &handle.value.0;
        for end in ends {
            let end = format!("{name}.{end}");
            if self.handles.contains_key(&end) {
                return Err(Problem::new(&handle.span, format!("the handle `{end}` is open already")).into());
            }
            self.handles.insert(end, name.clone());
        }
        Ok(name.clone())
    }

    pub(super) fn pipe(&mut self, doc: &PipeDoc) -> Lowered<Op> {
        Ok(Op::Pipe(op::Pipe {
            capacity: doc.capacity.as_ref().map_or(Ok(0), call)?,
            handle: self.ends(&doc.handle, ["r", "w"])?,
        }))
    }

    pub(super) fn socket(&mut self, doc: &SocketDoc) -> Lowered<Op> {
        Ok(Op::Socket(op::Socket {
            sndbuf: doc.sndbuf.as_ref().map_or(Ok(0), call)?,
            rcvbuf: doc.rcvbuf.as_ref().map_or(Ok(0), call)?,
            handle: self.ends(&doc.handle, ["a", "b"])?,
        }))
    }

    /// A handle, not a file.
    pub(super) fn stream(&self, target: &At<Target>) -> Lowered<String> {
        let path = self.target(target)?;
        if path.starts_with(HANDLE) {
            return Ok(path);
        }
        let message = format!("expected `fd:HANDLE` of a pipe or socket, found the file `{path}`");
        Err(Problem::new(&target.span, message).into())
    }

    pub(super) fn transfer(&self, doc: &TransferDoc, how: TransferCall) -> Lowered<Op> {
        let (from, to) = (self.target(&doc.from)?, self.target(&doc.to)?);
        if how != TransferCall::Sendfile && !from.starts_with(HANDLE) && !to.starts_with(HANDLE) {
            return Err(Problem::new(&doc.to.span, "one of the two must be a pipe").into());
        }
        Ok(Op::Transfer(op::Transfer {
            how,
            from,
            to,
            offset: offset(doc.offset.as_ref())?,
            len: nonzero(&doc.len)?,
            chunk: doc.chunk.as_ref().map_or(Ok(0), call)?,
            nonblock: doc.nonblock,
            within_ms: within(doc.within.as_ref())?,
        }))
    }

    pub(super) fn vmsplice(&self, doc: &VmspliceDoc) -> Lowered<Op> {
        Ok(Op::Vmsplice(op::Vmsplice {
            to: self.stream(&doc.to)?,
            len: call(&doc.len)?.into(),
            pattern: doc.content.value.0.clone(),
            within_ms: within(doc.within.as_ref())?,
        }))
    }

    pub(super) fn pump(&self, doc: &PumpDoc) -> Lowered<Op> {
        let through = &doc.through.value.0;
        if !self.handles.contains_key(&format!("{through}.r")) {
            let message = format!("no pipe `{through}` is open here");
            return Err(Problem::new(&doc.through.span, message)
                .help(format!("make it first: `- pipe: {{handle: {through}}}`"))
                .into());
        }
        Ok(Op::Pump(op::Pump {
            from: self.target(&doc.from)?,
            through: through.clone(),
            to: self.stream(&doc.to)?,
            offset: offset(doc.offset.as_ref())?,
            len: nonzero(&doc.len)?,
            chunk: doc.chunk.as_ref().map_or(Ok(1 << 20), call)?,
            within_ms: within(doc.within.as_ref())?,
        }))
    }

    pub(super) fn consume(&self, doc: &ConsumeDoc) -> Lowered<Op> {
        Ok(Op::Consume(op::Consume {
            from: self.stream(&doc.from)?,
            len: nonzero(&doc.len)?,
            rate: call(&doc.rate)?,
            every_ms: pause(doc.every.as_ref())?,
            within_ms: within(doc.within.as_ref())?,
        }))
    }
}

/// Bytes of one call.
fn call(chunk: &At<Size>) -> Lowered<u32> {
    match chunk.value.0 {
        0 => Err(Problem::new(&chunk.span, "a chunk must be more than 0 bytes").into()),
        n if n > MAX_CALL => Err(Problem::new(&chunk.span, "a chunk is at most 64MiB").into()),
        n => Ok(n as u32),
    }
}

fn pause(pause: Option<&At<Millis>>) -> Lowered<u32> {
    pause.map_or(Ok(0), |p| bounded(p).map(|ms| ms as u32))
}

/// The deadline of a measuring step.
fn within(within: Option<&At<Millis>>) -> Lowered<u64> {
    within.map_or(Ok(WITHIN), bounded)
}
