//! From the document to its variants: read every part once, then put each variant together and check it as a whole.

mod checks;
mod parts;

use checks::{check_commits, check_judged, crash_marks, judge_automatically, name_contents, recovering};
use parts::{Parts, Reader, parts};

use super::expect;
use super::filesystem;
use super::model::{self, End, Programs, Scenario, Variant};
use super::programs::{self, Said};
use super::shape::{Document, OracleShape, VariantShape};
use super::step::{self, Faults, Lowering, StepEntry};
use super::yaml::at::{At, Later};
use super::yaml::entry::read;
use super::yaml::error::{Problem, Sink, Span};
use super::yaml::names::Label;
use super::yaml::node::{Node, Value};
use crate::outcome::verdict::Declared;
use crate::scenario::device;

/// What the document or a variant says of programs.
macro_rules! said {
    ($doc:expr) => {
        Said {
            programs: $doc.programs.as_ref(),
            rootfs: $doc.rootfs.as_ref(),
            files: $doc.files.as_ref(),
        }
    };
}

/// The most variants that a scenario may have.
const MAX_VARIANTS: usize = 1000;

/// Reads a whole document; everything wrong is in the sink.
pub(crate) fn resolve(text: &str, root: &Node, sink: &Sink) -> Option<Scenario> {
    let unknown = Sink::default();
    let document: Option<Document> = read(root, &root.span, &unknown);
    let format = document.as_ref().map(|d| &d.format);
    if let Some(format) = format.filter(|f| f.value != 1) {
        let message = format!("this coldcut reads format 1, not {}", format.value);
        sink.push(Problem::new(&format.span, message));
        return None;
    }
    // A part that seems to be missing is likely there, under a mistyped key.
    let exact = unknown.is_empty();
    sink.absorb(unknown, None);
    let document = document?;
    let reader = Reader {
        nodes: root.index(),
        sink,
    };
    let given = |key: &str| match &root.value {
        Value::Map(entries) => entries.iter().any(|(k, _)| k.name == key),
        _ => false,
    };
    let whole = Whole {
        text,
        base: &parts!(reader, document),
        programs: &said!(document),
        auto: matches!(document.oracle, Some(OracleShape::Auto)),
        at: &document.name.span,
        given: &given,
        exact,
    };
    let variants = whole.variants(&document, &reader)?;
    Some(Scenario {
        name: document.name.value.0,
        summary: document.summary.unwrap_or_default(),
        story: document.story,
        reference: document.reference.unwrap_or_default(),
        variants,
    })
}

/// What all variants share.
struct Whole<'a> {
    text: &'a str,
    base: &'a Parts,
    programs: &'a Said<'a>,
    /// Whether the automatic oracle judges too.
    auto: bool,
    at: &'a Span,
    /// Whether the document has a key, even one that could not be read.
    given: &'a dyn Fn(&str) -> bool,
    /// Whether the document has no unknown keys.
    exact: bool,
}

