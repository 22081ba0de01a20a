//! Whether a kept recording is still what was recorded.
//!
//! Beside it lies `recording.json`, with a digest of each of its files. That tells of damage, and of a file that was mixed up; not of
//! somebody who changes both.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::CellDir;
use super::dir::write_json;
use crate::host::{files, sparse};

/// The largest `recording.json`, in bytes.
const LARGEST: u64 = 1 << 16;

type Digests = BTreeMap<String, String>;

/// Writes the digests of a recording that came to its end.
///
/// # Errors
/// When a file cannot be read, or the digests not be written.
pub fn seal(dir: &CellDir) -> io::Result<()> {
    let mut digests = Digests::new();
    for (name, path) in recorded(dir) {
        digests.insert(name.to_owned(), sparse::digest(&path)?);
    }
    write_json(&dir.seal(), &digests)
}

/// Makes sure that a kept recording has the digests that were written then; one of an earlier coldcut has none.
///
/// # Errors
/// When a file has changed, or cannot be read.
pub fn check_seal(dir: &CellDir) -> io::Result<()> {
    let text = match files::read(&dir.seal(), LARGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let digests: Digests = serde_json::from_slice(&text)?;
    for (name, path) in recorded(dir) {
        if digests
            .get(name)
            .is_some_and(|known| sparse::digest(&path).is_ok_and(|found| found == *known))
        {
            continue;
        }
        return Err(changed(&path));
    }
    Ok(())
}

fn changed(path: &Path) -> io::Error {
    let what = format!(
        "{} is not what was recorded: its digest is another",
        path.display()
    );
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn recorded(dir: &CellDir) -> [(&'static str, std::path::PathBuf); 3] {
    [
        ("base.img", dir.base()),
        ("write.log", dir.log()),
        ("write.log.order", dir.sidecar()),
    ]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_recording_that_was_altered_is_told_from_one_that_was_not() {
        let base = tempfile::tempdir().unwrap();
        let dir = CellDir::open(base.path()).unwrap();
        for (_, path) in recorded(&dir) {
            fs::write(path, "recorded").unwrap();
        }
        check_seal(&dir).unwrap();
        seal(&dir).unwrap();
        check_seal(&dir).unwrap();
        for (_, path) in recorded(&dir) {
            fs::write(&path, "rec0rded").unwrap();
            let error = check_seal(&dir).unwrap_err().to_string();
            assert!(error.contains("not what was recorded"), "{error}");
            fs::write(&path, "recorded").unwrap();
        }
        check_seal(&dir).unwrap();
    }
}
