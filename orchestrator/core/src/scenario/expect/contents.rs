//! `content` expectations, against what the steps write: a promise that no healthy kernel can keep is an error here.

use std::collections::HashMap;
use std::ops::Range;

use coldcut_wire::{PatternName, pattern};

use super::entry::ExpectEntry;
use super::problem::{Lowered, needs};
use super::shape::ContentShape;
use super::wanted::WantedShape;
use crate::scenario::facts::{self, Handles};
use crate::scenario::model::{Accept, Check, FsSource, Variant, Wanted, flatten};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::Problem;
use crate::scenario::yaml::names::{Content, HANDLE};

/// What the steps write of each content.
type Written = HashMap<PatternName, Ranges>;

/// Ranges of a content.
#[derive(Debug, Default)]
struct Ranges {
    list: Vec<Range<u64>>,
    /// Whether an appending write adds to them, at an offset that is not known.
    unknown: bool,
}

impl Ranges {
    /// Where the content ends, if that is known.
    fn end(&self) -> Option<u64> {
        let end = self.list.iter().map(|r| r.end).max();
        end.filter(|_| !self.unknown)
    }

    /// The first byte of `wanted` that is never written, if that is known.
    fn hole(&self, wanted: &Range<u64>) -> Option<u64> {
        let mut sorted = self.list.clone();
        sorted.sort_unstable_by_key(|r| r.start);
        let mut at = wanted.start;
        for range in sorted {
            if range.start > at {
                break;
            }
            at = at.max(range.end);
        }
        (at < wanted.end && !self.unknown).then_some(at)
    }
}

fn written(variant: &Variant) -> Written {
    let mut all = Written::new();
    let mut appending = HashMap::new();
    for step in flatten(&variant.setup).chain(variant.steps()) {
        let Some(op) = step.op() else { continue };
        if let Handles::Opens(opened) = facts::handles(op) {
            appending.insert(opened.handle, opened.append);
        }
        let Some(written) = facts::writes(op) else {
            continue;
        };
        let handle = written.path.strip_prefix(HANDLE).and_then(|h| appending.get(h));
        let ranges = all.entry(written.pattern.clone()).or_default();
        if written.append || handle == Some(&true) {
            ranges.unknown = true;
        } else {
            ranges
                .list
                .push(written.offset..written.offset.saturating_add(written.len));
        }
    }
    all
}

/// The contents of one variant.
pub(crate) struct Contents<'a> {
    variant: &'a Variant,
    written: Written,
    /// A filesystem of the user's own may hold contents that no step writes.
    image: bool,
}

impl<'a> Contents<'a> {
    pub(crate) fn new(variant: &'a Variant) -> Self {
        let image = matches!(variant.filesystem.source, FsSource::Image(_));
        Self {
            variant,
            written: written(variant),
            image,
        }
    }

