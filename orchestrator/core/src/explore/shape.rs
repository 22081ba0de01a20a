//! The shape of a history: which operations change something in it.

use std::collections::BTreeSet;

use coldcut_wire::{Op, RenameMode};

use crate::scenario::{Step, Variant};

/// Operations of the recorded steps that change something, each once: their names, for fallocate(2) and renameat2(2) with the
/// mode, whatever they are done to.
pub fn shape(variant: &Variant) -> BTreeSet<String> {
    let ops = variant.steps().filter_map(Step::op);
    ops.filter(|op| op.may_change_files() && !syncs(op))
        .map(word)
        .collect()
}

/// Whether an operation only makes durable what others did, or closes a handle.
fn syncs(op: &Op) -> bool {
    let syncs = matches!(
        op,
        Op::Fsync(_) | Op::Fdatasync(_) | Op::Sync | Op::Syncfs | Op::SyncFileRange(_)
    );
    syncs || matches!(op, Op::Close(_))
}

fn word(op: &Op) -> String {
    let text = format!("{op:?}");
    let name: String = text.chars().take_while(char::is_ascii_alphanumeric).collect();
    let how = if let Op::Fallocate(step) = op {
        format!(" {:?}", step.mode)
    } else if let Op::Rename(step) = op
        && step.mode != RenameMode::Replace
    {
        format!(" {:?}", step.mode)
    } else {
        String::new()
    };
    format!("{name}{how}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn names_numbers_and_syncs_make_no_difference() {
        let text = "format: 1\nname: s\nfilesystem: {type: ext4, size: 64MiB}\nworkload:\n\
                    - write: {path: a, len: 1}\n- write: {path: b, len: 2}\n- fsync: a\n\
                    - fallocate: {path: a, len: 4KiB, mode: punch_hole}\n\
                    - rename: {from: a, to: b, mode: exchange}\n- sync\n\
                    expect: [no_foreign_data: all]\noutcome: observed\n";
        let scenario = Scenario::parse("s", text).unwrap();
        let shape: Vec<String> = shape(&scenario.variants()[0]).into_iter().collect();
        assert_eq!(shape, ["fallocate punchhole", "rename exchange", "write"]);
    }
}
