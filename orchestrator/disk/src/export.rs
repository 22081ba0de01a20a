//! Images to files, for host tools such as a filesystem checker.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use coldcut_core::recording::block::ReadAt;

use super::overlay::{BLOCK, is_zero};

const CHUNK: u64 = 1 << 20;

/// Writes an image to a new sparse file (an existing one is replaced): 4 KiB blocks of zeros become holes. How many
/// bytes of data were written.
///
/// # Errors
/// What the image or the file says.
pub fn export_sparse(image: &dyn ReadAt, path: &Path) -> io::Result<u64> {
    let file = File::create(path)?;
    file.set_len(image.size())?;
    let mut buffer = vec![0; CHUNK as usize];
    let mut written = 0;
    let mut at = 0;
    while let Some(data) = image.next_data(at)? {
        // Whole blocks, so that a range that starts inside one does not split it.
        let mut offset = data.start - data.start % BLOCK;
        let end = data.end.next_multiple_of(BLOCK).min(image.size());
        while offset < end {
            let chunk = &mut buffer[..CHUNK.min(end - offset) as usize];
            image.read_at(offset, chunk)?;
            written += write_data(&file, offset, chunk)?;
            offset += chunk.len() as u64;
        }
        at = end;
    }
    Ok(written)
}

/// Writes the runs of blocks in `chunk` that are not all zeros.
fn write_data(file: &File, offset: u64, chunk: &[u8]) -> io::Result<u64> {
    let mut written = 0;
    let mut run = 0..0;
    for block in chunk.chunks(BLOCK as usize) {
        let end = run.end + block.len();
        if is_zero(block) {
            file.write_all_at(&chunk[run.clone()], offset + run.start as u64)?;
            written += run.len() as u64;
            run = end..end;
        } else {
            run.end = end;
        }
    }
    file.write_all_at(&chunk[run.clone()], offset + run.start as u64)?;
    Ok(written + run.len() as u64)
}
