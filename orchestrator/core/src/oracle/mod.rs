//! Judges what was recovered by the scenario's own `expect` list.
//!
//! One judgement is of one (crash state, cut): the recovery of the state's content, and the history up to the cut.
//! States with the same content share the recovery, never the judgement.
//!
//! - An expectation applies where its `after` was acknowledged and its `before` had not begun. A step that failed
//!   promises nothing and counts as begun.
//! - That the filesystem mounts (and unmounts) is expected without being written. Where it does not mount nothing
//!   else is judged: one cause gives one finding.
//! - Obligations are the judged expectations on paths only. A filesystem that mounts, is clean and says nothing in
//!   the log may still have lost everything, so these alone do not make a cell pass. See [`Tally`].
//! - What no healthy tool would report (a walk with holes, no checker where one was asked for) is a doubt, which makes
//!   the cell Inconclusive, never a finding.
//!
//! A cell's states are judged with one [`Judge`] of the variant and one [`Histories`] of the recording: both are built
//! once, and [`Histories::at`] gives the history until a state's cut.

mod asked;
mod auto;
mod bytes;
pub mod cell;
pub(crate) mod data;
mod history;
pub mod measured;
pub(crate) mod origin;
mod paths;
mod programs;
mod tally;
mod tree;

pub use asked::Asked;
pub use history::{Histories, History};
pub use tally::{Tally, verdict};

use crate::filesystem::Checker;
use crate::outcome::recovery::{Recovery, complaints};
use crate::outcome::verdict::{Finding, Judgement, ViolationKind};
use crate::scenario::{Check, Expectation, Moment, Variant};

use auto::Auto;
use data::printable;
use origin::Origins;
use tree::Tree;

/// Judges the states of one variant.
#[derive(Clone, Debug)]
pub struct Judge<'a> {
    variant: &'a Variant,
    origins: Origins,
    /// For each expectation, what is judged automatically.
    auto: Vec<Option<Auto>>,
}

/// What one check gave.
pub(crate) enum CheckOutcome {
    /// It holds.
    Holds,
    /// There was nothing to judge it by.
    Idle,
    /// It is broken, this way.
    Broken(ViolationKind, String),
    /// The tools contradict themselves.
    Doubt(String),
}

/// Judges one (crash state, cut). For many, keep a [`Judge`].
pub fn judge(variant: &Variant, history: &History, recovery: &Recovery) -> Judgement {
    Judge::new(variant).judge(history, recovery)
}

impl<'a> Judge<'a> {
    /// A judge of this variant's states.
    pub fn new(variant: &'a Variant) -> Self {
        Self {
            variant,
            origins: Origins::new(variant),
            auto: variant
                .expect
                .iter()
                .map(|e| Auto::of(variant, &e.check))
                .collect(),
        }
    }

    /// Judges one (crash state, cut).
    pub fn judge(&self, history: &History, recovery: &Recovery) -> Judgement {
        self.judge_with(history, recovery, true)
    }

    /// Judges all but what the checker said.
    pub(crate) fn unchecked(&self, history: &History, recovery: &Recovery) -> Judgement {
        self.judge_with(history, recovery, false)
    }

    /// Judges, with what the checker said or without.
    fn judge_with(&self, history: &History, recovery: &Recovery, checked: bool) -> Judgement {
        let mut judgement = Judgement::default();
        let applying: Vec<(usize, &Expectation)> = self
            .variant
            .expect
            .iter()
            .enumerate()
            .filter(|(_, e)| history.applies(e) && (checked || e.check != Check::FsckClean))
            .collect();
        let fstype = self.variant.filesystem.fstype.name();
        let mounted = mounts(&applying, recovery, fstype, &mut judgement);
        if !mounted {
            return judgement;
        }
        let tree = match Tree::new(&recovery.tree) {
            Ok(tree) => Some(tree),
            Err(doubt) => {
                judgement.doubts.push(doubt);
                None
            }
        };
        for (index, expectation) in applying {
            let outcome = match &expectation.check {
                // Live checks are judged once, from what was measured, not in each crash state.
                Check::Mounts { .. } | Check::Measured(_) => continue,
                Check::FsckClean => fsck(recovery, &self.variant.filesystem.fstype.checker),
                Check::DmesgFree { texts } => dmesg(texts, recovery),
                Check::Verify(verifier) => {
                    programs::check(self.variant, (index, verifier), history, recovery)
                }
                Check::Auto { .. } => {
                    let checked = checked.then_some(recovery);
                    self.judge_auto(index, history, checked, tree.as_ref(), &mut judgement);
                    continue;
                }
                check => match &tree {
                    Some(tree) => paths::check(check, tree, &self.origins),
                    None => continue,
                },
            };
            let on_path = expectation.check.on_path();
            match outcome {
                CheckOutcome::Idle => continue,
                CheckOutcome::Doubt(doubt) => {
                    judgement.doubts.push(doubt);
                    continue;
                }
                CheckOutcome::Holds => {}
                CheckOutcome::Broken(kind, what) => judgement.findings.push(Finding {
                    kind,
                    expectation: Some(index),
                    rule: None,
                    evidence: format!("{what}{}", when(expectation)),
                }),
            }
            judgement.judged.push(index);
            judgement.obligations += u32::from(on_path);
        }
        judgement
    }
}

