//! Where a promise was broken.

use serde::{Deserialize, Serialize};

/// What stands in files and on the command line in place of a crash state's id.
const WITHOUT_CRASH: &str = "live";

/// Where a promise was broken. In files and on the command line it is one word: a crash state's id, or `live`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Place {
    /// On the mounted filesystem, while the workload ran.
    WithoutCrash,
    /// In the crash state with this id.
    CrashState(String),
}

impl Place {
    /// Its word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::WithoutCrash => WITHOUT_CRASH,
            Self::CrashState(id) => id,
        }
    }
}

impl From<String> for Place {
    fn from(word: String) -> Self {
        if word == WITHOUT_CRASH {
            Self::WithoutCrash
        } else {
            Self::CrashState(word)
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.as_str().to_owned()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_word_in_files() {
        for (place, word) in [
            (Place::WithoutCrash, "\"live\""),
            (Place::CrashState("b12-d".into()), "\"b12-d\""),
        ] {
            assert_eq!(serde_json::to_string(&place).unwrap(), word);
            assert_eq!(serde_json::from_str::<Place>(word).unwrap(), place);
        }
    }
}
