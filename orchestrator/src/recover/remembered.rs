//! Recoveries of earlier runs, kept beside the templates: what each read, and what came of it.
//!
//! An entry of the cache is a file of lines, one for each recovery by machines of one kind (kernel, initial ramdisk with
//! the agent, QEMU, disk's size) with one set of questions (mount, patterns, checker). Each line begins with its own
//! digest: one that is damaged, or was cut off, is left out. Lines are only ever added, each by one write.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use coldcut_core::crash::reads::Reads;
use coldcut_core::outcome::recovery::Recovery;
use coldcut_core::scenario::Verifier;
use serde::{Deserialize, Serialize};

use crate::host::cache::{self, Cache, CacheError, Held};

/// Version of a line and of what an entry's name is made of.
const FORMAT: &str = "coldcut recoveries 1";
/// Bytes of one entry at most; more is not kept.
const MOST: u64 = 64 << 20;
/// Bytes of all entries that are kept.
const KEEP: u64 = 512 << 20;
/// The file of an entry.
const FILE: &str = "recoveries";
/// Digits of the digest with which a line begins.
const DIGITS: usize = 32;

/// What tells one set of recoveries from another.
#[derive(Debug, Serialize)]
pub(crate) struct Questions<'a> {
    /// Machines of one kind.
    pub(crate) machine: &'a str,
    /// Bytes of the disk.
    pub(crate) size: u64,
    /// Type, options and flags of the mount.
    pub(crate) mount: (&'a str, &'a str, &'a [String], bool),
    /// Every pattern that may be found.
    pub(crate) patterns: &'a [coldcut_wire::PatternName],
    /// Whether the checker was asked.
    pub(crate) fsck: bool,
    /// The programs that judge, with their places in the list of expectations. What they are asked about is read.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) verifiers: &'a [(usize, Verifier)],
}

/// An entry in use.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// What was read of the file once, and what was added since: a cell that cuts recoveries off again asks often.
    known: Mutex<Option<Vec<(Reads, Recovery)>>>,
    held: Held,
    cache: Cache,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    reads: Reads,
    recovery: Recovery,
}

impl Remembered {
    /// The entry for these questions below this cache directory, which is made if it is not there.
    ///
    /// # Errors
    /// When the cache cannot be written to.
    pub(crate) fn open(root: &Path, questions: &Questions<'_>) -> Result<Self, CacheError> {
        let cache = Cache::open(root.join("recoveries"))?;
        let name = name_of(questions);
        prune(&cache);
        for _ in 0..100 {
            if let Some(held) = cache.hold(&name)? {
                cache::note_use(&held.path().join(FILE));
                return Ok(Self {
                    known: Mutex::default(),
                    held,
                    cache,
                    name,
                });
            }
            let staged = cache.stage()?;
            let path = staged.path().join(FILE);
            File::create(&path).map_err(|source| CacheError {
                action: "create",
                path,
                source,
            })?;
            cache.commit(staged, &name)?;
        }
        Err(CacheError {
            action: "make",
            path: cache.entry(&name),
            source: io::Error::other("it is removed again and again"),
        })
    }

    fn path(&self) -> PathBuf {
        self.held.path().join(FILE)
    }

    /// All that is known. What cannot be read is not.
    pub(crate) fn load(&self) -> Vec<(Reads, Recovery)> {
        self.known().get_or_insert_with(|| self.read()).clone()
    }

    fn known(&self) -> MutexGuard<'_, Option<Vec<(Reads, Recovery)>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Vec<(Reads, Recovery)> {
        let Ok(file) = File::open(self.path()) else {
            return Vec::new();
        };
        let lines = BufReader::new(file.take(MOST)).split(b'\n');
        lines
            .map_while(Result::ok)
            .filter_map(|line| parse(&line))
            .collect()
    }

    /// Adds a recovery, unless the entry is full.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn add(&self, reads: &Reads, recovery: &Recovery) -> io::Result<()> {
        let line = Line {
            reads: reads.clone(),
            recovery: recovery.clone(),
        };
        let text = serde_json::to_string(&line)?;
        let line = format!("{} {text}\n", digest(text.as_bytes()));
        let mut file = File::options().append(true).open(self.path())?;
        if file.metadata()?.len() + line.len() as u64 > MOST {
            return Ok(());
        }
        file.write_all(line.as_bytes())?;
        if let Some(known) = &mut *self.known() {
            known.push((reads.clone(), recovery.clone()));
        }
        Ok(())
    }

    /// Removes the entry: something in it was not so.
    pub(crate) fn forget(self) {
        let Self {
            held, cache, name, ..
        } = self;
        // Whoever else holds it finds nothing in it.
        let _ = File::options()
            .write(true)
            .truncate(true)
            .open(held.path().join(FILE));
        drop(held);
        let _ = cache.remove(&name);
    }
}

