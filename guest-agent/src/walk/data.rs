//! Reads a regular file and names the source of its bytes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use coldcut_wire::TreeEntry;
use rustix::fs::{Advice, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::placed;
use crate::classify::{Candidates, Classifier, TooFragmented};
use crate::failure::strerror;

/// Where a large read fails, the rest of it is read in such pieces, to find what can be read.
const PAGE: usize = 4096;

/// Why a file cannot be described truthfully.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataError {
    #[error("more bytes of file data than the walk's limit allows")]
    OverLimit,
    #[error(transparent)]
    TooFragmented(#[from] TooFragmented),
}

/// Fills `entry.extents` from 0 to `entry.size`; returns the bytes read. Holes that are skipped do not count.
pub(super) fn read(
    parent: BorrowedFd<'_>,
    name: &[u8],
    entry: &mut TreeEntry,
    candidates: &Candidates,
    buffer: &mut [u8],
    limit: u64,
) -> Result<u64, DataError> {
    let mut classifier = Classifier::new(candidates);
    let mut reader = match open(parent, name) {
        Ok(file) => Reader {
            file,
            size: entry.size,
            limit,
            used: 0,
            problem: None,
        },
        Err(errno) => {
            entry.problems.push(format!("open: {}", strerror(errno)));
            classifier.unreadable(entry.size, errno.raw_os_error())?;
            entry.extents = classifier.finish();
            return Ok(0);
        }
    };
    while classifier.end() < entry.size {
        reader.step(&mut classifier, buffer)?;
    }
    entry.problems.extend(reader.problem);
    entry.extents = classifier.finish();
    Ok(reader.used)
}

/// The places on the disk that hold the file's data and nothing else.
pub(super) fn places(parent: BorrowedFd<'_>, name: &[u8]) -> Vec<(u64, u64)> {
    open(parent, name).map_or_else(|_| Vec::new(), |file| placed::plain(file.as_fd()))
}

fn open(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // O_NOATIME is for the owner and root only.
    let file = match rustix::fs::openat(parent, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(parent, name, flags, Mode::empty())?,
        opened => opened?,
    };
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
    Ok(file)
}

struct Reader {
    file: OwnedFd,
    size: u64,
    limit: u64,
    used: u64,
    /// The first thing that went wrong.
    problem: Option<String>,
}

impl Reader {
    /// Reads one bufferful and classifies it.
    fn step(&mut self, classifier: &mut Classifier<'_>, buffer: &mut [u8]) -> Result<(), DataError> {
        let at = classifier.end();
        let want = usize::try_from(self.size - at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let (len, end) = read_at(self.file.as_fd(), &mut buffer[..want], at);
        self.charge(len as u64)?;
        let data = &buffer[..len];
        match end {
            End::Full => {
                classifier.data(data)?;
                if data.iter().all(|b| *b == 0) {
                    self.skip_hole(classifier)?;
                }
                Ok(())
            }
            End::Short => {
                classifier.data(data)?;
                let at = classifier.end();
                self.note(|| format!("reading ended at {at}, before the size"));
                Ok(classifier.unreadable(self.size - at, 0)?)
            }
            End::Failed(_) => {
                // Whole sectors that were read stand; the rest is tried again, a page at a time.
                let whole = len - len % PAGE;
                classifier.data(&data[..whole])?;
                self.by_page(classifier, buffer, at + want as u64)
            }
        }
    }

    fn by_page(
        &mut self,
        classifier: &mut Classifier<'_>,
        buffer: &mut [u8],
        until: u64,
    ) -> Result<(), DataError> {
        while classifier.end() < until {
            let at = classifier.end();
            let want = (until - at).min(PAGE as u64) as usize;
            let (len, end) = read_at(self.file.as_fd(), &mut buffer[..want], at);
            self.charge(want as u64)?;
            match end {
                End::Full => classifier.data(&buffer[..len])?,
                End::Short => {
                    classifier.data(&buffer[..len])?;
                    let at = classifier.end();
                    self.note(|| format!("reading ended at {at}, before the size"));
                    classifier.unreadable(self.size - at, 0)?;
                }
                End::Failed(errno) => {
                    self.note(|| format!("read at {at}: {}", strerror(errno)));
                    classifier.unreadable(want as u64, errno.raw_os_error())?;
                }
            }
        }
        Ok(())
    }

    /// After a bufferful of zeros there may be a long hole, which need not be read.
    fn skip_hole(&mut self, classifier: &mut Classifier<'_>) -> Result<(), TooFragmented> {
        let at = classifier.end();
        if at >= self.size {
            return Ok(());
        }
        let data = match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(Errno::NXIO) => self.size, // no data up to the end
            Err(_) => return Ok(()),
        };
        let data = data.min(self.size);
        let data = if data == self.size {
            data
        } else {
            data - data % PAGE as u64
        };
        classifier.hole(data.saturating_sub(at))
    }

    fn charge(&mut self, bytes: u64) -> Result<(), DataError> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.limit {
            Err(DataError::OverLimit)
        } else {
            Ok(())
        }
    }

    fn note(&mut self, problem: impl FnOnce() -> String) {
        self.problem.get_or_insert_with(problem);
    }
}

