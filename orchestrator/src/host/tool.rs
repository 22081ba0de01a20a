//! Host tools, such as mkfs and the checkers: run to their end, with a deadline, and errors that name the package.

use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use coldcut_core::outcome::unknown::TimedOut;

use super::capture::{Captured, capture};

/// Why a host tool gave no usable result.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed.
    #[error("`{tool}` is not installed; `make setup` installs it, or install the Debian package `{package}`")]
    Missing {
        /// The program.
        tool: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// It could not be started or waited for.
    #[error("`{tool}` could not be run: {source}")]
    Run {
        /// The program.
        tool: String,
        /// Why.
        source: io::Error,
    },
    /// It did not end in time and was killed.
    #[error("`{tool}` did not end within {} s and was killed", limit.as_secs())]
    Timeout {
        /// The program.
        tool: String,
        /// The deadline.
        limit: Duration,
        /// What kind of error it is.
        source: TimedOut,
    },
    /// It failed.
    #[error("`{command}` failed with {status}: {message}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Its last words.
        message: String,
    },
}

/// Runs a host tool to its end and collects what it prints, with a deadline. The caller judges the exit code.
///
/// # Errors
/// [`ToolError`], but never `Failed`.
pub async fn run_tool(
    tool: &str,
    package: &'static str,
    configure: impl FnOnce(&mut Command),
    limit: Duration,
) -> Result<Captured, ToolError> {
    let mut command = Command::new(tool);
    configure(&mut command);
    let tool = tool.to_owned();
    match capture(command, limit).await {
        Ok(Some(captured)) => Ok(captured),
        Ok(None) => Err(ToolError::Timeout {
            tool,
            limit,
            source: TimedOut,
        }),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Err(ToolError::Missing { tool, package }),
        Err(source) => Err(ToolError::Run { tool, source }),
    }
}

/// The end of what a tool printed, for an error message: its standard error, else its output; 2000 bytes at most.
pub fn last_words(output: &Captured) -> String {
    let text = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    let mut start = text.len().saturating_sub(2000);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tool_that_hangs_is_killed_at_its_deadline() {
        let limit = Duration::from_millis(50);
        let hang = |command: &mut Command| {
            command.arg("1000");
        };
        let error = run_tool("sleep", "coreutils", hang, limit).await.unwrap_err();
        assert!(matches!(error, ToolError::Timeout { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_missing_tool_names_its_package() {
        let error = run_tool("no-such-tool", "some-package", |_| {}, Duration::from_secs(5))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("some-package"), "{error}");
    }
}
