//! Options about machines, and the pool that they describe.

use anyhow::Context as _;

use crate::host::scratch::Scratch;
use crate::kernel::Kernel;
use crate::recover::strategy::Strategy;
use crate::report::EventSink;
use crate::vm::machine::{Accel, AccelChoice, AccelDecision, Qemu, decide_accel};
use crate::vm::pool::{Pool, machine_spec, write_initrd};

/// How machines are run.
#[derive(Debug, clap::Args)]
pub(super) struct MachineArgs {
    /// How the guests' instructions are run; auto boots a kernel to see whether KVM works
    #[arg(long, value_enum, default_value_t = AccelChoice::Auto)]
    accel: AccelChoice,
    /// How many machines run at once [default: as many as processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    jobs: Option<u16>,
}

/// Who recovers crash states.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct TrustArgs {
    /// Who recovers crash states. By default: all are screened; every anomaly and one state of every distinct
    /// recovered tree is verified on a fresh clone. Every violation is confirmed by a cold boot, whatever the level
    #[arg(long, value_enum, value_name = "LEVEL")]
    trust: Option<TrustArg>,
}

/// Levels of trust, from the quickest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TrustArg {
    /// Guests that recover state after state
    Screen,
    /// A fresh clone for each state
    Fresh,
    /// A kernel booted for each state, and for the recording
    Cold,
}

impl TrustArgs {
    /// As the levels of trust take it.
    pub(super) fn strategy(self) -> Strategy {
        match self.trust {
            None => Strategy::Tiered,
            Some(TrustArg::Screen) => Strategy::Screen,
            Some(TrustArg::Fresh) => Strategy::Fresh,
            Some(TrustArg::Cold) => Strategy::Cold,
        }
    }
}

impl MachineArgs {
    /// How many machines run at once.
    pub(super) fn jobs(&self) -> usize {
        self.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, Into::into),
            usize::from,
        )
    }
}

/// Finds QEMU, decides on the accelerator and makes the private directory.
pub(super) async fn open_pool(
    args: &MachineArgs,
    events: EventSink,
    kernel: &Kernel,
) -> anyhow::Result<Pool> {
    let qemu = Qemu::find().await?;
    let scratch = Scratch::new().context("cannot make a private directory")?;
    let accel = if args.accel == AccelChoice::Auto {
        let initrd = scratch.path().join("probe.initrd");
        write_initrd(kernel, "ext4", None, &initrd)?;
        let undecided = AccelDecision {
            accel: Accel::Kvm,
            why: String::new(),
        };
        let probe = machine_spec(kernel, initrd, None, &undecided)?;
        decide_accel(
            args.accel,
            &qemu,
            &probe,
            &crate::kernel::Store::default_root()?,
            scratch.path(),
        )
        .await
    } else {
        decide_accel(
            args.accel,
            &qemu,
            &machine_spec(
                kernel,
                "".into(),
                None,
                &AccelDecision {
                    accel: Accel::Tcg,
                    why: String::new(),
                },
            )?,
            scratch.path(),
            scratch.path(),
        )
        .await
    };
    Ok(Pool::new(qemu, accel, scratch, events, args.jobs()))
}
