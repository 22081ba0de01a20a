//! Expectations lowered to checks, against what the steps can have written and named.

use coldcut_wire::EntryKind;

use super::contents::Contents;
use super::entry::ExpectEntry;
use super::problem::{Lowered, needs};
use super::shape::{ExistsShape, ExpectShape, ListingShape, MomentShape, SizeShape, TypeShape, XattrShape};
use crate::filesystem::Level;
use crate::scenario::model::{Action, Check, Expectation, Moment, SizeRule, Step, Variant};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Problem, Sink, line_of};
use crate::scenario::yaml::names::{Label, parse_path};

/// Lowers a variant's expectations; `variant` has everything else in place.
pub(crate) fn lower(text: &str, sink: &Sink, variant: &Variant, entries: &[ExpectEntry]) -> Vec<Expectation> {
    let lowering = Lowering {
        variant,
        contents: Contents::new(variant),
    };
    let one = |entry: &ExpectEntry| match lowering.expectation(entry) {
        Ok((check, after, before)) => Some(Expectation {
            check,
            after,
            before,
            line: line_of(text, entry.key.span.start),
        }),
        Err(problem) => {
            sink.push(*problem);
            None
        }
    };
    entries.iter().filter_map(one).collect()
}

struct Lowering<'a> {
    variant: &'a Variant,
    contents: Contents<'a>,
}

impl Lowering<'_> {
    fn expectation(&self, entry: &ExpectEntry) -> Lowered<(Check, Option<Moment>, Option<String>)> {
        if let Some(check) = super::measured::check(self.variant, &self.contents, entry)? {
            return Ok((Check::Measured(check), None, None));
        }
        if !self.variant.has_crash() {
            let message = format!(
                "`{}` is about what is found after a crash, and here is none",
                entry.key.value
            );
            let help =
                "with `crash: none` only live checks are judged: measure, contrast, returned, shows, logged";
            return Err(Problem::new(&entry.key.span, message).help(help).into());
        }
        let after = entry.after.as_ref().map(|m| self.moment(m)).transpose()?;
        let before = entry.before.as_ref().map(|l| self.label(l)).transpose()?;
        Ok((self.check(entry)?, after, before))
    }

    fn moment(&self, moment: &At<MomentShape>) -> Lowered<Moment> {
        match (&moment.value.label, &moment.value.line) {
            (Some(label), None) => {
                let name = self.label(label)?;
                let fails = |s: &&Step| s.name.name == name && s.expected_errno.is_some();
                if self.variant.steps().any(|s| fails(&s)) {
                    let message =
                        format!("the step `{name}` must fail, and a step that failed promises nothing");
                    let help = "put a `mark` after it and name that";
                    return Err(Problem::new(&label.span, message).help(help).into());
                }
                Ok(Moment::Step(name))
            }
            (None, Some(line)) => {
                let prefixed = |a: &Action| {
                    matches!(
                        a,
                        Action::Exec {
                            mark_prefix: Some(_),
                            ..
                        }
                    )
                };
                if !self.variant.steps().any(|s| prefixed(&s.action)) {
                    let message = "no `exec` step of the workload has a `mark_prefix`, so no line is a mark";
                    return Err(Problem::new(&moment.span, message).into());
                }
                Ok(Moment::Line(line.clone()))
            }
            _ => Err(Problem::new(&moment.span, "expected a step's label, or `{line: TEXT}`").into()),
        }
    }

    fn label(&self, label: &At<Label>) -> Lowered<String> {
        let name = &label.value.0;
        let labels = || {
            self.variant
                .steps()
                .filter(|s| s.labelled)
                .map(|s| s.name.name.as_str())
        };
        if labels().any(|l| l == name) {
            return Ok(name.clone());
        }
        let problem = Problem::new(
            &label.span,
            format!("no step of the workload is labelled `{name}`"),
        );
        if labels().next().is_none() {
            return Err(problem
                .help(format!("give one `label: {name}`, or add `- mark: {name}`"))
                .into());
        }
        Err(problem.nearest(name, labels()).into())
    }

    fn check(&self, entry: &ExpectEntry) -> Lowered<Check> {
        Ok(match &entry.shape {
            ExpectShape::Content(doc) => self.contents.check(doc, entry)?,
            ExpectShape::Exists(d) => exists(d)?,
            ExpectShape::Absent(d) => {
                if d.path.value.0.is_empty() {
                    return Err(Problem::new(&d.path.span, "the root is never absent").into());
                }
                Check::Absent {
                    path: d.path.value.0.clone(),
                }
            }
            ExpectShape::Size(d) => size(d, entry)?,
            ExpectShape::Listing(d) => listing(d, entry)?,
            ExpectShape::Attributes(d) => {
                if d.mode.is_none() && d.uid.is_none() && d.gid.is_none() && d.nlink.is_none() {
                    return Err(needs(entry, "`mode`, `uid`, `gid` or `nlink`"));
                }
                Check::Attributes {
                    path: d.path.value.0.clone(),
                    mode: d.mode.map(|m| m.0),
                    uid: d.uid,
                    gid: d.gid,
                    nlink: d.nlink,
                }
            }
            ExpectShape::Xattr(d) => xattr(d, entry)?,
            ExpectShape::NoForeignData(d) => {
                let path = match d.path.value.as_str() {
                    "all" => None,
                    text => Some(parse_path(text).map_err(|e| Problem::new(&d.path.span, e))?),
                };
                Check::NoForeignData { path }
            }
            ExpectShape::NoOldData(d) => Check::NoOldData {
                path: d.path.value.0.clone(),
                than: self.contents.known(&d.than)?,
            },
            ExpectShape::Auto(d) => Check::Auto {
                level: d.as_ref().and_then(|d| d.level.as_ref()).map(level).transpose()?,
            },
            ExpectShape::Mounts(required) => Check::Mounts { required: *required },
            ExpectShape::Fsck(_) => Check::FsckClean,
            ExpectShape::DmesgFree(texts) => dmesg_free(texts)?,
            ExpectShape::Verify(d) => d.lower(self.variant)?,
            ExpectShape::Acknowledged(d) => d.lower(self.variant)?,
            ExpectShape::Measure(_)
            | ExpectShape::Assume(_)
            | ExpectShape::Contrast(_)
            | ExpectShape::Returned(_)
            | ExpectShape::Shows(_)
            | ExpectShape::Logged(_) => return Err(needs(entry, "no crash")),
        })
    }
}

