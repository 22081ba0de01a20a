//! Names of crash states, from which a state is rebuilt with nothing but the log.
//!
//! `PLAN CUT - SET [- MODIFIER]…`, all in lower-case letters and digits: `b17-d`, `r45-x12`, `t45-c-t12f3u512`.
//!
//! | part | |
//! |------|-|
//! | plan | `b` barriers, `w` writes, `r` reorder, `t` torn, `c` combinations, `a` at, `e` all, `f` all-torn |
//! | cut  | events that have happened |
//! | set  | `d` durable alone, `c` all completed, `a` all, `xN` all but request N, `oN` request N alone, `mH` the subset with hexadecimal mask H, `sNxH` sample N of seed H |
//! | `+STATE` | the recovery of that state, cut off: a state of the log of what it wrote; `e45-m3+e7-m1` |
//! | modifiers | `pN` rank of the order of overlapping writes in flight; `tNPuU` request N torn at units of U bytes, P one of `fK` `lK` `e` `o` (first, last, even, odd), once for each torn request, in ascending order; `dk`, `dg` discards kept, as garbage |

use std::fmt;
use std::str::FromStr;

use num_bigint::BigUint;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::choice::{CrashState, DiscardAs, PlanKind, Set, Tear, TornPart};
use crate::recording::log::{Cut, RequestId};

/// The name of a crash state. Two states of a log are the same recipe exactly when their names are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(String);

/// Hexadecimal digits of a mask at most: for a million volatile writes.
const MASK_DIGITS: usize = 250_000;

/// Recoveries that may be cut off, one after the other.
const MOST_AGAIN: usize = 16;

/// A name that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no crash state; expected a name such as b17-d, b17-c, r45-x12 or t45-c-t12f3u512")]
pub struct ParseStateIdError(String);

impl StateId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The state that it names.
    pub fn state(&self) -> CrashState {
        // A StateId is only ever made from a state, or from text that parsed.
        parse(&self.0).unwrap_or(CrashState::new(PlanKind::At, Cut(0), Set::Durable))
    }
}

impl CrashState {
    /// Its name.
    pub fn id(&self) -> StateId {
        StateId(self.to_string())
    }
}

impl fmt::Display for CrashState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = match self.plan {
            PlanKind::Barriers => 'b',
            PlanKind::Writes => 'w',
            PlanKind::Reorder => 'r',
            PlanKind::Torn => 't',
            PlanKind::Combinations => 'c',
            PlanKind::At => 'a',
            PlanKind::All => 'e',
            PlanKind::AllTorn => 'f',
        };
        write!(f, "{plan}{}-", self.cut)?;
        match &self.set {
            Set::Durable => f.write_str("d"),
            Set::Completed => f.write_str("c"),
            Set::All => f.write_str("a"),
            Set::Without(RequestId(number)) => write!(f, "x{number}"),
            Set::Only(RequestId(number)) => write!(f, "o{number}"),
            Set::Subset(mask) => write!(f, "m{}", mask.to_str_radix(16)),
            Set::Sample { seed, number } => write!(f, "s{number}x{seed:x}"),
        }?;
        if self.order != 0 {
            write!(f, "-p{}", self.order)?;
        }
        for tear in &self.tears {
            write!(f, "-t{}", tear.request.0)?;
            match tear.part {
                TornPart::First(units) => write!(f, "f{units}"),
                TornPart::Last(units) => write!(f, "l{units}"),
                TornPart::Even => f.write_str("e"),
                TornPart::Odd => f.write_str("o"),
            }?;
            write!(f, "u{}", tear.unit)?;
        }
        f.write_str(match self.discard {
            DiscardAs::Zeros => "",
            DiscardAs::Kept => "-dk",
            DiscardAs::Garbage => "-dg",
        })?;
        self.again.iter().try_for_each(|inner| write!(f, "+{inner}"))
    }
}

