use super::*;
use crate::scenario::Scenario;
use proptest::prelude::*;

const EXAMPLES: &str = include_str!("../facts/examples.yaml");

fn document(setup: Vec<String>, workload: Vec<String>, expect: Vec<String>) -> Document {
    Document {
        name: "written".into(),
        filesystem: crate::filesystem::FsType::first().small("64MiB"),
        setup,
        workload,
        expect,
        crash: "all".into(),
        end: "cut".into(),
        outcome: "observed".into(),
        ..Document::default()
    }
}

#[test]
fn every_step_that_is_written_is_read_back_as_it_was() {
    let scenario = Scenario::parse("examples.yaml", EXAMPLES).unwrap();
    let all = &scenario.variants()[0].workload;
    let mut kept = Vec::new();
    let mut written = Vec::new();
    for given in all {
        if let Ok(text) = step(given) {
            kept.push(given);
            written.push(text);
        }
    }
    assert!(kept.len() > 40, "{}", kept.len());
    let text = document(Vec::new(), written, vec!["no_foreign_data: all".into()]).to_string();
    let read = Scenario::parse("written", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let read = &read.variants()[0].workload;
    assert_eq!(read.len(), kept.len());
    for (given, read) in kept.iter().zip(read) {
        assert_eq!(given.action, read.action);
        assert_eq!(given.labelled, read.labelled);
        assert_eq!(
            (given.expected_errno, given.any_errno),
            (read.expected_errno, read.any_errno)
        );
    }
}

#[test]
fn what_is_no_part_of_a_history_is_refused() {
    let scenario = Scenario::parse("examples.yaml", EXAMPLES).unwrap();
    let all = &scenario.variants()[0].workload;
    let refused: Vec<String> = all
        .iter()
        .filter_map(|given| step(given).err())
        .map(|e| e.0)
        .collect();
    for name in ["Trace", "Pump", "Burst"] {
        assert!(
            refused.iter().any(|refused| refused == name),
            "{name}: {refused:?}"
        );
    }
}

#[test]
fn every_expectation_is_read_back_as_it_was() {
    let expect = "
  - content: {path: a, is: a@1, len: 4096}
    after: saved
  - content: {path: a, one_of: [a@1, zeros], len: 4096, or_absent: true}
  - content: {path: a, one_of: [a@1, zeros], offset: 512, len: 512}
  - content: {path: a, mix_of: [a@1, zeros], len: 4096}
  - content: {path: a, mix_of: [a@1, zeros], offset: 0, len: 4096}
    before: saved
  - exists: {path: a, type: file}
  - exists: {path: s, type: symlink, target: 'no where'}
  - absent: 'on'
  - size: {path: a, is: 4096}
  - size: {path: a, one_of: [0, 4096], or_absent: true}
  - size: {path: a, min: 1, max: 4096}
  - listing: {path: /, is: [a, 'b c']}
  - listing: {path: /, contains: [a], excludes: [x]}
  - attributes: {path: a, mode: 0o644, uid: 0, gid: 0, nlink: 1}
  - xattr: {path: a, name: user.x, is: '1'}
  - xattr: {path: a, name: user.x, absent: true}
  - no_foreign_data: all
  - no_foreign_data: /all
  - no_old_data: {path: a, than: a@1}
  - mounts: true
  - fsck: clean
  - dmesg_free: ['error: x']
";
    let text = format!(
        "format: 1\nname: all\nfilesystem: {{type: ext4, size: 64MiB}}\nworkload:\n  - write: {{path: a, len: 4096, content: a@1}}\n  - mark: saved\nexpect:{expect}outcome: observed\n"
    );
    let given = Scenario::parse("given", &text).unwrap_or_else(|e| panic!("{e}"));
    let given = &given.variants()[0];
    let steps = given.workload.iter().map(|s| step(s).unwrap()).collect();
    let written = given.expect.iter().map(|e| expectation(e).unwrap()).collect();
    let text = document(Vec::new(), steps, written).to_string();
    let read = Scenario::parse("written", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let bare = |expect: &[crate::scenario::Expectation]| -> Vec<_> {
        expect
            .iter()
            .map(|e| (e.check.clone(), e.after.clone(), e.before.clone()))
            .collect()
    };
    assert_eq!(bare(&given.expect), bare(&read.variants()[0].expect));
}

proptest! {
    #[test]
    fn any_path_is_read_back_as_it_was(path in "[ -~äß]{1,20}") {
        prop_assume!(crate::scenario::parse_path(&path).is_ok_and(|normal| normal == path));
        prop_assume!(!path.starts_with("fd:"));
        let text = op(&coldcut_wire::Op::Unlink(coldcut_wire::op::Unlink { path: path.clone() })).unwrap();
        let text = document(Vec::new(), vec![text], vec!["no_foreign_data: all".into()]).to_string();
        let read = Scenario::parse("written", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let Some(coldcut_wire::Op::Unlink(read)) = read.variants()[0].workload[0].op() else { panic!() };
        prop_assert_eq!(&read.path, &path);
    }
}
