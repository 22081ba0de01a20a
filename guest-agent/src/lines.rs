//! Cuts a byte stream into lines of bounded length.

/// Longest line that is passed on; the rest of a longer one is dropped.
pub(crate) const MAX_LINE: usize = 4096;

/// Collects bytes and yields lines without their newline.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    begun: bool,
}

impl Lines {
    /// Adds `bytes`, and gives every line that they end to `each`.
    pub(crate) fn push<E>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(String) -> Result<(), E>,
    ) -> Result<(), E> {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ended) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            let room = MAX_LINE - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            self.begun = true;
            if ended {
                each(self.take())?;
            }
        }
        Ok(())
    }

    /// Returns the last line, if it has no newline.
    pub(crate) fn finish(&mut self) -> Option<String> {
        self.begun.then(|| self.take())
    }

    fn take(&mut self) -> String {
        self.begun = false;
        let text = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn cut(pieces: &[Vec<u8>]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for piece in pieces {
            let Ok(()) = lines.push(piece, |line| {
                out.push(line);
                Ok::<(), Infallible>(())
            });
        }
        out.extend(lines.finish());
        out
    }

    #[test]
    fn long_lines_are_cut_and_empty_ones_kept() {
        let long = vec![b'x'; MAX_LINE + 10];
        let pieces = [long, b"y\n\nshort\nlast".to_vec()];
        assert_eq!(
            cut(&pieces),
            [
                "x".repeat(MAX_LINE),
                String::new(),
                "short".to_owned(),
                "last".to_owned()
            ]
        );
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_does_not_matter(text in "[a-c\n]{0,60}", size in 1_usize..9) {
            let pieces: Vec<Vec<u8>> = text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
            let expected: Vec<String> = text.lines().map(str::to_owned).collect();
            prop_assert_eq!(cut(&pieces), expected);
        }
    }
}
