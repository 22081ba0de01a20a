//! Mode, owner and extended attributes.

use coldcut_wire::{EntryKind, TreeEntry};

use super::super::data::printable;
use super::super::tree::shown;
use super::{Broken, Look};
use crate::filesystem::Rule;
use crate::model::{Inode, Versions, Xattr};
use crate::outcome::verdict::ViolationKind;

/// Namespaces of extended attributes that nobody but a step sets.
const NAMESPACES: [&str; 2] = ["user.", "trusted."];

impl Look<'_> {
    pub(super) fn attributes(&self, found: &TreeEntry, inode: &Inode) -> Vec<Broken> {
        let mut broken = Vec::new();
        // A symlink's mode is not used, and f2fs and xfs keep it otherwise.
        if inode.kind != EntryKind::Symlink {
            let mode = |mode: &u32| format!("mode {mode:04o}");
            broken.extend(self.attribute(found, &inode.mode, &found.mode, mode));
        }
        let owner = |(uid, gid): &(u32, u32)| format!("owner {uid}:{gid}");
        broken.extend(self.attribute(found, &inode.owner, &(found.uid, found.gid), owner));
        broken.extend(self.xattrs(found, inode));
        broken
    }

    fn attribute<T: PartialEq>(
        &self,
        found: &TreeEntry,
        versions: &Versions<Option<T>>,
        value: &T,
        words: impl Fn(&T) -> String,
    ) -> Option<Broken> {
        let window = versions.window(self.until, |rule| self.holds(rule))?;
        let mut may = window.may.iter().map(|version| version.value.as_ref());
        if may.any(|may| may.is_none_or(|may| may == value)) {
            return None;
        }
        let wanted = window.may.iter().filter_map(|version| version.value.as_ref());
        let wanted: Vec<String> = wanted.map(&words).collect();
        let what = format!(
            "{} has {}, expected {}",
            shown(&found.path),
            words(value),
            wanted.join(" or ")
        );
        let older = versions.all()[..window.older].iter();
        let was = older
            .filter_map(|version| version.value.as_ref())
            .any(|older| older == value);
        let rule = if was {
            Rule::SyncedAttributes
        } else {
            Rule::NothingMadeUp
        };
        Some(self.of_attribute(rule, window.floor, &what))
    }

    /// A value that was synced away is lost by the rule of the sync; one that nobody set is made up.
    fn of_attribute(&self, rule: Rule, floor: Option<crate::model::Floor>, what: &str) -> Broken {
        let kind = ViolationKind::Attributes;
        match floor {
            Some(floor) if rule != Rule::NothingMadeUp || !self.holds(rule) => {
                self.promised(Some(floor), rule, kind, what)
            }
            _ => self.broken(Rule::NothingMadeUp, kind, what, None),
        }
    }

    fn xattrs(&self, found: &TreeEntry, inode: &Inode) -> Vec<Broken> {
        let value = |name: &str| found.xattrs.iter().find(|(other, _)| other == name);
        let known = inode.xattrs.iter().filter(|(name, _)| judged(name));
        let mut broken: Vec<Broken> = Vec::new();
        for (name, versions) in known {
            let value = value(name).map_or(Xattr::Absent, |(_, value)| Xattr::Value(value.clone()));
            broken.extend(self.xattr(found, name, versions, &value));
        }
        let surplus = found
            .xattrs
            .iter()
            .filter(|(name, _)| judged(name) && !inode.xattrs.contains_key(name));
        broken.extend(surplus.map(|(name, _)| {
            let name = printable(name.as_bytes());
            let what = format!("{} has {name}, which no step set", shown(&found.path));
            self.broken(Rule::NothingMadeUp, ViolationKind::Attributes, &what, None)
        }));
        broken
    }

    fn xattr(
        &self,
        found: &TreeEntry,
        name: &str,
        versions: &Versions<Xattr>,
        value: &Xattr,
    ) -> Option<Broken> {
        let window = versions.window(self.until, |rule| self.holds(rule));
        let may = window.as_ref().map_or(&[][..], |window| window.may);
        let right = |may: &Xattr| may == value || *may == Xattr::Unknown;
        if may.iter().any(|version| right(&version.value)) || may.is_empty() && *value == Xattr::Absent {
            return None;
        }
        let wanted: Vec<String> = may.iter().map(|version| words(&version.value)).collect();
        let what = format!(
            "{} has {name} {}, expected {}",
            shown(&found.path),
            words(value),
            wanted.join(" or ")
        );
        let older = window.as_ref().map_or(0, |window| window.older);
        let was = versions.all()[..older]
            .iter()
            .any(|version| version.value == *value);
        let rule = if was {
            Rule::SyncedXattrs
        } else {
            Rule::NothingMadeUp
        };
        Some(self.of_attribute(rule, window.and_then(|window| window.floor), &what))
    }
}

fn judged(name: &str) -> bool {
    NAMESPACES.iter().any(|namespace| name.starts_with(namespace))
}

fn words(value: &Xattr) -> String {
    match value {
        Xattr::Absent => "nothing".to_owned(),
        Xattr::Value(value) => format!("`{}`", printable(value)),
        Xattr::Unknown => "anything".to_owned(),
    }
}
