//! Runs that somebody else made: whatever is in them, nothing outside of them is touched, and no count is believed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use coldcut_core::outcome::verdict::{Declared, Verdict};
use rustix::fs::{CWD, FileType, Mode};

use super::common;
use super::reports::{cell_ref, coldcut, info, result, violates, write_run};

/// A run of one cell, whose verdict is as declared.
fn sound(results: &Path) -> PathBuf {
    let cell = cell_ref("control", "6.1");
    let cells = vec![result(cell.clone(), &Declared::Holds, Verdict::Pass)];
    write_run(results, &info("run-1", &[cell], None), cells)
}

/// Puts `new` in place of `old` in every file of the run that says what it is.
fn replace(run: &Path, old: &str, new: &str) {
    for name in ["run.json", "result.json", "events.jsonl"] {
        let text = fs::read_to_string(run.join(name)).unwrap_or_default();
        if !text.is_empty() {
            fs::write(run.join(name), text.replace(old, new)).unwrap();
        }
    }
}

/// Everything below a directory, with what is in it.
fn everything(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        found.push((path.clone(), fs::read(&path).unwrap_or_default()));
    }
    found.sort();
    found
}

#[test]
fn names_in_a_run_do_not_lead_out_of_it() {
    let id = "\"rename.control.6.1\"";
    for (what, old, new) in [
        ("absolute id", id, "\"OUTSIDE\""),
        ("id with dots", id, "\"../../../outside/victim\""),
        ("scenario with dots", "\"rename\"", "\"../../../outside/rename\""),
        ("absolute scenario", "\"rename\"", "\"OUTSIDE/rename\""),
    ] {
        let base = tempfile::tempdir().unwrap();
        let (results, outside) = (base.path().join("results"), base.path().join("outside"));
        let victim = outside.join("victim");
        for dir in [&results, &victim.join("consoles")] {
            fs::create_dir_all(dir).unwrap();
        }
        for file in ["base.img", "write.log", "consoles/record.log"] {
            fs::write(victim.join(file), "precious").unwrap();
        }
        fs::write(outside.join("rename.yaml"), "precious").unwrap();
        let run = sound(&results);
        replace(&run, old, &new.replace("OUTSIDE", victim.to_str().unwrap()));
        let before = (everything(&outside), everything(&results));
        for args in [
            &["merge", "run-1"][..],
            &["show", "run-1"],
            &["replay", "run-1/x/b1-d"],
            &["diff", "run-1", "run-1"],
        ] {
            let output = coldcut(&results, args);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{what} {args:?}: {}",
                common::text(&output)
            );
        }
        assert_eq!((everything(&outside), everything(&results)), before, "{what}");
    }
}

#[test]
fn links_in_a_run_do_not_lead_out_of_it() {
    for link in [
        "cells",
        "cells/rename.control.6.1",
        "cells/rename.control.6.1/consoles",
    ] {
        let base = tempfile::tempdir().unwrap();
        let (results, outside) = (base.path().join("results"), base.path().join("outside"));
        for dir in [&results, &outside] {
            fs::create_dir(dir).unwrap();
        }
        fs::write(outside.join("secret"), "precious").unwrap();
        let run = sound(&results);
        fs::remove_dir_all(run.join(link)).unwrap();
        symlink(&outside, run.join(link)).unwrap();
        let before = everything(&results);
        let output = coldcut(&results, &["merge", "run-1"]);
        assert_eq!(output.status.code(), Some(2), "{link}: {}", common::text(&output));
        assert_eq!(
            everything(&results),
            before,
            "a failed merge of {link} leaves nothing"
        );
        assert!(!results.join("latest").exists());
    }
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    for name in ["run.json", "result.json", "events.jsonl", "scenarios/rename.yaml"] {
        let base = tempfile::tempdir().unwrap();
        let run = sound(base.path());
        // Events are read where the result is not whole.
        let _ = fs::remove_file(run.join("result.json"));
        let _ = fs::remove_file(run.join(name));
        let (fifo, mode) = (run.join(name), Mode::RUSR | Mode::WUSR);
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        let start = Instant::now();
        let output = coldcut(base.path(), &["merge", run.to_str().unwrap(), "--unfinished"]);
        assert_eq!(output.status.code(), Some(2), "{name}: {}", common::text(&output));
        assert!(start.elapsed() < Duration::from_secs(30), "{name}");
    }
    let base = tempfile::tempdir().unwrap();
    for path in ["/dev/zero", "/dev/tty"] {
        let output = coldcut(base.path(), &["check", path]);
        assert_eq!(output.status.code(), Some(2), "{path}");
    }
}

#[test]
fn no_stored_sum_is_believed() {
    let base = tempfile::tempdir().unwrap();
    let cell = cell_ref("control", "6.1");
    let cells = vec![result(cell.clone(), &Declared::Holds, violates())];
    let run = write_run(base.path(), &info("run-1", &[cell], None), cells);
    replace(&run, "\"as_declared\":0", "\"as_declared\":7");
    replace(&run, "\"not_as_declared\":1", "\"not_as_declared\":0");
    let output = coldcut(base.path(), &["show", "run-1"]);
    assert_eq!(output.status.code(), Some(1), "{}", common::text(&output));
    // A standing that does not follow from the verdict.
    replace(
        &run,
        "\"standing\":\"not-as-declared\"",
        "\"standing\":\"as-declared\"",
    );
    let output = coldcut(base.path(), &["show", "run-1"]);
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("rename.control.6.1") && text.contains("damaged"),
        "{text}"
    );
}
