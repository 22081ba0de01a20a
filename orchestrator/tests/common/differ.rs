//! In what two variants differ: a control that differs from its hazard in more than its protection proves nothing.

use std::collections::BTreeMap;
use std::path::Path;

use coldcut_core::scenario::{Action, FsSource, Scenario, Step, Variant};
use coldcut_wire::{Op, op};

/// Reads one of the project's scenarios.
pub fn scenario(file: &str) -> Scenario {
    let path = super::root().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Scenario::parse(&Path::new(file).display().to_string(), &text).unwrap_or_else(|e| panic!("{e}"))
}

/// Every difference between what two variants do and expect, in words: mount options, flags, mkfs, end, and steps that
/// only one has. Anything else that differs is a panic.
pub fn differences(hazard: &Variant, control: &Variant) -> Vec<String> {
    let name = &control.name;
    assert_eq!(checks(control), checks(hazard), "{name}: the same checks");
    assert_eq!(control.setup, hazard.setup, "{name}: the same setup");
    assert_eq!(control.crash, hazard.crash, "{name}: the same cuts");
    assert_eq!(control.device, hazard.device, "{name}: the same disk");
    assert_eq!(control.end, hazard.end, "{name}: the same end");
    let mut all = Vec::new();
    let (old, new) = (options(hazard), options(control));
    for key in old.keys().chain(new.keys().filter(|k| !old.contains_key(*k))) {
        let show = |value: Option<&String>| value.map_or_else(|| format!("no {key}"), Clone::clone);
        if old.get(key) != new.get(key) {
            all.push(format!("{} -> {}", show(old.get(key)), show(new.get(key))));
        }
    }
    let flags = |v: &Variant| v.filesystem.flags.iter().map(|f| f.name()).collect::<Vec<_>>();
    if flags(hazard) != flags(control) {
        all.push(format!("flags {:?} -> {:?}", flags(hazard), flags(control)));
    }
    match (&hazard.filesystem.source, &control.filesystem.source) {
        (FsSource::Make { size: a, mkfs: old }, FsSource::Make { size: b, mkfs: new }) => {
            assert_eq!(a, b, "{name}: the same size");
            for only in old.iter().filter(|o| !new.contains(o)) {
                all.push(format!("mkfs without {only}"));
            }
            for only in new.iter().filter(|o| !old.contains(o)) {
                all.push(format!("mkfs with {only}"));
            }
        }
        (a, b) => assert_eq!(a, b, "{name}: the same filesystem"),
    }
    all.extend(steps(&hazard.workload, &control.workload));
    all
}

fn options(variant: &Variant) -> BTreeMap<String, String> {
    let all = variant.filesystem.mount.split(',').filter(|o| !o.is_empty());
    // These two are one option.
    let key = |o: &str| match o.split_once('=') {
        Some((key, _)) => key.to_owned(),
        None => o.to_owned(),
    };
    all.map(|o| (key(o), o.to_owned())).collect()
}

/// Steps that only one has; those that both have must come in the same order.
fn steps(hazard: &[Step], control: &[Step]) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = control.iter();
    let mut ahead = rest.next();
    for step in hazard {
        let same = |other: &Step| what(other) == what(step);
        if ahead.is_some_and(same) {
            ahead = rest.next();
        } else if control.iter().any(same) {
            // It comes later: what is before it is the control's own.
            while let Some(own) = ahead.filter(|own| !same(own)) {
                all.push(format!("+ {}", kind(own)));
                ahead = rest.next();
            }
            assert!(ahead.is_some(), "the same order: {}", kind(step));
            ahead = rest.next();
        } else {
            all.push(format!("- {}", kind(step)));
        }
    }
    all.extend(
        ahead
            .into_iter()
            .chain(rest)
            .map(|own| format!("+ {}", kind(own))),
    );
    all
}

/// What a step does, wherever it stands.
fn what(step: &Step) -> String {
    match &step.action {
        Action::Start(task) => {
            let own: Vec<String> = task.steps.iter().map(what).collect();
            format!("start {} {own:?} {:?}", task.name, step.expected_errno)
        }
        Action::Mark => format!("mark {}", step.name.name),
        Action::Op(op) => {
            let mut op = op.clone();
            // What a read may find follows from the other steps.
            if let Op::Read(op::Read {
                patterns: contents, ..
            }) = &mut op
            {
                contents.clear();
            }
            format!("{op:?} {:?}", step.expected_errno)
        }
        action => format!("{action:?} {:?}", step.expected_errno),
    }
}

/// A step's kind and, for a task, its name.
fn kind(step: &Step) -> String {
    match &step.action {
        Action::Start(task) => format!("start {}", task.name),
        Action::Join { task, .. } => format!("join {task}"),
        Action::Op(op) => {
            let text = format!("{op:?}");
            text.split([' ', '{', '('])
                .next()
                .unwrap_or_default()
                .to_lowercase()
        }
        other => format!("{other:?}"),
    }
}

fn checks(variant: &Variant) -> Vec<String> {
    variant
        .expect
        .iter()
        .map(|e| format!("{:?} {:?} {:?}", e.check, e.after, e.before))
        .collect()
}
