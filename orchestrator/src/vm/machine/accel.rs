//! How the guest's instructions are run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Machine, MachineError, MachineSpec, Qemu};
use crate::host::cache::replace_file;

/// An accelerator of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accel {
    /// The processor's own virtualisation.
    Kvm,
    /// Software emulation.
    Tcg,
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AccelChoice {
    /// KVM when a kernel really boots with it here, else TCG.
    #[default]
    Auto,
    /// KVM or fail.
    Kvm,
    /// Software emulation.
    Tcg,
}

impl std::fmt::Display for Accel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

/// How long a kernel may take to come up under KVM before KVM counts as unusable. A working one takes a second.
const PROBE_LIMIT: Duration = Duration::from_secs(25);

/// The accelerator that will be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccelDecision {
    /// Which.
    pub accel: Accel,
    /// Why, in a few words.
    pub why: String,
}

/// A probe's answer, good for this boot of this machine and this QEMU.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    boot_id: String,
    qemu: String,
    decision: AccelDecision,
}

/// Decides on the accelerator. `Auto` boots `probe` under KVM, because a `/dev/kvm` that opens may still hang stock
/// kernels (nested, paravirtual hosts), and remembers the answer in `cache` until the machine is rebooted.
pub async fn decide_accel(
    choice: AccelChoice,
    qemu: &Qemu,
    probe: &MachineSpec,
    cache: &Path,
    scratch: &Path,
) -> AccelDecision {
    match choice {
        AccelChoice::Kvm => AccelDecision {
            accel: Accel::Kvm,
            why: "as asked".into(),
        },
        AccelChoice::Tcg => AccelDecision {
            accel: Accel::Tcg,
            why: "as asked".into(),
        },
        AccelChoice::Auto => {
            if let Err(error) = fs::File::options().read(true).write(true).open("/dev/kvm") {
                return AccelDecision {
                    accel: Accel::Tcg,
                    why: format!("/dev/kvm cannot be opened: {error}"),
                };
            }
            let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            let file = cache.join("accel.json");
            let known = fs::read(&file)
                .ok()
                .and_then(|text| serde_json::from_slice::<Remembered>(&text).ok());
            if let Some(known) =
                known.filter(|k| !boot_id.is_empty() && k.boot_id == boot_id && k.qemu == qemu.version)
            {
                return known.decision;
            }
            let decision = probe_kvm(qemu, probe, scratch).await;
            let remembered = Remembered {
                boot_id,
                qemu: qemu.version.clone(),
                decision,
            };
            // What cannot be remembered is probed again.
            if let Ok(text) = serde_json::to_vec_pretty(&remembered) {
                let written = |to: &mut fs::File| std::io::Write::write_all(to, &text);
                let _ = fs::create_dir_all(cache).map(|()| replace_file(&file, written));
            }
            remembered.decision
        }
    }
}

async fn probe_kvm(qemu: &Qemu, probe: &MachineSpec, scratch: &Path) -> AccelDecision {
    let spec = MachineSpec {
        accel: Accel::Kvm,
        disks: Vec::new(),
        ..probe.clone()
    };
    match Machine::boot(qemu, &spec, &scratch.join("kvm-probe.log"), PROBE_LIMIT).await {
        Ok(machine) => {
            let millis = machine.boot_time.as_millis();
            machine.kill().await;
            AccelDecision {
                accel: Accel::Kvm,
                why: format!("a kernel booted under KVM in {millis} ms"),
            }
        }
        Err(error) => {
            let why = match error {
                MachineError::Boot { .. } => {
                    format!("no kernel came up with it in {} s", PROBE_LIMIT.as_secs())
                }
                error => error.to_string().lines().next().unwrap_or_default().to_owned(),
            };
            AccelDecision {
                accel: Accel::Tcg,
                why: format!("/dev/kvm opens, but {why}"),
            }
        }
    }
}
