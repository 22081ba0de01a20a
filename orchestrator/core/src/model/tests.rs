use super::*;
use crate::filesystem::Rule;
use crate::recording::mark::Mark;
use crate::scenario::Scenario;

/// The model of a workload whose steps ended well one after the other: step `n` is sent at mark `2 n + 1`.
fn model(setup: &str, workload: &str) -> Model {
    let marks = |scenario: &Scenario| {
        let steps = scenario.variants()[0].steps();
        steps
            .flat_map(|step| [Mark::Begin(step.name.clone()), Mark::Done(step.name.clone())])
            .collect::<Vec<_>>()
    };
    with_marks(setup, workload, marks)
}

fn with_marks(setup: &str, workload: &str, marks: impl Fn(&Scenario) -> Vec<Mark>) -> Model {
    let list = |steps: &str| {
        let lines = steps.split(';').map(str::trim).filter(|line| !line.is_empty());
        let entries: Vec<String> = lines.map(|line| format!("  - {line}\n")).collect();
        entries.concat()
    };
    let setup = if setup.is_empty() {
        String::new()
    } else {
        format!("setup:\n{}", list(setup))
    };
    let text = format!(
        "format: 1\nname: n\nprograms: p\nfilesystem: {{type: ext4, size: 16MiB}}\n{setup}workload:\n{}expect:\n  - no_foreign_data: all\n",
        list(workload)
    );
    let scenario = Scenario::parse("n.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    Model::of(&scenario.variants()[0], &marks(&scenario))
}

fn paths(model: &Model) -> String {
    assert_eq!(model.lost(), None);
    let paths = model.paths();
    let all = paths.iter().skip(1).map(|(path, id)| format!("{path}={}", id.0));
    all.collect::<Vec<_>>().join(" ")
}

/// What a path may lead to after so many marks, by all rules but these.
fn may(model: &Model, name: &str, until: u32, but: &[Rule]) -> Vec<Named> {
    let versions = &model.inode(Model::ROOT).entries[name];
    let window = versions.window(until, |rule| !but.contains(&rule));
    window.map_or_else(Vec::new, |window| window.may.iter().map(|v| v.value).collect())
}

#[test]
fn names_follow_what_is_done_to_them() {
    let made = "mkdir: d; create: d/a; write: {path: b, len: 4KiB}";
    assert_eq!(paths(&model("", made)), "b=3 d=1 d/a=2");
    let moved = |steps: &str| paths(&model(made, steps));
    assert_eq!(moved("rename: {from: d/a, to: b}"), "b=2 d=1");
    assert_eq!(
        moved("rename: {from: d/a, to: b, mode: exchange}"),
        "b=2 d=1 d/a=3"
    );
    assert_eq!(moved("link: {from: b, to: d/c}; unlink: b"), "d=1 d/a=2 d/c=3");
    assert_eq!(
        moved("rename: {from: d, to: e}; mkdir: {path: e/f/g, parents: true}"),
        "b=3 e=1 e/a=2 e/f=4 e/f/g=5"
    );
    assert_eq!(
        moved("symlink: {path: s, target: d/a}; write: {path: s, len: 1}"),
        "b=3 d=1 d/a=2 s=4"
    );
    assert_eq!(moved("unlink: d/a; rmdir: d; create: d"), "b=3 d=4");
    // rename(2): two names of one file.
    assert_eq!(
        moved("link: {from: b, to: c}; rename: {from: b, to: c}"),
        "b=3 c=3 d=1 d/a=2"
    );
}

#[test]
fn handles_stay_with_their_inode() {
    let steps = "open: {path: a, handle: h}; rename: {from: a, to: b}; create: a; \
                 write: {path: 'fd:h', len: 512, content: x@1}; unlink: b; write: {path: 'fd:h', offset: 512, len: 512}";
    let model = model("create: a", steps);
    assert_eq!(paths(&model), "a=2");
    assert_eq!(model.opened("h"), Some(InodeId(1)));
    let size = |id| model.size(InodeId(id));
    assert_eq!((size(1), size(2)), (Some(1024), Some(0)));
}

#[test]
fn data_is_what_was_written_last() {
    let steps = "write: {path: f, len: 8KiB, content: f@1}; write: {path: f, offset: 4KiB, len: 4KiB, content: f@2}; \
                 fallocate: {path: f, mode: punch_hole, offset: 0, len: 512}; write: {path: f, len: 10, flags: [append]}; \
                 truncate: {path: f, size: 9KiB}";
    let model = model("", steps);
    let Some(Data::Known(runs)) = model.inode(InodeId(1)).data.current() else {
        panic!("known")
    };
    let ends: Vec<u64> = runs.iter().map(|(range, _)| range.end).collect();
    assert_eq!(ends, [512, 4096, 8192, 8202, 9216]);
    assert_eq!(runs.at(8202), Some(Piece::Zeros));
}

#[test]
fn what_is_not_known_is_unknown() {
    let exec = model("", "create: a; exec: {argv: [/bin/true]}; create: a");
    assert_eq!(exec.lost().map(|(since, _)| since), Some(3));
    let failed = |steps: &str, errno| {
        with_marks("create: a", steps, |scenario| {
            let step = scenario.variants()[0].steps().next().unwrap().name.clone();
            vec![Mark::Begin(step.clone()), Mark::Failed(step, errno)]
        })
    };
    let full = failed("write: {path: a, len: 1MiB}", 28);
    assert_eq!(full.inode(InodeId(1)).data.current(), Some(&Data::Unknown));
    assert_eq!(
        failed("write: {path: b, len: 1MiB}", 28)
            .inode(Model::ROOT)
            .named("b"),
        Named::Unknown
    );
    assert!(failed("fsync: a", 5).lost().is_some());
    assert_eq!(failed("mkdir: a", 17).lost(), None);
}

#[test]
fn fsync_of_a_directory_promises_its_names() {
    let model = model("create: a", "create: b; unlink: a; fsync_dir: /; create: a");
    let (b, a2) = (Named::Inode(InodeId(2)), Named::Inode(InodeId(3)));
    assert_eq!(may(&model, "b", 5, &[]), [Named::Nothing, b]);
    assert_eq!(may(&model, "b", 6, &[]), [b]);
    assert_eq!(may(&model, "a", 6, &[]), [Named::Nothing]);
    assert_eq!(may(&model, "a", 7, &[]), [Named::Nothing, a2]);
    assert_eq!(may(&model, "b", 6, &[Rule::SyncedNames]), [Named::Nothing, b]);
}

#[test]
fn fsync_of_a_file_promises_its_names_where_that_is_said() {
    let model = model("", "mkdir: d; create: d/f; link: {from: d/f, to: g}; fsync: g");
    let (d, f) = (Named::Inode(InodeId(1)), Named::Inode(InodeId(2)));
    assert_eq!(may(&model, "g", 8, &[]), [f]);
    assert_eq!(may(&model, "d", 8, &[]), [d]);
    assert_eq!(may(&model, "d", 8, &[Rule::FsyncedName]), [Named::Nothing, d]);
}

#[test]
fn the_order_of_what_overlaps_is_not_known() {
    let steps = "start: {task: t, steps: [{write: {path: a, len: 512, content: a@2}}]}; write: {path: a, len: 512, content: a@3}; \
                 fsync: a; join: t";
    let marks = |scenario: &Scenario| {
        let steps = scenario.variants()[0].steps();
        let [start, first, second, sync, join] = steps
            .map(|s| s.name.clone())
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        vec![
            Mark::Begin(start.clone()),
            Mark::Done(start),
            Mark::Begin(first.clone()),
            Mark::Begin(second.clone()),
            Mark::Done(second),
            Mark::Begin(sync.clone()),
            Mark::Done(sync),
            Mark::Done(first),
            Mark::Begin(join.clone()),
            Mark::Done(join),
        ]
    };
    let model = with_marks("create: a", steps, marks);
    let data = &model.inode(InodeId(1)).data;
    assert_eq!(data.current(), Some(&Data::Unknown));
    // The fsync came after one of them only, and the other may lie below it.
    let window = data.window(7, |_| true).unwrap();
    assert_eq!(window.may.len(), 2);
}
