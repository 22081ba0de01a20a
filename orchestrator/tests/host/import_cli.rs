//! `coldcut import`: workloads of other tools become scenarios, or an error that shows the line.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use coldcut_core::scenario::Scenario;

const GOOD: &str = "# define\ntest\nA\nfoo\nA/bar\n\n# declare\n\n# setup\nmkdir A 0777\n\n# run\n\
                    open Abar O_RDWR|O_CREAT 0777\nwrite Abar 0 4096\nfsync Abar\ncheckpoint 1\nclose Abar\n";

fn jlang(path: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coldcut"))
        .args(["import", "jlang"])
        .arg(path)
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn a_directory_of_workloads_becomes_scenarios() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("w2"), GOOD).unwrap();
    fs::write(from.join("w10"), GOOD.replace("fsync", "fdatasync")).unwrap();
    fs::write(from.join(".hidden"), "no workload").unwrap();
    let to = dir.path().join("to");
    let output = jlang(&from, &["-o", to.to_str().unwrap(), "--fs", "xfs"]);
    assert!(output.status.success(), "{output:?}");
    for name in ["w2", "w10"] {
        let path = to.join(format!("{name}.yaml"));
        let scenario = Scenario::parse(name, &fs::read_to_string(&path).unwrap()).unwrap();
        let [variant] = scenario.variants() else {
            panic!("one variant")
        };
        assert_eq!(scenario.name, name);
        assert_eq!(variant.filesystem.fstype.name(), "xfs");
        assert_eq!((variant.setup.len(), variant.workload.len()), (1, 5));
    }
    assert_eq!(fs::read_dir(&to).unwrap().count(), 2);
}

#[test]
fn one_workload_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w1");
    fs::write(&path, GOOD).unwrap();
    let output = jlang(&path, &[]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    Scenario::parse("printed", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
}

#[test]
fn what_cannot_be_mapped_is_an_error_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w1");
    fs::write(&path, GOOD.replace("fsync Abar", "mknod Abar")).unwrap();
    let output = jlang(&path, &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("line 15: expected one of open,"), "{said}");
    assert!(said.contains("found `mknod`"), "{said}");
    let output = jlang(&path, &["--fs", "ntfs"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("there is no filesystem `ntfs`"),
        "{said}"
    );
}
