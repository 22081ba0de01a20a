//! Expectations.

use coldcut_wire::{EntryKind, PatternName};

use super::NotWritten;
use super::fields::{Fields, named, quoted};
use super::op::content;
use crate::scenario::model::{Accept, Check, Expectation, Moment, SizeRule, Wanted};

/// An expectation as the entry of a list, its modifiers on lines of their own, without indentation.
///
/// # Errors
/// [`NotWritten`] for what is measured while the workload runs, and for what programs judge.
pub fn expectation(expectation: &Expectation) -> Result<String, NotWritten> {
    let mut lines = vec![check(&expectation.check)?];
    lines.extend(expectation.after.as_ref().map(|after| match after {
        Moment::Step(label) => format!("after: {}", quoted(label)),
        Moment::Line(line) => format!("after: {{line: {}}}", quoted(line)),
    }));
    lines.extend(
        expectation
            .before
            .as_ref()
            .map(|before| format!("before: {}", quoted(before))),
    );
    Ok(lines.join("\n"))
}

fn check(check: &Check) -> Result<String, NotWritten> {
    Ok(match check {
        Check::Content {
            path,
            accept,
            or_absent,
        } => contents(Fields::of(path), accept)?
            .maybe("or_absent", or_absent.then_some(true))
            .under("content"),
        Check::Exists { path, kind, target } => Fields::of(path)
            .maybe("type", kind.map(kind_name))
            .maybe("target", target.as_deref().map(quoted))
            .under("exists"),
        Check::Absent { path } => Fields::of(path).under("absent"),
        Check::Size {
            path,
            accept,
            or_absent,
        } => size(Fields::of(path), accept)
            .maybe("or_absent", or_absent.then_some(true))
            .under("size"),
        Check::Listing {
            path,
            is,
            contains,
            excludes,
        } => listing(path, is.as_deref(), contains, excludes),
        Check::Attributes {
            path,
            mode,
            uid,
            gid,
            nlink,
        } => Fields::of(path)
            .maybe("mode", mode.map(|mode| format!("0o{mode:o}")))
            .maybe("uid", *uid)
            .maybe("gid", *gid)
            .maybe("nlink", *nlink)
            .under("attributes"),
        Check::Xattr { path, name, value } => {
            let fields = Fields::of(path).text("name", name);
            match value {
                Some(value) => fields.text("is", value),
                None => fields.plain("absent", true),
            }
            .under("xattr")
        }
        Check::NoForeignData { path: None } => "no_foreign_data: all".to_owned(),
        Check::NoForeignData { path: Some(path) } => {
            format!("no_foreign_data: {}", quoted(&format!("/{path}")))
        }
        Check::NoOldData { path, than } => Fields::of(path).text("than", &content(than)).under("no_old_data"),
        Check::Auto { level: None } => "auto".to_owned(),
        Check::Auto { level: Some(level) } => format!("auto: {{level: {}}}", quoted(level)),
        Check::Mounts { required } => format!("mounts: {required}"),
        Check::FsckClean => "fsck: clean".to_owned(),
        Check::DmesgFree { texts } => {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            format!("dmesg_free: [{}]", texts.join(", "))
        }
        Check::Verify(_) => return Err(NotWritten("verify".to_owned())),
        Check::Measured(_) => return Err(NotWritten("measured".to_owned())),
    })
}

fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
        EntryKind::CharDevice => "char_device",
        EntryKind::BlockDevice => "block_device",
    }
}

fn listing(path: &str, is: Option<&[String]>, contains: &[String], excludes: &[String]) -> String {
    let mut fields = Fields::default().text("path", named(path));
    if let Some(is) = is {
        fields = fields.texts("is", is);
    }
    for (key, names) in [("contains", contains), ("excludes", excludes)] {
        if !names.is_empty() {
            fields = fields.texts(key, names);
        }
    }
    fields.under("listing")
}

fn size(fields: Fields, rule: &SizeRule) -> Fields {
    match rule {
        SizeRule::OneOf(sizes) => {
            let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
            fields.plain("one_of", format!("[{}]", sizes.join(", ")))
        }
        SizeRule::Between(min, max) => fields
            .plain("min", min)
            .maybe("max", (*max != u64::MAX).then_some(max)),
    }
}

fn contents(fields: Fields, accept: &Accept) -> Result<Fields, NotWritten> {
    let list = |key: &str, contents: &[Option<PatternName>], fields: Fields| {
        let names: Vec<String> = contents.iter().map(|c| wanted(c.as_ref())).collect();
        fields.plain(key, format!("[{}]", names.join(", ")))
    };
    Ok(match accept {
        Accept::Whole(all) => whole(fields, all)?,
        Accept::Range {
            offset,
            len,
            contents,
        } => list("one_of", contents, fields)
            .plain("offset", offset)
            .plain("len", len),
        Accept::Mix {
            offset,
            len,
            whole,
            contents,
        } => list("mix_of", contents, fields)
            .maybe("offset", (!whole).then_some(offset))
            .plain("len", len),
    })
}

/// Whole contents, which are of one length where they are written with one.
fn whole(fields: Fields, all: &[Wanted]) -> Result<Fields, NotWritten> {
    let names: Vec<String> = all.iter().map(|w| wanted(w.content.as_ref())).collect();
    let fields = fields.plain("one_of", format!("[{}]", names.join(", ")));
    match all {
        [first, rest @ ..] if rest.iter().all(|other| other.len == first.len) => {
            Ok(fields.plain("len", first.len))
        }
        _ => Err(NotWritten("content with lengths of their own".to_owned())),
    }
}

fn wanted(content_of: Option<&PatternName>) -> String {
    content_of.map_or_else(|| "zeros".to_owned(), |pattern| quoted(&content(pattern)))
}
