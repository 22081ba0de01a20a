//! What a device is told to do with requests before it completes them: hold them, fail them, take its time.
//!
//! [`ActiveFaults`] decides by what a request is (its kind, its range, whose data it carries), [`Pace`] by how fast the
//! device is to be. Both are pure: the caller brings the requests and the clock.

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

/// What is to happen to which requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its name.
    pub name: String,
    /// Which requests.
    pub filter: Filter,
    /// What happens to them.
    pub effect: Effect,
    /// To how many of them, from the next one on; `None` is all.
    pub count: Option<u32>,
}

/// A fault in force.
#[derive(Clone, Debug)]
struct Armed {
    fault: Fault,
    /// Identities of the contents that the filter asks for; `None` when it does not ask.
    ids: Option<BTreeSet<u64>>,
    /// Requests that it applied to.
    hits: u32,
}

/// The faults in force, in the order in which they were armed. The first that matches decides.
#[derive(Clone, Debug, Default)]
pub struct ActiveFaults {
    armed: Vec<Armed>,
}

impl ActiveFaults {
    /// Puts a fault in force. `ids` are the identities of the contents that its filter names, if it names any.
    pub fn arm(&mut self, fault: Fault, ids: Option<BTreeSet<u64>>) {
        self.armed.push(Armed { fault, ids, hits: 0 });
    }

    /// Ends a fault; how many requests it had applied to, if there was such a fault.
    pub fn disarm(&mut self, name: &str) -> Option<u32> {
        let at = self.armed.iter().position(|a| a.fault.name == name)?;
        Some(self.armed.remove(at).hits)
    }

    /// How many requests a fault has applied to.
    pub fn hits(&self, name: &str) -> Option<u32> {
        self.armed.iter().find(|a| a.fault.name == name).map(|a| a.hits)
    }

    /// The faults in force, with how many requests each has applied to.
    pub fn all(&self) -> impl Iterator<Item = (&Fault, u32)> {
        self.armed.iter().map(|a| (&a.fault, a.hits))
    }

    /// Decides about a request, and counts it. `carried` says whose data it carries; it is asked only where a fault
    /// needs to know.
    pub fn decide(
        &mut self,
        asked: &Asked,
        carried: impl FnOnce() -> BTreeSet<u64>,
    ) -> Option<(&Fault, Effect)> {
        let mut carried = Some(carried);
        let mut known: Option<BTreeSet<u64>> = None;
        let matching = |armed: &Armed| {
            if armed.fault.count.is_some_and(|count| armed.hits >= count) || !armed.fault.filter.fits(asked) {
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
        Some((&armed.fault, armed.fault.effect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str, kind: Kind, count: Option<u32>) -> Fault {
        Fault {
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
        let mut faults = ActiveFaults::default();
        faults.arm(fault("once", Kind::Write, Some(1)), None);
        faults.arm(fault("rest", Kind::Write, None), None);
        let mut named = |kind| {
            faults
                .decide(&asked(kind), BTreeSet::new)
                .map(|(fault, _)| fault.name.clone())
        };
        assert_eq!(named(Kind::Read), None);
        assert_eq!(named(Kind::Write).as_deref(), Some("once"));
        assert_eq!(named(Kind::Write).as_deref(), Some("rest"));
        assert_eq!(named(Kind::Write).as_deref(), Some("rest"));
        assert_eq!(faults.hits("rest"), Some(2));
        assert_eq!(faults.disarm("rest"), Some(2));
        assert_eq!(faults.disarm("rest"), None);
        assert!(faults.decide(&asked(Kind::Write), BTreeSet::new).is_none());
    }

    #[test]
    fn data_is_looked_at_once_and_only_if_asked_for() {
        let mut faults = ActiveFaults::default();
        faults.arm(fault("reads", Kind::Read, None), Some(BTreeSet::from([1])));
        faults.arm(fault("first", Kind::Write, None), Some(BTreeSet::from([2, 3])));
        faults.arm(fault("second", Kind::Write, None), Some(BTreeSet::from([4])));
        let mut looks = 0;
        let found = faults.decide(&asked(Kind::Write), || {
            looks += 1;
            BTreeSet::from([4, 9])
        });
        assert_eq!(found.map(|(r, _)| r.name.as_str()), Some("second"));
        assert_eq!(looks, 1);
        assert!(
            faults
                .decide(&asked(Kind::Flush), || unreachable!("a flush carries nothing"))
                .is_none()
        );
        assert_eq!(faults.hits("first"), Some(0));
    }
}
