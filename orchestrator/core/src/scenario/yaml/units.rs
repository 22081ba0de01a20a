//! Sizes, durations, modes and error names as people write them.

#[cfg(feature = "schema")]
use std::borrow::Cow;
use std::fmt;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Bytes: `4096`, `4KiB`, `64MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// A duration in milliseconds: `500ms`, `2s`, `1.5s`, `1min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Millis(pub(crate) u64);

/// A bandwidth in bytes a second: `8MiB/s`; none for `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) Option<u64>);

/// How many: a number, or none for `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) Option<u32>);

/// Permission bits in octal: `644`, `0644`, `0o644`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode(pub(crate) u32);

/// An errno by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

/// Bytes from text.
///
/// # Errors
/// In words, when the text is no size.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 5] = [("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let wrong = || format!("expected a size such as `4096`, `4KiB` or `64MiB`, found `{text}`");
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = unit.trim();
    if unit.is_empty() {
        return Ok(number);
    }
    let decimal = ["K", "M", "G", "T", "KB", "MB", "GB", "TB", "k", "m", "g", "kB"];
    if decimal.contains(&unit) {
        let letter = unit[..1].to_uppercase();
        return Err(format!(
            "the unit `{unit}` is ambiguous: write `{digits}{letter}iB`"
        ));
    }
    let (_, shift) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("`{text}` is more than 64 bits can say"))
}

/// Milliseconds from text.
///
/// # Errors
/// In words, when the text is no duration.
pub fn parse_millis(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a duration such as `500ms`, `2s` or `1min`, found `{text}`");
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale: u64 = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "" if number == "0" => 1,
        "" => return Err(format!("`{text}` has no unit: write `{text}s` or `{text}ms`")),
        _ => return Err(wrong()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let mut thousandths = 0;
    if number.contains('.') {
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        thousandths = format!("{part:0<3}").parse::<u64>().map_err(|_| wrong())? * scale;
        if !thousandths.is_multiple_of(1000) {
            return Err(format!("`{text}` is finer than a millisecond"));
        }
    }
    let too_long = || format!("`{text}` is too long");
    let millis = whole.checked_mul(scale).ok_or_else(too_long)?;
    millis.checked_add(thousandths / 1000).ok_or_else(too_long)
}

fn parse_rate(text: &str) -> Result<Option<u64>, String> {
    let wrong = || format!("expected a bandwidth such as `8MiB/s`, or `unlimited`, found `{text}`");
    match text.strip_suffix("/s") {
        Some(size) => parse_size(size.trim_end()).map(Some).map_err(|_| wrong()),
        None if text == "unlimited" => Ok(None),
        None => Err(wrong()),
    }
}

fn parse_count(text: &str) -> Result<Option<u32>, String> {
    match text.parse() {
        Ok(count) => Ok(Some(count)),
        Err(_) if text == "all" => Ok(None),
        Err(_) => Err(format!("expected a number or `all`, found `{text}`")),
    }
}

fn parse_mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| octal && *mode <= 0o7777)
        .ok_or_else(|| format!("expected an octal mode such as `644` or `0755`, found `{text}`"))
}

/// Linux's error numbers (include/uapi/asm-generic/errno-base.h and errno.h) that filesystem calls return.
const ERRNOS: &[(&str, i32)] = &[
    ("EPERM", 1),
    ("ENOENT", 2),
    ("EINTR", 4),
    ("EIO", 5),
    ("ENXIO", 6),
    ("E2BIG", 7),
    ("EBADF", 9),
    ("EAGAIN", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EFAULT", 14),
    ("EBUSY", 16),
    ("EEXIST", 17),
    ("EXDEV", 18),
    ("ENODEV", 19),
    ("ENOTDIR", 20),
    ("EISDIR", 21),
    ("EINVAL", 22),
    ("ENFILE", 23),
    ("EMFILE", 24),
    ("ENOTTY", 25),
    ("ETXTBSY", 26),
    ("EFBIG", 27),
    ("ENOSPC", 28),
    ("ESPIPE", 29),
    ("EROFS", 30),
    ("EMLINK", 31),
    ("EPIPE", 32),
    ("ERANGE", 34),
    ("EDEADLK", 35),
    ("ENAMETOOLONG", 36),
    ("ENOSYS", 38),
    ("ENOTEMPTY", 39),
    ("ELOOP", 40),
    ("ENODATA", 61),
    ("EOVERFLOW", 75),
    ("EUCLEAN", 117),
    ("EOPNOTSUPP", 95),
    ("ETIMEDOUT", 110),
    ("ESTALE", 116),
    ("EDQUOT", 122),
    ("ECANCELED", 125),
];

/// An errno's name, where it is one of those that scenarios can name.
pub fn errno_name(errno: i32) -> Option<&'static str> {
    ERRNOS.iter().find(|(_, n)| *n == errno).map(|(name, _)| *name)
}

/// An errno from its name.
///
/// # Errors
/// In words, when there is no such name.
pub fn parse_errno(text: &str) -> Result<i32, String> {
    ERRNOS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, n)| *n)
        .ok_or_else(|| {
            let names = ERRNOS.iter().map(|(name, _)| *name);
            let help = super::error::suggestion(text, names).unwrap_or_default();
            format!("unknown errno `{text}`; {help}")
        })
}

