//! Searches the kernels that the store and the archives have between two ends.

use std::time::Instant;

use anyhow::{Context as _, bail};
use coldcut_core::search::Aim;

use super::drive::Drive;
use super::journal::{self, Journal};
use super::line::{self, Candidate};
use super::obtain::{self, Obtained};
use super::question::{Probe, Question};
use super::report;
use super::request::{Ends, Listener, SearchAnswer, SearchRequest};
use crate::kernel::Store;

/// Which kernels are searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Those between two ends.
    Between {
        /// The ends.
        ends: Ends,
        /// Only those that are stored already.
        stored: bool,
        /// Only the newest of each series between the ends.
        newest_of_series: bool,
    },
    /// These kernels of the store, in this order.
    Among(Vec<String>),
}

/// Searches kernels for the one that changed something; with `every_change`, for every one that did.
///
/// # Errors
/// What stopped the search; it can be resumed.
pub async fn search(
    request: &SearchRequest,
    kernels: &Kernels,
    every_change: bool,
    store: &Store,
    listener: &dyn Listener,
) -> anyhow::Result<SearchAnswer> {
    let mut question = request.question(kernels.named());
    let journal = if let Some((journal, asked)) = request.resumed(&question)? {
        question = asked;
        journal
    } else {
        question.line = kernels.line(request.aim, store, listener).await?;
        note_unfinished(request, &question, listener);
        Journal::create(&request.results, &question, &request.file.text)?
    };
    let (test, caution) = request.care.test(question.line.len(), request.aim)?;
    announce(&question, &journal, every_change, listener);
    if let Some(caution) = caution {
        listener.line(&caution);
    }

    let dir = journal.path().to_owned();
    let mut drive = Drive {
        journal,
        question,
        test,
        every_change,
    };
    let probe = async |index, candidate: &Candidate, dir: &std::path::Path| {
        let started = Instant::now();
        let mut probe = match obtained(store, candidate, listener).await? {
            Obtained::Kernel(kernel) => {
                let name = &candidate.name;
                request.run_on(name, *kernel, store, dir, listener).await?
            }
            Obtained::Gone(why) => Probe::untestable(&why),
        };
        probe.index = index;
        probe.kernel.clone_from(&candidate.name);
        probe.seconds = started.elapsed().as_secs_f64();
        Ok(probe)
    };
    let ran = drive.run(|line| listener.line(line), probe).await;
    let conclusion = ran.with_context(|| report::stopped(&dir))?;
    let text = report::conclusion(&drive.question, &conclusion, &dir);
    drive.journal.finish(&text)?;
    Ok(SearchAnswer {
        text,
        code: conclusion.exit_code(),
    })
}

/// Points to an unfinished search that asked the same and can be resumed.
fn note_unfinished(request: &SearchRequest, question: &Question, listener: &dyn Listener) {
    let same = |dir: &std::path::PathBuf| journal::read_question(dir).is_ok_and(|asked| asked.same(question));
    if let Some(dir) = journal::unfinished(&request.results).into_iter().find(same) {
        listener.note(&format!(
            "{} has an unfinished search that asked the same; --resume goes on with it",
            dir.display()
        ));
    }
}

fn announce(question: &Question, journal: &Journal, every_change: bool, listener: &dyn Listener) {
    let count = question.line.len();
    let effort = if every_change {
        format!(
            "the oldest and the newest of {} series first, and what is between them where they differ",
            line::series_ends(&question.line).len()
        )
    } else {
        let most = (count - 1).next_power_of_two().ilog2() + 2;
        format!("at most {most} to test when nothing is flaky or untestable")
    };
    listener.line(&format!(
        "{} kernels from {} to {}: {effort}; {}",
        count,
        question.line[0].describe(),
        question.line[count - 1].describe(),
        journal.path().display()
    ));
}

impl Kernels {
    /// The ends as the user gave them.
    fn named(&self) -> Vec<String> {
        match self {
            Self::Between { ends, .. } => vec![ends.good.clone(), ends.bad.clone()],
            Self::Among(names) => names.clone(),
        }
    }

    /// The kernels, the oldest first.
    async fn line(&self, aim: Aim, store: &Store, listener: &dyn Listener) -> anyhow::Result<Vec<Candidate>> {
        match self {
            Self::Among(names) => among(names, store),
            Self::Between {
                ends,
                stored,
                newest_of_series,
            } => {
                let line = between(ends, aim, store, !stored, listener).await?;
                Ok(if *newest_of_series {
                    line::newest_of_series(line)
                } else {
                    line
                })
            }
        }
    }
}

fn among(names: &[String], store: &Store) -> anyhow::Result<Vec<Candidate>> {
    let stored = |spec: &String| Ok(Candidate::stored(store.find(spec)?.manifest()));
    let line: Vec<Candidate> = names.iter().map(stored).collect::<anyhow::Result<_>>()?;
    if line.len() < 2 {
        bail!(
            "--among names {} kernel; expected at least two, the oldest first",
            line.len()
        );
    }
    Ok(line)
}

async fn between(
    ends: &Ends,
    aim: Aim,
    store: &Store,
    ask: bool,
    listener: &dyn Listener,
) -> anyhow::Result<Vec<Candidate>> {
    let in_order = ends.in_order(aim);
    let flavour = line::flavour_of(in_order)?;
    let (store, progress) = (store.clone(), listener.fetching());
    let found = tokio::task::spawn_blocking(move || obtain::candidates(&store, ask, &*progress));
    let (all, note) = found.await??;
    if let Some(note) = note {
        listener.note(&format!("only stored kernels are searched: {note}"));
    }
    let (line, forward) = line::between(&line::in_order(all, flavour), in_order, flavour)?;
    let Ends { good, bad } = ends;
    match aim {
        Aim::FirstBad if !forward => bail!(
            "the wrong way round: --good {good} is newer than --bad {bad}; the first good kernel is found with --first-good"
        ),
        Aim::FirstGood if !forward => bail!(
            "the wrong way round: with --first-good the bad end is the older one, and --bad {bad} is newer than --good {good}"
        ),
        _ => Ok(line),
    }
}

async fn obtained(store: &Store, candidate: &Candidate, listener: &dyn Listener) -> anyhow::Result<Obtained> {
    let (store, candidate, progress) = (store.clone(), candidate.clone(), listener.fetching());
    let obtained = tokio::task::spawn_blocking(move || obtain::obtain(&store, &candidate, &*progress));
    Ok(obtained.await??)
}
