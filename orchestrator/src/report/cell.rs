//! The long form of one cell.

use std::fmt::Write as _;

use coldcut_core::outcome::result::CellResult;

use super::phrases::{
    coverage_text, indent, outcome_text, shown_measurements, standing_text, total_text, verdict_text,
    violation_lines,
};

/// Everything about one cell, for `coldcut show`.
pub fn render_cell(run: &str, cell: &CellResult) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", cell.cell.id);
    let _ = writeln!(
        text,
        "  kernel      {} ({})",
        cell.kernel.release, cell.kernel.digest
    );
    if let Some(other) = &cell.recovered_on {
        let _ = writeln!(text, "  recovered   on {} ({})", other.release, other.digest);
    }
    let mount = if cell.mount.is_empty() {
        "defaults"
    } else {
        &cell.mount
    };
    let _ = writeln!(text, "  filesystem  {}, mounted with {mount}", cell.filesystem);
    let _ = writeln!(text, "  declared    {}", outcome_text(&cell.declared));
    let _ = writeln!(
        text,
        "  seen        {} ({})",
        verdict_text(&cell.verdict),
        standing_text(cell.standing)
    );
    let s = &cell.states;
    let _ = writeln!(
        text,
        "  states      {} cuts, {} states, {} distinct; recovered: {} screened only, {} on fresh clones, {} by cold boots; {} inconclusive, {} left out",
        s.cuts,
        total_text(s),
        s.distinct,
        s.screened,
        s.fresh,
        s.cold,
        s.inconclusive,
        s.left_out
    );
    if let Some(complete) = &s.complete {
        let _ = writeln!(text, "  coverage    {}", coverage_text(complete));
        let _ = writeln!(
            text,
            "              {} states judged by another's recovery; {} recovered all the same, {} of them otherwise",
            s.inferred, complete.sampled, complete.differing
        );
    }
    let _ = writeln!(
        text,
        "  judged      {} expectations, {} broken",
        cell.obligations, cell.broken
    );
    let times: Vec<String> = cell
        .millis
        .iter()
        .map(|(p, ms)| format!("{p:?} {ms} ms").to_lowercase())
        .collect();
    let _ = writeln!(text, "  time        {}", times.join(", "));
    for violation in &cell.violations {
        indent(&mut text, "  ", &violation_lines(run, cell, violation));
    }
    for line in shown_measurements(cell) {
        let _ = writeln!(text, "  measured: {line}");
    }
    for note in &cell.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    text
}
