//! The modes in which a filesystem can be made and mounted, and what each of them promises.

/// A way to make and mount a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Its name, as after the `@` in a variant's name.
    pub name: &'static str,
    /// Options of mkfs; features are added to the scenario's own.
    pub mkfs: &'static [&'static str],
    /// Whether there is a journal: without one, what the scenario says of its size does not apply.
    pub journal: bool,
    /// Mount options, added to the scenario's own.
    pub mount: &'static str,
    /// What the power cut does to the disk.
    pub disk: Disk,
    /// What is promised, and who says so.
    pub guarantee: Guarantee,
}

/// The disk that a mode is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// As the scenario has it: writes in the cache may be lost.
    Any,
    /// One that loses nothing that completed, as with a battery: it has no volatile cache.
    Battery,
}

/// What a mode promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarantee {
    /// Which expectations it covers.
    pub covers: Covers,
    /// In our words.
    pub says: &'static str,
    /// Where it is documented.
    pub source: &'static str,
}

/// Which expectations a mode's documentation covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// All.
    All,
    /// All but names for whose sake the file was synced and not its directory: POSIX promises those for fsync of the
    /// directory only.
    Posix,
    /// All but what a file's blocks held before they were its own: `no_foreign_data`, and what was never made durable.
    NotFreshBlocks,
    /// None: what was made durable is looked for, and what is found is only observed.
    Nothing,
}
