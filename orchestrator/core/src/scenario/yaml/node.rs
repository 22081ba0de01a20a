//! A scenario's text as a tree in which every node knows where it stands.
//!
//! The YAML itself is read by serde-saphyr, which expands anchors, aliases and merge keys under a budget.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Location, Spanned};

use super::error::{Problem, Span};

/// Longest scenario, in bytes.
pub(crate) const MAX_TEXT: usize = 1 << 20;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most nodes, aliases expanded.
const MAX_NODES: usize = 100_000;

/// A value and where it is defined (for an alias: the anchor's place).
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Number in document order.
    pub(crate) id: u64,
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// A mapping's key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) span: Span,
}

/// What a node is. Scalars keep their spelling: the type that reads one decides what it means.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// Reads a document.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > MAX_TEXT {
            let message = format!(
                "the scenario has {} bytes, more than the {MAX_TEXT} allowed",
                text.len()
            );
            return Err(Problem::new(&(0..0), message));
        }
        let options = serde_yaml::options! {
            strict_booleans: true,
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            reject_unsupported_tags: true,
            budget: serde_yaml::budget! {
                max_depth: MAX_DEPTH,
                max_nodes: MAX_NODES,
            },
            alias_limits: serde_yaml::alias_limits! {
                max_total_replayed_events: MAX_NODES,
            },
        };
        let raw: Spanned<Raw> =
            serde_yaml::from_str_with_options(text, options).map_err(|e| yaml(text, &e))?;
        let mut next = 0;
        Ok(convert(text, raw, &mut next))
    }

    /// Every node below and including this one, by number.
    pub(crate) fn index(&self) -> Vec<&Self> {
        let mut all = Vec::new();
        let mut stack = vec![self];
        while let Some(node) = stack.pop() {
            all.push(node);
            match &node.value {
                Value::List(items) => stack.extend(items),
                Value::Map(entries) => stack.extend(entries.iter().map(|(_, v)| v)),
                _ => {}
            }
        }
        all.sort_unstable_by_key(|n| n.id);
        all
    }
}

/// Turns a syntax error into a problem.
fn yaml(text: &str, error: &serde_yaml::Error) -> Problem {
    let at = error.location().map_or(0..0, |l| span(text, &l));
    let message = match error.without_snippet() {
        serde_yaml::Error::MultipleDocuments { .. } => "a second document begins here".to_owned(),
        other => other.to_string(),
    };
    // The message repeats its place, which the snippet shows.
    let message = message.split(" at line ").next().unwrap_or(&message).trim();
    Problem::new(&at, format!("this is not valid YAML: {message}"))
}

fn span(text: &str, location: &Location) -> Span {
    let span = location.span();
    let (start, len) = if let (Some(start), Some(len)) = (span.byte_offset(), span.byte_len()) {
        (start as usize, len as usize)
    } else {
        // The parser's own errors know line and column only, counted from 1 in characters.
        let line = (location.line() as usize).saturating_sub(1);
        let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        let column = (location.column() as usize).saturating_sub(1);
        let rest = &text[before..];
        let at = rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
        (before + at, 1)
    };
    let start = start.min(text.len());
    start..start.saturating_add(len).min(text.len())
}

/// The options for serde-saphyr.
enum Raw {
    Null,
    /// A plain scalar that reads as a boolean or a number: its spelling is taken from the text.
    Plain(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(v.to_string()))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(v.to_string()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(v.to_string()))
    }

    fn visit_i128<E>(self, v: i128) -> Result<Raw, E> {
        Ok(Raw::Plain(v.to_string()))
    }

    fn visit_u128<E>(self, v: u128) -> Result<Raw, E> {
        Ok(Raw::Plain(v.to_string()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(v.to_string()))
    }

    fn visit_str<E>(self, v: &str) -> Result<Raw, E> {
        Ok(Raw::Text(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

/// Recursion is bounded by the parser's `MAX_DEPTH`.
fn convert(text: &str, raw: Spanned<Raw>, next: &mut u64) -> Node {
    let id = *next;
    *next += 1;
    let at = span(text, &raw.defined);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(s) => Value::Scalar(s),
        Raw::Plain(s) => {
            let spelling = text.get(at.clone()).map_or("", str::trim);
            Value::Scalar(if spelling.is_empty() {
                s
            } else {
                spelling.to_owned()
            })
        }
        Raw::List(items) => Value::List(items.into_iter().map(|i| convert(text, i, next)).collect()),
        Raw::Map(entries) => {
            let one = |(k, v): (Spanned<String>, Spanned<Raw>)| {
                let span = span(text, &k.defined);
                (Key { name: k.value, span }, convert(text, v, next))
            };
            Value::Map(entries.into_iter().map(one).collect())
        }
    };
    Node { id, span: at, value }
}
