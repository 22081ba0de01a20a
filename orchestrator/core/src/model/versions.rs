//! The values that one aspect of a filesystem had, one after the other, and which of them were made durable.

use crate::filesystem::Rule;

/// A step that changed or synced something: when it was sent, and when its acknowledgement came.
///
/// Times are numbers of marks in the log's order, from 1. At a cut that comes after `n` marks, what has a time up to `n` has
/// happened. 0 is before the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// Which step: an index into [`Model::steps`](super::Model::steps).
    pub step: usize,
    /// From here on it may have happened.
    pub issued: u32,
    /// From here on it has; [`When::NEVER`] if its acknowledgement never came.
    pub done: u32,
}

impl When {
    /// A time that does not come.
    pub const NEVER: u32 = u32::MAX;

    /// Whether this step may have taken effect before the other one or after it.
    pub fn overlaps(&self, later: &Self) -> bool {
        self.step != later.step && self.done > later.issued
    }
}

/// A value, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<T> {
    /// The value.
    pub value: T,
    /// The step that made it.
    pub made: When,
}

/// A promise: from some time on, nothing older than one version is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The oldest version that may be found.
    pub version: usize,
    /// The step that promised it; in force once that is done.
    pub by: When,
    /// By which rule.
    pub rule: Rule,
}

/// All values that one aspect had, in the order in which the steps that made them ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions<T> {
    list: Vec<Version<T>>,
    floors: Vec<Floor>,
}

/// What may be found of one aspect at a cut.
#[derive(Clone, Copy, Debug)]
pub struct Window<'m, T> {
    /// The values, the oldest that may be found first; at least one.
    pub may: &'m [Version<T>],
    /// How many versions are older.
    pub older: usize,
    /// The promise in force, if there is any.
    pub floor: Option<Floor>,
}

impl<T> Window<'_, T> {
    /// The newest value that may be found.
    pub fn newest(&self) -> &T {
        &self.may[self.may.len() - 1].value
    }
}

impl<T> Versions<T> {
    /// An aspect with its first value.
    pub fn new(value: T, made: When) -> Self {
        Self {
            list: vec![Version { value, made }],
            floors: Vec::new(),
        }
    }

    /// The newest value.
    pub fn current(&self) -> Option<&T> {
        self.list.last().map(|version| &version.value)
    }

    /// Every value, the oldest first.
    pub fn all(&self) -> &[Version<T>] {
        &self.list
    }

    /// Adds a value. Where the step overlaps the one that made the last value, nobody can say which came last, and
    /// `unknown` is added instead.
    pub fn push(&mut self, value: T, made: When, unknown: T) {
        let value = if self.contested(&made) { unknown } else { value };
        self.list.push(Version { value, made });
    }

    /// Whether a step may have come before the last value as well as after it.
    pub fn contested(&self, by: &When) -> bool {
        // They are in the order in which their steps ended.
        let recent = self.list.iter().rev();
        let mut recent =
            recent.take_while(|version| version.made.step == by.step || version.made.done > by.issued);
        recent.any(|version| version.made.overlaps(by))
    }

    /// How many versions had been acknowledged when a step began.
    fn acknowledged(&self, by: &When) -> usize {
        self.list
            .iter()
            .filter(|version| version.made.done < by.issued)
            .count()
    }

    /// Promises all that had been acknowledged when a step began. A workload's steps only: see [`Versions::seal`].
    pub fn sync(&mut self, by: When, rule: Rule) {
        let version = self.acknowledged(&by).saturating_sub(1);
        self.floors.push(Floor { version, by, rule });
    }

    /// The index of the version that a sync by this step makes durable, if there is any.
    pub fn durable_by(&self, by: &When) -> Option<usize> {
        self.acknowledged(by).checked_sub(1)
    }

    /// Makes everything so far durable before the recording: the setup was unmounted.
    pub fn seal(&mut self, by: When) {
        let version = self.list.len().saturating_sub(1);
        let rule = Rule::Unmounted;
        self.floors.push(Floor { version, by, rule });
    }

    /// What may be found at a cut after `until` marks, by the rules that hold; `None` where nothing had been made.
    pub fn window(&self, until: u32, holds: impl Fn(Rule) -> bool) -> Option<Window<'_, T>> {
        let issued = self
            .list
            .iter()
            .rposition(|version| version.made.issued <= until)?
            + 1;
        let in_force = |floor: &&Floor| floor.by.done <= until && holds(floor.rule);
        // Of two that promise the same, the first did so first.
        let floor = self
            .floors
            .iter()
            .filter(in_force)
            .rev()
            .max_by_key(|floor| floor.version);
        let older = floor.map_or(0, |floor| floor.version);
        let may = self.list.get(older..issued).filter(|may| !may.is_empty())?;
        Some(Window {
            may,
            older,
            floor: floor.copied(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn when(step: usize, issued: u32, done: u32) -> When {
        When { step, issued, done }
    }

    fn found(versions: &Versions<u8>, until: u32) -> Vec<u8> {
        let window = versions.window(until, |_| true);
        window.map_or_else(Vec::new, |w| w.may.iter().map(|v| v.value).collect())
    }

    #[test]
    fn a_value_may_be_found_from_its_issue_on() {
        let mut versions = Versions::new(0, when(0, 0, 0));
        versions.push(1, when(1, 3, 4), 9);
        assert_eq!(found(&versions, 2), [0]);
        assert_eq!(found(&versions, 3), [0, 1]);
        assert_eq!(found(&versions, 9), [0, 1]);
    }

    #[test]
    fn a_sync_takes_the_older_ones_away_once_it_is_acknowledged() {
        let mut versions = Versions::new(0, when(0, 0, 0));
        versions.push(1, when(1, 1, 2), 9);
        versions.sync(when(2, 3, 4), Rule::SyncedData);
        versions.push(2, when(3, 5, 6), 9);
        assert_eq!(found(&versions, 3), [0, 1]);
        assert_eq!(found(&versions, 4), [1]);
        assert_eq!(found(&versions, 5), [1, 2]);
        let without = versions.window(4, |rule| rule != Rule::SyncedData).unwrap();
        assert_eq!((without.may.len(), without.floor), (2, None));
    }

    #[test]
    fn a_sync_promises_nothing_of_what_overlaps_it() {
        let mut versions = Versions::new(0, when(0, 0, 0));
        versions.push(1, when(1, 1, 4), 9);
        versions.sync(when(2, 2, 5), Rule::SyncedData);
        assert_eq!(found(&versions, 9), [0, 1]);
    }

    #[test]
    fn of_two_that_overlap_nobody_knows_the_last() {
        let mut versions = Versions::new(0, when(0, 0, 0));
        versions.push(1, when(1, 1, 3), 9);
        versions.push(2, when(2, 2, 4), 9);
        assert_eq!(found(&versions, 9), [0, 1, 9]);
    }

    #[test]
    fn what_was_unmounted_is_durable() {
        let mut versions = Versions::new(0, when(0, 0, 0));
        versions.push(1, when(1, 0, 0), 9);
        versions.seal(when(1, 0, 0));
        assert_eq!(found(&versions, 0), [1]);
    }
}
