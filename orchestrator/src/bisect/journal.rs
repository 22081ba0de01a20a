//! A search's directory: the question, every run, the answer. It is enough to resume after an interruption.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::question::{FORMAT, Probe, Question};
use crate::results::stamp_now;

/// Why a search's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be parsed.
    #[error("{} is not a file of coldcut's: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A newer coldcut wrote it.
    #[error("{} has format {found}; this coldcut reads up to {FORMAT}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Another coldcut works in it.
    #[error("another coldcut goes on with the search in {}", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// There is no search to resume.
    #[error(
        "no unfinished search in {} asks this; leave --resume away to begin one, or name it: --resume=DIR",
        results.display()
    )]
    Nothing {
        /// Where it was looked for.
        results: PathBuf,
    },
    /// The named search asks something else.
    #[error(
        "the search in {} asks something else (another scenario, variant, aim, ends or seed); leave --resume away to begin a new one",
        path.display()
    )]
    Other {
        /// The directory.
        path: PathBuf,
    },
}

/// A search's directory, locked for us.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    probes: File,
}

impl Journal {
    /// A new directory below `results`.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn create(results: &Path, question: &Question, scenario: &str) -> Result<Self, JournalError> {
        fs::create_dir_all(results).map_err(io_error(results))?;
        let dir = tempfile::Builder::new()
            .prefix(&format!("bisect-{}-", stamp_now()))
            .rand_bytes(4)
            .tempdir_in(results)
            .map_err(io_error(results))?
            .keep();
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(io_error(&dir))?;
        let text = dir.join("scenario.yaml");
        fs::write(&text, scenario).map_err(io_error(&text))?;
        let path = dir.join("bisect.json");
        let json = serde_json::to_vec_pretty(question).map_err(|source| JournalError::Parse {
            path: path.clone(),
            source,
        })?;
        // The question is there whole or not at all: a search without one is none.
        let aside = dir.join(".bisect.json");
        fs::write(&aside, json).map_err(io_error(&aside))?;
        fs::rename(&aside, &path).map_err(io_error(&path))?;
        Self::open(dir)
    }

    fn open(path: PathBuf) -> Result<Self, JournalError> {
        let file = path.join("probes.jsonl");
        let probes = File::options()
            .create(true)
            .append(true)
            .read(true)
            .open(&file)
            .map_err(io_error(&file))?;
        if probes.try_lock().is_err() {
            return Err(JournalError::Busy { path });
        }
        Ok(Self { path, probes })
    }

    /// Opens the search to resume: the one in `dir`, or the last unfinished one in `results` that asks the same.
    /// Returns its question as well, with the kernels that it searched.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn resume(
        results: &Path,
        dir: Option<&Path>,
        question: &Question,
    ) -> Result<(Self, Question), JournalError> {
        if let Some(dir) = dir {
            let asked = read_question(dir)?;
            return if asked.same(question) {
                Ok((Self::open(dir.to_owned())?, asked))
            } else {
                Err(JournalError::Other { path: dir.to_owned() })
            };
        }
        for dir in unfinished(results) {
            match read_question(&dir) {
                Ok(asked) if asked.same(question) => return Ok((Self::open(dir)?, asked)),
                _ => {}
            }
        }
        Err(JournalError::Nothing {
            results: results.to_owned(),
        })
    }

    /// Where it is; runs are made in it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every run so far. A last line that an interruption cut short is left out, and cut off.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn probes(&self) -> Result<Vec<Probe>, JournalError> {
        let file = self.path.join("probes.jsonl");
        let mut probes = Vec::new();
        let mut reader = BufReader::new(File::open(&file).map_err(io_error(&file))?);
        let mut whole = 0;
        loop {
            let mut line = String::new();
            let read = reader.read_line(&mut line).map_err(io_error(&file))?;
            if !line.ends_with('\n') {
                break;
            }
            whole += read as u64;
            probes.push(serde_json::from_str(&line).map_err(|source| JournalError::Parse {
                path: file.clone(),
                source,
            })?);
        }
        self.probes.set_len(whole).map_err(io_error(&file))?;
        Ok(probes)
    }

    /// Keeps a run, durably.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn keep(&mut self, probe: &Probe) -> Result<(), JournalError> {
        let path = self.path.join("probes.jsonl");
        let mut line = serde_json::to_vec(probe).map_err(|source| JournalError::Parse {
            path: path.clone(),
            source,
        })?;
        line.push(b'\n');
        self.probes
            .write_all(&line)
            .and_then(|()| self.probes.sync_data())
            .map_err(io_error(&path))
    }

    /// Keeps the answer: the search is finished.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn finish(&self, answer: &str) -> Result<(), JournalError> {
        let path = self.path.join("answer.txt");
        fs::write(&path, answer).map_err(io_error(&path))
    }
}

