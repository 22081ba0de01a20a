//! Text of guests, packages and other people's runs, made harmless for whoever reads it: one place for terminals and reports.
//!
//! Characters that a terminal acts on (C0 and C1 controls, with the escape sequences that they begin), and those that turn the
//! order of what is shown (Unicode's bidirectional controls, UAX #9), are shown as what they are and do nothing.

use std::fmt::{self, Write};

/// Whether a character is shown as it is. Line ends and tabs are.
fn harmless(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        c => !c.is_control(),
    }
}

/// Writes text on, harmless.
pub(super) struct Clean<W>(pub(super) W);

impl<W: Write> Write for Clean<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| !harmless(*c)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", c.escape_default())?;
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// The text, harmless.
pub fn clean(text: impl fmt::Display) -> String {
    let mut out = Clean(String::new());
    // Writing to memory fails only where the text itself does.
    let _ = write!(out, "{text}");
    out.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_terminal_does_nothing_on_what_it_is_shown() {
        for (text, shown) in [
            ("a\tb\nc \u{e4}\u{2192}", "a\tb\nc \u{e4}\u{2192}"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("ok\r\u{1b}[2Kviolates", "ok\\r\\u{1b}[2Kviolates"),
            ("\u{9b}31m\u{202e}", "\\u{9b}31m\\u{202e}"),
        ] {
            assert_eq!(clean(text), shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_left(text in any::<String>()) {
            prop_assert!(clean(&text).chars().all(harmless));
        }
    }
}
