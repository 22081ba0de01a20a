//! The `coldcut` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    coldcut::cli::start()
}
