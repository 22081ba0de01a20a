//! `coldcut log …`: the crash-state engine for anybody with a write log.

mod check;
mod describe;
mod digests;
mod export;
mod list;
mod opened;
mod spec;

use std::process::ExitCode;

use clap::Subcommand;

/// Commands of `coldcut log`.
#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Say what a log holds and what is doubtful about it
    Info(describe::InfoArgs),
    /// List a log's entries
    Entries(describe::EntriesArgs),
    /// List what became durable, barrier by barrier
    Epochs(describe::EpochsArgs),
    /// List the crash states of a plan
    States(list::StatesArgs),
    /// Write a crash state as a disk image, or a log cut, filtered or in the other order
    Export(export::ExportArgs),
    /// Write another tool's log as one that names its order and its device's size
    Import(export::ImportArgs),
    /// Print digests of crash states: equal exactly where contents are equal
    Hash(digests::HashArgs),
    /// Run a checker of your own over every crash state
    Check(check::CheckArgs),
}

/// Runs the command; an error is for the user to read.
///
/// # Errors
/// Whatever kept the command from doing its work.
pub(super) async fn run(command: LogCommand) -> anyhow::Result<ExitCode> {
    match command {
        LogCommand::Info(args) => describe::info(&args),
        LogCommand::Entries(args) => describe::entries(&args),
        LogCommand::Epochs(args) => describe::epochs(&args),
        LogCommand::States(args) => list::states(&args),
        LogCommand::Export(args) => export::export(&args),
        LogCommand::Import(args) => export::import(&args),
        LogCommand::Hash(args) => digests::hash(&args),
        LogCommand::Check(args) => return check::check(args).await,
    }?;
    Ok(ExitCode::SUCCESS)
}
