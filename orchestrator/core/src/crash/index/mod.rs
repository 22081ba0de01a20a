//! Random access to the content of any crash state.
//!
//! [`BlockIndex`] keeps, per 4 KiB block, the list of requests that touched it, in completion order. What a block holds
//! in a state is found by walking that list backwards from the cut until the block is covered by requests that the
//! state chooses; what remains is the base image's.

mod block_index;
mod digest;
mod dirty;
mod image;
mod replay;
mod resolve;

pub use block_index::{BLOCK, BlockIndex};
pub use digest::{Digest, DigestCursor, DigestError};
pub use image::{Sources, StateImage, StateView};
pub use replay::replay;
pub use resolve::Origins;
pub(in crate::crash) use resolve::coverage;
