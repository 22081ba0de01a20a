use super::*;
use crate::scenario::Scenario;
use proptest::prelude::*;

const NAMES: &str =
    "# define\ntest\nA\nA/C\nB\nfoo\nA/foo\nA/C/bar\n\n# declare\nlocal_checkpoint\n\n# setup\n\n";

fn with(setup: &str, run: &str) -> Result<Document, JlangError> {
    let text = format!("{NAMES}{setup}\n# run\n{run}");
    import("work", &text, FsType::first())
}

/// Imports and parses; gives the setup and the workload as text.
fn steps(setup: &str, run: &str) -> (Vec<String>, Vec<String>) {
    let document = with(setup, run).unwrap_or_else(|e| panic!("{e}"));
    let text = document.to_string();
    Scenario::parse("work.yaml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    (document.setup, document.workload)
}

#[test]
fn every_step_is_a_scenarios() {
    let setup = "mkdir A 0777\nmkdir AC 0777\nopen Afoo O_RDWR|O_CREAT 0777\nwrite Afoo 0 100\nclose Afoo";
    let run = "\
open foo O_RDWR|O_CREAT 0777
write foo 0 32768
falloc foo FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE 5000 5000
falloc foo 0 32768 4096
mmapwrite foo 32768 12288
mmapwrite foo 0 4096
fsetxattr foo
fdatasync foo
checkpoint 1
removexattr foo
dwrite foo 0 8192
truncate foo 2500
link foo Afoo2
none
symlink foo ACbar
rename foo ACbar
opendir AC 0777
fsync AC
opendir test 0777
fsync test
rename A B
fsync AC
close AC
unlink Afoo2
mkdir A 0777
rmdir A
sync
checkpoint 2"
        .replace("Afoo2", "foo2");
    let text = format!(
        "{}{setup}\n# run\n{run}",
        NAMES.replace("\nfoo\n", "\nfoo\nfoo2\n")
    );
    let document = import("j-lang 1", &text, FsType::first()).unwrap();
    let yaml = document.to_string();
    Scenario::parse("work.yaml", &yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
    insta::assert_snapshot!(yaml);
}

#[test]
fn a_descriptor_stays_with_its_file() {
    let run = "open foo O_RDWR|O_CREAT 0777\nrename foo Afoo\nopen foo O_RDWR|O_CREAT 0777\nfsync foo\nfsetxattr foo\n";
    let (_, workload) = steps("mkdir A 0777", run);
    assert_eq!(workload[2..4], ["open: {path: foo, handle: h2}", "fsync: fd:h2"]);
    let run = "open foo O_RDWR|O_CREAT 0777\nrename foo Afoo\nfsync foo\nfsetxattr foo\n";
    let (_, workload) = steps("mkdir A 0777", run);
    assert_eq!(workload[2], "fsync: fd:h1");
    assert!(workload[3].starts_with("setxattr: {path: A/foo,"), "{workload:?}");
}

#[test]
fn what_cannot_be_mapped_says_where_and_what_was_expected() {
    let first = NAMES.lines().count() + 3;
    let wrong = [
        ("mknod foo", "one of open"),
        ("write foo 0 10", "`open foo` before"),
        ("open nope O_RDWR 0777", "a name of `# define`"),
        ("open foo O_PATH 0777", "flags of open(2)"),
        ("truncate foo many", "a size, a number of bytes"),
        ("truncate foo", "`truncate` with a size"),
        ("dwrite foo 0 100", "multiples of 512"),
        ("mkdir A rwx", "permissions"),
        ("sync now", "the end of the line"),
        ("fsync A", "`open A` before"),
    ];
    for (line, expected) in wrong {
        let error = with("", line).unwrap_err();
        assert_eq!(error.line, first, "{line}: {error}");
        assert!(error.expected.contains(expected), "{line}: {error}");
    }
    let error = with("", "open foo O_RDWR|O_CREAT 0777\nfalloc foo FALLOC_FL_NOPE 0 1").unwrap_err();
    assert_eq!(error.line, first + 1);
    assert!(error.expected.contains("fallocate(2)"), "{error}");
    let error = import("w", "foo\n", FsType::first()).unwrap_err();
    assert_eq!((error.line, error.expected.as_str()), (1, "`# define` first"));
    let error = import("w", "# what\n", FsType::first()).unwrap_err();
    assert!(error.expected.contains("`# run`"), "{error}");
    let error = import("w", NAMES, FsType::first()).unwrap_err();
    assert_eq!(error.found, "the end of the file");
    assert!(with("checkpoint 1", "sync").is_err());
}

proptest! {
    #[test]
    fn any_text_is_a_scenario_or_an_error(text in "(# (define|run|setup)\n)?([a-zA-Z0-9_|/# ]{0,30}\n){0,12}") {
        if let Ok(document) = import("any", &text, FsType::first()) {
            // What it says may still make no sense as a history, such as a handle without a file; it is text of the format.
            let _ = Scenario::parse("any.yaml", &document.to_string());
        }
    }
}
