//! How far complete plans covered the states of their cuts.

use num_bigint::BigUint;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How far complete plans covered the states of their cuts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Cuts that were explored.
    pub cuts: u64,
    /// Those of them of which every state is covered.
    pub whole_cuts: u64,
    /// States of all of them.
    pub states: Count,
    /// Those for which a recovery answers.
    pub covered: Count,
    /// Classes of states that recover alike.
    pub classes: u64,
    /// Recoveries that the exploration asked for.
    pub recoveries: u64,
    /// Recoveries that were known: from earlier runs, or from another exploration of the cell.
    #[serde(default)]
    pub remembered: u64,
    /// Recoveries whose writes were logged and cut off again.
    #[serde(default, skip_serializing_if = "none")]
    pub cut_again: u64,
    /// States whose recovery was inferred and that were recovered all the same.
    pub sampled: u64,
    /// Those of them that recovered otherwise: then nothing that was inferred counts as covered.
    pub differing: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde wants it
fn none(count: &u64) -> bool {
    *count == 0
}

/// A number of states, which may have hundreds of digits. In JSON a string of decimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub BigUint);

/// Digits of a number that is read, at most.
const MOST_DIGITS: usize = 1 << 20;

impl Completeness {
    /// Adds what another exploration covered.
    pub fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.whole_cuts += other.whole_cuts;
        self.states.0 += &other.states.0;
        self.covered.0 += &other.covered.0;
        self.classes += other.classes;
        self.recoveries += other.recoveries;
        self.remembered += other.remembered;
        self.sampled += other.sampled;
        self.differing += other.differing;
    }

    /// Whether every state of every cut is covered.
    pub fn is_whole(&self) -> bool {
        self.covered == self.states
    }

    /// The covered part of all states, from 0 to 1, to about nine digits, rounded down.
    pub fn fraction(&self) -> f64 {
        const SCALE: u32 = 1_000_000_000;
        if self.states.0 == BigUint::ZERO {
            return 1.0;
        }
        let scaled = &self.covered.0 * SCALE / &self.states.0;
        let scaled = u32::try_from(&scaled).unwrap_or(SCALE);
        f64::from(scaled) / f64::from(SCALE)
    }
}

impl Count {
    /// As a number of 64 bits; the largest where it has more.
    pub fn saturated(&self) -> u64 {
        u64::try_from(&self.0).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Display for Count {
    /// All digits while they are few, else two and the power of ten, rounded down.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.0.to_string();
        if digits.len() <= 9 {
            return f.write_str(&digits);
        }
        write!(f, "{}.{}e{}", &digits[..1], &digits[1..2], digits.len() - 1)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits =
            !text.is_empty() && text.len() <= MOST_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        let number = digits
            .then(|| BigUint::parse_bytes(text.as_bytes(), 10))
            .flatten();
        number
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("expected a number in decimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short_on_screen_and_whole_in_files() {
        let count = |text: &str| Count(BigUint::parse_bytes(text.as_bytes(), 10).unwrap());
        assert_eq!(count("0").to_string(), "0");
        assert_eq!(count("999999999").to_string(), "999999999");
        assert_eq!(count("1299999999").to_string(), "1.2e9");
        let large = count(&format!("56{}", "0".repeat(300)));
        assert_eq!(large.to_string(), "5.6e301");
        let json = serde_json::to_string(&large).unwrap();
        assert_eq!(serde_json::from_str::<Count>(&json).unwrap(), large);
        for bad in ["\"\"", "\"-1\"", "\"1_0\"", "7"] {
            assert!(serde_json::from_str::<Count>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fraction_is_never_rounded_up_to_all() {
        let of = |covered: u64, states: u64| Completeness {
            states: Count(states.into()),
            covered: Count(covered.into()),
            ..Completeness::default()
        };
        assert!(of(u64::MAX - 1, u64::MAX).fraction() < 1.0);
        assert!((of(1, 4).fraction() - 0.25).abs() < 1e-9);
        assert!(of(7, 7).is_whole());
    }
}
