//! Options about machines, and about who recovers crash states.

use coldcut_core::oracle::cell::Strategy;
use coldcut_core::scenario::parse_size;

use crate::host::quota::QuotaSettings;
use crate::vm::machine::AccelChoice;
use crate::vm::open::MachineSettings;

/// How machines are run.
#[derive(Debug, clap::Args)]
pub(super) struct MachineArgs {
    /// How the guests' instructions are run; auto boots a kernel to see whether KVM works
    #[arg(long, value_enum, default_value_t = AccelChoice::Auto)]
    accel: AccelChoice,
    /// How many machines run at once [default: as many as processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    jobs: Option<u16>,
    /// What a recording may have at most, and what a machine may write; more is inconclusive
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = parse_size)]
    max_recording: u64,
    /// What the recordings of a run may have at most, in all
    #[arg(long, value_name = "SIZE", default_value = "64GiB", value_parser = parse_size)]
    max_run: u64,
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
    /// As pools take it.
    pub(super) fn settings(&self) -> MachineSettings {
        let jobs = self.jobs.map(usize::from);
        MachineSettings {
            accel: self.accel,
            jobs: jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)),
            quota: QuotaSettings {
                recording: self.max_recording,
                run: self.max_run,
            },
        }
    }
}
