//! Options of a step or an expectation: a flow mapping.

use std::fmt::Display;

/// A flow mapping in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<String>);

impl Fields {
    /// A mapping whose first key is `path`.
    pub(super) fn of(path: &str) -> Self {
        Self::default().path("path", path)
    }

    /// Adds a key whose value needs no quotes: a number, a word, a list.
    pub(super) fn plain(mut self, key: &str, value: impl Display) -> Self {
        self.0.push(format!("{key}: {value}"));
        self
    }

    /// [`Fields::plain`] where there is a value.
    pub(super) fn maybe(self, key: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.plain(key, value),
            None => self,
        }
    }

    /// Adds a text, quoted where YAML would read it as something else.
    pub(super) fn text(self, key: &str, value: &str) -> Self {
        self.plain(key, quoted(value))
    }

    /// Adds a path in the agent's spelling.
    pub(super) fn path(self, key: &str, path: &str) -> Self {
        self.text(key, named(path))
    }

    /// Adds a list of words; none is left out.
    pub(super) fn words(self, key: &str, words: &[&str]) -> Self {
        if words.is_empty() {
            return self;
        }
        self.plain(key, format!("[{}]", words.join(", ")))
    }

    /// Adds a list of texts.
    pub(super) fn texts<'a>(self, key: &str, texts: impl IntoIterator<Item = &'a String>) -> Self {
        let texts: Vec<String> = texts.into_iter().map(|text| quoted(text)).collect();
        self.plain(key, format!("[{}]", texts.join(", ")))
    }

    /// The step or expectation with these options.
    pub(super) fn under(self, key: &str) -> String {
        format!("{key}: {{{}}}", self.0.join(", "))
    }
}

/// The root is `.` to the agent, empty in an expectation, and `/` in a scenario.
pub(super) fn named(path: &str) -> &str {
    if matches!(path, "." | "") { "/" } else { path }
}

/// A text as a scalar of YAML: plain where that cannot be read as anything else.
pub(super) fn quoted(text: &str) -> String {
    const WORDS: [&str; 8] = ["true", "false", "null", "yes", "no", "on", "off", "zeros"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./@-+".contains(c);
    let body = text.strip_prefix("fd:").unwrap_or(text);
    let first = body.starts_with(|c: char| c.is_ascii_alphabetic() || "_/".contains(c));
    let word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if first
        && !word
        && body.chars().all(plain)
        && !text.eq_ignore_ascii_case("n")
        && !text.eq_ignore_ascii_case("y")
    {
        return text.to_owned();
    }
    // A JSON string is a double-quoted scalar of YAML. Serialising a string cannot fail.
    serde_json::to_string(text).unwrap_or_default()
}
