//! The `coldcut` command.
fn main() {}
