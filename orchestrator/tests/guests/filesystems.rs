//! Every filesystem that scenarios may name works: what fsync promised is there after a power cut, and what was not
//! promised is shown to be lost. A type without a line here is not in the schema.

use std::path::PathBuf;

use coldcut::results::load_result;
use coldcut_core::filesystem::{Covers, FsType, mode};
use coldcut_core::outcome::result::{CellResult, RunResult};
use coldcut_core::outcome::verdict::{Declared, Standing, Verdict};

use crate::common;

/// Scenarios of the suite, each with its control: a file that grows, a new one, one that is replaced, attributes.
const SCENARIOS: [&str; 4] = ["append", "create", "rename-replace", "attributes"];

macro_rules! tested {
    ($($name:ident on $kernel:literal;)*) => {
        /// The types that have an end-to-end test.
        const TESTED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            works(stringify!($name), $kernel);
        })*
    };
}

tested! {
    ext4 on "6.12";
    ext3 on "6.12";
    ext2 on "6.12";
    xfs on "6.12";
    btrfs on "6.12";
    f2fs on "6.12:full";
}

#[test]
fn what_scenarios_may_name_is_tested() {
    let known: Vec<&str> = FsType::all().map(FsType::name).collect();
    assert_eq!(known, TESTED);
}

/// Runs the scenarios on a filesystem, in each of its modes where they are made for another.
fn run(fstype: &str, kernel: &str) -> RunResult {
    let dir = tempfile::tempdir().unwrap();
    let files = SCENARIOS.map(|name| -> PathBuf { format!("scenarios/suite/{name}.yaml").into() });
    let mut command = common::coldcut(dir.path());
    if fstype == FsType::first().name() {
        command.arg("run");
    } else {
        command.args(["matrix", "--mounts", fstype]);
    }
    let output = command
        .args(files)
        .args(["--kernel", kernel, "--jobs", "2"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", common::text(&output));
    load_result(&dir.path().join("latest")).unwrap()
}

fn works(fstype: &str, kernel: &str) {
    let result = run(fstype, kernel);
    let modes = if fstype == FsType::first().name() {
        1
    } else {
        FsType::named(fstype).unwrap().modes.len()
    };
    assert_eq!(result.cells.len(), 2 * SCENARIOS.len() * modes);
    for cell in &result.cells {
        assert_eq!(cell.filesystem, fstype);
        assert!(cell.obligations > 0, "{cell:#?}");
        let promised = match cell.cell.variant.rsplit_once('@') {
            Some((_, name)) => promised(cell, mode(name).unwrap().1.guarantee.covers),
            None => true,
        };
        if promised {
            assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
        } else {
            // Whatever it is, it is known.
            assert_eq!(cell.standing, Standing::Observed, "{cell:#?}");
            assert!(!matches!(cell.verdict, Verdict::Inconclusive { .. }), "{cell:#?}");
        }
    }
    // A control that lost nothing would be no control.
    for scenario in SCENARIOS {
        let lost = |cell: &&CellResult| {
            cell.cell.scenario == scenario && matches!(cell.verdict, Verdict::Violation { .. })
        };
        let lost: Vec<&CellResult> = result.cells.iter().filter(lost).collect();
        assert!(!lost.is_empty(), "{fstype}: {scenario} loses nothing");
        let declared = |cell: &&CellResult| matches!(cell.declared, Declared::Violates(_));
        assert!(lost.iter().any(declared), "{fstype}: {scenario}");
    }
}

/// Whether what the cell expects is promised in a mode that covers so much.
fn promised(cell: &CellResult, covers: Covers) -> bool {
    match covers {
        Covers::All | Covers::NotFreshBlocks => true,
        // The name of a new file of which only the file itself is synced.
        Covers::Posix => cell.declared != Declared::Observed,
        Covers::Nothing => false,
    }
}
