//! How much a run may write: no guest fills the host's disk.
//!
//! What grows with a guest's own doing (the write log, which also has what programs acknowledge) is written through
//! [`Bounded`]. It stops before a recording or a run has more than it may, and before the filesystem has so little room left that
//! results could not be written.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coldcut_core::scenario::show_size;

/// Free bytes that are left for results.
const SPARE: u64 = 64 << 20;
/// After so many bytes it is looked again how many are free.
const LOOK: u64 = 8 << 20;

/// How much may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSettings {
    /// Bytes of one recording; and what one machine may write in all, which is held in memory.
    pub recording: u64,
    /// Bytes of all recordings of a run.
    pub run: u64,
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self {
            recording: 4 << 30,
            run: 64 << 30,
        }
    }
}

/// What a run has written, and may.
#[derive(Debug, Default)]
pub struct Quota {
    settings: QuotaSettings,
    run: Arc<AtomicU64>,
}

impl Quota {
    /// Nothing is written yet.
    pub fn new(settings: QuotaSettings) -> Self {
        Self {
            settings,
            run: Arc::default(),
        }
    }

    /// How much may be written.
    pub fn settings(&self) -> QuotaSettings {
        self.settings
    }

    /// The files of a recording, which together may have what one recording may.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn create<const N: usize>(&self, paths: [PathBuf; N]) -> io::Result<[Bounded; N]> {
        let recording = Arc::new(AtomicU64::new(0));
        let mut files = Vec::with_capacity(N);
        for path in paths {
            files.push(Bounded {
                file: File::create(&path).map_err(|error| explained(&path, 0, error))?,
                path,
                settings: self.settings,
                recording: Arc::clone(&recording),
                run: Arc::clone(&self.run),
                unlooked: LOOK,
            });
        }
        files
            .try_into()
            .map_err(|_| io::Error::other("files are missing"))
    }
}

/// A file that a run writes as much to as it may.
#[derive(Debug)]
pub struct Bounded {
    file: File,
    path: PathBuf,
    settings: QuotaSettings,
    recording: Arc<AtomicU64>,
    run: Arc<AtomicU64>,
    /// Bytes since it was looked how many are free.
    unlooked: u64,
}

impl Bounded {
    fn claim(&mut self, bytes: u64) -> io::Result<()> {
        for (written, most, what, setting) in [
            (
                &self.recording,
                self.settings.recording,
                "a recording",
                "--max-recording",
            ),
            (
                &self.run,
                self.settings.run,
                "the recordings of a run",
                "--max-run",
            ),
        ] {
            if written.load(Ordering::Relaxed).saturating_add(bytes) > most {
                let most = show_size(most);
                return Err(io::Error::new(
                    io::ErrorKind::QuotaExceeded,
                    format!("{what} may have {most} ({setting} allows more)"),
                ));
            }
        }
        self.unlooked += bytes;
        if self.unlooked >= LOOK {
            self.unlooked = 0;
            if let Some(free) = free(&self.path).filter(|free| *free < SPARE + bytes) {
                return Err(io::Error::new(
                    io::ErrorKind::StorageFull,
                    format!(
                        "the filesystem of {} has {} left, which are kept for results",
                        self.path.display(),
                        show_size(free)
                    ),
                ));
            }
        }
        for written in [&self.recording, &self.run] {
            written.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.claim(bytes.len() as u64)?;
        let written = self.file.write(bytes);
        written.map_err(|error| explained(&self.path, bytes.len() as u64, error))
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let len = parts.iter().map(|part| part.len() as u64).sum();
        self.claim(len)?;
        let written = self.file.write_vectored(parts);
        written.map_err(|error| explained(&self.path, len, error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Says of a full disk which it is, what it has left, and what was wanted.
pub fn explained(path: &Path, wanted: u64, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::StorageFull {
        return error;
    }
    let left = free(path).map_or_else(|| "too little".to_owned(), show_size);
    let what = format!(
        "the filesystem of {} is full: it has {left} left, and {} are wanted",
        path.display(),
        show_size(wanted)
    );
    io::Error::new(io::ErrorKind::StorageFull, what)
}

/// Bytes that are free for an ordinary user where a path is, or would be.
pub fn free(path: &Path) -> Option<u64> {
    let there = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok())?;
    Some(there.f_bavail.saturating_mul(there.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(recording: u64, run: u64) -> QuotaSettings {
        QuotaSettings { recording, run }
    }

    #[test]
    fn a_recording_stops_where_it_may_have_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let quota = Quota::new(settings(1000, 1500));
        let [mut log, mut order] = quota.create([at("log"), at("order")]).unwrap();
        log.write_all(&[1; 600]).unwrap();
        order.write_all(&[1; 400]).unwrap();
        let error = log.write_all(&[1]).unwrap_err();
        assert!(error.to_string().contains("--max-recording"), "{error}");
        let [mut log] = quota.create([at("second")]).unwrap();
        log.write_all(&[1; 500]).unwrap();
        let error = log.write_all(&[1]).unwrap_err();
        assert!(error.to_string().contains("--max-run"), "{error}");
        assert_eq!(std::fs::metadata(at("second")).unwrap().len(), 500);
    }

    #[test]
    fn a_full_disk_is_named() {
        let full = Path::new("/dev/full");
        let error = File::options()
            .write(true)
            .open(full)
            .unwrap()
            .write_all(b"x")
            .unwrap_err();
        let words = explained(full, 4096, error).to_string();
        assert!(
            words.contains("/dev/full") && words.contains("4KiB are wanted"),
            "{words}"
        );
    }
}