enum End {
    Full,
    Short,
    Failed(Errno),
}

/// Reads until the buffer is full, the file ends, or an error.
fn read_at(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64) -> (usize, End) {
    let mut done = 0;
    while done < buffer.len() {
        match rustix::io::pread(file, &mut buffer[done..], at + done as u64) {
            Ok(0) => return (done, End::Short),
            Ok(len) => done += len,
            Err(Errno::INTR) => {}
            Err(errno) => return (done, End::Failed(errno)),
        }
    }
    (done, End::Full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use coldcut_wire::Source;
    use std::io::Write;

    fn reader(file: impl Into<OwnedFd>, size: u64, limit: u64) -> Reader {
        Reader {
            file: file.into(),
            size,
            limit,
            used: 0,
            problem: None,
        }
    }

    fn run(mut reader: Reader) -> (Vec<(u64, u64, Source)>, Option<String>) {
        let candidates = Candidates::new(&[]);
        let mut classifier = Classifier::new(&candidates);
        let mut buffer = vec![0; 16 << 10];
        while classifier.end() < reader.size {
            reader.step(&mut classifier, &mut buffer).unwrap();
        }
        let extents = classifier.finish();
        let extents = extents.into_iter().map(|e| (e.offset, e.len, e.source)).collect();
        (extents, reader.problem)
    }

    #[test]
    fn what_cannot_be_read_is_one_extent_and_one_problem() {
        // Reading a directory always fails.
        let dir = tempfile::tempdir().unwrap();
        let (extents, problem) = run(reader(std::fs::File::open(dir.path()).unwrap(), 40_000, u64::MAX));
        let errno = Errno::ISDIR.raw_os_error();
        assert_eq!(extents, [(0, 40_000, Source::Unreadable { errno })]);
        assert_eq!(problem.as_deref(), Some("read at 0: Is a directory"));
    }

    #[test]
    fn a_file_shorter_than_its_size_says_so() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![0; 20_000]).unwrap();
        let (extents, problem) = run(reader(file, 50_000, u64::MAX));
        assert_eq!(
            extents,
            [
                (0, 20_000, Source::Zeros),
                (20_000, 30_000, Source::Unreadable { errno: 0 })
            ]
        );
        assert_eq!(
            problem.as_deref(),
            Some("reading ended at 20000, before the size")
        );
    }

    #[test]
    fn the_limit_is_exact() {
        let candidates = Candidates::new(&[]);
        let mut buffer = vec![0; 16 << 10];
        for (limit, fine) in [(9_999, false), (10_000, true)] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[1; 10_000]).unwrap();
            let mut classifier = Classifier::new(&candidates);
            let result = reader(file, 10_000, limit).step(&mut classifier, &mut buffer);
            assert_eq!(result.is_ok(), fine);
        }
    }
}
