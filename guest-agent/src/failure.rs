//! Failures with the kernel's words.

use coldcut_wire::Failure;
use rustix::io::Errno;

/// Describes an errno as strerror(3) does, without the number.
pub(crate) fn strerror(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Makes a failure that no system call reported.
pub(crate) fn refuse(what: impl Into<String>) -> Failure {
    Failure {
        errno: None,
        what: what.into(),
    }
}

/// Turns an error into a [`Failure`] that says what was tried.
pub(crate) trait Tried<T> {
    /// `what` is such as `rename a b`; the kernel's words are added.
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T> Tried<T> for Result<T, Errno> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|errno| Failure {
            errno: Some(errno.raw_os_error()),
            what: format!("{}: {}", what(), strerror(errno)),
        })
    }
}

impl<T> Tried<T> for std::io::Result<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| match error.raw_os_error() {
            Some(raw) => Failure {
                errno: Some(raw),
                what: format!("{}: {}", what(), strerror(Errno::from_raw_os_error(raw))),
            },
            None => refuse(format!("{}: {error}", what())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_number_once() {
        let failed: Result<(), Errno> = Err(Errno::NOSPC);
        let failure = failed.tried(|| "write a at 4096".to_owned()).unwrap_err();
        assert_eq!(failure.errno, Some(28));
        assert_eq!(failure.what, "write a at 4096: No space left on device");
    }
}
