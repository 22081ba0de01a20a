//! Background tasks on a real kernel: they run beside the main line, and what never ends is inconclusive.

use crate::common;
use coldcut::record::loaded::LoadedRecording;
use coldcut::results::CellDir;
use coldcut_core::outcome::verdict::{Standing, Verdict};
use coldcut_core::recording::mark::Mark;

const HEAD: &str = "format: 1\nname: tasks\nfilesystem: {type: ext4, size: 16MiB}\n";

fn cause(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Inconclusive { cause } => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn steps_of_a_task_overlap_with_others_and_are_judged_by_their_own_marks() {
    let dir = tempfile::tempdir().unwrap();
    let workload = r#"
workload:
  - write: {path: shared, len: 4KiB, content: shared@0}
  - open: {path: shared, handle: h}
  - start:
      task: beside
      steps:
        - sleep: 1s
          label: asleep
        - mark: writing
        - write: {path: "fd:h", len: 4KiB, content: shared@1}
        - fsync: "fd:h"
          label: second
  - fsync: "fd:h"
    label: first
  - join: {task: beside, within: 1min}
  - close: h
expect:
  - content: {path: shared, is: shared@0}
    after: first
    before: writing
  - content: {path: shared, is: shared@1}
    after: second
"#;
    let (code, run) = common::run_text(dir.path(), &format!("{HEAD}{workload}"), &["--kernel", "6.12"]);
    let cell = common::cell(&run, "default", "6.12");
    assert_eq!((code, &cell.verdict), (0, &Verdict::Pass), "{cell:#?}");

    let path = dir.path().join("results/latest/cells").join(&cell.cell.id);
    let recording = LoadedRecording::load(&CellDir::open(&path).unwrap()).unwrap();
    let index = |mark: &str| {
        let marks = recording.log.marks().iter();
        let mut found = marks.filter(|placed| match &placed.mark {
            Mark::Begin(step) => format!("begin {}", step.name) == mark,
            Mark::Done(step) => format!("done {}", step.name) == mark,
            _ => false,
        });
        found.next().unwrap_or_else(|| panic!("no {mark}")).index
    };
    // The main line went on while the task slept, and the log says so.
    assert!(index("begin asleep") < index("done first"));
    assert!(index("done first") < index("done asleep"));
    assert!(index("done second") < index("done join#8"));
}

#[test]
fn what_does_not_end_in_time_is_inconclusive() {
    let dir = tempfile::tempdir().unwrap();
    let text = |within: &str, steps: &str| {
        format!(
            "{HEAD}workload:\n  - write: {{path: a, len: 4KiB, flags: [sync]}}\n    label: written\n  - start: {{task: slow, steps: [{steps}]}}\n  - join: {{task: slow, within: {within}}}\nexpect:\n  - exists: a\n    after: written\n"
        )
    };
    for (within, steps, words) in [
        ("300ms", "{sleep: 1min}", "`slow` was not done within 300 ms"),
        (
            "1min",
            "{sleep: 50ms}, {rmdir: nothing}",
            "in the task `slow`: step `rmdir#3` (line 7) failed",
        ),
    ] {
        let (code, run) = common::run_text(dir.path(), &text(within, steps), &["--kernel", "6.12"]);
        let cell = common::cell(&run, "default", "6.12");
        assert_eq!((code, cell.standing), (3, Standing::Inconclusive), "{cell:#?}");
        assert!(cause(&cell.verdict).contains(words), "{:?}", cell.verdict);
    }
}

#[test]
fn a_left_task_may_run_on_when_the_power_goes() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "{HEAD}workload:\n  - start: {{task: endless, steps: [{{sleep: 10min}}, {{unlink: a}}]}}\n  - write: {{path: a, len: 4KiB, flags: [sync]}}\n    label: written\n  - leave: endless\nexpect:\n  - exists: a\n    after: written\n"
    );
    let (code, run) = common::run_text(dir.path(), &text, &["--kernel", "6.12"]);
    let cell = common::cell(&run, "default", "6.12");
    assert_eq!((code, &cell.verdict), (0, &Verdict::Pass), "{cell:#?}");
}
