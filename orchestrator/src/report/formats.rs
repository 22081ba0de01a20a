//! The reports that go to files. A new one is a file with its [`FileFormat`], and a line here.

use super::file::FileFormat;
use super::{html, junit, markdown};

/// Every kind of report that goes to a file, as the command line's help lists them.
pub const FILE_FORMATS: &[FileFormat] = &[junit::FORMAT, markdown::FORMAT, html::FORMAT];