fn level(name: &At<String>) -> Lowered<String> {
    if Level::named(&name.value).is_some() {
        return Ok(name.value.clone());
    }
    let problem = Problem::new(&name.span, format!("there is no level `{}`", name.value));
    Err(problem
        .nearest(&name.value, Level::ALL.iter().map(|level| level.name))
        .into())
}

fn dmesg_free(texts: &At<Vec<String>>) -> Lowered<Check> {
    if texts.value.is_empty() || texts.value.iter().any(String::is_empty) {
        let message = "expected texts that must not be in the kernel's log, none of them empty";
        return Err(Problem::new(&texts.span, message).into());
    }
    Ok(Check::DmesgFree {
        texts: texts.value.clone(),
    })
}

fn exists(doc: &ExistsShape) -> Lowered<Check> {
    let kind = match (doc.r#type.map(kind), &doc.target) {
        (Some(k), Some(t)) if k != EntryKind::Symlink => {
            return Err(Problem::new(&t.span, "only a symlink has a target").into());
        }
        (None, Some(_)) => Some(EntryKind::Symlink),
        (k, _) => k,
    };
    Ok(Check::Exists {
        path: doc.path.value.0.clone(),
        kind,
        target: doc.target.as_ref().map(|t| t.value.clone()),
    })
}

fn size(doc: &SizeShape, entry: &ExpectEntry) -> Lowered<Check> {
    let between = doc.min.is_some() || doc.max.is_some();
    let accept = match (&doc.is, &doc.one_of, between) {
        (Some(is), None, false) => SizeRule::OneOf(vec![is.0]),
        (None, Some(list), false) if !list.is_empty() => SizeRule::OneOf(list.iter().map(|s| s.0).collect()),
        (None, None, true) => {
            let (min, max) = (doc.min.map_or(0, |s| s.0), doc.max.map_or(u64::MAX, |s| s.0));
            if min > max {
                return Err(needs(entry, "a `min` that is not over its `max`"));
            }
            SizeRule::Between(min, max)
        }
        _ => return Err(needs(entry, "`is`, a non-empty `one_of`, or `min` and `max`")),
    };
    Ok(Check::Size {
        path: doc.path.value.0.clone(),
        accept,
        or_absent: doc.or_absent,
    })
}

fn listing(doc: &ListingShape, entry: &ExpectEntry) -> Lowered<Check> {
    let (is, contains, excludes) = (&doc.is, &doc.contains, &doc.excludes);
    if is.is_some() == (contains.is_some() || excludes.is_some()) {
        return Err(needs(entry, "either `is`, or `contains` and `excludes`"));
    }
    for list in [is, contains, excludes].into_iter().flatten() {
        if let Some(name) = list
            .value
            .iter()
            .find(|n| n.is_empty() || n.contains('/') || *n == "." || *n == "..")
        {
            let message = format!("expected the names of entries of that directory, found `{name}`");
            return Err(Problem::new(&list.span, message).into());
        }
    }
    let list = |l: &Option<At<Vec<String>>>| l.as_ref().map(|l| l.value.clone());
    if is.is_none()
        && list(contains).unwrap_or_default().is_empty()
        && list(excludes).unwrap_or_default().is_empty()
    {
        return Err(needs(entry, "at least one name in `contains` or `excludes`"));
    }
    Ok(Check::Listing {
        path: doc.path.value.0.clone(),
        is: list(is),
        contains: list(contains).unwrap_or_default(),
        excludes: list(excludes).unwrap_or_default(),
    })
}

fn xattr(doc: &XattrShape, entry: &ExpectEntry) -> Lowered<Check> {
    if doc.is.is_some() == doc.absent {
        return Err(needs(entry, "either `is` or `absent: true`"));
    }
    Ok(Check::Xattr {
        path: doc.path.value.0.clone(),
        name: doc.name.clone(),
        value: doc.is.clone(),
    })
}

fn kind(kind: TypeShape) -> EntryKind {
    match kind {
        TypeShape::File => EntryKind::File,
        TypeShape::Directory => EntryKind::Directory,
        TypeShape::Symlink => EntryKind::Symlink,
        TypeShape::Fifo => EntryKind::Fifo,
        TypeShape::Socket => EntryKind::Socket,
        TypeShape::CharDevice => EntryKind::CharDevice,
        TypeShape::BlockDevice => EntryKind::BlockDevice,
    }
}
