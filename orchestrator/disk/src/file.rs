//! Images in files.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

use coldcut_core::recording::block::ReadAt;
use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;

/// A raw image in a file (or block device). Its size is what it is when opened.
#[derive(Debug)]
pub struct FileImage {
    file: File,
    size: u64,
}

impl FileImage {
    /// Opens a raw image to read it, without waiting for anything.
    ///
    /// # Errors
    /// What open(2) and lseek(2) say; and when it is neither a regular file nor a block device.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let kind = file.metadata()?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            let message = "it is neither a regular file nor a block device";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Self::new(file)
    }

    /// Takes an open file.
    ///
    /// # Errors
    /// What lseek(2) says.
    pub fn new(file: File) -> io::Result<Self> {
        let size = rustix::fs::seek(&file, SeekFrom::End(0))?;
        Ok(Self { file, size })
    }
}

impl ReadAt for FileImage {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        if offset >= self.size {
            return Ok(None);
        }
        let start = match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Ok(start) if start < self.size => start,
            Ok(_) | Err(Errno::NXIO) => return Ok(None),
            // The filesystem cannot say.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(offset..self.size)),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start))?.min(self.size);
        // A hole punched meanwhile must not make the range empty.
        Ok(Some(start..end.max(start + 1)))
    }
}
