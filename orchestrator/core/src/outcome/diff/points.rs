//! Points of a workload at which two recordings can be compared, whatever each kernel wrote in between.

use crate::recording::log::{Cut, WriteLog};
use crate::recording::mark::Mark;

/// A moment that all recordings of a workload have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// What had just happened, such as "`renamed` was acknowledged".
    pub name: String,
    /// The first cut at which that had happened.
    pub cut: Cut,
}

/// The points of a recording, in order: the acknowledgement of each step and of each line, and the end.
pub fn points(log: &WriteLog) -> Vec<Point> {
    let mut seen = std::collections::HashMap::new();
    let mut out = Vec::new();
    for placed in log.marks() {
        let name = match &placed.mark {
            Mark::Done(step) => format!("`{}` was acknowledged", step.name),
            Mark::Failed(step, errno) => format!("`{}` failed with errno {errno}", step.name),
            Mark::Line { text, .. } => format!("a program acknowledged `{text}`"),
            Mark::End => "the recording ended".to_owned(),
            Mark::Begin(_) | Mark::Other(_) => continue,
        };
        let count = seen.entry(name.clone()).or_insert(0_u32);
        *count += 1;
        let name = if *count == 1 {
            name
        } else {
            format!("{name}, time {count}")
        };
        out.push(Point {
            name,
            cut: placed.after(),
        });
    }
    out
}

/// The points that both have, with the cut of each.
pub fn common(left: &WriteLog, right: &WriteLog) -> Vec<(String, Cut, Cut)> {
    let right = points(right);
    points(left)
        .into_iter()
        .filter_map(|point| {
            let other = right.iter().find(|p| p.name == point.name)?;
            Some((point.name, point.cut, other.cut))
        })
        .collect()
}