/// Unfinished searches, the last begun first.
pub fn unfinished(results: &Path) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = fs::read_dir(results)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("bisect.json").is_file() && !path.join("answer.txt").is_file())
        .collect();
    dirs.sort();
    dirs.reverse();
    dirs
}

/// The question of a search's directory.
///
/// # Errors
/// [`JournalError`].
pub fn read_question(dir: &Path) -> Result<Question, JournalError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let path = dir.join("bisect.json");
    let text = fs::read(&path).map_err(io_error(&path))?;
    let parse = |source| JournalError::Parse {
        path: path.clone(),
        source,
    };
    let found = serde_json::from_slice::<Version>(&text).map_err(parse)?.format;
    if found > FORMAT {
        return Err(JournalError::Newer { path, found });
    }
    serde_json::from_slice(&text).map_err(parse)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use coldcut_core::search::{Aim, By};

    use super::*;

    fn question() -> Question {
        Question {
            format: FORMAT,
            scenario: "s".into(),
            digest: "d".into(),
            variant: "v".into(),
            aim: Aim::FirstBad,
            by: By::Verdict,
            ends: vec!["6.1".into(), "7.3".into()],
            seed: 0,
            line: Vec::new(),
            command_line: Vec::new(),
        }
    }

    fn probe(index: usize) -> Probe {
        Probe {
            index,
            kernel: "6.1".into(),
            digest: None,
            behaviour: None,
            cause: Some("no boot".into()),
            run: None,
            violation: None,
            seconds: 1.0,
        }
    }

    #[test]
    fn an_interrupted_search_goes_on_where_it_was() {
        let results = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(results.path(), &question(), "format: 1").unwrap();
        journal.keep(&probe(0)).unwrap();
        journal.keep(&probe(7)).unwrap();
        let path = journal.path().to_owned();
        let busy = Journal::resume(results.path(), None, &question()).unwrap_err();
        assert!(matches!(busy, JournalError::Busy { .. }), "{busy}");
        drop(journal);
        // Killed while it wrote the third.
        let mut file = File::options()
            .append(true)
            .open(path.join("probes.jsonl"))
            .unwrap();
        file.write_all(b"{\"place\": 9, \"ker").unwrap();
        drop(file);

        let (mut journal, asked) = Journal::resume(results.path(), None, &question()).unwrap();
        assert_eq!(asked, question());
        assert_eq!(journal.probes().unwrap(), [probe(0), probe(7)]);
        journal.keep(&probe(3)).unwrap();
        assert_eq!(journal.probes().unwrap(), [probe(0), probe(7), probe(3)]);
        journal.finish("first bad: 7.3").unwrap();
        drop(journal);
        let nothing = Journal::resume(results.path(), None, &question()).unwrap_err();
        assert!(matches!(nothing, JournalError::Nothing { .. }), "{nothing}");
    }

    #[test]
    fn another_question_or_a_newer_format_is_refused() {
        let results = tempfile::tempdir().unwrap();
        let journal = Journal::create(results.path(), &question(), "format: 1").unwrap();
        let path = journal.path().to_owned();
        drop(journal);
        let mut other = question();
        other.variant = "w".into();
        let refused = |dir, question: &Question| Journal::resume(results.path(), dir, question).unwrap_err();
        assert!(matches!(refused(None, &other), JournalError::Nothing { .. }));
        assert!(matches!(
            refused(Some(&*path), &other),
            JournalError::Other { .. }
        ));
        fs::write(path.join("bisect.json"), "{\"format\": 99}").unwrap();
        assert!(matches!(
            refused(Some(&*path), &question()),
            JournalError::Newer { found: 99, .. }
        ));
    }
}