/// Reads a scalar through a parser.
pub(crate) struct Parsed<F>(pub(crate) &'static str, pub(crate) F);

impl<T, F: Fn(&str) -> Result<T, String>> Visitor<'_> for Parsed<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }
}

macro_rules! scalar {
    ($type:ident, $what:literal, $parse:expr, $schema:tt) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer
                    .deserialize_str(Parsed($what, $parse))
                    .map(Self)
            }
        }

        #[cfg(feature = "schema")]
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}
pub(crate) use scalar;

scalar!(Size, "a size such as `4KiB`", parse_size, {
    "description": "Bytes: 4096, 4KiB, 64MiB, 1GiB",
    "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB|TiB)?$" }]
});
scalar!(Millis, "a duration such as `2s`", parse_millis, {
    "description": "A duration: 500ms, 2s, 1.5s, 1min",
    "anyOf": [{ "const": 0 }, { "type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,3})? ?(ms|s|min)$" }]
});
scalar!(Rate, "a bandwidth such as `8MiB/s`", parse_rate, {
    "description": "Bytes a second: 8MiB/s, 1536KiB/s; or unlimited",
    "anyOf": [{ "const": "unlimited" }, { "type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)? ?/s$" }]
});
scalar!(Count, "a number or `all`", parse_count, {
    "description": "How many: a number, or all",
    "anyOf": [{ "const": "all" }, { "type": "integer", "minimum": 1 }]
});
scalar!(Mode, "an octal mode such as `0644`", parse_mode, {
    "description": "Permission bits in octal: 644, 0644, 0o644",
    "type": ["string", "integer"]
});

impl<'de> Deserialize<'de> for Errno {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(Parsed("an errno such as `EIO`", parse_errno))
            .map(Self)
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for Errno {
    fn schema_name() -> Cow<'static, str> {
        "Errno".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = ERRNOS.iter().map(|(name, _)| *name).collect();
        json_schema!({ "description": "An errno by its name", "enum": names })
    }
}

/// How a step must end: with an errno, or in any way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending(pub(crate) Option<Errno>);

fn parse_ending(text: &str) -> Result<Option<Errno>, String> {
    match text {
        "any" => Ok(None),
        name => parse_errno(name).map(|n| Some(Errno(n))),
    }
}

impl<'de> Deserialize<'de> for Ending {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(Parsed("an errno such as `EIO`, or `any`", parse_ending))
            .map(Self)
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for Ending {
    fn schema_name() -> Cow<'static, str> {
        "Ending".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let errno = generator.subschema_for::<Errno>();
        json_schema!({ "anyOf": [{ "const": "any", "description": "Success or any errno" }, errno] })
    }
}

/// A factor in thousandths: `3`, `0.9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Factor(pub(crate) u64);

fn parse_factor(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a factor such as `3` or `0.9`, found `{text}`");
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.len() <= 9 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return Err(wrong());
    }
    let thousandths = format!("{part:0<3}").parse::<u64>().map_err(|_| wrong())?;
    Ok(whole.parse::<u64>().map_err(|_| wrong())? * 1000 + thousandths)
}

scalar!(Factor, "a factor such as `0.9`", parse_factor, {
    "description": "A factor, with at most three decimals",
    "type": ["number", "string"]
});

/// Bytes as people write them: `4KiB` where that is exact.
pub fn show_size(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_that_are_none() {
        for text in [
            "",
            "KiB",
            "-1",
            "4 KiB x",
            "1.5MiB",
            "4kb",
            "4K",
            "99999999999999999999",
            "16777216TiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert_eq!(
            parse_size("4K").unwrap_err(),
            "the unit `K` is ambiguous: write `4KiB`"
        );
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("8 MiB"), Ok(8 << 20));
    }

    #[test]
    fn durations() {
        assert_eq!(parse_millis("1.5s"), Ok(1500));
        assert_eq!(parse_millis("1.25min"), Ok(75_000));
        assert_eq!(parse_millis("0"), Ok(0));
        for text in [
            "2",
            "s",
            "1.s",
            "1.2345s",
            "1.5ms",
            "1..2s",
            "-1s",
            "18446744073709551615min",
        ] {
            assert!(parse_millis(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(parse_mode("644"), Ok(0o644));
        assert_eq!(parse_mode("0755"), Ok(0o755));
        assert_eq!(parse_mode("0o1777"), Ok(0o1777));
        for text in ["8", "0x1ff", "17777", "", "+644", "rw"] {
            assert!(parse_mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errnos_are_named_once() {
        let mut seen = std::collections::HashSet::new();
        assert!(
            ERRNOS
                .iter()
                .all(|(name, n)| seen.insert(*name) && parse_errno(name) == Ok(*n))
        );
        assert!(parse_errno("ENOSPACE").unwrap_err().contains("ENOSPC"));
    }

    proptest! {
        #[test]
        fn shown_sizes_read_back(bytes in any::<u64>()) {
            prop_assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn sizes_scale(n in 0u64..1 << 23) {
            prop_assert_eq!(parse_size(&format!("{n}KiB")), Ok(n << 10));
            prop_assert_eq!(parse_size(&format!("{n}MiB")), Ok(n << 20));
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = (parse_size(&text), parse_millis(&text), parse_mode(&text), parse_errno(&text));
        }
    }
}
