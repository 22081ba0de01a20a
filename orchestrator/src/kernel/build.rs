//! Builds a kernel of one's own incrementally, from a small configuration with everything built in, and logs the build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Store;
use super::fragment::{Fragment, FragmentError};
use crate::host::logged::{LoggedError, run_logged};

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The directory is not a kernel source tree.
    #[error("{} is no kernel source tree: it has no {what}", path.display())]
    NoTree {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// A file cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration cannot be used, or the tree did not take it.
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    /// A command failed.
    #[error(transparent)]
    Make(#[from] LoggedError),
    /// make succeeded, but there is no image.
    #[error("make succeeded, but there is no {}", .0.display())]
    NoImage(PathBuf),
}

/// What to build.
#[derive(Clone, Debug)]
pub struct Build {
    /// The source tree; it is not written to.
    pub tree: PathBuf,
    /// Where objects go. What is there already is reused.
    pub output: PathBuf,
    /// What is configured on top of `tinyconfig`.
    pub fragment: Fragment,
    /// How many jobs make runs at once.
    pub jobs: usize,
    /// Stop after the configuration.
    pub configure_only: bool,
}

impl Build {
    /// Where make's output goes.
    pub fn log(&self) -> PathBuf {
        self.output.join("coldcut-build.log")
    }

    /// Configures, checks that the tree took the configuration, and builds. `show` gets make's last line now and then.
    /// Gives the image, or after the configuration alone the `.config`.
    ///
    /// # Errors
    /// [`BuildError`]; that of a failed build ends with the compiler's last words.
    pub async fn run(&self, mut show: impl FnMut(&str)) -> Result<PathBuf, BuildError> {
        for what in ["Makefile", "Kconfig", "arch/x86"] {
            if !self.tree.join(what).exists() {
                return Err(BuildError::NoTree {
                    path: self.tree.clone(),
                    what,
                });
            }
        }
        fs::create_dir_all(&self.output).map_err(io_error(&self.output))?;
        let log = self.log();
        if log.exists() {
            fs::remove_file(&log).map_err(io_error(&log))?;
        }
        // Anew each time: another commit may know other options. Objects are rebuilt only where an option changed.
        run_logged(self.make(&["tinyconfig"]), &log, &mut show).await?;
        let config = self.output.join(".config");
        let read = || fs::read_to_string(&config).map_err(io_error(&config));
        let text = format!("{}\n{}", read()?, self.fragment.text());
        fs::write(&config, text).map_err(io_error(&config))?;
        run_logged(self.make(&["olddefconfig"]), &log, &mut show).await?;
        self.fragment.check(&read()?)?;
        if self.configure_only {
            return Ok(config);
        }
        let image = self.output.join("arch/x86/boot/bzImage");
        // So that what is there afterwards is what was built now.
        match fs::remove_file(&image) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(BuildError::Io { path: image, source });
            }
            _ => {}
        }
        let jobs = format!("-j{}", self.jobs.max(1));
        run_logged(self.make(&[&jobs, "bzImage"]), &log, &mut show).await?;
        if image.is_file() {
            Ok(image)
        } else {
            Err(BuildError::NoImage(image))
        }
    }

    fn make(&self, targets: &[&str]) -> Command {
        let mut command = Command::new("make");
        command.arg("-C").arg(&self.tree);
        command
            .arg(format!("O={}", self.output.display()))
            .arg("ARCH=x86_64");
        command.args(targets);
        // The same source and configuration give the same image, whoever builds it when.
        command
            .env("KBUILD_BUILD_TIMESTAMP", "1970-01-01")
            .env("KBUILD_BUILD_USER", "coldcut")
            .env("KBUILD_BUILD_HOST", "coldcut")
            .env("KBUILD_BUILD_VERSION", "1")
            .env("LC_ALL", "C");
        // A make that runs us must not hand its own settings down.
        for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARCH", "O", "KBUILD_OUTPUT"] {
            command.env_remove(name);
        }
        command
    }
}

/// A directory of the cache for the objects of a tree.
pub fn output_of(store: &Store, tree: &Path) -> PathBuf {
    let digest = blake3::hash(tree.as_os_str().as_encoded_bytes()).to_hex();
    store.root().join("builds").join(&digest.as_str()[..16])
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::Io { path, source }
}
