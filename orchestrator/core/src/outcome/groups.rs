//! Findings that are alike: a few groups in place of a line for each.
//!
//! A finding's signature is what was broken (the kind of violation, and the rule), on which filesystem in which mode, on which kernel, and
//! the shape of the history: which operations change something in it, whatever their names and numbers. Of two findings that
//! differ in their shapes alone, where one's operations are all in the other's, the longer history most likely shows the same:
//! it is counted with the shorter one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cell::CellResult;
use super::verdict::{Standing, ViolationKind};

/// What findings of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signature {
    /// What was broken.
    pub kind: ViolationKind,
    /// The rule of the automatic oracle that it breaks; `None` for what somebody wrote down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The filesystem, with its mode where it was put in one: `ext4`, `ext4@journal`.
    pub filesystem: String,
    /// The kernel that recovered, by its release.
    pub kernel: String,
    /// Operations that change something, each once, sorted.
    pub shape: BTreeSet<String>,
}

/// A finding: one kind of violation in one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its signature.
    pub signature: Signature,
    /// The cell.
    pub cell: String,
    /// The first state that shows it.
    pub state: String,
    /// What was seen there.
    pub evidence: String,
    /// Steps of the history: of two findings the shorter one is shown.
    pub steps: usize,
    /// Whether a kernel booted for its state showed it too.
    pub confirmed: bool,
}

/// Findings that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they have in common; the smallest shape among them.
    pub signature: Signature,
    /// The finding with the fewest steps.
    pub example: Found,
    /// How many cells show it.
    pub cells: usize,
}

/// The findings of a cell, each kind and rule once. `shape` are the operations of its history that change something; cells that came
/// out as declared have found nothing.
pub fn found(cell: &CellResult, shape: &BTreeSet<String>, steps: usize) -> Vec<Found> {
    if cell.standing != Standing::NotAsDeclared {
        return Vec::new();
    }
    let mode = cell.cell.variant.rsplit_once('@').map(|(_, mode)| mode);
    let filesystem = match mode {
        Some(mode) => format!("{}@{mode}", cell.filesystem),
        None => cell.filesystem.clone(),
    };
    let kernel = cell.recovered_on.as_ref().unwrap_or(&cell.kernel);
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for violation in cell
        .violations
        .iter()
        .filter(|violation| violation.confirmed != Some(false))
    {
        if seen.insert((violation.kind, violation.rule.clone())) {
            all.push(Found {
                signature: Signature {
                    kind: violation.kind,
                    rule: violation.rule.clone(),
                    filesystem: filesystem.clone(),
                    kernel: kernel.release.clone(),
                    shape: shape.clone(),
                },
                cell: cell.cell.id.to_string(),
                state: violation.state.to_string(),
                evidence: violation.evidence.clone(),
                steps,
                confirmed: violation.confirmed == Some(true),
            });
        }
    }
    all
}

/// Puts findings into groups, the largest first.
pub fn groups(mut all: Vec<Found>) -> Vec<Group> {
    // Short histories first, so that they take in the longer ones.
    all.sort_by(|a, b| {
        let key = |f: &Found| (f.signature.shape.len(), f.steps, !f.confirmed);
        key(a)
            .cmp(&key(b))
            .then_with(|| (&a.signature, &a.cell).cmp(&(&b.signature, &b.cell)))
    });
    let mut groups: Vec<Group> = Vec::new();
    for found in all {
        let same = |group: &&mut Group| {
            let (a, b) = (&group.signature, &found.signature);
            let key = |s: &Signature| (s.kind, s.rule.clone(), s.filesystem.clone(), s.kernel.clone());
            key(a) == key(b) && a.shape.is_subset(&b.shape)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.cells += 1,
            None => groups.push(Group {
                signature: found.signature.clone(),
                example: found,
                cells: 1,
            }),
        }
    }
    groups.sort_by(|a, b| b.cells.cmp(&a.cells).then_with(|| a.signature.cmp(&b.signature)));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: ViolationKind, shape: &[&str], cell: &str, steps: usize) -> Found {
        Found {
            signature: Signature {
                kind,
                rule: None,
                filesystem: "ext4".into(),
                kernel: "6.12.9".into(),
                shape: shape.iter().map(|word| (*word).to_owned()).collect(),
            },
            cell: cell.into(),
            state: "b1".into(),
            evidence: format!("evidence of {cell}"),
            steps,
            confirmed: true,
        }
    }

    #[test]
    fn a_longer_history_is_counted_with_the_shorter_one() {
        let all = vec![
            one(ViolationKind::Size, &["rename", "write"], "long", 4),
            one(ViolationKind::Size, &["write"], "short", 2),
            one(ViolationKind::Size, &["write"], "shorter", 1),
            one(ViolationKind::Missing, &["write"], "other", 2),
            one(ViolationKind::Size, &["unlink"], "apart", 2),
        ];
        let groups = groups(all);
        let shown: Vec<(&str, usize)> = groups
            .iter()
            .map(|g| (g.example.cell.as_str(), g.cells))
            .collect();
        assert_eq!(shown, [("shorter", 3), ("other", 1), ("apart", 1)]);
    }

    #[test]
    fn kernels_and_modes_are_groups_of_their_own() {
        let mut other = one(ViolationKind::Size, &["write"], "b", 1);
        other.signature.filesystem = "ext4@journal".into();
        let mut third = one(ViolationKind::Size, &["write"], "c", 1);
        third.signature.kernel = "5.10.1".into();
        let all = vec![one(ViolationKind::Size, &["write"], "a", 1), other, third];
        assert_eq!(groups(all).len(), 3);
    }
}
