//! What each step measures.

use coldcut_wire::Op;

use super::metric::Unit;
use crate::scenario::Action;

/// What sort of thing a step yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One number.
    Figure(Unit),
    /// One number a call.
    Series(Unit),
    /// Lines.
    Text,
    /// What a read returned.
    Data,
}

/// Everything that a step yields, by name. Every step has `time` (spent in its system calls), `ret` (what the last one
/// returned) and `errno` (0: it succeeded).
pub fn items(action: &Action) -> Vec<(String, Shape)> {
    use Shape::{Data, Figure, Series};
    let mut items = vec![
        ("time", Figure(Unit::Nanos)),
        ("ret", Figure(Unit::Count)),
        ("errno", Figure(Unit::Errno)),
    ];
    if let Action::Op(op) = action {
        match op {
            Op::Burst { fsync_every, .. } => {
                items.extend([("bytes", Figure(Unit::Bytes)), ("writes", Series(Unit::Nanos))]);
                if *fsync_every > 0 {
                    items.push(("fsyncs", Series(Unit::Nanos)));
                }
            }
            Op::Read { .. } => items.extend([
                ("bytes", Figure(Unit::Bytes)),
                ("reads", Series(Unit::Nanos)),
                ("data", Data),
            ]),
            _ => {}
        }
    }
    items.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect()
}
