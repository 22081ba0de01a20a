//! The programs that judge what a guest recovered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use coldcut_core::crash::index::Digest;
use coldcut_core::oracle::{Asked, Histories};
use coldcut_core::outcome::recovery::{Answer, Verified};
use coldcut_core::recording::log::{Cut, WriteLog};
use coldcut_core::scenario::{Variant, Verifier};
use coldcut_wire::{ExecSpec, VerifySpec};

use crate::vm::heard::Heard;
use crate::vm::initramfs;
use crate::vm::programs::GuestPrograms;

/// Most bytes that a program may print.
const MOST_OUTPUT: u64 = 4 << 20;
/// Most bytes of what a program is asked about: it is sent in one message.
const MOST_ASKED: usize = 512 << 10;
/// How often the programs of a cell may give no answer until they are asked no more.
const PATIENCE: u32 = 3;

/// The programs of a variant, as guests that recover have them.
#[derive(Debug)]
pub struct Programs {
    /// Where guests have them from.
    pub guest: GuestPrograms,
    /// Whether it is their root directory.
    pub rootfs: bool,
    /// Whether anything is asked about the data of files besides.
    pub data: bool,
    verifiers: Vec<(usize, Verifier)>,
    failures: AtomicU32,
}

impl Programs {
    /// Those of a variant, which guests have from there; `None` where none judges.
    pub fn of(variant: &Variant, guest: Option<GuestPrograms>) -> Option<Arc<Self>> {
        let verifiers: Vec<(usize, Verifier)> = variant
            .verifiers()
            .map(|(index, verifier)| (index, verifier.clone()))
            .collect();
        let guest = guest.filter(|_| !verifiers.is_empty())?;
        Some(Arc::new(Self {
            guest,
            rootfs: variant.programs.rootfs.is_some(),
            data: variant.wants_data(),
            verifiers,
            failures: AtomicU32::new(0),
        }))
    }

    /// What is sent to a guest: one program after the other. None once they failed too often.
    pub(crate) fn requests(&self, asked: &Asked) -> Vec<VerifySpec> {
        let size = asked
            .acknowledged
            .iter()
            .chain(&asked.begun)
            .map(|line| line.len() + 8);
        if self.given_up() || size.sum::<usize>() > MOST_ASKED {
            return Vec::new();
        }
        let one = |(_, verifier): &(usize, Verifier)| VerifySpec {
            exec: ExecSpec {
                root: self.rootfs.then(|| initramfs::PROGRAMS.to_owned()),
                ..verifier.spec.clone()
            },
            acknowledged: asked.acknowledged.clone(),
            begun: asked.begun.clone(),
            most_output: MOST_OUTPUT,
        };
        self.applying(asked).map(one).collect()
    }

    fn applying<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = &'a (usize, Verifier)> {
        let applies = |(index, _): &&(usize, Verifier)| asked.verifiers.contains(index);
        self.verifiers.iter().filter(applies)
    }

    /// What they said, given what was heard of each.
    pub(crate) fn verified(&self, asked: &Asked, heard: Vec<Heard>) -> Verified {
        let mut heard = heard.into_iter();
        let one = |(index, verifier): &(usize, Verifier)| {
            let heard = heard.next().unwrap_or_else(|| self.unheard());
            if heard.ended.is_err() {
                self.failed();
            }
            let lines = verifier.dump.is_some() && heard.ended == Ok(0);
            Answer {
                expectation: *index,
                ended: heard.ended,
                lines: if lines { heard.lines } else { Vec::new() },
                last: if lines { Vec::new() } else { heard.last },
            }
        };
        Verified {
            asked: asked.digest(),
            answers: self.applying(asked).map(one).collect(),
        }
    }

    /// Of a program that was not asked.
    fn unheard(&self) -> Heard {
        let why = if self.given_up() {
            format!("programs gave no answer {PATIENCE} times before, and are asked no more in this cell")
        } else {
            format!("more was acknowledged than the {MOST_ASKED} bytes that it can be told")
        };
        Heard::nothing(why)
    }

    /// A guest with a program in it came to nothing, or a program gave no answer.
    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn given_up(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= PATIENCE
    }
}

/// What the programs of a recording's states are asked about.
#[derive(Debug)]
pub(crate) struct Asking {
    variant: Variant,
    histories: Histories,
    /// Those of the cuts that were looked at: a cut has many states.
    digests: Mutex<HashMap<Cut, Digest>>,
}

impl Asking {
    /// Of a recording's log; `None` where the variant asks no programs.
    pub(crate) fn of(variant: &Variant, log: &WriteLog) -> Option<Arc<Self>> {
        variant.verifiers().next()?;
        Some(Arc::new(Self {
            variant: variant.clone(),
            histories: Histories::new(log),
            digests: Mutex::default(),
        }))
    }

    /// What is asked at a cut.
    pub(crate) fn at(&self, cut: Cut) -> Option<Asked> {
        self.histories.at(cut).asked(&self.variant)
    }

    /// What tells what is asked there from what is asked elsewhere.
    pub(crate) fn digest(&self, cut: Cut) -> Digest {
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        *digests
            .entry(cut)
            .or_insert_with(|| self.at(cut).map_or(Digest([0; 16]), |asked| asked.digest()))
    }

    /// The digest of a state's content and of what is asked about it.
    pub(crate) fn with(&self, content: Digest, cut: Cut) -> Digest {
        let both = [content.0, self.digest(cut).0].concat();
        let mut first = [0; 16];
        first.copy_from_slice(&blake3::hash(&both).as_bytes()[..16]);
        Digest(first)
    }

    /// Whether every answer follows from what is read and asked.
    pub(crate) fn deterministic(&self) -> bool {
        self.variant
            .verifiers()
            .all(|(_, verifier)| verifier.deterministic)
    }
}
