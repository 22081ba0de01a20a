//! Standard output and standard error, whose readers may go away: a closed pipe is no defect of ours.

use std::fmt;
use std::io::{self, Write as _};

use super::clean::clean;

/// Why something was not printed.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader closed its end.
    #[error("standard output is closed")]
    Closed,
    /// Anything else.
    #[error("cannot write to standard output: {0}")]
    Write(io::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Write(error),
        }
    }
}

/// Prints to standard output.
///
/// # Errors
/// [`OutputError`].
pub fn print(text: fmt::Arguments<'_>) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(clean(text).as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints to standard error, if possible.
pub fn print_error(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_all(clean(text).as_bytes());
}

/// Prints a line to standard output; gives `Result<(), OutputError>`.
macro_rules! outln {
    ($($part:tt)*) => {
        $crate::report::stdout::print(::std::format_args!("{}\n", ::std::format_args!($($part)*)))
    };
}

/// Prints to standard output; gives `Result<(), OutputError>`.
macro_rules! out {
    ($($part:tt)*) => { $crate::report::stdout::print(::std::format_args!($($part)*)) };
}

/// Prints a line to standard error, if possible.
macro_rules! errln {
    ($($part:tt)*) => {
        $crate::report::stdout::print_error(::std::format_args!("{}\n", ::std::format_args!($($part)*)))
    };
}

pub(crate) use {errln, out, outln};