impl Judge<'_> {
    /// Judges by the rules of the filesystem's level. `recovery` is given where the checker's answer is of this image.
    fn judge_auto(
        &self,
        index: usize,
        history: &History,
        recovery: Option<&Recovery>,
        tree: Option<&Tree<'_>>,
        judgement: &mut Judgement,
    ) {
        let (Some(auto), Some(tree)) = (&self.auto[index], tree) else {
            return;
        };
        let mut judged = auto.judge(self.variant, history, tree, &self.origins);
        let checker = &self.variant.filesystem.fstype.checker;
        judged.check(auto.level(), recovery.map(|recovery| fsck(recovery, checker)));
        for broken in judged.broken {
            let list = if broken.observed {
                &mut judgement.observed
            } else {
                &mut judgement.findings
            };
            list.push(Finding {
                kind: broken.kind,
                expectation: Some(index),
                rule: Some(broken.rule.id().to_owned()),
                evidence: broken.evidence,
            });
        }
        judgement.doubts.extend(judged.doubts);
        if judged.obligations > 0 {
            judgement.judged.push(index);
            judgement.obligations += judged.obligations;
        }
    }
}

/// Judges that the kernel survives, and the mount; false when nothing else can be judged.
fn mounts(
    applying: &[(usize, &Expectation)],
    recovery: &Recovery,
    fstype: &str,
    judgement: &mut Judgement,
) -> bool {
    if let Some(oops) = &recovery.panic {
        judgement.findings.push(Finding {
            kind: ViolationKind::Panic,
            expectation: None,
            rule: None,
            evidence: format!(
                "the kernel panics when it recovers this: {}",
                printable(oops.as_bytes())
            ),
        });
        return false;
    }
    let mut required = true;
    let mut named = None;
    for (index, expectation) in applying {
        if let Check::Mounts { required: r } = expectation.check {
            judgement.judged.push(*index);
            required &= r;
            named = named.or(Some((*index, *expectation)));
        }
    }
    let calls = [
        ("mount", &recovery.mount_error),
        ("unmount", &recovery.unmount_error),
    ];
    let said = complaints(&recovery.dmesg, fstype).map_or_else(String::new, |words| {
        format!("; the kernel says: {}", printable(words.as_bytes()))
    });
    for (call, error) in calls {
        if let (true, Some(error)) = (required, error) {
            judgement.findings.push(Finding {
                kind: ViolationKind::Mount,
                expectation: named.map(|(index, _)| index),
                rule: None,
                evidence: format!(
                    "{call} fails: {}{said}{}",
                    printable(error.what.as_bytes()),
                    named.map_or_else(String::new, |(_, e)| when(e))
                ),
            });
        }
    }
    recovery.mount_error.is_none()
}

fn fsck(recovery: &Recovery, checker: &Checker) -> CheckOutcome {
    match &recovery.fsck {
        None => CheckOutcome::Doubt("`fsck: clean` is expected, and no checker ran".to_owned()),
        Some(fsck) if fsck.clean => CheckOutcome::Holds,
        Some(fsck) => {
            let first = checker.first_words(&fsck.output).unwrap_or("no output");
            let first = printable(first.as_bytes());
            CheckOutcome::Broken(
                ViolationKind::Fsck,
                format!("{} exits {}: {first}", fsck.command, fsck.code),
            )
        }
    }
}

fn dmesg(texts: &[String], recovery: &Recovery) -> CheckOutcome {
    for line in &recovery.dmesg {
        if texts.iter().any(|text| line.text.contains(text.as_str())) {
            let shown = printable(line.text.as_bytes());
            return CheckOutcome::Broken(ViolationKind::Dmesg, format!("the kernel's log says: {shown}"));
        }
    }
    CheckOutcome::Holds
}

/// When an expectation applies, for the end of a line of evidence.
fn when(expectation: &Expectation) -> String {
    let after = expectation.after.as_ref().map(|moment| match moment {
        Moment::Step(step) => format!("after {step}"),
        Moment::Line(text) => format!("after line `{}`", printable(text.as_bytes())),
    });
    let before = expectation.before.as_ref().map(|step| format!("before {step}"));
    let parts: Vec<String> = after.into_iter().chain(before).collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(" ({})", parts.join(", "))
    }
}
