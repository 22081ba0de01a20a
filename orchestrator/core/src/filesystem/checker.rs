//! How a filesystem's checker is asked, and how its answer is read.

/// A program that says whether an unmounted filesystem is sound, without changing it.
#[derive(Debug)]
pub struct Checker {
    /// The program.
    pub program: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// Arguments before the image's path.
    pub arguments: &'static [&'static str],
    /// What its exit code says, with what it printed.
    pub reads: fn(i32, &str) -> Reading,
    /// How lines of its output begin, without leading blanks, that say only which program or pass it is.
    pub preamble: &'static [&'static str],
}

/// What a checker's exit says of the filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Nothing is wrong.
    Sound,
    /// Something is wrong.
    Damaged,
    /// Nothing: the program failed.
    Nothing,
}

/// A program that repairs a filesystem without asking.
#[derive(Debug)]
pub struct Repair {
    /// The program.
    pub program: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// Arguments before the image's path.
    pub arguments: &'static [&'static str],
    /// What its exit code says.
    pub reads: fn(i32) -> Repaired,
}

/// What a repair's exit says of the filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// There was nothing to repair.
    Sound,
    /// It was repaired.
    Mended,
    /// Errors are left: a boot would end there, and nothing is to be mounted.
    ErrorsLeft,
    /// Nothing: the program failed.
    Nothing,
}

impl Checker {
    /// The first line that says more than which checker and pass it is.
    pub fn first_words<'t>(&self, output: &'t str) -> Option<&'t str> {
        let speaks =
            |line: &&str| !line.is_empty() && !self.preamble.iter().any(|start| line.starts_with(start));
        output.lines().map(str::trim).find(speaks)
    }
}
