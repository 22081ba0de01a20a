//! The second half of a cell: recovering crash states.
//!
//! `images` cuts a recording, [`recoverer`] recovers one image, `rounds` recovers those that a strategy asks for,
//! `explore` those that complete plans ask for, and
//! `again` cuts those recoveries off. What
//! is asked for, and what is made of it, is [`coldcut_core::oracle::cell`]'s.

pub(crate) mod again;
pub(crate) mod explore;
pub(crate) mod images;
pub mod programs;
pub mod recoverer;
pub(crate) mod remembered;
pub(crate) mod rounds;
