//! Cells that run more than once, and cells that run on several machines.

use std::collections::BTreeMap;

use coldcut_core::outcome::name::FileName;
use coldcut_core::outcome::result::{CellRef, CellResult, KernelRef, StateCounts, Totals};
use coldcut_core::outcome::rounds::{round_id, rounds};
use coldcut_core::outcome::shard::Shard;
use coldcut_core::outcome::verdict::{Declared, Standing, Verdict, ViolationKind};
use proptest::prelude::*;

fn cell(variant: &str, round: u32, declared: &Declared, verdict: Verdict) -> CellResult {
    CellResult {
        cell: CellRef {
            id: FileName::of(&round_id(&format!("s.{variant}.6.12"), round)),
            scenario: FileName::of("s"),
            variant: variant.into(),
            kernel: "6.12".into(),
            recovered_on: None,
        },
        kernel: KernelRef {
            name: "6.12".into(),
            release: "6.12.1".into(),
            digest: "d".into(),
        },
        recovered_on: None,
        filesystem: "ext4".into(),
        mount: String::new(),
        standing: declared.standing(&verdict),
        declared: declared.clone(),
        verdict,
        states: StateCounts::default(),
        obligations: 1,
        broken: 0,
        violations: Vec::new(),
        measured: Vec::new(),
        notes: Vec::new(),
        doubted: false,
        millis: BTreeMap::new(),
    }
}

fn size() -> Verdict {
    Verdict::Violation {
        kinds: vec![ViolationKind::Size],
    }
}

fn unknown() -> Verdict {
    Verdict::Inconclusive {
        cause: "no boot".into(),
    }
}

fn hazard() -> Declared {
    Declared::Violates(vec![ViolationKind::Size])
}

#[test]
fn a_verdict_that_flips_is_flaky_and_not_as_declared() {
    // Rarely: 19 of 20 as declared.
    let mut cells: Vec<CellResult> = (1..=20)
        .map(|n| cell("a", n, &Declared::Holds, Verdict::Pass))
        .collect();
    cells[13] = cell("a", 14, &Declared::Holds, size());
    let all = rounds(&cells);
    assert_eq!(all.len(), 1);
    let flaky = all[0].flaky().unwrap();
    assert_eq!(flaky.verdicts, [(Verdict::Pass, 19), (size(), 1)]);
    assert_eq!((flaky.rounds, all[0].standing()), (20, Standing::NotAsDeclared));
    assert_eq!(all[0].shown().cell.id, "s.a.6.12+r14");
    let totals = Totals::of_cells(&cells);
    assert_eq!(
        (totals.as_declared, totals.not_as_declared, totals.exit_code()),
        (0, 1, 1)
    );
}

#[test]
fn what_is_not_known_is_no_verdict_and_no_flip() {
    let cells = [
        cell("a", 1, &hazard(), size()),
        cell("b", 1, &hazard(), size()),
        cell("a", 2, &hazard(), unknown()),
        cell("b", 2, &hazard(), size()),
        cell("a", 3, &hazard(), size()),
    ];
    let all = rounds(&cells);
    assert_eq!((all.len(), all[0].cells.len(), all[1].cells.len()), (2, 3, 2));
    assert_eq!(all[0].flaky(), None);
    assert_eq!(all[0].standing(), Standing::Inconclusive);
    assert_eq!(all[0].shown().cell.id, "s.a.6.12+r2");
    assert_eq!(all[1].standing(), Standing::AsDeclared);
    assert_eq!(Totals::of_cells(&cells).exit_code(), 3);
}

#[test]
fn what_nothing_is_declared_of_may_flip_and_changes_no_exit_code() {
    let observed = Declared::Observed;
    let mut cells = vec![
        cell("a", 1, &observed, Verdict::Pass),
        cell("a", 2, &observed, size()),
        cell("b", 1, &hazard(), size()),
    ];
    let all = rounds(&cells);
    assert_eq!((all[0].flaky(), all[0].standing()), (None, Standing::Observed));
    let totals = Totals::of_cells(&cells);
    assert_eq!(
        (totals.as_declared, totals.observed, totals.exit_code()),
        (1, 1, 0)
    );
    // What is not known of it is not known all the same.
    cells[1] = cell("a", 2, &observed, unknown());
    assert_eq!(rounds(&cells)[0].standing(), Standing::Inconclusive);
    assert_eq!(Totals::of_cells(&cells).exit_code(), 3);
}

proptest! {
    /// Every cell is in exactly one part, and in the same one whatever other cells there are.
    #[test]
    fn parts_share_the_cells_out(ids in prop::collection::hash_set("[a-z.]{1,20}", 1..40), of in 1..9_u32) {
        for id in &ids {
            let parts: Vec<u32> = (1..=of).filter(|index| Shard { index: *index, of }.contains(id)).collect();
            prop_assert_eq!(parts.len(), 1);
        }
    }
}

#[test]
fn parts_are_stable_over_versions_and_have_one_notation() {
    let part = |id: &str| (1..=5).find(|index| Shard { index: *index, of: 5 }.contains(id));
    let ids = ["rename.over.6.12", "rename.over.6.1", "append.fsync.5.10"];
    insta::assert_debug_snapshot!(ids.map(part));
    assert_eq!("2/5".parse(), Ok(Shard { index: 2, of: 5 }));
    assert_eq!(Shard { index: 2, of: 5 }.to_string(), "2/5");
    for bad in ["", "2", "0/5", "6/5", "1/0", "-1/5", "1/5/2", "a/b"] {
        assert!(bad.parse::<Shard>().is_err(), "{bad}");
    }
    let roughly = (0..1000)
        .filter(|n| Shard { index: 1, of: 4 }.contains(&format!("cell-{n}")))
        .count();
    assert!(
        (200..300).contains(&roughly),
        "{roughly} of 1000 in one of 4 parts"
    );
}
