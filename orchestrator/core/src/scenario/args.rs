//! Arguments of steps, as the system calls take them.

use coldcut_wire::FallocateMode;

use super::step_doc::FallocateModeDoc;
use super::yaml::at::At;
use super::yaml::error::Problem;

/// The mode of fallocate(2); allocation when none is given.
pub(super) fn fallocate_mode(mode: Option<FallocateModeDoc>) -> FallocateMode {
    match mode {
        None | Some(FallocateModeDoc::Allocate) => FallocateMode::Allocate,
        Some(FallocateModeDoc::KeepSize) => FallocateMode::KeepSize,
        Some(FallocateModeDoc::PunchHole) => FallocateMode::PunchHole,
        Some(FallocateModeDoc::ZeroRange) => FallocateMode::ZeroRange,
        Some(FallocateModeDoc::ZeroRangeKeepSize) => FallocateMode::ZeroRangeKeepSize,
        Some(FallocateModeDoc::CollapseRange) => FallocateMode::CollapseRange,
        Some(FallocateModeDoc::InsertRange) => FallocateMode::InsertRange,
        Some(FallocateModeDoc::UnshareRange) => FallocateMode::UnshareRange,
    }
}

/// An extended attribute's name, which begins with its namespace.
pub(super) fn xattr_name(name: &At<String>) -> Result<String, Box<Problem>> {
    const SPACES: [&str; 4] = ["user.", "trusted.", "security.", "system."];
    if SPACES
        .iter()
        .any(|space| name.value.len() > space.len() && name.value.starts_with(space))
    {
        return Ok(name.value.clone());
    }
    let message = format!(
        "expected an attribute's name with its namespace, found `{}`",
        name.value
    );
    Err(Problem::new(&name.span, message)
        .help(format!("such as `user.{}`", name.value))
        .into())
}
