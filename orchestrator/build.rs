//! Builds the static guest agent, to be carried inside the orchestrator.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROFILE: &str = "agent";

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let root = here.parent().expect("the workspace root").to_owned();
    // Relative, so that a target directory which was copied from another checkout sees this one's sources.
    for path in [
        "guest-agent/src",
        "guest-agent/Cargo.toml",
        "guest-agent/wire/src",
        "guest-agent/wire/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed=../{path}");
    }
    let target = agent_target(&out);
    let mut command = Command::new(env::var_os("CARGO").expect("set by cargo"));
    command
        .current_dir(&root)
        .args([
            "build",
            "--profile",
            PROFILE,
            "--package",
            "coldcut-agent",
            "--target",
            TARGET,
            "--locked",
        ])
        .arg("--target-dir")
        .arg(&target)
        // The agent's own flags, whatever the outer build has: no C library in the guest.
        .env(
            "RUSTFLAGS",
            "-C target-feature=+crt-static -C relocation-model=static",
        );
    let outer = [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
    ];
    for name in outer {
        command.env_remove(name);
    }
    let status = command.status().expect("cargo can be run");
    assert!(status.success(), "the guest agent does not build: {status}");
    let built = target.join(TARGET).join(PROFILE).join("coldcut-agent");
    std::fs::copy(&built, out.join("coldcut-agent")).expect("the agent was built and can be copied");
}

/// A target directory of the agent's own, because cargo holds the lock of the outer one; in that one, so that debug and
/// release builds, tests and clippy (for which cargo runs this anew) share it.
fn agent_target(out: &Path) -> PathBuf {
    let outer = out.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    outer.unwrap_or(out).join("agent")
}
