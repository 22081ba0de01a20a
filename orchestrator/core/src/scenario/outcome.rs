//! What a scenario declares, checked.

use super::shape::OutcomeShape;
use super::yaml::at::{At, Named};
use super::yaml::error::{Problem, Sink, Span};
use crate::outcome::kernels::KernelRange;
use crate::outcome::verdict::Declared;

/// Lowers a declaration; what is wrong goes to the sink.
pub(super) fn lower(doc: &OutcomeShape, at: &Span, sink: &Sink) -> Option<Declared> {
    match doc {
        OutcomeShape::Holds => Some(Declared::Holds),
        OutcomeShape::Observed => Some(Declared::Observed),
        OutcomeShape::Violates(kinds) if kinds.0.is_empty() => {
            sink.push(Problem::new(at, "`violates` needs at least one kind"));
            None
        }
        OutcomeShape::Violates(kinds) => {
            let mut kinds = kinds.0.clone();
            kinds.sort_unstable();
            kinds.dedup();
            Some(Declared::Violates(kinds))
        }
        OutcomeShape::Kernels(list) => ranges("kernels", list, at, sink).map(Declared::Kernels),
        OutcomeShape::RecoveredOn(list) => ranges("recovered_on", list, at, sink).map(Declared::RecoveredOn),
    }
}

fn ranges(
    key: &str,
    ranges: &Named<Box<At<OutcomeShape>>>,
    at: &Span,
    sink: &Sink,
) -> Option<Vec<(KernelRange, Declared)>> {
    if ranges.0.is_empty() {
        sink.push(Problem::new(at, format!("`{key}` needs at least one range")));
        return None;
    }
    let mut all: Vec<(KernelRange, Declared)> = Vec::new();
    let mut sound = true;
    for (name, doc) in &ranges.0 {
        let range =
            KernelRange::parse(&name.value).map_err(|message| sink.push(Problem::new(&name.span, message)));
        let outcome = match &doc.value {
            OutcomeShape::RecoveredOn(_) if key == "kernels" => lower(&doc.value, &doc.span, sink),
            OutcomeShape::Kernels(_) | OutcomeShape::RecoveredOn(_) => {
                let also = if key == "kernels" {
                    ", or `recovered_on`,"
                } else {
                    ""
                };
                let message = format!("expected `holds` or `violates`{also} for a range of kernels");
                sink.push(Problem::new(&doc.span, message));
                None
            }
            plain => lower(plain, &doc.span, sink),
        };
        let (Ok(range), Some(outcome)) = (range, outcome) else {
            sound = false;
            continue;
        };
        if let Some((other, _)) = all.iter().find(|(other, _)| other.overlaps(&range)) {
            let message = format!("`{range}` and `{other}` have kernels in common");
            sink.push(Problem::new(&name.span, message));
            sound = false;
        }
        all.push((range, outcome));
    }
    sound.then_some(all)
}
