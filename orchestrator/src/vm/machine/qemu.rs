//! Finds QEMU and checks its version.

use std::path::PathBuf;
use std::time::Duration;

use crate::host::tool::{ToolError, last_words, run_tool};

/// Oldest QEMU that is known to do what coldcut needs (Debian 12's).
pub const OLDEST_QEMU: (u32, u32) = (7, 2);
const PROGRAM: &str = "qemu-system-x86_64";

/// An installed QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qemu {
    /// The program.
    pub path: PathBuf,
    /// Version, such as `10.0.2`.
    pub version: String,
}

/// Why there is no usable QEMU.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// It could not be run.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// Its answer names no version.
    #[error("`{program} --version` does not look like QEMU: {said}")]
    Unknown {
        /// The program.
        program: String,
        /// What it said.
        said: String,
    },
    /// It is too old.
    #[error("{program} is QEMU {found}, and coldcut needs {}.{} or newer", OLDEST_QEMU.0, OLDEST_QEMU.1)]
    TooOld {
        /// The program.
        program: String,
        /// Its version.
        found: String,
    },
}

impl Qemu {
    /// The QEMU named by `COLDCUT_QEMU`, else the one on the path.
    ///
    /// # Errors
    /// [`QemuError`].
    pub async fn find() -> Result<Self, QemuError> {
        let program = std::env::var("COLDCUT_QEMU").unwrap_or_else(|_| PROGRAM.to_owned());
        let ask = |command: &mut std::process::Command| {
            command.arg("--version");
        };
        let output = run_tool(&program, "qemu-system-x86", ask, Duration::from_secs(30)).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some(version) = parse_version(&said) else {
            let said = if said.is_empty() {
                last_words(&output)
            } else {
                said
            };
            return Err(QemuError::Unknown { program, said });
        };
        if version_pair(&version) < OLDEST_QEMU {
            return Err(QemuError::TooOld {
                program,
                found: version,
            });
        }
        Ok(Self {
            path: PathBuf::from(program),
            version,
        })
    }
}

/// `10.0.2` out of `QEMU emulator version 10.0.2 (Debian …)`.
fn parse_version(said: &str) -> Option<String> {
    let rest = said.lines().next()?.strip_prefix("QEMU emulator version ")?;
    let version = rest.split(' ').next()?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| version.to_owned())
}

fn version_pair(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let said = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright";
        assert_eq!(parse_version(said).as_deref(), Some("10.0.2"));
        assert!(parse_version("mksh 1.2").is_none());
        assert!(version_pair("7.1.99") < OLDEST_QEMU && version_pair("10.0.2") > OLDEST_QEMU);
        assert!(version_pair("7.2.0") >= OLDEST_QEMU);
    }
}
