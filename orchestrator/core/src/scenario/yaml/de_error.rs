//! Why a node is not what its type asks for.

use serde::de::{self, Unexpected};

use super::error::{Problem, Span, suggestion};

/// Why a node is not what its type asks for.
#[derive(Debug)]
pub(crate) struct DeError {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) span: Option<Span>,
}

impl DeError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            span: None,
        }
    }

    /// Says where it is, unless that is known: the innermost place wins.
    pub(crate) fn at(mut self, span: &Span) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self
    }

    pub(crate) fn into_problem(self, outer: &Span) -> Problem {
        let mut problem = Problem::new(self.span.as_ref().unwrap_or(outer), self.message);
        problem.help = self.help;
        problem
    }
}

impl std::fmt::Display for DeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DeError {}

impl de::Error for DeError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", described(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = match expected.to_string().as_str() {
            "u8" => "a number from 0 to 255".to_owned(),
            "u32" => format!("a number from 0 to {}", u32::MAX),
            other => other.to_owned(),
        };
        Self::new(format!("expected {expected}, found {}", described(found)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        unknown("key", field, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        unknown("name", variant, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("`{field}` is missing"))
    }
}

/// The error of a name that is not among those expected.
pub(crate) fn unknown(what: &str, name: &str, expected: &[&str]) -> DeError {
    DeError {
        help: suggestion(name, expected.iter().copied()),
        ..DeError::new(format!("unknown {what} `{name}`"))
    }
}

/// What was found, for a message.
pub(crate) fn described(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Map | Unexpected::StructVariant => "a mapping".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Str(s) => format!("`{s}`"),
        Unexpected::Unsigned(n) => n.to_string(),
        Unexpected::Signed(n) => n.to_string(),
        other => other.to_string(),
    }
}
