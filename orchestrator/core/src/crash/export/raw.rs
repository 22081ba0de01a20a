//! A state as a raw image with holes where it is zeros.

use std::io::{Seek, SeekFrom, Write};

use super::error::ExportError;
use crate::recording::block::ReadAt;

/// Bytes read at a time, and the smallest hole.
const CHUNK: u64 = 256 << 10;
const HOLE: usize = 4096;

/// Writes a device to `out`, which must be empty; zeros become holes where `out` is a file. The bytes that were written
/// as data.
///
/// # Errors
/// As the stores say.
pub fn export_raw(
    device: &(impl ReadAt + ?Sized),
    out: &mut (impl Write + Seek),
) -> Result<u64, ExportError> {
    let size = device.size();
    let mut buffer = vec![0; CHUNK as usize];
    let (mut at, mut position, mut written) = (0, 0, 0);
    while at < size {
        let len = (size - at).min(CHUNK) as usize;
        device.read_at(at, &mut buffer[..len])?;
        for (number, piece) in buffer[..len].chunks(HOLE).enumerate() {
            if piece.iter().all(|byte| *byte == 0) {
                continue;
            }
            let start = at + (number * HOLE) as u64;
            if position != start {
                out.seek(SeekFrom::Start(start))?;
            }
            out.write_all(piece)?;
            position = start + piece.len() as u64;
            written += piece.len() as u64;
        }
        at += len as u64;
    }
    if position < size {
        out.seek(SeekFrom::Start(size - 1))?;
        out.write_all(&[0])?;
    }
    out.flush()?;
    Ok(written)
}
