//! The `coldcut` command.

use clap::{Parser, Subcommand};
use coldcut::cli::kernel::KernelCommand;

#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The store of kernels to test
    #[command(subcommand)]
    Kernel(KernelCommand),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Kernel(command) => coldcut::cli::kernel::run(command),
    }
}
