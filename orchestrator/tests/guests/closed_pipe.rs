//! A command whose output nobody reads any more ends quietly.

use std::io::{Read as _, pipe};
use std::process::{Command, Stdio};

use crate::common;

/// What a shell gives for SIGPIPE.
const CLOSED: i32 = 141;

/// Runs a command with its standard output, or with both outputs, closed: its exit code, and what it said on the other.
fn closed(mut command: Command, both: bool) -> (Option<i32>, String) {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let (mut said, error) = pipe().unwrap();
    if both {
        command.stderr(writer.try_clone().unwrap());
        drop(error);
    } else {
        command.stderr(error);
    }
    let mut child = command.stdin(Stdio::null()).stdout(writer).spawn().unwrap();
    drop(command);
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code(), text)
}

#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let story = "scenarios/stories/3-rename-without-dir-fsync.yaml";
    let made = dir.path().join("made");
    let commands: [&[&str]; 7] = [
        &["check", story],
        &["matrix", "--mounts", "ext4", "--list"],
        &["generate", "--seed", "1", made.to_str().unwrap()],
        &["kernel", "list"],
        &["kernel", "list", "--json"],
        &["kernel", "gc", "--dry-run"],
        &["doctor"],
    ];
    for args in commands {
        for both in [false, true] {
            let mut command = common::coldcut(dir.path());
            command.args(args);
            let (code, text) = closed(command, both);
            assert_eq!((code, text.as_str()), (Some(CLOSED), ""), "{args:?}");
        }
    }
    // What the user typed is wrong, whether or not anybody is told so.
    let mut wrong = common::coldcut(dir.path());
    wrong.args(["run", "nowhere.yaml", "-k", "6.12"]);
    assert_eq!(closed(wrong, true).0, Some(2));
}

#[test]
fn a_run_is_kept_and_judged_though_nobody_reads_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = dir.path().join("lost.yaml");
    let text = "format: 1\nname: lost\nfilesystem: {type: ext4, size: 16MiB}\nworkload: [{create: {path: new}}, {mark: saved}]\n\
                expect: [{exists: {path: new}, after: saved}]\noutcome: holds\n";
    std::fs::write(&scenario, text).unwrap();
    for json in [false, true] {
        let mut command = common::coldcut(dir.path());
        command.arg("run").arg(&scenario).args(["-k", "6.12"]);
        if json {
            command.arg("--json");
        }
        let (code, text) = closed(command, json);
        assert_eq!(code, Some(1), "not as declared: {text}");
        let result = coldcut::results::load_result(&dir.path().join("latest")).unwrap();
        assert_eq!((result.cells.len(), result.totals.not_as_declared), (1, 1));
    }
    // A report on it is that run's, too.
    let mut show = common::coldcut(dir.path());
    show.args(["show", "latest"]);
    assert_eq!(closed(show, true).0, Some(1));
    let mut show = common::coldcut(dir.path());
    show.args(["show", "latest", "--json"]);
    assert_eq!(closed(show, true).0, Some(CLOSED));
}
