//! XML as text: elements below each other, each level indented by four spaces.

/// A document under way, or a part of one.
#[derive(Debug)]
pub(super) struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    /// A document, with its declaration.
    pub(super) fn document() -> Self {
        Self {
            text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
            depth: 0,
        }
    }

    /// A part that goes where `depth` elements are open.
    pub(super) fn part(depth: usize) -> Self {
        Self {
            text: String::new(),
            depth,
        }
    }

    /// Opens an element for others.
    pub(super) fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes);
        self.text.push_str(">\n");
        self.depth += 1;
    }

    /// Closes it.
    pub(super) fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.indent();
        self.end(name);
    }

    /// Adds an element with nothing in it.
    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes);
        self.text.push_str("/>\n");
    }

    /// Adds an element with text in it.
    pub(super) fn text(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.tag(name, attributes);
        self.text.push('>');
        escape(&mut self.text, text);
        self.end(name);
    }

    /// Adds a part.
    pub(super) fn add(&mut self, part: &Self) {
        self.text.push_str(&part.text);
    }

    /// The text of all elements so far.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("    ", self.depth));
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        self.text.extend(["<", name]);
        for (key, value) in attributes {
            self.text.extend([" ", key, "=\""]);
            escape(&mut self.text, value);
            self.text.push('"');
        }
    }

    fn end(&mut self, name: &str) {
        self.text.extend(["</", name, ">\n"]);
    }
}

/// Text as XML and HTML take it: see [`escape`].
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(&mut out, text);
    out
}

/// Adds text as XML takes it: markup is escaped; a terminal's escape sequences and all that XML does not allow are left
/// out.
fn escape(out: &mut String, text: &str) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{1b}' => skip_sequence(&mut chars),
            '\n' => out.push('\n'),
            '\0'..='\x1f' | '\u{80}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {}
            other => out.push(other),
        }
    }
}

/// Skips what follows an ESC (ECMA-48, 5.3 to 5.6): a control sequence to its final character, a string to its
/// terminator, or one character.
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next_if(|c| !c.is_control()) {
        Some('[') => {
            while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
            chars.next_if(|c| ('@'..='~').contains(c));
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            for c in chars.by_ref() {
                match c {
                    '\x07' => return,
                    '\u{1b}' => break,
                    _ => {}
                }
            }
            chars.next_if_eq(&'\\');
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stand_below_each_other() {
        let mut part = Xml::part(1);
        part.text("line", &[("of", "a & b")], "1 < 2\n");
        let mut xml = Xml::document();
        xml.open("all", &[("name", "it's"), ("more", "\"")]);
        xml.add(&part);
        xml.empty("none", &[]);
        xml.close("all");
        let wanted = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<all name=\"it&apos;s\" more=\"&quot;\">\n    \
                      <line of=\"a &amp; b\">1 &lt; 2\n</line>\n    <none/>\n</all>\n";
        assert_eq!(xml.finish(), wanted);
    }

    #[test]
    fn what_xml_does_not_allow_is_left_out() {
        for (text, wanted) in [
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}shown \u{1b}]8;;x\u{1b}\\link", "shown link"),
            ("\u{1b}cfresh\u{1b}", "fresh"),
            ("a\0b\r\n\u{8}\u{9b}c", "ab\nc"),
            ("größer 🦀", "größer 🦀"),
        ] {
            let mut out = String::new();
            escape(&mut out, text);
            assert_eq!(out, wanted, "{text:?}");
            // As others who write such reports have it.
            assert_eq!(quick_junit::XmlString::new(text).as_str(), wanted, "{text:?}");
        }
        let mut out = String::new();
        escape(&mut out, "\u{fffe}a\u{ffff}");
        assert_eq!(out, "a", "no characters, says the specification (2.2)");
    }
}
