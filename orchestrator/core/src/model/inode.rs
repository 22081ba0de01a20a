//! What the model knows of one inode.

use std::collections::BTreeMap;
use std::ops::Range;

use coldcut_wire::EntryKind;

use super::runs::Runs;
use super::versions::{Versions, When};

/// An inode, by its number in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(pub usize);

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Nothing.
    Nothing,
    /// This inode.
    Inode(InodeId),
    /// The model does not know.
    Unknown,
}

/// What a file holds, as far as the model knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Exactly this.
    Known(Runs),
    /// The model does not know.
    Unknown,
}

/// Bytes of a file that were made durable by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeFloor {
    /// Which bytes.
    pub range: Range<u64>,
    /// The oldest version of the data that may be found there.
    pub version: usize,
    /// The step that promised it.
    pub by: When,
}

/// An inode.
#[derive(Clone, Debug)]
pub struct Inode {
    /// Its type, which never changes.
    pub kind: EntryKind,
    /// The step that made it.
    pub made: When,
    /// A file's contents and size.
    pub data: Versions<Data>,
    /// Parts of the data that were made durable by themselves.
    pub ranges: Vec<RangeFloor>,
    /// Permission bits; `None` where the model does not know.
    pub mode: Versions<Option<u32>>,
    /// User and group; `None` where the model does not know.
    pub owner: Versions<Option<(u32, u32)>>,
    /// Extended attributes that a step ever touched.
    pub xattrs: BTreeMap<String, Versions<Xattr>>,
    /// A symlink's target.
    pub target: Option<String>,
    /// Names that a directory ever had.
    pub entries: BTreeMap<String, Versions<Named>>,
}

/// An extended attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Xattr {
    /// It is not there.
    Absent,
    /// This.
    Value(Vec<u8>),
    /// The model does not know.
    Unknown,
}

impl Inode {
    /// A new and empty one.
    pub(super) fn new(kind: EntryKind, mode: Option<u32>, made: When) -> Self {
        Self {
            kind,
            made,
            data: Versions::new(Data::Known(Runs::default()), made),
            ranges: Vec::new(),
            mode: Versions::new(mode, made),
            owner: Versions::new(Some((0, 0)), made),
            xattrs: BTreeMap::new(),
            target: None,
            entries: BTreeMap::new(),
        }
    }

    /// What a name in this directory leads to now.
    pub fn named(&self, name: &str) -> Named {
        let entry = self.entries.get(name).and_then(Versions::current);
        entry.copied().unwrap_or(Named::Nothing)
    }

    /// Lets a name lead elsewhere.
    pub(super) fn name(&mut self, name: &str, to: Named, made: When) {
        let first = Versions::new(Named::Nothing, self.made);
        let entry = self.entries.entry(name.to_owned()).or_insert(first);
        entry.push(to, made, Named::Unknown);
    }

    /// Sets or removes an extended attribute.
    pub(super) fn set_xattr(&mut self, name: &str, value: Xattr, made: When) {
        let first = Versions::new(Xattr::Absent, self.made);
        let xattr = self.xattrs.entry(name.to_owned()).or_insert(first);
        xattr.push(value, made, Xattr::Unknown);
    }

    /// Changes what a file holds.
    pub(super) fn change(&mut self, made: When, change: impl FnOnce(&mut Runs)) {
        let data = match self.data.current() {
            Some(Data::Known(runs)) => {
                let mut runs = runs.clone();
                change(&mut runs);
                Data::Known(runs)
            }
            _ => Data::Unknown,
        };
        self.data.push(data, made, Data::Unknown);
    }

    /// From this step on the model does not know what a file holds.
    pub(super) fn lose_data(&mut self, made: When) {
        self.data.push(Data::Unknown, made, Data::Unknown);
    }
}

impl Inode {
    /// Changes what a file holds step by step: in between it may hold anything.
    pub(super) fn shift(&mut self, made: When, change: impl FnOnce(&mut Runs)) {
        let Some(Data::Known(mut runs)) = self.data.current().cloned() else {
            return self.lose_data(made);
        };
        self.lose_data(made);
        change(&mut runs);
        self.data.push(Data::Known(runs), made, Data::Unknown);
    }
}
