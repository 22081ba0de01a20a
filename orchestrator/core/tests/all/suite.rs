//! The suite's scenarios: each holds, and has a control that differs by its protection alone.

use std::fs;
use std::path::PathBuf;

use coldcut_core::outcome::verdict::Declared;
use coldcut_core::scenario::{Action, Scenario, Variant};
use coldcut_wire::{MsyncMode, Op, op};

fn suite() -> Vec<(String, Scenario)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/suite");
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(path).unwrap();
            let scenario = Scenario::parse(&path.to_string_lossy(), &text).unwrap_or_else(|e| panic!("{e}"));
            (name, scenario)
        })
        .collect()
}

/// The workload without what makes anything durable.
fn bare(variant: &Variant) -> Vec<String> {
    variant
        .workload
        .iter()
        .filter_map(|step| match &step.action {
            Action::Op(Op::Fsync(_) | Op::Fdatasync(_) | Op::Sync | Op::Syncfs) => None,
            Action::Op(Op::Write(_)) => {
                let mut op = step.action.clone();
                if let Action::Op(Op::Write(op::Write { flags, .. })) = &mut op {
                    (flags.sync, flags.dsync) = (false, false);
                }
                Some(format!("{op:?}"))
            }
            Action::Op(Op::MmapStore(_)) => {
                let mut op = step.action.clone();
                if let Action::Op(Op::MmapStore(op::MmapStore { msync, .. })) = &mut op {
                    *msync = MsyncMode::None;
                }
                Some(format!("{op:?}"))
            }
            action => Some(format!("{action:?}")),
        })
        .collect()
}

fn actions(variant: &Variant) -> Vec<String> {
    variant
        .workload
        .iter()
        .map(|step| format!("{:?}", step.action))
        .collect()
}

#[test]
fn each_control_differs_from_its_scenario_by_the_protection_alone() {
    let suite = suite();
    assert!(suite.len() >= 20, "{} scenarios", suite.len());
    for (file, scenario) in &suite {
        assert_eq!(&scenario.name, file);
        let names: Vec<&str> = scenario
            .variants()
            .iter()
            .map(|variant| variant.name.as_str())
            .collect();
        assert_eq!(names, ["kept", "unprotected"], "{file}");
        let (kept, control) = (
            scenario.variant("kept").unwrap(),
            scenario.variant("unprotected").unwrap(),
        );
        assert_eq!(kept.outcome, Declared::Holds, "{file}");
        assert!(matches!(control.outcome, Declared::Violates(_)), "{file}");
        assert_eq!(kept.setup, control.setup, "{file}");
        assert_eq!(kept.filesystem, control.filesystem, "{file}");
        assert_eq!((&kept.crash, &kept.end), (&control.crash, &control.end), "{file}");
        let checks = |variant: &Variant| {
            let of = |e: &coldcut_core::scenario::Expectation| {
                format!("{:?} {:?} {:?}", e.check, e.before, e.after)
            };
            variant.expect.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(checks(kept), checks(control), "{file}");
        assert_eq!(bare(kept), bare(control), "{file}");
        assert_ne!(
            actions(kept),
            actions(control),
            "{file}: no protection is removed"
        );
    }
}

#[test]
fn the_readme_names_every_scenario() {
    let readme = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/README.md");
    let text = fs::read_to_string(readme).unwrap();
    for (file, _) in suite() {
        assert!(
            text.contains(&format!("[suite/{file}.yaml](suite/{file}.yaml)")),
            "{file}"
        );
    }
}
