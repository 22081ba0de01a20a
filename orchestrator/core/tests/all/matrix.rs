//! Scenarios in the modes of ext4.

use std::collections::BTreeSet;

use coldcut_core::filesystem::{self, Covers, FsType, Mode};
use coldcut_core::outcome::verdict::Declared;
use coldcut_core::scenario::modes::NotCovered;
use coldcut_core::scenario::{AppliedMode, Check, FsSource, Scenario, Variant};

const TEXT: &str = r#"
format: 1
name: growing
filesystem:
  type: ext4
  size: 64MiB
  mkfs: ["-b", "4096", "-J", "size=4", "-O", "^dir_index", "-E", "nodiscard"]
  mount: "errors=remount-ro"
workload:
  - write: {path: f, len: 8KiB}
  - fsync: f
  - mark: saved
expect:
  - content: {path: f, is: f@0}
    after: saved
  - no_foreign_data: all
  - fsck: clean
variants:
  kept: {outcome: holds}
  hazard:
    workload:
      - write: {path: f, len: 8KiB}
      - mark: saved
    outcome: {violates: missing}
"#;

/// With nothing that is of ext4 only.
fn text_for_others() -> String {
    TEXT.replace(", \"-O\", \"^dir_index\"", "")
        .replace("  mount: \"errors=remount-ro\"\n", "")
}

fn scenario() -> Scenario {
    Scenario::parse("growing.yaml", TEXT).unwrap_or_else(|e| panic!("{e}"))
}

fn mode(name: &str) -> &'static Mode {
    filesystem::mode(name).unwrap().1
}

fn kept(name: &str) -> Result<Variant, NotCovered> {
    scenario()
        .variant("kept")
        .unwrap()
        .in_mode(FsType::first(), mode(name))
}

fn mkfs(variant: &Variant) -> String {
    match &variant.filesystem.source {
        FsSource::Make { mkfs, .. } => mkfs.join(" "),
        other @ FsSource::Image(_) => panic!("{other:?}"),
    }
}