impl FromStr for CrashState {
    type Err = ParseStateIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // One state, one name: `b017-d` and the like are refused.
        parse(text)
            .filter(|state| state.to_string() == text)
            .ok_or_else(|| ParseStateIdError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<CrashState> {
    let mut states = text.split('+').map(parse_one);
    let mut state = states.next()??;
    state.again = states.take(MOST_AGAIN + 1).collect::<Option<_>>()?;
    (state.again.len() <= MOST_AGAIN).then_some(state)
}

fn parse_one(text: &str) -> Option<CrashState> {
    let mut parts = text.split('-');
    let head = parts.next()?;
    let plan = match head.chars().next()? {
        'b' => PlanKind::Barriers,
        'w' => PlanKind::Writes,
        'r' => PlanKind::Reorder,
        't' => PlanKind::Torn,
        'c' => PlanKind::Combinations,
        'a' => PlanKind::At,
        'e' => PlanKind::All,
        'f' => PlanKind::AllTorn,
        _ => return None,
    };
    let cut = Cut(head[1..].parse().ok()?);
    let mut state = CrashState::new(plan, cut, parse_set(parts.next()?)?);
    for part in parts {
        match part {
            "dk" => state.discard = DiscardAs::Kept,
            "dg" => state.discard = DiscardAs::Garbage,
            _ if part.starts_with('p') => state.order = part[1..].parse().ok()?,
            _ => state.tears.push(parse_tear(part)?),
        }
    }
    let ascending = state
        .tears
        .windows(2)
        .all(|pair| pair[0].request < pair[1].request);
    ascending.then_some(state)
}

fn parse_set(text: &str) -> Option<Set> {
    let letter = text.chars().next().filter(char::is_ascii)?;
    let rest = &text[1..];
    match (letter, rest) {
        ('d', "") => Some(Set::Durable),
        ('c', "") => Some(Set::Completed),
        ('a', "") => Some(Set::All),
        ('x', number) => Some(Set::Without(RequestId(number.parse().ok()?))),
        ('o', number) => Some(Set::Only(RequestId(number.parse().ok()?))),
        ('m', mask) => (mask.len() <= MASK_DIGITS)
            .then(|| BigUint::parse_bytes(mask.as_bytes(), 16))?
            .map(Set::Subset),
        ('s', sample) => {
            let (number, seed) = sample.split_once('x')?;
            Some(Set::Sample {
                seed: u64::from_str_radix(seed, 16).ok()?,
                number: number.parse().ok()?,
            })
        }
        _ => None,
    }
}

fn parse_tear(text: &str) -> Option<Tear> {
    let (rest, unit) = text.strip_prefix('t')?.split_once('u')?;
    let at = rest.find(|c: char| !c.is_ascii_digit())?;
    let (request, part) = rest.split_at(at);
    let part = match part.split_at_checked(1)? {
        ("f", units) => TornPart::First(units.parse().ok()?),
        ("l", units) => TornPart::Last(units.parse().ok()?),
        ("e", "") => TornPart::Even,
        ("o", "") => TornPart::Odd,
        _ => return None,
    };
    Some(Tear {
        request: RequestId(request.parse().ok()?),
        unit: unit.parse().ok()?,
        part,
    })
}

impl fmt::Display for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StateId {
    type Err = ParseStateIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<CrashState>().map(|state| state.id())
    }
}

impl Serialize for StateId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StateId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_kinds_are_read_as_they_are_written() {
        for name in [
            "b17-d",
            "r45-x12",
            "t45-c-t12f3u512",
            "f9-m5-p1-t3f1u512-t7eu512-dk",
            "e45-m3f+e7-m1+f2-m0",
        ] {
            let state: CrashState = name.parse().unwrap();
            assert_eq!(state.to_string(), name);
        }
        let cut: CrashState = "e45-m3f+e7-m1".parse().unwrap();
        let (outer, inner) = cut.before_last_cut().unwrap();
        assert_eq!(
            (outer.to_string(), inner.to_string()),
            ("e45-m3f".into(), "e7-m1".into())
        );
        assert_eq!(outer.cut_again(inner.clone()), cut);
        assert_eq!(outer.before_last_cut(), None);
    }

    #[test]
    fn other_spellings_are_refused() {
        let deep = format!("e1-d{}", "+e1-d".repeat(MOST_AGAIN + 1));
        let refused = [
            "b017-d",
            "e45-m03",
            "f9-m5-t7eu512-t3f1u512",
            "f9-m5-t3eu512-t3eu512",
            "e45-m3+",
            "+e45-m3",
            &deep,
        ];
        for name in refused {
            assert!(name.parse::<CrashState>().is_err(), "{name}");
        }
    }
}
