//! `coldcut kernel build` on a made-up tree: a Makefile that configures as kconfig does, and copies a real image in
//! place of compiling. Compiling a kernel takes more time than a test may.

use crate::common;
use std::path::{Path, PathBuf};
use std::process::Output;

use coldcut::kernel::Store;

const MAKEFILE: &str = r#"
O ?= .
tinyconfig:
	printf 'CONFIG_MODULES=y\nCONFIG_EXPERT=y\n' > $(O)/.config
	echo tinyconfig >> $(O)/made
olddefconfig:
	awk '{ n = $$0; sub(/^# /, "", n); sub(/[ =].*/, "", n); v[n] = $$0 } \
	END { for (n in v) if (n !~ /^CONFIG_NEWER_/) print v[n] }' $(O)/.config > $(O)/.new
	mv $(O)/.new $(O)/.config
bzImage:
	@echo "  CC      fs/ext4/super.o"
	@test ! -e broken || { echo "fs/ext4/super.c:12:3: error: 'sb' undeclared" >&2; exit 1; }
	test "$(ARCH)" = x86_64 && grep -q '^CONFIG_VIRTIO_BLK=y' $(O)/.config
	mkdir -p $(O)/arch/x86/boot
	cp "$$(cat image)" $(O)/arch/x86/boot/bzImage
"#;

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir_all(bench.tree().join("arch/x86")).unwrap();
        std::fs::write(bench.tree().join("Makefile"), MAKEFILE).unwrap();
        std::fs::write(bench.tree().join("Kconfig"), "").unwrap();
        bench.image("6.1");
        bench
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("linux")
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// What the next build makes.
    fn image(&self, series: &str) {
        let kernel = Store::open_default().unwrap().find(series).unwrap();
        let image = kernel.boot_image().unwrap();
        std::fs::write(self.tree().join("image"), image.to_str().unwrap()).unwrap();
    }

    fn build(&self, args: &[&str]) -> Output {
        let mut command = common::coldcut(self.dir.path());
        command.env("COLDCUT_CACHE", self.cache());
        command
            .args(["kernel", "build"])
            .arg(self.tree())
            .args(args)
            .output()
            .unwrap()
    }
}

fn said(output: &Output, code: i32, words: &[&str]) {
    let said = common::text(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
}

#[test]
fn a_tree_is_configured_built_and_stored() {
    let bench = Bench::new();
    said(&bench.build(&[]), 0, &["built-linux 6.1."]);
    let store = || Store::open(bench.cache()).unwrap();
    let kernel = store().find("built-linux").unwrap();
    let config = std::fs::read_to_string(kernel.config().expect("the configuration is kept")).unwrap();
    let first = kernel.digest().to_owned();
    // Who holds a kernel keeps it from being replaced.
    drop(kernel);
    assert!(
        config.contains("CONFIG_EXT4_FS=y") && config.contains("# CONFIG_MODULES is not set"),
        "{config}"
    );

    // Again: the same kernel. Then the source changes, and the name goes to what it gives now.
    said(&bench.build(&[]), 0, &["built-linux 6.1.", &first[..12]]);
    bench.image("6.12");
    said(&bench.build(&[]), 0, &["built-linux 6.12."]);
    assert_ne!(store().find("built-linux").unwrap().digest(), first);
    assert_eq!(store().list().unwrap().len(), 1, "the earlier one gave way");
    // The tree itself was not written to.
    let names = std::fs::read_dir(bench.tree()).unwrap().count();
    assert_eq!(names, 4);
}

#[test]
fn fragments_are_checked_and_failures_end_with_the_compilers_last_words() {
    let bench = Bench::new();
    let fragment = bench.dir.path().join("own.config");
    let own = fragment.to_str().unwrap();
    std::fs::write(&fragment, "CONFIG_LOCKDEP=y\n# CONFIG_EXT4_FS is not set\n").unwrap();
    let output = bench.build(&["--config", own, "--fs", "xfs,ext4", "--configure-only"]);
    said(&output, 0, &[".config"]);
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let config = std::fs::read_to_string(Path::new(&path)).unwrap();
    for line in [
        "CONFIG_LOCKDEP=y",
        "# CONFIG_EXT4_FS is not set",
        "CONFIG_XFS_FS=y",
    ] {
        assert!(config.contains(line), "`{line}` is missing in: {config}");
    }

    std::fs::write(&fragment, "CONFIG_NEWER_THING=y\n").unwrap();
    said(
        &bench.build(&["--config", own]),
        2,
        &["does not take CONFIG_NEWER_THING=y"],
    );
    std::fs::write(&fragment, "CONFIG_A=y\nnonsense\n").unwrap();
    said(
        &bench.build(&["--config", own]),
        2,
        &["own.config, line 2: `nonsense` is no setting"],
    );
    said(&bench.build(&["--fs", "zfs"]), 2, &["no fragment for `zfs`"]);

    std::fs::write(bench.tree().join("broken"), "").unwrap();
    let output = bench.build(&[]);
    said(
        &output,
        2,
        &[
            "exit status: 2",
            "fs/ext4/super.c:12:3: error: 'sb' undeclared",
            "coldcut-build.log",
        ],
    );
    assert_eq!(Store::open(bench.cache()).unwrap().list().unwrap().len(), 0);
    std::fs::remove_file(bench.tree().join("Kconfig")).unwrap();
    said(
        &bench.build(&[]),
        2,
        &["is no kernel source tree: it has no Kconfig"],
    );
}
