//! The `coldcut` command.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use coldcut::cli::{self, Cli};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("COLDCUT_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("coldcut: cannot start: {error}");
            return ExitCode::from(cli::USAGE);
        }
    };
    let code = runtime.block_on(until_interrupted(cli));
    // Drops every task, and with them every machine and every temporary file.
    runtime.shutdown_timeout(Duration::from_secs(5));
    code
}

async fn until_interrupted(cli: Cli) -> ExitCode {
    let interrupted = async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::select! {
            _ = interrupt.recv() => std::io::Result::Ok(130),
            _ = terminate.recv() => Ok(143),
            _ = hangup.recv() => Ok(129),
        }
    };
    tokio::select! {
        result = cli::main(cli) => result.unwrap_or_else(|error| {
            eprintln!("coldcut: {error:#}");
            ExitCode::from(cli::USAGE)
        }),
        Ok(code) = interrupted => {
            eprintln!("coldcut: interrupted");
            ExitCode::from(code)
        }
    }
}
