//! How a long operation of the store reports its progress.

/// Receives the progress of a pull. Implementations draw a bar, print lines, or nothing.
pub trait Progress {
    /// A new stage begins, such as "reading the package lists".
    fn stage(&self, text: &str);
    /// `done` of `total` bytes of the present stage.
    fn bytes(&self, done: u64, total: u64);
    /// Something the user should know, though it does not stop the operation.
    fn note(&self, text: &str);
}

/// Reports nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _text: &str) {}
    fn bytes(&self, _done: u64, _total: u64) {}
    fn note(&self, _text: &str) {}
}
