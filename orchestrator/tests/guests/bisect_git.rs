//! Searching commits with git: a small repository whose commits select real kernels in place of a build.

use crate::common::{self, scenarios};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use coldcut::kernel::Store;

const BUILD: &str = "#!/bin/sh
set -e
if test -e broken; then
    echo 'fs/ext4/super.c:7:1: error: expected `;`' >&2
    exit 2
fi
rm -rf out && mkdir out
cp \"$(cat kernel)/vmlinux\" out/vmlinux
cp -r \"$(cat kernel)/modules\" out/modules
";

/// A repository and everything beside it.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(bench.repo()).unwrap();
        std::fs::write(bench.scenario(), scenarios::read_write()).unwrap();
        bench.git(&["init", "-q", "-b", "main"]);
        bench.write("build.sh", BUILD);
        bench.write(".gitignore", "out/\n");
        bench
    }

    fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    fn scenario(&self) -> PathBuf {
        self.dir.path().join("scenario.yaml")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.repo().join(name), text).unwrap();
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.repo())
            .args([
                "-c",
                "user.name=Test",
                "-c",
                "user.email=test@example.org",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(args)
            .output()
            .expect("git is needed (package git)");
        assert!(output.status.success(), "git {args:?}: {}", common::text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What a build of a stored kernel would leave: image and modules, with the list of what is built in.
    fn built(&self, series: &str) -> PathBuf {
        let kernel = Store::open_default().unwrap().find(series).unwrap();
        let dir = self.dir.path().join(format!("built-{series}"));
        let modules = dir.join("modules");
        if dir.exists() {
            return dir;
        }
        std::fs::create_dir_all(&modules).unwrap();
        std::fs::copy(kernel.boot_image().unwrap(), dir.join("vmlinux")).unwrap();
        let mut builtin = String::new();
        for (name, path) in kernel.modules(&["base", "fs:ext4"]).unwrap() {
            std::fs::copy(path, modules.join(name)).unwrap();
        }
        for needed in ["virtio_pci", "virtio_console", "virtio_blk", "ext4"] {
            if !modules.join(format!("{needed}.ko")).exists() {
                builtin.extend(["kernel/x/", needed, ".ko\n"]);
            }
        }
        std::fs::write(modules.join("modules.builtin"), builtin).unwrap();
        dir
    }

    /// A commit that builds to this kernel, or not at all.
    fn commit(&self, subject: &str, series: Option<&str>) -> String {
        let broken = self.repo().join("broken");
        match series {
            Some(series) => {
                self.write("kernel", self.built(series).to_str().unwrap());
                let _ = std::fs::remove_file(broken);
            }
            None => std::fs::write(broken, subject).unwrap(),
        }
        self.write("subject", subject);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", subject]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The binary, with a store of its own: what is built does not go into the user's.
    fn coldcut(&self) -> Command {
        let mut command = common::coldcut(&self.dir.path().join("results"));
        command.env("COLDCUT_CACHE", self.dir.path().join("cache"));
        command
    }

    fn bisect(&self, good: &str, bad: &str, more: &[&str]) -> Output {
        self.coldcut()
            .args(["bisect", "--git"])
            .arg(self.repo())
            .args([
                "--good",
                good,
                "--bad",
                bad,
                "--build",
                "sh build.sh",
                "--image",
                "out/vmlinux",
            ])
            .args(["--modules", "out/modules", "--jobs", "1"])
            .args(more)
            .arg(self.scenario())
            .output()
            .unwrap()
    }
}

fn is_clean(repo: &Path, head: &str) {
    let output = Command::new("git")
        .arg("-C")
        .arg(repo)
        .args(["status", "--branch", "--short"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        format!("## {head}"),
        "the tree is as it was"
    );
    assert!(!repo.join(".git/BISECT_START").exists());
}

#[test]
fn the_first_bad_commit_is_found_around_one_that_does_not_build() {
    let bench = Bench::new();
    let first = bench.commit("first", Some("5.10"));
    bench.commit("second", Some("6.1"));
    bench.commit("does not build", None);
    let last_good = bench.commit("last good", Some("5.10"));
    let first_bad = bench.commit("first bad", Some("6.12"));
    let short = |commit: &str| bench.git(&["rev-parse", "--short", commit]);

    let output = bench.bisect(&first, "main", &[]);
    let said = common::text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let answer = format!(
        "first bad: {} first bad (last good: {} last good)",
        short(&first_bad),
        short(&last_good)
    );
    assert!(said.contains(&answer), "`{answer}` is missing in: {said}");
    assert!(
        said.contains("untestable: the build failed"),
        "the middle one was tried: {said}"
    );
    is_clean(&bench.repo(), "main");
    let journal = std::fs::read_dir(bench.dir.path().join("results"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let log = std::fs::read_to_string(journal.join("git-bisect.log")).unwrap();
    assert!(log.contains("git bisect skip"), "{log}");
    let logs = std::fs::read_dir(&journal).unwrap().flatten();
    let failed = logs
        .filter(|e| e.file_name().to_string_lossy().starts_with("build-"))
        .any(|e| {
            std::fs::read_to_string(e.path())
                .unwrap()
                .contains("error: expected `;`")
        });
    assert!(failed, "the compiler's words are kept");

    wrong_ends(&bench, &first, &last_good);
}

fn wrong_ends(bench: &Bench, first: &str, last_good: &str) {
    let refused = |good: &str, bad: &str, code: i32, words: &str| {
        let output = bench.bisect(good, bad, &[]);
        let said = common::text(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "`{words}` is missing in: {said}");
        is_clean(&bench.repo(), "main");
    };
    refused("main", first, 2, "the wrong way round");
    refused(first, first, 2, "both ends are the commit");
    refused(first, "nonsense", 2, "no commit `nonsense`");
    refused(first, last_good, 1, "both ends are good");
    bench.write("subject", "changed");
    let output = bench.bisect(first, "main", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        common::text(&output).contains("changes that are not committed"),
        "{}",
        common::text(&output)
    );
    bench.git(&["checkout", "-q", "subject"]);
}

/// `git bisect run` with `coldcut run --bisect`, as its documentation says: 0, 1, 125, and more than 127 ends it.
#[test]
fn git_bisect_run_understands_the_exit_codes() {
    let bench = Bench::new();
    let script = format!(
        "#!/bin/sh\nsh build.sh || exit 125\nname=git-$(git rev-parse --short=12 HEAD)\n\
         '{bin}' kernel add --bzimage out/vmlinux --modules out/modules --name $name || true\n\
         exec '{bin}' run --bisect --jobs 1 -k $name '{scenario}'\n",
        bin = env!("CARGO_BIN_EXE_coldcut"),
        scenario = bench.scenario().display(),
    );
    std::fs::write(bench.dir.path().join("step.sh"), script).unwrap();
    let first = bench.commit("first", Some("5.10"));
    bench.commit("does not build", None);
    bench.commit("second", Some("6.1"));
    let first_bad = bench.commit("first bad", Some("6.12"));
    let bisect = |args: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(bench.repo())
            .arg("bisect")
            .args(args)
            .env("COLDCUT_CACHE", bench.dir.path().join("cache"))
            .env("COLDCUT_RESULTS", bench.dir.path().join("results"))
            .output()
            .unwrap();
        common::text(&output)
    };
    bisect(&["start", "main", &first]);
    let said = bisect(&["run", "sh", bench.dir.path().join("step.sh").to_str().unwrap()]);
    assert!(
        said.contains(&format!("{first_bad} is the first bad commit")),
        "{said}"
    );

    // A slip in the command line ends the search; it does not call every commit bad.
    let code = |args: &[&str]| {
        let output = bench.coldcut().arg("run").args(args).output().unwrap();
        output.status.code()
    };
    let scenario = bench.scenario();
    let scenario = scenario.to_str().unwrap();
    assert_eq!(code(&["--bisect", scenario, "--no-such-option"]), Some(255));
    assert_eq!(code(&["--bisect", scenario, "-k", "no-such-kernel"]), Some(255));
    assert_eq!(
        code(&["--bisect", "no-such-file.yaml", "-k", "newest"]),
        Some(255)
    );
    assert_eq!(code(&[scenario, "--no-such-option"]), Some(2));
}
