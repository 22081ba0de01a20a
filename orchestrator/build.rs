//! Builds the static guest agent, to be carried inside the orchestrator.

use std::env;
use std::path::PathBuf;
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROFILE: &str = "agent";

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let root = here.parent().expect("the workspace root").to_owned();
    for path in [
        "guest-agent/src",
        "guest-agent/Cargo.toml",
        "guest-agent/wire/src",
        "guest-agent/wire/Cargo.toml",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
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
        // A target directory of its own: cargo holds the lock of the outer one.
        .arg("--target-dir")
        .arg(out.join("agent"))
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
    let built = out.join("agent").join(TARGET).join(PROFILE).join("coldcut-agent");
    std::fs::copy(&built, out.join("coldcut-agent")).expect("the agent was built and can be copied");
}
