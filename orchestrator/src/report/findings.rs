//! Groups of findings as text.

use std::fmt::Write as _;

use coldcut_core::outcome::groups::Group;

/// Renders groups: what each has in common, how many cells show it, and the shortest example with the commands that show it
/// again and make it smaller.
pub fn render_groups(run: &str, groups: &[Group]) -> String {
    let mut text = String::new();
    for (index, group) in groups.iter().enumerate() {
        let signature = &group.signature;
        let shape: Vec<&str> = signature.shape.iter().map(String::as_str).collect();
        let cells = match group.cells {
            1 => "1 cell".to_owned(),
            cells => format!("{cells} cells"),
        };
        let confirmed = if group.example.confirmed {
            ""
        } else {
            " (not confirmed)"
        };
        let example = &group.example;
        let _ = writeln!(
            text,
            "{}. {}{} on {} {}, after {}: {cells}{confirmed}\n   {}\n   coldcut replay {run}/{}/{}\n   coldcut minimize {run}/{}/{}",
            index + 1,
            signature.kind,
            signature
                .rule
                .as_ref()
                .map_or_else(String::new, |rule| format!(" ({rule})")),
            signature.filesystem,
            signature.kernel,
            if shape.is_empty() {
                "nothing".to_owned()
            } else {
                shape.join(", ")
            },
            example.evidence,
            example.cell,
            example.state,
            example.cell,
            example.state
        );
    }
    if groups.is_empty() {
        text.push_str("nothing was found\n");
    }
    text
}
