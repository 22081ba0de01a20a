//! `scripts/setup` looks at the compiler before it installs anything.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::common::root;

#[test]
fn an_old_compiler_is_refused_in_a_line_that_says_what_to_install() {
    let dir = tempfile::tempdir().unwrap();
    let rustc = dir.path().join("rustc");
    fs::write(&rustc, "#!/bin/sh\necho 'rustc 1.85.0 (4d91de4e4 2025-02-17)'\n").unwrap();
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new(root().join("scripts/setup"))
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("Rust is 1.85.0, which is too old; install Rust "),
        "{said}"
    );
    assert!(said.contains("rustup default stable"), "{said}");
}