fn name_of(questions: &Questions<'_>) -> String {
    // Serialising these types cannot fail: no maps, no fallible impls.
    let text = serde_json::to_vec(questions).unwrap_or_default();
    let mut hasher = blake3::Hasher::new_derive_key(FORMAT);
    hasher.update(&text);
    hasher.finalize().to_hex()[..DIGITS].to_owned()
}

fn digest(text: &[u8]) -> String {
    blake3::hash(text).to_hex()[..DIGITS].to_owned()
}

fn parse(line: &[u8]) -> Option<(Reads, Recovery)> {
    let (said, text) = line.split_at_checked(DIGITS)?;
    let text = text.strip_prefix(b" ")?;
    if digest(text).as_bytes() != said {
        return None;
    }
    let line: Line = serde_json::from_slice(text).ok()?;
    Some((line.reads, line.recovery))
}

/// Removes what was not used for the longest time.
fn prune(cache: &Cache) {
    let Ok(entries) = fs::read_dir(cache.root()) else {
        return;
    };
    let usage = |entry: fs::DirEntry| {
        let file = fs::metadata(entry.path().join(FILE)).ok()?;
        Some(cache::Usage {
            used: file.modified().ok()?,
            bytes: file.blocks() * 512,
            path: entry.path(),
        })
    };
    let all = entries.flatten().filter_map(usage).collect();
    cache::prune(all, KEEP, |path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| cache.remove(name).unwrap_or(false))
    });
}

#[cfg(test)]
mod tests {
    use coldcut_core::crash::reads::{BlockDigest, BlockRead, Place, Reader};
    use coldcut_core::outcome::recovery::Trust;

    use super::*;

    fn questions(machine: &str) -> Questions<'_> {
        Questions {
            machine,
            size: 1 << 20,
            mount: ("ext4", "", &[], false),
            patterns: &[],
            fsck: false,
            verifiers: &[],
        }
    }

    fn known(number: u64) -> (Reads, Recovery) {
        let read = BlockRead {
            block: number,
            sectors: if number == 1 { 0b11 } else { Place::ALL },
            digest: BlockDigest::of(&number.to_le_bytes()),
            file: (number % 2 == 1).then_some(12),
            by: (number == 2).then_some(Reader::Mount),
        };
        (
            vec![read],
            Recovery::panicked(Trust::Screened, format!("oops {number}")),
        )
    }

    #[test]
    fn what_was_added_is_known_to_the_next_and_to_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let one = Remembered::open(dir.path(), &questions("a")).unwrap();
        for number in 0..3 {
            let (reads, recovery) = known(number);
            one.add(&reads, &recovery).unwrap();
        }
        let again = Remembered::open(dir.path(), &questions("a")).unwrap();
        assert_eq!(again.load(), (0..3).map(known).collect::<Vec<_>>());
        let other = Remembered::open(dir.path(), &questions("b")).unwrap();
        assert_eq!(other.load(), []);
    }

    #[test]
    fn a_damaged_line_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let entry = Remembered::open(dir.path(), &questions("a")).unwrap();
        for number in 0..3 {
            let (reads, recovery) = known(number);
            entry.add(&reads, &recovery).unwrap();
        }
        let mut text = fs::read(entry.path()).unwrap();
        let second = text.iter().position(|byte| *byte == b'\n').unwrap() + DIGITS + 20;
        text[second] ^= 1;
        text.truncate(text.len() - 5);
        fs::write(entry.path(), text).unwrap();
        assert_eq!(
            entry.load(),
            [known(0)],
            "the second is damaged, the third cut off"
        );
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let one = Remembered::open(dir.path(), &questions("a")).unwrap();
        let other = Remembered::open(dir.path(), &questions("a")).unwrap();
        let (reads, recovery) = known(1);
        one.add(&reads, &recovery).unwrap();
        one.forget();
        assert_eq!(other.load(), []);
    }
}
