//! Gets a candidate as a stored kernel, pulling it where necessary.

use super::line::Candidate;
use crate::kernel::{Flavour, Kernel, Progress, Store, StoreError};

/// What became of a candidate.
#[derive(Debug)]
pub enum Obtained {
    /// It is stored.
    Kernel(Box<Kernel>),
    /// It is not available (any more), and why.
    Gone(String),
}

/// Lists the kernels in the store and, with `ask`, those that the archives offer. When no archive can be used, the
/// stored ones are all, and a note says why.
///
/// # Errors
/// [`StoreError`] of the store itself.
pub fn candidates(
    store: &Store,
    ask: bool,
    progress: &dyn Progress,
) -> Result<(Vec<Candidate>, Option<String>), StoreError> {
    let stored = store.list()?;
    let mut all: Vec<Candidate> = stored
        .iter()
        .filter(|k| k.manifest().flavour != Flavour::Custom)
        .map(|k| Candidate::stored(k.manifest()))
        .collect();
    if !ask {
        return Ok((all, None));
    }
    match store.puller(progress) {
        Ok(puller) => {
            for offer in puller.offers() {
                if !all.iter().any(|c| c.packages == offer.packages) {
                    all.push(Candidate::offered(offer));
                }
            }
            Ok((all, None))
        }
        Err(error) if error.is_archive_failure() => Ok((all, Some(error.to_string()))),
        Err(error) => Err(error),
    }
}

/// Finds a candidate in the store, or pulls it.
///
/// # Errors
/// [`StoreError`] when the store or the archive cannot be used at all: that says nothing about the kernel.
pub fn obtain(store: &Store, candidate: &Candidate, progress: &dyn Progress) -> Result<Obtained, StoreError> {
    let is_it = |kernel: &Kernel| {
        let same_packages = || Candidate::stored(kernel.manifest()).packages == candidate.packages;
        candidate.digest.as_deref() == Some(kernel.digest())
            || (!candidate.packages.is_empty() && same_packages())
    };
    if let Some(kernel) = store.list()?.into_iter().find(is_it) {
        return Ok(Obtained::Kernel(Box::new(kernel)));
    }
    if candidate.packages.is_empty() {
        return Ok(Obtained::Gone("it is not in the store any more".to_owned()));
    }
    let puller = store.puller(progress)?;
    let Some(offer) = puller.offers().iter().find(|o| o.packages == candidate.packages) else {
        return Ok(Obtained::Gone(
            "the archive does not offer it any more".to_owned(),
        ));
    };
    match puller.pull_offer(offer, progress) {
        Ok(kernel) => Ok(Obtained::Kernel(Box::new(kernel))),
        // Of this kernel: a package that is no kernel, or lacks what a guest needs.
        Err(error @ (StoreError::Deb { .. } | StoreError::Image { .. } | StoreError::Modules { .. })) => {
            Ok(Obtained::Gone(error.to_string()))
        }
        Err(error) => Err(error),
    }
}
