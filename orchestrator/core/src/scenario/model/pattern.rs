//! Lines with places for what differs from one to the next, such as `row {n}`.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// What the places of a pattern stand for in one line, by name.
pub type Captures = BTreeMap<String, String>;

/// A pattern of lines. `{name}` stands for any text of at least one character; between two of these is other text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Capture(String),
}

impl Serialize for LinePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl LinePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// In words, when it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after
                .split_once('}')
                .ok_or_else(|| format!("`{text}` has a `{{` without a `}}`"))?;
            let sound = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !sound {
                return Err(format!("expected a name such as `{{n}}`, found `{{{name}}}`"));
            }
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            } else if matches!(parts.last(), Some(Part::Capture(_))) {
                return Err(format!(
                    "`{text}` has nothing between two names, so where one ends could not be told"
                ));
            }
            if parts.contains(&Part::Capture(name.to_owned())) {
                return Err(format!("`{text}` names `{{{name}}}` twice"));
            }
            parts.push(Part::Capture(name.to_owned()));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Capture(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// What the names stand for in a line; `None` when it is not like this. A name stands for as little as can be.
    pub fn captures(&self, line: &str) -> Option<Captures> {
        let mut found = Captures::new();
        let mut rest = line;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Capture(name) => {
                    let first = rest.chars().next()?.len_utf8();
                    let end = match parts.peek() {
                        Some(Part::Literal(text)) => first + rest[first..].find(text.as_str())?,
                        _ => rest.len(),
                    };
                    found.insert(name.clone(), rest[..end].to_owned());
                    rest = &rest[end..];
                }
            }
        }
        rest.is_empty().then_some(found)
    }

    /// The line in which the names stand for these; a name that is not among them stands for nothing.
    pub fn filled(&self, captures: &Captures) -> String {
        let text = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Capture(name) => captures.get(name).cloned().unwrap_or_default(),
        };
        self.parts.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> LinePattern {
        LinePattern::parse(text).unwrap()
    }

    #[test]
    fn names_stand_for_what_is_between() {
        let found = pattern("put {key}={value}").captures("put a=b=c").unwrap();
        assert_eq!((found["key"].as_str(), found["value"].as_str()), ("a", "b=c"));
        for line in ["put =b", "put a=", "get a=b", "put a"] {
            assert_eq!(pattern("put {key}={value}").captures(line), None, "{line}");
        }
        assert_eq!(pattern("row {n}.").captures("row 1. "), None);
        assert_eq!(pattern("done").captures("done"), Some(Captures::new()));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, why) in [
            ("row {n", "without"),
            ("row {}", "a name"),
            ("row {n m}", "a name"),
            ("{a}{b}", "between"),
            ("{a} {a}", "twice"),
        ] {
            let error = LinePattern::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_filled_pattern_gives_back_what_it_was_filled_with(key in "[a-z0-9]{1,8}", value in "[a-z =]{1,8}") {
            let pattern = pattern("put {key}={value}");
            let line = format!("put {key}={value}");
            let found = pattern.captures(&line).unwrap();
            prop_assert_eq!(pattern.filled(&found), line);
        }
    }
}
