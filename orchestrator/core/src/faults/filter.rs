//! Which requests a fault is about.

use std::collections::BTreeSet;
use std::ops::Range;

use coldcut_wire::{PatternName, pattern};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a request asks of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Data is to be stored.
    Write,
    /// Data is to be returned.
    Read,
    /// What was written is to become durable.
    Flush,
    /// A range is no longer needed.
    Discard,
    /// A range is to read as zeros.
    WriteZeroes,
}

/// Whose data a request must carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// This content's.
    Content(PatternName),
    /// Any generation's of this file.
    File(String),
}

impl Whose {
    /// Whether a content is meant.
    pub fn means(&self, content: &PatternName) -> bool {
        match self {
            Self::Content(wanted) => wanted == content,
            Self::File(file) => *file == content.file,
        }
    }

    /// The identities of what is meant among contents.
    pub fn ids(&self, contents: &[PatternName]) -> BTreeSet<u64> {
        let meant = contents.iter().filter(|content| self.means(content));
        meant.map(pattern::pattern_id).collect()
    }
}

/// A request, as far as faults look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What it asks.
    pub kind: Kind,
    /// First byte; 0 for a flush.
    pub offset: u64,
    /// Bytes; 0 for a flush.
    pub len: u64,
}

/// Which requests: all that is given must be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Of this kind.
    pub kind: Kind,
    /// With at least one whole sector of this data: to be written, or where a read reads.
    pub whose: Option<Whose>,
    /// Touching this range of the device, in bytes.
    pub range: Option<Range<u64>>,
}

impl Filter {
    /// Whether a request is of the kind and in the range.
    pub fn fits(&self, asked: &Asked) -> bool {
        let end = asked.offset.saturating_add(asked.len);
        asked.kind == self.kind
            && self
                .range
                .as_ref()
                .is_none_or(|range| asked.offset < range.end && range.start < end)
    }
}

/// The identities of the self-describing sectors in data that starts at a sector's beginning.
pub fn identities(data: &[u8]) -> BTreeSet<u64> {
    let (sectors, _) = data.as_chunks::<{ pattern::SECTOR }>();
    let known = sectors.iter().filter_map(pattern::identify_raw);
    known.map(|header| header.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use coldcut_wire::pattern::Pattern;

    fn name(file: &str, generation: &str) -> PatternName {
        PatternName {
            file: file.to_owned(),
            generation: generation.to_owned(),
        }
    }

    #[test]
    fn places_touch() {
        let filter = Filter {
            kind: Kind::Write,
            whose: None,
            range: Some(4096..8192),
        };
        let fits = |offset, len| {
            filter.fits(&Asked {
                kind: Kind::Write,
                offset,
                len,
            })
        };
        assert!(!fits(0, 4096) && !fits(8192, 512));
        assert!(fits(0, 4608) && fits(7680, 4096) && fits(0, 1 << 20) && fits(5120, 512));
        assert!(!filter.fits(&Asked {
            kind: Kind::Read,
            offset: 4096,
            len: 512
        }));
    }

    #[test]
    fn data_says_whose_it_is() {
        let (old, new) = (name("a", "0"), name("a", "1"));
        let mut data = vec![0; 4096];
        Pattern::new(&new).fill(1024, &mut data[1024..2048]);
        data.extend([1; 100]); // an odd tail belongs to nobody
        let found = identities(&data);
        assert_eq!(found, BTreeSet::from([pattern::pattern_id(&new)]));

        let contents = [old.clone(), new.clone(), name("b", "1")];
        assert_eq!(Whose::Content(new.clone()).ids(&contents), found);
        assert_eq!(
            Whose::File("a".to_owned()).ids(&contents),
            BTreeSet::from([pattern::pattern_id(&old), pattern::pattern_id(&new)])
        );
        assert!(Whose::File("c".to_owned()).ids(&contents).is_empty());
        // A damaged sector is nobody's.
        data[1100] ^= 1;
        data[1600] ^= 1;
        assert!(identities(&data).is_empty());
    }
}
