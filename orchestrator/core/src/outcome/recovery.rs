//! What was found after the cut: the result of mounting, walking, unmounting and checking one crash state.

use coldcut_wire::{DmesgLine, TreeEntry};
use serde::{Deserialize, Serialize};

use crate::crash::index::Digest;
use crate::filesystem::is_about;

/// How much a recovery can be trusted to be what a freshly started kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// A guest that recovered other states before.
    Screened,
    /// A clone of a kernel that was saved at agent-ready.
    Fresh,
    /// A kernel booted for this state.
    Cold,
}

/// The outcome of a recovery that was finished. What keeps one from being finished is an
/// [`Unknown`](super::unknown::Unknown).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// Who recovered it.
    pub trust: Trust,
    /// mount(2): `None` when it succeeded.
    pub mount_error: Option<CallError>,
    /// The tree, in walk order, root first; empty when the mount failed.
    pub tree: Vec<TreeEntry>,
    /// umount(2): `None` when it succeeded.
    pub unmount_error: Option<CallError>,
    /// The kernel's log from before the mount to after the unmount.
    pub dmesg: Vec<DmesgLine>,
    /// The checker's report on the recovered, unmounted image; `None` when the filesystem has none here.
    pub fsck: Option<Fsck>,
    /// The oops by which the kernel panicked over it; then nothing else of it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<String>,
    /// What the checker repaired before the mount, where it was asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Fsck>,
    /// What programs said of it, where any were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
}

/// What programs said of what was recovered, given what was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// What they were asked: an answer is to this question only.
    pub asked: Digest,
    /// Their answers, in the order of the expectations.
    pub answers: Vec<Answer>,
}

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which entry of the scenario's `expect` list asked it, from 0.
    pub expectation: usize,
    /// Its exit code, or 128 and the signal that ended it; or why there is none.
    pub ended: Result<i32, String>,
    /// All of its standard output, where that is judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// The last lines that it printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last: Vec<String>,
}

impl Recovery {
    /// Of a content over which the kernel panicked.
    pub fn panicked(trust: Trust, oops: String) -> Self {
        Self {
            trust,
            mount_error: None,
            tree: Vec::new(),
            unmount_error: None,
            dmesg: Vec::new(),
            fsck: None,
            panic: Some(oops),
            repaired: None,
            verified: None,
        }
    }

    /// Digest of what the filesystem recovered to: whether the kernel survives it, whether it mounts and unmounts, the
    /// tree and its data, and how the programs ended that were asked. Times are left out, and the kernel's log, which has times in it.
    pub fn fingerprint(&self) -> u128 {
        let mut tree = self.tree.clone();
        for entry in &mut tree {
            entry.mtime_ns = 0;
        }
        let errno = |error: &Option<CallError>| error.as_ref().map(|e| e.errno);
        let calls = (errno(&self.mount_error), errno(&self.unmount_error));
        let all = (self.panic.is_some(), calls, tree);
        // Serialising these types cannot fail: no maps, no fallible impls.
        let mut bytes = serde_json::to_vec(&all).unwrap_or_default();
        for answer in self.answers() {
            bytes.extend(format!(" {:?}", answer.ended.as_ref().ok()).into_bytes());
        }
        let hash = blake3::hash(&bytes);
        u128::from_le_bytes(hash.as_bytes()[..16].try_into().unwrap_or_default())
    }

    /// Whether it is what recoveries of states show that differ from its own in nothing but file data: alike but for that, and
    /// each of its entries is one of theirs at the same path. Of one recovery: whether it recovered to the same.
    pub fn is_made_of(&self, others: &[&Self]) -> bool {
        let [first, ..] = others else { return false };
        if others.len() == 1 {
            return self.same_as(first);
        }
        let bare = |recovery: &Self| {
            let tree = Vec::new();
            let (dmesg, fsck) = (Vec::new(), None);
            Self {
                tree,
                dmesg,
                fsck,
                ..recovery.clone()
            }
            .fingerprint()
        };
        let alike = |one: &TreeEntry, other: &TreeEntry| {
            let mtime_ns = one.mtime_ns;
            *one == TreeEntry {
                mtime_ns,
                ..other.clone()
            }
        };
        bare(self) == bare(first)
            && others.iter().all(|other| other.tree.len() == self.tree.len())
            && self
                .tree
                .iter()
                .enumerate()
                .all(|(index, entry)| others.iter().any(|other| alike(entry, &other.tree[index])))
    }

    /// Whether the two recovered to the same, in all that was asked of both.
    pub fn same_as(&self, other: &Self) -> bool {
        let clean = |recovery: &Self| recovery.fsck.as_ref().map(|fsck| fsck.clean);
        let fsck = clean(self).is_none() || clean(other).is_none() || clean(self) == clean(other);
        let said = |recovery: &Self| {
            let lines = recovery.answers().iter().map(|answer| answer.lines.clone());
            (
                recovery.verified.as_ref().map(|v| v.asked),
                lines.collect::<Vec<_>>(),
            )
        };
        fsck && self.fingerprint() == other.fingerprint() && said(self) == said(other)
    }

    /// What programs said.
    fn answers(&self) -> &[Answer] {
        self.verified.as_ref().map_or(&[], |verified| &verified.answers)
    }
}

/// What a kernel said of a filesystem of this type, in one line; `None` when nothing.
pub fn complaints(dmesg: &[DmesgLine], fstype: &str) -> Option<String> {
    let about = |text: &&str| is_about(text, fstype);
    let said: Vec<&str> = dmesg.iter().map(|line| line.text.trim()).filter(about).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// A system call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct CallError {
    /// Its errno, where known.
    pub errno: Option<i32>,
    /// What failed, in words.
    pub what: String,
}

/// What a filesystem checker said: without changing anything, or, in [`Recovery::repaired`], of what it changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fsck {
    /// The command, such as `e2fsck -fn`.
    pub command: String,
    /// Its exit code.
    pub code: i32,
    /// Whether it found nothing wrong.
    pub clean: bool,
    /// What it printed, cut at 64 KiB.
    pub output: String,
}
