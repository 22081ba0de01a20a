//! What holds of several names together: links, renames, link counts.

use std::collections::{BTreeMap, BTreeSet};

use coldcut_wire::{EntryKind, TreeEntry};

use super::super::tree::{parent, shown};
use super::{Broken, Look};
use crate::filesystem::Rule;
use crate::model::{InodeId, Named, Versions};
use crate::outcome::verdict::ViolationKind;

/// A name that was found.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    pub(super) entry: &'a TreeEntry,
    /// The inodes that it may be.
    pub(super) may_be: Vec<InodeId>,
    /// Whether it must lead to that one.
    pub(super) sure: bool,
}

/// How many names an inode had over time.
pub(super) struct Names {
    /// The number after each step that changed it, in the order in which they ended.
    counts: Vec<(usize, i64)>,
    /// The step after whose effect one name is durable.
    durable: Option<usize>,
}

impl Look<'_> {
    pub(super) fn links(&self, found: &[Found<'_>]) -> Vec<Broken> {
        let mut broken = self.counts();
        broken.extend(self.identities(found));
        for (id, _) in self.model.inodes() {
            broken.extend(self.renamed(id, found));
        }
        broken.retain(|broken| self.holds(broken.rule));
        broken
    }

    /// Link counts are the numbers of names.
    fn counts(&self) -> Vec<Broken> {
        let all = self.tree.all();
        if all
            .iter()
            .any(|entry| entry.kind == EntryKind::Directory && !entry.problems.is_empty())
        {
            return Vec::new();
        }
        let mut names: BTreeMap<u64, (u32, &TreeEntry)> = BTreeMap::new();
        let mut below: BTreeMap<&[u8], u32> = BTreeMap::new();
        for entry in all.iter().filter(|entry| !entry.path.is_empty()) {
            if entry.kind == EntryKind::Directory {
                *below.entry(parent(&entry.path)).or_default() += 1;
            } else {
                names.entry(entry.ino).or_insert((0, entry)).0 += 1;
            }
        }
        let files = names.into_values().filter(|(count, entry)| *count != entry.nlink);
        let files = files.map(|(count, entry)| (entry, count.to_string()));
        let directories = all.iter().filter(|entry| entry.kind == EntryKind::Directory);
        let directories = directories.filter_map(|entry| {
            let wanted = 2 + below.get(entry.path.as_slice()).copied().unwrap_or(0);
            // Some do not count directories: 1 says so.
            (entry.nlink != 1 && entry.nlink != wanted).then(|| (entry, wanted.to_string()))
        });
        let wrong = files.chain(directories).map(|(entry, wanted)| {
            let what = format!(
                "{} has link count {}, and {wanted} found",
                shown(&entry.path),
                entry.nlink
            );
            self.broken(Rule::LinkCount, ViolationKind::Attributes, &what, None)
        });
        wrong.collect()
    }

    /// Names of one inode lead to one, and no others do.
    fn identities(&self, found: &[Found<'_>]) -> Vec<Broken> {
        let mut broken = Vec::new();
        let mut by_number: BTreeMap<u64, (&TreeEntry, BTreeSet<InodeId>)> = BTreeMap::new();
        let mut by_id: BTreeMap<InodeId, &TreeEntry> = BTreeMap::new();
        let mut apart = |one: &TreeEntry, other: &TreeEntry, words: &str| {
            let what = format!("{} and {} {words}", shown(&one.path), shown(&other.path));
            broken.push(self.broken(Rule::NothingMadeUp, ViolationKind::Content, &what, None));
        };
        for Found { entry, may_be, sure } in found.iter().filter(|found| !found.may_be.is_empty()) {
            let may: BTreeSet<InodeId> = may_be.iter().copied().collect();
            let (first, known) = by_number.entry(entry.ino).or_insert((entry, may.clone()));
            known.retain(|id| may.contains(id));
            if known.is_empty() {
                apart(
                    first,
                    entry,
                    "lead to one inode, and were never names of one file",
                );
            }
            if *sure && may_be.len() == 1 {
                let first = by_id.entry(may_be[0]).or_insert(entry);
                if first.ino != entry.ino {
                    apart(first, entry, "lead to two inodes, and are names of one file");
                }
            }
        }
        broken
    }

    /// A file that had a name at all times since one was durable has one, and not more than it ever had.
    fn renamed(&self, id: InodeId, found: &[Found<'_>]) -> Option<Broken> {
        let names = self.names(id).filter(|names| names.counts.len() > 1)?;
        let its: Vec<&TreeEntry> = found
            .iter()
            .filter(|found| found.may_be.contains(&id))
            .map(|found| found.entry)
            .collect();
        let most = names.counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let alone = found.iter().filter(|found| found.may_be == [id]);
        let mut same: BTreeMap<u64, Vec<&TreeEntry>> = BTreeMap::new();
        for found in alone {
            same.entry(found.entry.ino).or_default().push(found.entry);
        }
        if let Some(many) = same.values().find(|names| names.len() as i64 > most) {
            let paths: Vec<String> = many.iter().map(|entry| shown(&entry.path)).collect();
            let what = format!(
                "{} lead to {}, which never had more than {most} at a time",
                paths.join(" and "),
                self.name_of(id)
            );
            return Some(self.broken(Rule::RenameAtomic, ViolationKind::Unexpected, &what, None));
        }
        let durable = names.durable?;
        let since = names.counts.iter().skip_while(|(step, _)| *step != durable);
        let always = since.clone().next().is_some() && since.clone().all(|(_, count)| *count > 0);
        if !always || !its.is_empty() {
            return None;
        }
        let what = format!(
            "{} is found under none of the names that it had since one was durable",
            self.name_of(id)
        );
        Some(self.broken(Rule::RenameAtomic, ViolationKind::Missing, &what, None))
    }

    /// Whether the last name of an inode may have been removed, or nobody knows: then its blocks may belong to others.
    pub(super) fn may_be_freed(&self, id: InodeId) -> bool {
        let names = self.names(id);
        names.is_none_or(|names| names.counts.iter().any(|(_, count)| *count <= 0))
    }

    /// How many names an inode had; `None` where that is not known.
    fn names(&self, id: InodeId) -> Option<&Names> {
        self.names.get_or_init(|| self.all_names())[id.0].as_ref()
    }

    /// How many names each inode had, by the steps that may have had an effect.
    fn all_names(&self) -> Vec<Option<Names>> {
        let inodes = self.model.inodes().count();
        let mut leading: Vec<Vec<&Versions<Named>>> = vec![Vec::new(); inodes];
        for entry in self.model.inodes().flat_map(|(_, inode)| inode.entries.values()) {
            let ids: BTreeSet<InodeId> = entry
                .all()
                .iter()
                .filter_map(|version| inode_of(version.value))
                .collect();
            for id in ids {
                leading[id.0].push(entry);
            }
        }
        let names = leading.into_iter().enumerate();
        names
            .map(|(id, entries)| self.names_by(InodeId(id), &entries))
            .collect()
    }

    /// From the names that ever led to an inode.
    fn names_by(&self, id: InodeId, entries: &[&Versions<Named>]) -> Option<Names> {
        let its = Named::Inode(id);
        let mut changes: Vec<(u32, usize, i64)> = Vec::new();
        let mut durable = None;
        for entry in entries {
            let issued = entry
                .all()
                .iter()
                .filter(|version| version.made.issued <= self.until);
            let mut before = false;
            for version in issued {
                if version.value == Named::Unknown {
                    return None;
                }
                let now = version.value == its;
                let change = i64::from(now) - i64::from(before);
                if change != 0 {
                    changes.push((version.made.done, version.made.step, change));
                }
                before = now;
            }
            let window = entry.window(self.until, |rule| self.holds(rule))?;
            let first = &window.may[0];
            if first.value == its && window.floor.is_some() {
                durable = Some(first.made.step);
            }
        }
        changes.sort_unstable();
        let mut counts: Vec<(usize, i64)> = Vec::new();
        let mut count = 0;
        for (_, step, change) in changes {
            count += change;
            match counts.last_mut() {
                Some((last, counted)) if *last == step => *counted = count,
                _ => counts.push((step, count)),
            }
        }
        Some(Names { counts, durable })
    }
}

/// The inode that a name leads to, if it is known to lead to one.
pub(super) fn inode_of(named: Named) -> Option<InodeId> {
    match named {
        Named::Inode(id) => Some(id),
        Named::Nothing | Named::Unknown => None,
    }
}
