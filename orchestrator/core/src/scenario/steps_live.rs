//! Steps that measure, lowered to what the agent does.

use coldcut_wire::Op;

use super::at::At;
use super::error::Problem;
use super::names::HANDLE;
use super::step_live_doc::{BurstDoc, ReadDoc};
use super::steps::{Lowering, bounded, flags, nonzero, offset};
use super::units::{Millis, Size};

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
        Ok(Op::Burst {
            path,
            offset: offset(doc.offset.as_ref())?,
            len: nonzero(&doc.len)?,
            chunk: call(&doc.chunk)?,
            content: self.content(doc.content.as_ref(), &doc.path),
            flags: flags(&doc.flags, !handle),
            fsync_every: doc.fsync_every.as_ref().map_or(0, |n| n.value),
            pause_ms: pause(doc.pause.as_ref())?,
            within_ms: within(doc.within.as_ref())?,
        })
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
        Ok(Op::Read {
            path: self.target(&doc.path)?,
            offset,
            len,
            chunk: doc.chunk.as_ref().map_or(Ok(0), call)?,
            direct: doc.direct,
            times,
            pause_ms: pause(doc.pause.as_ref())?,
            contents: Vec::new(), // all of the variant's: `resolve` knows them
            within_ms: within(doc.within.as_ref())?,
        })
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
