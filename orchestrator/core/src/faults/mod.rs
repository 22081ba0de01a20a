//! What a device is told to do with requests before it completes them: hold them, fail them, take its time.
//!
//! [`Rules`] decides by what a request is (its kind, its place, whose data it carries), [`Pace`] by how fast the device
//! is to be. Both are pure: the caller brings the requests and the clock.

mod filter;
mod pace;

use std::collections::BTreeSet;

use serde::Serialize;

pub use filter::{Asked, Filter, Kind, Whose, identities};
pub use pace::Pace;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It stays submitted until it is released.
    Hold,
    /// It is answered with EIO and changes nothing.
    Fail,
}

/// Which requests something is to happen to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Which requests.
    pub filter: Filter,
    /// What happens to them.
    pub effect: Effect,
    /// To how many of them, from the next one on; `None` is all.
    pub count: Option<u32>,
}

/// A rule in force.
#[derive(Clone, Debug)]
struct Armed {
    rule: Rule,
    /// Identities of the contents that the filter asks for; `None` when it does not ask.
    ids: Option<BTreeSet<u64>>,
    /// Requests that it applied to.
    hits: u32,
}

/// The rules in force, in the order in which they were armed. The first that matches decides.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    armed: Vec<Armed>,
}

impl Rules {
    /// Puts a rule in force. `ids` are the identities of the contents that its filter names, if it names any.
    pub fn arm(&mut self, rule: Rule, ids: Option<BTreeSet<u64>>) {
        self.armed.push(Armed { rule, ids, hits: 0 });
    }

    /// Ends a rule; how many requests it had applied to, if there was such a rule.
    pub fn disarm(&mut self, name: &str) -> Option<u32> {
        let at = self.armed.iter().position(|a| a.rule.name == name)?;
        Some(self.armed.remove(at).hits)
    }

    /// How many requests a rule has applied to.
    pub fn hits(&self, name: &str) -> Option<u32> {
        self.armed.iter().find(|a| a.rule.name == name).map(|a| a.hits)
    }

    /// The rules in force, with how many requests each has applied to.
    pub fn all(&self) -> impl Iterator<Item = (&Rule, u32)> {
        self.armed.iter().map(|a| (&a.rule, a.hits))
    }

    /// Decides about a request, and counts it. `carried` says whose data it carries; it is asked only where a rule
    /// needs to know.
    pub fn decide(
        &mut self,
        asked: &Asked,
        carried: impl FnOnce() -> BTreeSet<u64>,
    ) -> Option<(&Rule, Effect)> {
        let mut carried = Some(carried);
        let mut known: Option<BTreeSet<u64>> = None;
        let matching = |armed: &Armed| {
            if armed.rule.count.is_some_and(|count| armed.hits >= count) || !armed.rule.filter.fits(asked) {
                return false;
            }
            let Some(ids) = &armed.ids else { return true };
            if let Some(carried) = carried.take() {
                known = Some(carried());
            }
            known.as_ref().is_some_and(|known| !known.is_disjoint(ids))
        };
        let at = self.armed.iter().position(matching)?;
        let armed = &mut self.armed[at];
        armed.hits += 1;
        Some((&armed.rule, armed.rule.effect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, kind: Kind, count: Option<u32>) -> Rule {
        Rule {
            name: name.to_owned(),
            filter: Filter {
                kind,
                whose: None,
                range: None,
            },
            effect: Effect::Hold,
            count,
        }
    }

    fn asked(kind: Kind) -> Asked {
        Asked {
            kind,
            offset: 0,
            len: 4096,
        }
    }

    #[test]
    fn a_rule_applies_as_often_as_it_says() {
        let mut rules = Rules::default();
        rules.arm(rule("once", Kind::Write, Some(1)), None);
        rules.arm(rule("rest", Kind::Write, None), None);
        let mut named = |kind| {
            rules
                .decide(&asked(kind), BTreeSet::new)
                .map(|(rule, _)| rule.name.clone())
        };
        assert_eq!(named(Kind::Read), None);
        assert_eq!(named(Kind::Write).as_deref(), Some("once"));
        assert_eq!(named(Kind::Write).as_deref(), Some("rest"));
        assert_eq!(named(Kind::Write).as_deref(), Some("rest"));
        assert_eq!(rules.hits("rest"), Some(2));
        assert_eq!(rules.disarm("rest"), Some(2));
        assert_eq!(rules.disarm("rest"), None);
        assert!(rules.decide(&asked(Kind::Write), BTreeSet::new).is_none());
    }

    #[test]
    fn data_is_looked_at_once_and_only_if_asked_for() {
        let mut rules = Rules::default();
        rules.arm(rule("reads", Kind::Read, None), Some(BTreeSet::from([1])));
        rules.arm(rule("first", Kind::Write, None), Some(BTreeSet::from([2, 3])));
        rules.arm(rule("second", Kind::Write, None), Some(BTreeSet::from([4])));
        let mut looks = 0;
        let found = rules.decide(&asked(Kind::Write), || {
            looks += 1;
            BTreeSet::from([4, 9])
        });
        assert_eq!(found.map(|(r, _)| r.name.as_str()), Some("second"));
        assert_eq!(looks, 1);
        assert!(
            rules
                .decide(&asked(Kind::Flush), || unreachable!("a flush carries nothing"))
                .is_none()
        );
        assert_eq!(rules.hits("first"), Some(0));
    }
}
