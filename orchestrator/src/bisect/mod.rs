//! Finds the kernel that changed something: runs kernels and keeps what they showed. The search itself is
//! [`coldcut_core::search`].

pub mod care;
pub mod commits;
pub mod conclusion;
pub mod drive;
pub mod git;
pub mod git_drive;
pub mod journal;
pub mod line;
pub mod obtain;
pub mod question;
pub mod releases;
pub mod report;
pub mod request;
