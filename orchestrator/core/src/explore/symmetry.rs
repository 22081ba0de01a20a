//! Names that are alike: of workloads that differ only in which of them they use, one is enough.
//!
//! In a directory, all files are alike, and so are directories with the same number of files and subdirectories below
//! them. Renaming them for each other maps workloads to workloads. Of those that are mapped to each other, the one is kept
//! that uses names in the order of the bounds: the first one used is the first of those that are alike, and so on.

use std::collections::BTreeMap;

use super::bounds::{Bounds, parent};

/// Classes of names that are alike, each in the order of the bounds.
#[derive(Clone, Debug)]
pub(super) struct Alike(BTreeMap<String, Vec<String>>);

impl Alike {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let names: Vec<&String> = bounds.directories.iter().chain(&bounds.files).collect();
        let alike = |name: &String| {
            let class = |other: &String| (parent(other).to_owned(), shape(bounds, other));
            let own = class(name);
            names
                .iter()
                .filter(|other| class(other) == own)
                .map(|other| (*other).clone())
                .collect()
        };
        Self(names.iter().map(|name| ((*name).clone(), alike(name))).collect())
    }
}

#[cfg(test)]
impl Alike {
    /// No two names are alike.
    pub(super) fn none(bounds: &Bounds) -> Self {
        let names = bounds.directories.iter().chain(&bounds.files);
        Self(names.map(|name| (name.clone(), vec![name.clone()])).collect())
    }
}

/// What is below a name, whatever it is called; a file is empty.
fn shape(bounds: &Bounds, name: &str) -> String {
    if !bounds.directories.iter().any(|directory| directory == name) {
        return String::new();
    }
    let files = bounds.files.iter().filter(|file| parent(file) == name).count();
    let inside = bounds
        .directories
        .iter()
        .filter(|directory| parent(directory) == name);
    let mut shapes: Vec<String> = inside.map(|directory| shape(bounds, directory)).collect();
    shapes.sort();
    format!("({files}{})", shapes.concat())
}

/// Names used so far, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Order(Vec<String>);

impl Order {
    /// Uses a name, and before it every directory that it is in. False where another name of its kind should have come
    /// first.
    pub(super) fn takes(&mut self, alike: &Alike, name: &str) -> bool {
        if name.is_empty() || self.0.iter().any(|used| used == name) {
            return true;
        }
        if !self.takes(alike, parent(name)) {
            return false;
        }
        let Some(class) = alike.0.get(name) else {
            return false;
        };
        let first = class.iter().find(|other| !self.0.contains(other));
        let fits = first.is_some_and(|first| first == name);
        self.0.push(name.to_owned());
        fits
    }
}
