//! `coldcut bench`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;

use super::machines::MachineArgs;
use coldcut_core::crash::state::PlanKind;

use crate::bench::{RecoveryOptions, StatesOptions};
use crate::report::EventSink;
use crate::report::stdout::out;
use crate::vm::pool::Pool;
use crate::vm::templates::Templates;

/// Without a subcommand: `recovery`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    command: Option<BenchCommand>,
    #[command(flatten)]
    recovery: RecoveryArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Keeping and reporting the results of many cells, beside writing everything anew for every cell
    Bookkeeping,
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
    /// What a crash state costs: cold boots, fresh clones, screening and the host's loop mounts, of one recording
    Recovery(RecoveryArgs),
    /// Every crash state of fixed recordings, covered by what recoveries read, beside the plans that recover each
    /// distinct image
    States(StatesArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct StatesArgs {
    /// Kernel of the store
    #[arg(short, long, default_value = "6.12")]
    kernel: String,
    /// Only recordings whose names contain this, such as ext4 or, with --modes, 1k-blocks
    #[arg(long, default_value = "")]
    only: String,
    /// Tear writes at the atomic unit too
    #[arg(long)]
    torn: bool,
    /// Measure in every other mode of each filesystem too
    #[arg(long)]
    modes: bool,
    /// Recoveries for each recording, at most
    #[arg(long, default_value_t = 2000)]
    most: u64,
    /// States of each recording that are recovered although an earlier recovery answers for them
    #[arg(long, default_value_t = 100)]
    check: u64,
    /// States of one cut that the sampled plan draws, at most
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    per_cut: u32,
    #[command(flatten)]
    machines: MachineArgs,
}

async fn states(args: StatesArgs) -> anyhow::Result<ExitCode> {
    let kernel = Arc::new(crate::kernel::Store::open_default()?.find(&args.kernel)?);
    let pool = Pool::open(args.machines.settings(), EventSink::new(Vec::new()), &kernel).await?;
    let templates = Templates::open(&crate::kernel::Store::default_root()?)?;
    let pool = Arc::new(pool.with_templates(templates));
    let options = StatesOptions {
        kernel,
        only: args.only,
        plan: if args.torn {
            PlanKind::AllTorn
        } else {
            PlanKind::All
        },
        modes: args.modes,
        most: args.most,
        per_cut: args.per_cut,
        check: args.check,
    };
    crate::bench::states(&pool, &options, |report| println!("{report}")).await?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, clap::Args)]
pub(super) struct RecoveryArgs {
    /// Kernel of the store
    #[arg(short, long, default_value = "6.12")]
    kernel: String,
    /// Turns that each way gets
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    turns: u16,
    #[command(flatten)]
    machines: MachineArgs,
}

async fn recovery(args: &RecoveryArgs) -> anyhow::Result<ExitCode> {
    let kernel = Arc::new(crate::kernel::Store::open_default()?.find(&args.kernel)?);
    let pool = Pool::open(args.machines.settings(), EventSink::new(Vec::new()), &kernel).await?;
    let options = RecoveryOptions {
        qemu: pool.qemu.clone(),
        accel: pool.accel.clone(),
        kernel,
        turns: args.turns.into(),
    };
    drop(pool);
    out!("{}", Box::pin(crate::bench::recovery(options)).await?)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        None => Box::pin(recovery(&args.recovery)).await,
        Some(BenchCommand::Recovery(args)) => Box::pin(recovery(&args)).await,
        Some(BenchCommand::States(args)) => states(args).await,
        Some(command) => tokio::task::spawn_blocking(move || measure(&command)).await?,
    }
}

fn measure(command: &BenchCommand) -> anyhow::Result<ExitCode> {
    let report = match command {
        BenchCommand::Recovery(_) | BenchCommand::States(_) => return Ok(ExitCode::SUCCESS),
        BenchCommand::Bookkeeping => crate::bench::bookkeeping()?.to_string(),
        BenchCommand::Core { entries } => crate::bench::core(*entries)?.to_string(),
        BenchCommand::Device { seconds } => crate::bench::device(Duration::from_secs(*seconds))?.to_string(),
    };
    out!("{report}")?;
    Ok(ExitCode::SUCCESS)
}