impl Whole<'_> {
    /// Every variant of the document; `None` when there are too many.
    fn variants(&self, document: &Document, reader: &Reader<'_>) -> Option<Vec<Variant>> {
        let sink = reader.sink;
        let named: Vec<(&At<String>, Option<VariantShape>)> = match &document.variants {
            None => Vec::new(),
            Some(variants) => {
                let one = |(name, later): &'_ (At<String>, Later<VariantShape>)| {
                    reader.node(later).and_then(|node| read(node, &name.span, sink))
                };
                variants.0.iter().map(|entry| (&entry.0, one(entry))).collect()
            }
        };
        if named.len() > MAX_VARIANTS {
            let message = format!("{} variants, more than the {MAX_VARIANTS} allowed", named.len());
            sink.push(Problem::new(self.at, message));
            return None;
        }
        let mut variants = Vec::new();
        if named.is_empty() {
            if document.variants.is_some() {
                sink.push(Problem::new(self.at, "`variants` is empty").help("leave it out, or give one"));
            }
            variants.extend(self.variant(
                ("default", String::new()),
                &Parts::default(),
                &said!(VariantShape::default()),
                &|_| false,
                sink,
            ));
        }
        for (name, doc) in named {
            if let Err(message) = Label::check(&name.value) {
                sink.push(Problem::new(&name.span, message));
                continue;
            }
            let Some(doc) = doc else { continue };
            let own = parts!(reader, doc);
            let overridden = |key: &str| match key {
                "filesystem" => doc.filesystem.is_some(),
                "workload" => doc.workload.is_some(),
                _ => doc.expect.is_some(),
            };
            let problems = Sink::default();
            let summary = doc.summary.clone().unwrap_or_default();
            variants.extend(self.variant((&name.value, summary), &own, &said!(doc), &overridden, &problems));
            sink.absorb(problems, Some(&name.value));
        }
        Some(variants)
    }

    /// Puts one variant together. `None` when it could not be: the sink says why.
    fn variant(
        &self,
        (name, summary): (&str, String),
        own: &Parts,
        said: &Said<'_>,
        overridden: &dyn Fn(&str) -> bool,
        sink: &Sink,
    ) -> Option<Variant> {
        let absent = |key: &str, what: &str| {
            if self.exact && !overridden(key) && !(self.given)(key) {
                sink.push(
                    Problem::new(self.at, format!("the scenario has no `{key}`")).help(what.to_owned()),
                );
            }
        };
        let filesystem = self.filesystem(own, overridden("filesystem"), &absent, sink);
        let programs = programs::lower(self.programs, said, sink);
        let steps = self.steps(own, &programs, &absent, sink);
        let expect = own.expect.as_ref().or(self.base.expect.as_ref());
        if expect.is_none() {
            absent("expect", "a list of what must hold after recovery");
        }
        let complete = filesystem.is_some() && expect.is_some();
        let crash = own.crash.as_ref().or(self.base.crash.as_ref());
        let outcome = own.outcome.as_ref().or(self.base.outcome.as_ref());
        let mut variant = Variant {
            name: name.to_owned(),
            mode: None,
            summary,
            // Expectations are checked against the other parts even when those have problems of their own: a variant
            // with a stand-in filesystem is never returned.
            filesystem: filesystem.unwrap_or_else(stand_in),
            device: device::lower(
                self.base.device.as_ref().map(|p| &p.value),
                own.device.as_ref().map(|p| &p.value),
                sink,
            ),
            programs,
            setup: steps.setup,
            workload: steps.workload,
            crash: crash.map(|part| part.value.clone()).unwrap_or_default(),
            end: own.end.or(self.base.end).unwrap_or(End::Cut),
            recover_on: Vec::new(),
            expect: Vec::new(),
            outcome: outcome.cloned().unwrap_or(Declared::Holds),
        };
        if let Some(span) = steps.span.filter(|_| complete) {
            check_commits(&variant, &span, sink);
        }
        if let Some(part) = own.recover_on.as_ref().or(self.base.recover_on.as_ref()) {
            variant.recover_on = recovering(&variant, part, sink);
        }
        let known = variant.patterns();
        name_contents(&mut variant.workload, &known);
        // A step that could not be read may be the one whose label or content an expectation would miss.
        if steps.whole {
            steps.faults.check_data(&variant.patterns(), sink);
            if let Some(part) = crash {
                crash_marks(&variant, part, sink);
            }
            if let Some(part) = expect {
                variant.expect = expect::lower(self.text, sink, &variant, &part.value);
                check_judged(&variant, part, sink);
                judge_automatically(&mut variant, self.auto);
            }
        }
        complete.then_some(variant)
    }

    /// Lowers a variant's setup and workload.
    fn steps(&self, own: &Parts, programs: &Programs, absent: &dyn Fn(&str, &str), sink: &Sink) -> Steps {
        let setup = own.setup.as_ref().or(self.base.setup.as_ref());
        let workload = own.workload.as_ref().or(self.base.workload.as_ref());
        let given = [setup, workload].into_iter().flatten();
        let (read, entries) = given.fold((true, 0), |(r, n), p| {
            (r && p.whole, n + StepEntry::count(&p.value))
        });
        let span = workload.map(|part| part.span.clone());
        let empty = Vec::new();
        let setup = setup.map_or(&empty, |p| &p.value);
        let setup = step::lower(setup, &mut Lowering::new(self.text, sink, programs, false));
        let mut faults = Faults::default();
        let workload = if let Some(part) = workload {
            if part.value.is_empty() && part.whole {
                sink.push(Problem::new(&part.span, "an empty workload has nothing to lose"));
            }
            let mut lowering = Lowering::new(self.text, sink, programs, true);
            let steps = step::lower(&part.value, &mut lowering);
            faults = lowering.faults;
            steps
        } else {
            absent("workload", "a list of the steps to record");
            Vec::new()
        };
        Steps {
            whole: read && model::flatten(&setup).chain(model::flatten(&workload)).count() == entries,
            setup,
            workload,
            faults,
            span,
        }
    }

    fn filesystem(
        &self,
        own: &Parts,
        overridden: bool,
        absent: &dyn Fn(&str, &str),
        sink: &Sink,
    ) -> Option<model::Filesystem> {
        let (doc, span) = match (&self.base.filesystem, &own.filesystem) {
            (Some(base), None) if !overridden => (base.value.clone(), &base.span),
            (Some(base), Some(own)) => (filesystem::merge(&base.value, &own.value), &own.span),
            (None, Some(own)) if !(self.given)("filesystem") => (own.value.clone(), &own.span),
            (None, None) => {
                absent("filesystem", "such as `filesystem: {type: ext4, size: 64MiB}`");
                return None;
            }
            _ => return None,
        };
        filesystem::lower(&doc, span, sink)
    }
}

/// The steps of a variant, lowered.
struct Steps {
    setup: Vec<model::Step>,
    workload: Vec<model::Step>,
    faults: Faults,
    /// Where the workload stands.
    span: Option<Span>,
    /// Whether all of them could be read.
    whole: bool,
}

/// Stands in for a filesystem that could not be read.
fn stand_in() -> model::Filesystem {
    model::Filesystem {
        fstype: crate::filesystem::FsType::first(),
        source: model::FsSource::Image(String::new()),
        disks: Vec::new(),
        mount: String::new(),
        flags: Vec::new(),
        repair: false,
    }
}
