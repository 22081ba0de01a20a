//! Against a model: a tree built from the history never gives findings, and any damage to it does.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use coldcut_core::oracle::{History, judge, verdict};
use coldcut_core::outcome::verdict::{Verdict, ViolationKind};
use coldcut_core::recording::mark::{Mark, StepName};
use coldcut_core::scenario::{Scenario, Variant};
use coldcut_wire::{Extent, Source, TreeEntry};
use proptest::prelude::*;

const UNIT: u64 = 4096;
const FILES: [&str; 3] = ["a", "b", "c"];

/// A step of the model.
#[derive(Clone, Debug)]
enum Step {
    /// Write this many units at this unit, as the next generation of the file.
    Write(usize, u64, u64),
    /// Rename one file over another.
    Rename(usize, usize),
    Unlink(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let file = || 0..FILES.len();
    let step = prop_oneof![
        5 => (file(), 0u64..4, 1u64..4).prop_map(|(f, at, len)| Step::Write(f, at, len)),
        2 => (file(), file()).prop_map(|(a, b)| Step::Rename(a, b)),
        1 => file().prop_map(Step::Unlink),
    ];
    prop::collection::vec(step, 1..12)
}

/// A file's units: `None` is a hole.
type Units = Vec<Option<String>>;

/// The scenario that these steps are, and the files that they leave. Steps that would fail are left out.
fn run(steps: &[Step]) -> (Variant, BTreeMap<&'static str, Units>) {
    let mut files: BTreeMap<&'static str, Units> = BTreeMap::new();
    let mut yaml = String::from("format: 1\nname: model\nfilesystem: {type: ext4, size: 64MiB}\nworkload:\n");
    for (generation, step) in steps.iter().enumerate() {
        match *step {
            Step::Write(file, at, len) => {
                let (name, at, len) = (FILES[file], at as usize, len as usize);
                let units = files.entry(name).or_default();
                units.resize(units.len().max(at + len), None);
                let content = format!("{name}@{generation}");
                units[at..at + len].fill(Some(content.clone()));
                let (offset, bytes) = (at as u64 * UNIT, len as u64 * UNIT);
                let _ = writeln!(
                    yaml,
                    "  - write: {{path: {name}, offset: {offset}, len: {bytes}, content: {content}}}"
                );
            }
            Step::Rename(from, to) if from != to => {
                if let Some(units) = files.remove(FILES[from]) {
                    files.insert(FILES[to], units);
                    let _ = writeln!(yaml, "  - rename: {{from: {}, to: {}}}", FILES[from], FILES[to]);
                }
            }
            Step::Unlink(file) if files.remove(FILES[file]).is_some() => {
                let _ = writeln!(yaml, "  - unlink: {}", FILES[file]);
            }
            _ => {}
        }
    }
    yaml.push_str("  - mark: all\nexpect:\n");
    let names: Vec<&str> = files.keys().copied().collect();
    let _ = writeln!(
        yaml,
        "  - listing: {{path: /, is: [{}]}}\n    after: all",
        names.join(", ")
    );
    for name in FILES {
        let Some(units) = files.get(name) else {
            let _ = writeln!(yaml, "  - absent: {name}\n    after: all");
            continue;
        };
        let _ = writeln!(
            yaml,
            "  - size: {{path: {name}, is: {}}}\n    after: all",
            units.len() as u64 * UNIT
        );
        let _ = writeln!(yaml, "  - no_foreign_data: {name}\n    after: all");
        for (i, unit) in units.iter().enumerate() {
            let (is, offset) = (unit.as_deref().unwrap_or("zeros"), i as u64 * UNIT);
            let _ = writeln!(
                yaml,
                "  - content: {{path: {name}, is: {is}, offset: {offset}, len: {UNIT}}}\n    after: all"
            );
        }
    }
    let scenario = Scenario::parse("model.yaml", &yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
    (scenario.variants()[0].clone(), files)
}

fn extents(units: &Units) -> Vec<Extent> {
    let one = |(i, unit): (usize, &Option<String>)| match unit {
        Some(label) => crate::trees::content(label, i as u64 * UNIT, UNIT),
        None => crate::trees::at(i as u64 * UNIT, UNIT, Source::Zeros),
    };
    units.iter().enumerate().map(one).collect()
}

fn tree(files: &BTreeMap<&'static str, Units>) -> Vec<TreeEntry> {
    files
        .iter()
        .map(|(name, units)| crate::trees::file(name, extents(units)))
        .collect()
}

/// Every step of the workload begun and acknowledged.
fn history(variant: &Variant) -> History {
    let names = variant.workload.iter().map(|s| s.name.clone());
    let marks: Vec<Mark> = names
        .flat_map(|n: StepName| [Mark::Begin(n.clone()), Mark::Done(n)])
        .collect();
    History::from_marks(&marks)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_the_steps_leave_is_never_a_violation(steps in steps()) {
        let (variant, files) = run(&steps);
        let judgement = judge(&variant, &history(&variant), &crate::trees::recovery(tree(&files)));
        prop_assert!(judgement.findings.is_empty() && judgement.doubts.is_empty(), "{:?}", judgement);
        prop_assert_eq!(judgement.obligations as usize, variant.expect.len());
        prop_assert_eq!(verdict(&variant, [&judgement]), Verdict::Pass);
    }

    #[test]
    fn damage_is_always_a_violation(steps in steps(), pick in any::<prop::sample::Index>(), damage in 0..6) {
        let (variant, files) = run(&steps);
        let mut tree = tree(&files);
        prop_assume!(!tree.is_empty());
        let entry = pick.index(tree.len());
        let unit = pick.index(tree[entry].extents.len());
        let extent = &mut tree[entry].extents[unit];
        let was_zeros = extent.source == Source::Zeros;
        let kind = match damage {
            0 => { extent.source = Source::Garbage; ViolationKind::Garbage }
            1 => { extent.source = Source::Unreadable { errno: 5 }; ViolationKind::Unreadable }
            2 => {
                extent.source = crate::trees::content("stranger@0", extent.offset, UNIT).source;
                ViolationKind::StaleData
            }
            3 if !was_zeros => { extent.source = Source::Zeros; ViolationKind::Zeros }
            4 => { tree.remove(entry); ViolationKind::Missing }
            _ => {
                let removed = tree[entry].extents.pop().map_or(0, |e| e.len);
                tree[entry].size -= removed;
                ViolationKind::Size
            }
        };
        let judgement = judge(&variant, &history(&variant), &crate::trees::recovery(tree));
        let kinds: Vec<ViolationKind> = judgement.findings.iter().map(|f| f.kind).collect();
        prop_assert!(kinds.contains(&kind), "{:?} not in {:?}", kind, judgement);
        prop_assert!(judgement.doubts.is_empty());
        let verdict = verdict(&variant, [&judgement]);
        prop_assert!(matches!(verdict, Verdict::Violation { .. }), "{:?}", verdict);
    }

    #[test]
    fn nothing_is_promised_before_it_is_acknowledged(steps in steps(), cut in any::<prop::sample::Index>()) {
        let (variant, _) = run(&steps);
        let names = variant.workload.iter().map(|s| s.name.clone());
        let marks: Vec<Mark> = names.flat_map(|n: StepName| [Mark::Begin(n.clone()), Mark::Done(n)]).collect();
        let early = History::from_marks(&marks[..cut.index(marks.len())]);
        let judgement = judge(&variant, &early, &crate::trees::recovery(Vec::new()));
        prop_assert_eq!((judgement.obligations, judgement.findings.len()), (0, 0));
    }
}
