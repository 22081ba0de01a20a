//! `coldcut bench`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// The crash-state engine on a long synthetic log, beside a replay of the log from its start
    Core {
        /// Entries of the log
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=50_000_000))]
        entries: u32,
    },
    /// The disk under test: requests a second through its socket, beside qemu-nbd
    Device {
        /// Seconds for each of the two
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
        seconds: u64,
    },
}

pub(super) fn run(command: &BenchCommand) -> anyhow::Result<ExitCode> {
    let report = match command {
        BenchCommand::Core { entries } => crate::bench::core(*entries)?.to_string(),
        BenchCommand::Device { seconds } => crate::bench::device(Duration::from_secs(*seconds))?.to_string(),
    };
    print!("{report}");
    Ok(ExitCode::SUCCESS)
}