#[test]
fn the_table_names_what_each_mode_promises_and_who_says_so() {
    let all = FsType::first().modes;
    let names: BTreeSet<&str> = all.iter().map(|mode| mode.name).collect();
    assert_eq!(names.len(), all.len());
    let file_name = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    for mode in all {
        assert!(mode.name.chars().all(file_name), "{}", mode.name);
        assert!(!mode.guarantee.says.is_empty() && !mode.guarantee.source.is_empty());
    }
    let table: Vec<String> = all
        .iter()
        .map(|mode| {
            let how = [&mode.mkfs.join(" "), mode.mount].join(" ");
            format!(
                "{}: {}: {:?}, {:?}",
                mode.name,
                how.trim(),
                mode.disk,
                mode.guarantee.covers
            )
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn options_are_put_together() {
    let default = kept("default").unwrap();
    assert_eq!(default.name, "kept@default");
    assert_eq!(mkfs(&default), "-b 4096 -J size=4 -E nodiscard -O ^dir_index");
    assert_eq!(default.filesystem.mount, "errors=remount-ro");
    let writeback = kept("writeback").unwrap();
    assert_eq!(writeback.filesystem.mount, "errors=remount-ro,data=writeback");
    let fast = kept("fast_commit").unwrap();
    assert_eq!(
        mkfs(&fast),
        "-b 4096 -J size=4 -E nodiscard -O ^dir_index,fast_commit"
    );
    let small = kept("1k-blocks").unwrap();
    assert_eq!(mkfs(&small), "-J size=4 -E nodiscard -b 1024 -O ^dir_index");
}

#[test]
fn what_is_on_several_disks_is_run_in_no_mode() {
    let text = TEXT.replace(
        "  mkfs: [\"-b\", \"4096\", \"-J\", \"size=4\", ",
        "  disks: [{use: journal, size: 8MiB}]\n  mkfs: [\"-b\", \"4096\", ",
    );
    let scenario = Scenario::parse("several.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    let own = scenario.variant("kept").unwrap();
    assert_eq!(own.filesystem.disks.len(), 1);
    for fstype in FsType::all() {
        for known in fstype.modes {
            assert_eq!(
                own.in_mode(fstype, known).err(),
                Some(NotCovered::Disks),
                "{}",
                known.name
            );
        }
    }
}

#[test]
fn a_mode_is_held_to_what_it_promises() {
    let own = scenario().variant("kept").unwrap().clone();
    for known in FsType::first().modes {
        match (known.guarantee.covers, own.in_mode(FsType::first(), known)) {
            (Covers::All, variant) => assert_eq!(variant.unwrap().expect, own.expect, "{}", known.name),
            (Covers::Posix, _) => panic!("{} is not POSIX only", known.name),
            (covers @ (Covers::NotFreshBlocks | Covers::Nothing), variant) => {
                let variant = variant.unwrap();
                let expect = &variant.expect;
                assert_eq!(expect.len(), 2, "{}: {expect:?}", known.name);
                assert!(
                    expect
                        .iter()
                        .all(|e| !matches!(e.check, Check::NoForeignData { .. }))
                );
                let promised = covers == Covers::NotFreshBlocks;
                let outcome = if promised {
                    Declared::Holds
                } else {
                    Declared::Observed
                };
                assert_eq!(variant.outcome, outcome, "{}", known.name);
            }
        }
    }
    // Without a journal a boot repairs first; with one the kernel does it.
    assert!(kept("no-journal").unwrap().filesystem.repair);
    assert!(!kept("nobarrier").unwrap().filesystem.repair);
    // A disk that loses nothing that completed has no volatile cache.
    assert!(!kept("nobarrier-battery").unwrap().device.write_cache);
    assert_eq!(kept("nodelalloc").unwrap().device, own.device);
}

#[test]
fn variants_in_modes_are_found_by_name() {
    let scenario = scenario();
    let some = [mode("journal"), mode("nobarrier")];
    let (expanded, left_out) = scenario.in_modes(FsType::first(), some);
    let names: Vec<&str> = expanded.variants().iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["kept@journal", "kept@nobarrier"]);
    let left: Vec<(&str, &str)> = left_out.iter().map(|l| (l.variant.as_str(), l.mode)).collect();
    assert_eq!(left, [("hazard", "journal"), ("hazard", "nobarrier")]);
    assert_eq!(
        scenario.find_variant("kept@journal").as_ref(),
        expanded.variants().first()
    );
    assert_eq!(scenario.find_variant("kept").unwrap().name, "kept");
    let modes: Vec<_> = expanded.variants().iter().map(|v| v.mode.as_ref()).collect();
    let put = |mode: Option<&AppliedMode>| mode.map(|m| (m.name, m.own.clone()));
    assert_eq!(
        modes.into_iter().map(put).collect::<Vec<_>>(),
        [
            Some(("journal", "kept".to_owned())),
            Some(("nobarrier", "kept".to_owned()))
        ]
    );
    assert_eq!(scenario.find_variant("kept").unwrap().mode, None);
    for unknown in ["kept@nothing", "hazard@journal", "other@journal"] {
        assert_eq!(scenario.find_variant(unknown), None, "{unknown}");
    }
    assert_ne!(expanded.digest(), scenario.digest());
}

#[test]
fn a_scenario_of_one_filesystem_is_made_as_another() {
    let text = text_for_others();
    let scenario = Scenario::parse("growing.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    let (fstype, xfs) = filesystem::mode("xfs").unwrap();
    let (expanded, left_out) = scenario.in_modes(fstype, [xfs]);
    assert_eq!(left_out, []);
    let names: Vec<&str> = expanded.variants().iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["kept@xfs", "hazard@xfs"], "a control is run as well");
    for variant in expanded.variants() {
        assert_eq!(variant.filesystem.fstype, fstype);
        let made = FsSource::Make {
            size: 300 << 20,
            mkfs: Vec::new(),
        };
        assert_eq!(variant.filesystem.source, made);
        assert!(!variant.filesystem.repair);
        let own = scenario.variant(variant.name.split('@').next().unwrap()).unwrap();
        assert_eq!((&variant.expect, &variant.outcome), (&own.expect, &own.outcome));
        assert_eq!(scenario.find_variant(&variant.name).as_ref(), Some(variant));
    }
    // ext2 has no journal: e2fsck comes before the mount, and only what was synced is promised.
    let (fstype, ext2) = filesystem::mode("ext2").unwrap();
    let kept = scenario.variant("kept").unwrap().in_mode(fstype, ext2).unwrap();
    assert!(kept.filesystem.repair && kept.expect.len() == 2);
    // The new file's own fsync promises its name on xfs and not by POSIX.
    let (fstype, posix) = filesystem::mode("f2fs").unwrap();
    let strict = fstype.mode("f2fs-strict").unwrap();
    for (mode, outcome) in [(posix, Declared::Observed), (strict, Declared::Holds)] {
        let kept = scenario.variant("kept").unwrap().in_mode(fstype, mode).unwrap();
        assert_eq!(kept.outcome, outcome, "{}", mode.name);
        let hazard = scenario.variant("hazard").unwrap();
        let control = hazard.in_mode(fstype, mode).unwrap();
        assert_eq!(control.outcome, hazard.outcome, "{}", mode.name);
    }
}

#[test]
fn what_is_about_options_of_ext4_is_not_run_on_another() {
    let (fstype, xfs) = filesystem::mode("xfs").unwrap();
    let of = |text: &str| {
        let scenario = Scenario::parse("growing.yaml", text).unwrap_or_else(|e| panic!("{e}"));
        let kept = scenario.variant("kept").unwrap().in_mode(fstype, xfs);
        kept.map(|v| v.name).map_err(|why| why.to_string())
    };
    assert_eq!(of(TEXT), Err("it is about `errors=remount-ro` of ext4".into()));
    let filling = text_for_others().replacen(
        "workload:\n",
        "workload:\n  - write: {path: g, len: 80MiB}\n    errno: ENOSPC\n",
        1,
    );
    assert_eq!(
        of(&filling),
        Err("it fills a disk of 64MiB, and xfs has none below 300MiB".into())
    );
    let unmounted = TEXT.replace("  mount: \"errors=remount-ro\"\n", "");
    assert_eq!(of(&unmounted), Err("it is about `-O` of ext4".into()));
}
