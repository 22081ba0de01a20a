//! The command line.

mod bench;
mod bisect;
mod cells;
mod check;
mod diff;
mod doctor;
mod explore;
mod findings;
mod generate;
mod import;
pub mod kernel;
mod kernel_build;
mod log;
mod machines;
mod matrix;
mod merge;
mod minimize;
mod programs;
mod replay;
mod reports;
mod run;
mod show;
mod start;
mod stories;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use coldcut_core::filesystem::FsType;

pub use start::start;

/// Exit code for a wrong command line, a wrong scenario, or a machine that lacks something.
pub const USAGE: u8 = 2;

/// Exit code that ends a `git bisect run`, where [`USAGE`] would count as bad.
pub const ABORT: u8 = 255;

/// Cuts the power at every write barrier of a Linux filesystem workload, reboots, and says what survived.
#[derive(Debug, Parser)]
#[command(name = "coldcut", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios: record, cut, recover, judge
    Run(run::RunArgs),
    /// Show whether programs keep what they acknowledge, on every kernel, as a grid
    Programs(programs::ProgramsArgs),
    /// Reproduce the war stories on every kernel, and show what happened as a grid
    Stories(stories::StoriesArgs),
    /// Validate scenario files without running them
    Check(check::CheckArgs),
    /// Make scenarios up: random histories, and what their syncs promise
    Generate(generate::GenerateArgs),
    Explore(Box<explore::ExploreArgs>),
    Minimize(minimize::MinimizeArgs),
    /// Show what a run found, in groups of what is alike
    Findings(findings::FindingsArgs),
    /// Make scenarios of workloads that other tools use
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Show a run's results again
    Show(show::ShowArgs),
    /// Run scenarios in every mode of a filesystem that promises what they expect
    Matrix(Box<matrix::MatrixArgs>),
    /// Put runs together: the parts of a run that was shared out, or runs without a cell in common
    Merge(merge::MergeArgs),
    /// Recover and judge one crash state of a run again, verbosely
    Replay(replay::ReplayArgs),
    Bisect(Box<bisect::BisectArgs>),
    Diff(diff::DiffArgs),
    /// The kernel store
    #[command(subcommand)]
    Kernel(kernel::KernelCommand),
    /// Write logs and their crash states, without a machine: also for logs of dm-log-writes and QEMU
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Measure, always beside a peer in the same run
    Bench(bench::BenchArgs),
    /// Say what this machine has and lacks
    Doctor(doctor::DoctorArgs),
}

/// Where runs are kept.
#[derive(Debug, clap::Args)]
pub struct ResultsArg {
    /// Directory of all runs
    #[arg(long, value_name = "DIR", env = "COLDCUT_RESULTS", default_value = "results")]
    results: PathBuf,
}

/// Runs the command; an error is for the user to read.
///
/// # Errors
/// Whatever kept the command from doing its work: exit code [`USAGE`].
async fn main(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Run(args) => run::run(args).await,
        Command::Programs(args) => programs::run(args).await,
        Command::Stories(args) => stories::run(args).await,
        Command::Check(args) => check::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Explore(args) => Box::pin(explore::run(*args)).await,
        Command::Minimize(args) => Box::pin(minimize::run(args)).await,
        Command::Findings(args) => findings::run(&args),
        Command::Import(command) => import::run(&command),
        Command::Show(args) => show::run(&args),
        Command::Matrix(args) => matrix::run(*args).await,
        Command::Merge(args) => tokio::task::spawn_blocking(move || merge::run(&args)).await?,
        Command::Replay(args) => replay::run(args).await,
        Command::Diff(args) => Box::pin(diff::run(args)).await,
        Command::Bisect(args) => Box::pin(bisect::run(*args)).await,
        Command::Kernel(command) => {
            tokio::task::spawn_blocking(move || kernel::run(command)).await??;
            Ok(ExitCode::SUCCESS)
        }
        Command::Log(command) => log::run(command).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Doctor(args) => doctor::run(&args).await,
    }
}

/// A filesystem by its name, as an option's value.
fn fstype(name: &str) -> Result<FsType, String> {
    FsType::named(name).ok_or_else(|| {
        let names: Vec<&str> = FsType::all().map(FsType::name).collect();
        format!("there is no filesystem `{name}`; there are {}", names.join(", "))
    })
}
