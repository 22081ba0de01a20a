//! Checks of a variant as a whole, and what is known only then.

use coldcut_wire::PatternName;

use super::parts::Part;
use crate::crash::plan::{At as CutAt, CrashSpec};
use crate::scenario::expect::ExpectEntry;
use crate::scenario::facts;
use crate::scenario::model::{self, Variant};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Problem, Sink, Span};
use crate::scenario::yaml::names::KernelSpec;

/// Checks that steps which wait for a journal have one.
pub(super) fn check_commits(variant: &Variant, workload: &Span, sink: &Sink) {
    if variant.waits_for_commits() && !variant.filesystem.fstype.jbd2 {
        let fs = variant.filesystem.fstype.name();
        let journals = crate::filesystem::listed(|fs| fs.jbd2);
        let message = format!("`commit` needs a jbd2 journal; {fs} has none");
        sink.push(Problem::new(workload, message).help(format!("{journals} have one")));
    }
}

/// Checks that something is expected that could fail: on a path, or of what is measured where there is no crash.
pub(super) fn check_judged(variant: &Variant, part: &Part<Vec<ExpectEntry>>, sink: &Sink) {
    let fs = &variant.filesystem;
    let several = fs.fstype.several.as_ref();
    let blind = several.is_some_and(|several| several.checker.is_none());
    if variant.wants_fsck() && blind && !fs.disks.is_empty() {
        let message = format!(
            "the checker of {} can look at one disk only, and `fsck` would judge several",
            fs.fstype
        );
        sink.push(Problem::new(&part.span, message));
    }
    let judged = |e: &model::Expectation| e.check.on_path() && e.check.is_measured() != variant.has_crash();
    if !part.whole || !sink.is_empty() || variant.expect.iter().any(judged) {
        return;
    }
    let (message, help) = if variant.has_crash() {
        (
            "nothing is expected of any path, so no crash state could break a promise",
            "add a check such as `content`, `exists`, `size` or `listing`, or `no_foreign_data: all`",
        )
    } else {
        (
            "nothing is expected of what happens, so this could not fail",
            "add a check such as `measure`, `contrast` or `returned`",
        )
    };
    sink.push(Problem::new(&part.span, message).help(help));
}

/// Tells each read what it may find, which is known once all steps are.
pub(super) fn name_contents(steps: &mut [model::Step], known: &[PatternName]) {
    for step in steps {
        match &mut step.action {
            model::Action::Op(op) => {
                if let Some(patterns) = facts::known_patterns(op) {
                    *patterns = known.to_vec();
                }
            }
            model::Action::Start(task) => name_contents(&mut task.steps, known),
            model::Action::Exec { .. }
            | model::Action::Mark
            | model::Action::Join { .. }
            | model::Action::Device(_)
            | model::Action::Leave { .. } => {}
        }
    }
}

/// The kernels that recover, each once.
pub(super) fn recovering(variant: &Variant, part: &Part<Vec<At<KernelSpec>>>, sink: &Sink) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for spec in &part.value {
        let KernelSpec(name) = &spec.value;
        if all.contains(name) {
            sink.push(Problem::new(&spec.span, format!("`{name}` is given twice")));
        } else {
            all.push(name.clone());
        }
    }
    if !variant.has_crash() && !all.is_empty() {
        sink.push(
            Problem::new(&part.span, "without a crash there is nothing to recover")
                .help("give the variants with `crash: none` an empty list, `recover_on: []`"),
        );
    }
    all
}

/// Checks that the marks that a crash plan names exist.
pub(super) fn crash_marks(variant: &Variant, part: &Part<CrashSpec>, sink: &Sink) {
    let own = ["mounting", "mounted", "unmounting", "unmounted", "end"];
    let steps = variant.steps().map(|step| step.name.name.as_str());
    let known: Vec<&str> = steps.chain(own).collect();
    let at = part.value.at.iter().filter_map(|at| match at {
        CutAt::Mark(name) => Some(name),
        CutAt::Entry(_) => None,
    });
    for name in at.chain(part.value.between.iter().flatten()) {
        if !known.contains(&name.as_str()) {
            let message =
                format!("the crash plan names `{name}`, which is no step and no mark of the workload");
            sink.push(Problem::new(&part.span, message).help(format!("valid here: {}", known.join(", "))));
        }
    }
}

/// Has the automatic oracle judge besides the expectations, where that is asked for and there is anything to judge.
pub(super) fn judge_automatically(variant: &mut Variant, asked: bool) {
    if asked && variant.has_crash() && !variant.is_judged_automatically() {
        variant.expect.push(model::Expectation {
            check: model::Check::Auto { level: None },
            after: None,
            before: None,
            line: 0,
        });
    }
}
