//! Saved guests: a kernel booted once to the point where its agent answers, from which clones go on.
//!
//! [`key`] says which machines can share one, [`store`] keeps them in the cache, and a digest tells whether one
//! is still what was saved. Who makes and uses them is [`crate::vm::pool`]. What clones share is in `docs/templates.md`.

mod key;
mod store;

pub use key::TemplateKey;
pub use store::{Building, Listed, Template, TemplateError, TemplateStore};
