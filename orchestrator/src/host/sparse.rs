//! The digest of a sparse file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What is hashed at a time; a part that is all zeros counts as absent, whether the file has it or not.
const PART: u64 = 64 << 10;

/// blake3 over the length and every part that is not all zeros, with its offset: the same for a sparse file and a
/// copy of it without holes.
///
/// # Errors
/// When it cannot be read.
pub fn digest(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new_derive_key("coldcut sparse file 1");
    hasher.update(&len.to_le_bytes());
    let mut buffer = vec![0; PART as usize];
    let mut at = 0;
    while let Some((start, end)) = next_data(&file, at, len)? {
        // Whole parts, wherever the filesystem says that the data begins.
        let mut offset = start / PART * PART;
        while offset < end {
            let part = &mut buffer[..(len - offset).min(PART) as usize];
            file.read_exact_at(part, offset)?;
            if part.iter().any(|byte| *byte != 0) {
                hasher.update(&offset.to_le_bytes());
                hasher.update(part);
            }
            offset += PART;
        }
        at = offset;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The next range with data at or after `at`.
fn next_data(file: &File, at: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    use rustix::fs::SeekFrom;
    if at >= len {
        return Ok(None);
    }
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => {
            let end = rustix::fs::seek(file, SeekFrom::Hole(start))?;
            Ok(Some((start, end)))
        }
        Err(rustix::io::Errno::NXIO) => Ok(None),
        // A filesystem that knows no holes.
        Err(rustix::io::Errno::INVAL) => Ok(Some((at, len))),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn holes_and_zeros_are_the_same_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut bytes = vec![0_u8; 1_000_000];
        bytes[300_000..300_010].copy_from_slice(b"0123456789");
        fs::write(at("dense"), &bytes).unwrap();
        let sparse = File::create(at("sparse")).unwrap();
        sparse.set_len(bytes.len() as u64).unwrap();
        sparse.write_all_at(b"0123456789", 300_000).unwrap();
        let wanted = digest(&at("dense")).unwrap();
        assert_eq!(digest(&at("sparse")).unwrap(), wanted);
        for (change, offset) in [(1_u8, 300_000_u64), (1, 999_999), (7, 0)] {
            fs::copy(at("dense"), at("changed")).unwrap();
            let file = File::options().write(true).open(at("changed")).unwrap();
            file.write_all_at(&[change], offset).unwrap();
            assert_ne!(digest(&at("changed")).unwrap(), wanted, "{offset}");
        }
        sparse.set_len(bytes.len() as u64 + 1).unwrap();
        assert_ne!(digest(&at("sparse")).unwrap(), wanted, "another length");
    }
}