    /// Lowers one expectation.
    pub(crate) fn check(&self, doc: &ContentShape, entry: &ExpectEntry) -> Lowered<Check> {
        let one = doc.is.clone().map(|is| vec![is]);
        let list = |l: &Option<At<Vec<At<WantedShape>>>>| l.as_ref().map(|l| l.value.clone());
        let lists = [one, list(&doc.one_of), list(&doc.mix_of)];
        let given: Vec<_> = lists.iter().flatten().collect();
        let &[wanted] = given.as_slice() else {
            return Err(needs(entry, "exactly one of `is`, `one_of` and `mix_of`"));
        };
        if wanted.is_empty() {
            return Err(needs(entry, "at least one content in its list"));
        }
        if doc.len.as_ref().is_some_and(|l| l.value.0 == 0) {
            return Err(needs(
                entry,
                "a `len` of more than 0; an empty file is `size: {path: …, is: 0}`",
            ));
        }
        let contents = wanted
            .iter()
            .map(|w| self.wanted(w))
            .collect::<Lowered<Vec<_>>>()?;
        let len = doc.len.as_ref().map(|l| l.value.0);
        let offset = doc.offset.as_ref().map(|o| o.value.0);
        let accept = if doc.mix_of.is_some() {
            let start = offset.unwrap_or(0);
            let longest = contents.iter().filter_map(|c| self.end(c.as_ref())).max();
            let rest = longest.map(|end| end.saturating_sub(start)).filter(|l| *l > 0);
            let len = len.or(rest).ok_or_else(|| no_length(&wanted[0]))?;
            Accept::Mix {
                offset: start,
                len,
                whole: offset.is_none(),
                contents,
            }
        } else if let Some(offset) = offset {
            let len = len.ok_or_else(|| needs(entry, "`len` beside `offset`"))?;
            for (w, content) in wanted.iter().zip(&contents) {
                self.covered(w, content.as_ref(), &(offset..offset.saturating_add(len)))?;
            }
            Accept::Range {
                offset,
                len,
                contents,
            }
        } else {
            let each = wanted.iter().zip(contents).map(|(w, content)| {
                let len = len
                    .or_else(|| self.end(content.as_ref()))
                    .ok_or_else(|| no_length(w))?;
                self.covered(w, content.as_ref(), &(0..len))?;
                Ok(Wanted { content, len })
            });
            Accept::Whole(each.collect::<Lowered<Vec<_>>>()?)
        };
        if let Accept::Range { offset, len, .. } | Accept::Mix { offset, len, .. } = &accept
            && offset.checked_add(*len).is_none()
        {
            return Err(needs(entry, "a range that fits 64 bits"));
        }
        Ok(Check::Content {
            path: doc.path.value.0.clone(),
            accept,
            or_absent: doc.or_absent,
        })
    }

    fn end(&self, content: Option<&PatternName>) -> Option<u64> {
        self.written.get(content?).and_then(Ranges::end)
    }

    /// Checks that the steps write all of a range.
    fn covered(
        &self,
        at: &At<WantedShape>,
        content: Option<&PatternName>,
        range: &Range<u64>,
    ) -> Lowered<()> {
        let hole = content
            .and_then(|c| self.written.get(c))
            .and_then(|w| w.hole(range));
        let (Some(hole), Some(content), false) = (hole, content, self.image) else {
            return Ok(());
        };
        let name = pattern::label(content);
        let message = format!(
            "no step writes byte {hole} of `{name}`, so {}..{} cannot hold it",
            range.start, range.end
        );
        let help = "judge what is written with `offset` and `len`, or allow mixtures with `mix_of`";
        Err(Problem::new(&at.span, message).help(help).into())
    }

    /// The content that is named, if any step writes it.
    pub(crate) fn wanted(&self, wanted: &At<WantedShape>) -> Lowered<Option<PatternName>> {
        match &wanted.value {
            WantedShape::Content(content) => {
                let content = At {
                    value: content.clone(),
                    span: wanted.span.clone(),
                };
                self.known(&content).map(Some)
            }
            WantedShape::Zeros => Ok(None),
        }
    }

    /// A content that a step writes, or that a filesystem of the user's own may hold.
    pub(crate) fn known(&self, content: &At<Content>) -> Lowered<PatternName> {
        let wanted = &content.value.0;
        if self.image || self.written.contains_key(wanted) {
            return Ok(wanted.clone());
        }
        let name = pattern::label(wanted);
        let written: Vec<String> = self.variant.patterns().iter().map(pattern::label).collect();
        let problem = Problem::new(&content.span, format!("no step writes `{name}`"));
        Err(problem.nearest(&name, written.iter().map(String::as_str)).into())
    }
}

#[allow(clippy::unnecessary_box_returns)] // every error here is boxed
fn no_length(wanted: &At<WantedShape>) -> Box<Problem> {
    let message = "how long this is cannot be told from the steps";
    Problem::new(&wanted.span, message).help("give `len`").into()
}
