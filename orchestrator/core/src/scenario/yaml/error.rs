//! What is wrong with a scenario, shown with file, line, column, the line itself and what was expected.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A part of a scenario, lowered; or what is wrong with it.
pub(crate) type Lowered<T> = Result<T, Box<Problem>>;

/// Bytes of the scenario's text.
pub(crate) type Span = Range<usize>;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in one line.
    pub message: String,
    /// Where: bytes of the text.
    pub span: Range<usize>,
    /// What was expected there; may be empty.
    pub label: String,
    /// The nearest valid name, the valid names, or another way out.
    pub help: Option<String>,
    /// The variants in which it is wrong; empty when it is wrong for all of them.
    pub variants: Vec<String>,
}

impl Problem {
    pub(crate) fn new(span: &Span, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: span.clone(),
            label: String::new(),
            help: None,
            variants: Vec::new(),
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the nearest of `valid` names, or all of them when none is near.
    pub(crate) fn nearest<'a>(self, name: &str, valid: impl IntoIterator<Item = &'a str>) -> Self {
        match suggestion(name, valid) {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

/// `did you mean …?`, or the list of what is valid; `None` when nothing is.
pub(crate) fn suggestion<'a>(name: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let valid: Vec<&str> = valid.into_iter().collect();
    let lower = name.to_lowercase();
    let near = valid
        .iter()
        .map(|v| (v.to_lowercase(), *v))
        .filter(|(v, _)| {
            strsim::jaro_winkler(&lower, v) >= 0.85 || strsim::osa_distance(&lower, v) <= (v.len() / 3).min(2)
        })
        .map(|(v, shown)| (strsim::jaro_winkler(&lower, &v), shown))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, v)) => Some(format!("did you mean `{v}`?")),
        None if valid.is_empty() => None,
        None => Some(format!("valid here: {}", valid.join(", "))),
    }
}

/// Where problems are collected, so that one look shows all of them.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    problems: RefCell<Vec<Problem>>,
}

impl Sink {
    pub(crate) fn push(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        let same = problems
            .iter_mut()
            .find(|p| p.span == problem.span && p.message == problem.message && p.help == problem.help);
        match same {
            Some(p) if p.variants.is_empty() || problem.variants.is_empty() => p.variants.clear(),
            Some(p) => p.variants.extend(problem.variants),
            None => problems.push(problem),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// Takes over the problems of another sink, as those of one variant (of all when `None`).
    pub(crate) fn absorb(&self, other: Self, variant: Option<&str>) {
        for mut problem in other.problems.into_inner() {
            problem.variants.extend(variant.map(str::to_owned));
            self.push(problem);
        }
    }

    pub(crate) fn into_errors(self, file: &str, text: &str) -> ScenarioErrors {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|p| (p.span.start, p.span.end));
        ScenarioErrors {
            file: file.to_owned(),
            text: text.to_owned(),
            problems,
        }
    }
}

/// Everything that is wrong with a scenario. `Display` shows all of it, without colours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioErrors {
    /// The name under which the text is shown.
    pub file: String,
    /// The scenario as it was read.
    pub text: String,
    /// In the order of the text; never empty.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ScenarioErrors {}

impl fmt::Display for ScenarioErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl ScenarioErrors {
    /// All problems as text, with ANSI colours when `colour`.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut shown: Vec<String> = self.problems.iter().map(|p| self.one(p, &renderer)).collect();
        let count = shown.len();
        if count > 1 {
            shown.push(format!("{}: {count} errors", self.file));
        }
        shown.join("\n\n")
    }

    fn one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let annotation = AnnotationKind::Primary.span(self.visible(&problem.span));
        let annotation = if problem.label.is_empty() {
            annotation
        } else {
            annotation.label(&problem.label)
        };
        let snippet = Snippet::source(&self.text)
            .path(&self.file)
            .annotation(annotation);
        let mut group = Level::ERROR.primary_title(&problem.message).element(snippet);
        if !problem.variants.is_empty() {
            let word = if problem.variants.len() == 1 {
                "variant"
            } else {
                "variants"
            };
            let note = format!("in {word} {}", problem.variants.join(", "));
            group = group.element(Level::NOTE.message(note));
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }

    /// The span within the text, on character boundaries, no longer than its first line.
    fn visible(&self, span: &Span) -> Span {
        let floor = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(span.start);
        let end = floor(span.end).max(start);
        let line = self.text[start..end].find('\n').map_or(end, |n| start + n);
        start..line.max(start)
    }
}

/// Line of a byte offset, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> u32 {
    let upto = text.get(..at).unwrap_or(text);
    1 + upto.matches('\n').count() as u32
}
