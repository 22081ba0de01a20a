//! The start of the `coldcut` command: arguments, logging, the runtime, interrupts, the exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{ABORT, Cli, USAGE};
use crate::report::stdout::{self, OutputError};

/// The exit code where nobody reads what a command prints: as a shell gives it for SIGPIPE.
const CLOSED: u8 = 141;

/// Runs the command that the process's arguments give, and returns its exit code.
///
/// The whole of it is here, not in the binary: what waits for a future compiles all that the future does.
pub fn start() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // What is printed may have no reader.
            let _ = error.print();
            let bisecting = || std::env::args().any(|arg| arg.starts_with("--bisect"));
            return if error.use_stderr() && bisecting() {
                ExitCode::from(ABORT)
            } else {
                ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
            };
        }
    };
    log_to_stderr();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            stdout::print_error(format_args!("coldcut: cannot start: {error}\n"));
            return ExitCode::from(USAGE);
        }
    };
    // A panic is a defect of ours. Its own code, 101, would tell `git bisect run` that the kernel is bad.
    let run = std::panic::AssertUnwindSafe(|| runtime.block_on(until_interrupted(cli)));
    let code = std::panic::catch_unwind(run).unwrap_or(ExitCode::from(ABORT));
    // Drops every task, and with them every machine and every temporary file.
    runtime.shutdown_timeout(Duration::from_secs(5));
    code
}

/// What goes wrong goes to standard error; `COLDCUT_LOG` says more, such as `debug` or `coldcut::disk=trace`.
fn log_to_stderr() {
    let wanted = std::env::var("COLDCUT_LOG").ok();
    let filter = wanted
        .filter(|text| !text.is_empty())
        .and_then(|text| text.parse::<Targets>().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::ERROR));
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .with(filter)
        .init();
}

async fn until_interrupted(cli: Cli) -> ExitCode {
    let interrupted = async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut quit = signal(SignalKind::quit())?;
        tokio::select! {
            _ = interrupt.recv() => std::io::Result::Ok(130),
            _ = terminate.recv() => Ok(143),
            _ = hangup.recv() => Ok(129),
            _ = quit.recv() => Ok(131),
        }
    };
    tokio::select! {
        result = super::main(cli) => result.unwrap_or_else(|error| {
            if let Some(OutputError::Closed) = error.downcast_ref() {
                return ExitCode::from(CLOSED);
            }
            stdout::print_error(format_args!("coldcut: {error:#}\n"));
            ExitCode::from(USAGE)
        }),
        Ok(code) = interrupted => {
            stdout::print_error(format_args!("coldcut: interrupted\n"));
            ExitCode::from(code)
        }
    }
}
