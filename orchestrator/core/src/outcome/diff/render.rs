//! Differences as text.

use std::fmt::Write as _;

use super::profile::{Counts, IoProfile};
use super::recoveries::Difference;
use crate::columns::Columns;

/// One of the counts of a step.
type Count = fn(&Counts) -> u64;

/// What two kernels sent to the disk, step by step: the steps that differ, and the sums. Empty when nothing differs.
pub fn render_profiles(left: &IoProfile, right: &IoProfile) -> String {
    if left == right {
        return String::new();
    }
    let mut rows = Vec::new();
    let most = left.steps.len().max(right.steps.len());
    for index in 0..most {
        let (a, b) = (left.steps.get(index), right.steps.get(index));
        let name = match (a, b) {
            (Some(a), Some(b)) if a.step != b.step => format!("{} | {}", a.step, b.step),
            (Some(one), _) | (None, Some(one)) => one.step.clone(),
            (None, None) => String::new(),
        };
        let counts = [a, b].map(|step| step.map(|s| s.counts).unwrap_or_default());
        if counts[0] != counts[1] {
            rows.push((name, counts));
        }
    }
    rows.push(("in all".to_owned(), [left.total(), right.total()]));
    let columns: [(&str, Count); 6] = [
        ("writes", |c| c.writes),
        ("bytes", |c| c.bytes),
        ("flushes", |c| c.flushes),
        ("fua", |c| c.fua),
        ("discards", |c| c.discards),
        ("epochs", |c| c.epochs),
    ];
    let mut table: Vec<Vec<String>> = vec![
        std::iter::once("step".to_owned())
            .chain(columns.iter().map(|c| c.0.to_owned()))
            .collect(),
    ];
    for (name, [a, b]) in rows {
        let cell = |of: Count| match (of(&a), of(&b)) {
            (a, b) if a == b => a.to_string(),
            (a, b) => format!("{a} | {b}"),
        };
        table.push(
            std::iter::once(name)
                .chain(columns.iter().map(|c| cell(c.1)))
                .collect::<Vec<String>>(),
        );
    }
    let widths = Columns::of(&table);
    let mut text = String::new();
    for row in &table {
        text.push_str("  ");
        text.push_str(&widths.line(row));
    }
    text
}

/// Differences, a line each.
pub fn render_differences(differences: &[Difference], indent: &str) -> String {
    let mut text = String::new();
    for difference in differences {
        let _ = writeln!(
            text,
            "{indent}{}: {} | {}",
            difference.place, difference.left, difference.right
        );
    }
    text
}
