//! Variants without a crash: the workload runs on a mounted filesystem, unrecorded, and what its steps measured is
//! judged. Also what such measuring needs in every variant: keeping what steps measured, and the kernel's log.

use std::sync::{Mutex, PoisonError};

use coldcut_core::oracle::Tally;
use coldcut_core::oracle::measured::{Judged, Measurements};
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::outcome::verdict::Verdict;
use coldcut_core::scenario::{Check, Step, Variant, facts};
use coldcut_wire::DmesgFrom;

use crate::results::CellDir;
use crate::vm::client::{GuestClient, OpReport};
use crate::vm::clock::wrong_clock;

/// Collects what steps measure while they run.
#[derive(Debug, Default)]
pub(crate) struct Witness(Mutex<Measurements>);

impl Witness {
    /// Keeps what an operation measured, and how it ended.
    pub(crate) fn keep(&self, step: &Step, measured: &OpReport) -> Result<(), Unknown> {
        let name = &step.name.name;
        let own = step.labelled.then_some(name.as_str());
        let of = step.op().and_then(facts::measured_as).or(own);
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok((_, nanos)) = &measured.result
            && let Some(wrong) = wrong_clock(name, *nanos, measured.waited)
        {
            found.clock.get_or_insert(wrong);
        }
        if let Some(of) = of {
            for part in &measured.parts {
                found
                    .absorb(of, part.clone())
                    .or_unknown("keeping what was measured")?;
            }
        }
        if !step.labelled {
            return Ok(());
        }
        let (ret, nanos, errno) = match &measured.result {
            Ok((ret, nanos)) => (Some(*ret), Some(*nanos), Some(0)),
            Err(error) => (None, None, error.errno),
        };
        let figures = [
            ("ret", ret),
            ("time", nanos.map(|ns| i64::try_from(ns).unwrap_or(i64::MAX))),
            ("errno", errno.map(i64::from)),
        ];
        for (figure, value) in figures {
            if let Some(value) = value {
                found.figure(name, figure, value);
            }
        }
        Ok(())
    }

    fn log(&self, lines: Vec<coldcut_wire::DmesgLine>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).dmesg = Some(lines);
    }

    /// Everything measured so far.
    pub(crate) fn into_found(self) -> Measurements {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether anything that is judged needs what the workload measures.
fn wanted(variant: &Variant) -> bool {
    variant
        .expect
        .iter()
        .any(|e| matches!(e.check, Check::Measured(_)))
}

/// Runs `work` and keeps the kernel's log of it, where it is judged.
pub(crate) async fn logged<T>(
    variant: &Variant,
    client: &GuestClient<'_>,
    witness: &Witness,
    work: impl Future<Output = Result<T, Unknown>>,
) -> Result<T, Unknown> {
    if !wanted(variant) {
        return work.await;
    }
    let reading = "reading the kernel's log";
    client.dmesg(DmesgFrom::End).await.or_unknown(reading)?;
    let done = work.await?;
    let lines = client.dmesg(DmesgFrom::Last).await.or_unknown(reading)?;
    witness.log(lines);
    Ok(done)
}

/// Keeps what was measured in the cell's directory, also where the workload failed in the end.
pub(crate) fn keep(variant: &Variant, found: &Measurements, dir: &CellDir) -> Result<(), Unknown> {
    if !wanted(variant) {
        return Ok(());
    }
    let path = dir.measurements();
    serde_json::to_vec(found)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(&path, text))
        .or_unknown(&format!("writing {}", path.display()))
}

/// What [`keep`] kept.
///
/// # Errors
/// [`Unknown`] when it cannot be read.
pub(crate) fn kept(variant: &Variant, dir: &CellDir) -> Result<Measurements, Unknown> {
    if !wanted(variant) {
        return Ok(Measurements::default());
    }
    let path = dir.measurements();
    let reading = format!("reading {}", path.display());
    let text = std::fs::read(&path).or_unknown(&reading)?;
    serde_json::from_slice(&text).or_unknown(&reading)
}

/// The verdict on a variant that has no crash states.
pub(crate) fn verdict(variant: &Variant, judged: &Judged) -> (Verdict, u64) {
    let mut tally = Tally::new(variant);
    tally.add(&judged.judgement);
    (tally.verdict(), tally.obligations())
}
