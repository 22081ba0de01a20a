//! Handles that are open.

use std::collections::BTreeMap;

use coldcut_wire::PatternName;

use crate::scenario::step::target::rooted;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem, Span};
use crate::scenario::yaml::names::{Content, HANDLE, Label, Target};

/// Open handles, and the files or pipes that they were opened on.
#[derive(Clone, Debug, Default)]
pub(in crate::scenario::step) struct Handles(BTreeMap<String, String>);

/// What steps beside the others leave of handles.
#[derive(Debug)]
pub(super) struct Changes {
    opened: BTreeMap<String, String>,
    closed: Vec<String>,
}

impl Handles {
    pub(in crate::scenario::step) fn has(&self, handle: &str) -> bool {
        self.0.contains_key(handle)
    }

    /// Opens a handle that is not open.
    pub(in crate::scenario::step) fn open(&mut self, handle: String, file: String) {
        self.0.insert(handle, file);
    }

    /// Closes a handle; gives its name.
    pub(in crate::scenario::step) fn close(&mut self, handle: &At<Label>) -> Lowered<String> {
        let name = &handle.value.0;
        if self.0.remove(name).is_none() {
            return Err(self.unknown(name, &handle.span));
        }
        Ok(name.clone())
    }

    #[allow(clippy::unnecessary_box_returns)] // every error here is boxed
    fn unknown(&self, name: &str, span: &Span) -> Box<Problem> {
        let problem = Problem::new(span, format!("no handle `{name}` is open here"));
        if self.0.is_empty() {
            return problem
                .help(format!("open it first: `- open: {{path: …, handle: {name}}}`"))
                .into();
        }
        problem.nearest(name, self.0.keys().map(String::as_str)).into()
    }

    /// A file, or a handle that is open, as the agent spells it.
    pub(in crate::scenario::step) fn target(&self, target: &At<Target>) -> Lowered<String> {
        match target.value.0.strip_prefix(HANDLE) {
            Some(handle) if !self.has(handle) => Err(self.unknown(handle, &target.span)),
            Some(_) => Ok(target.value.0.clone()),
            None => Ok(rooted(&target.value.0)),
        }
    }

    /// A handle that is open, not a file.
    pub(in crate::scenario::step) fn stream(&self, target: &At<Target>) -> Lowered<String> {
        let path = self.target(target)?;
        if path.starts_with(HANDLE) {
            return Ok(path);
        }
        let message = format!("expected `fd:HANDLE` of a pipe or socket, found the file `{path}`");
        Err(Problem::new(&target.span, message).into())
    }

    /// The content given, or the file's own first generation.
    pub(in crate::scenario::step) fn content(
        &self,
        content: Option<&At<Content>>,
        target: &At<Target>,
    ) -> PatternName {
        if let Some(content) = content {
            return content.value.0.clone();
        }
        let path = &target.value.0;
        let file = path
            .strip_prefix(HANDLE)
            .and_then(|handle| self.0.get(handle))
            .unwrap_or(path);
        PatternName {
            file: file.replace(char::is_whitespace, "_"),
            generation: "0".to_owned(),
        }
    }

    /// What became of these handles until `after`.
    pub(super) fn changes(&self, after: &Self) -> Changes {
        let opened = after.0.iter().filter(|(handle, _)| !self.has(handle));
        let closed = self.0.keys().filter(|handle| !after.has(handle));
        Changes {
            opened: opened
                .map(|(handle, file)| (handle.clone(), file.clone()))
                .collect(),
            closed: closed.cloned().collect(),
        }
    }

    pub(super) fn apply(&mut self, changes: &mut Changes) {
        self.0.extend(std::mem::take(&mut changes.opened));
        self.0.retain(|handle, _| !changes.closed.contains(handle));
    }
}
