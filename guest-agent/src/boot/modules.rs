//! Loading the kernel modules that came with the initramfs.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;

use crate::failure::strerror;

/// Loads `directory/NAME` for every line NAME of `directory/order`.
pub(super) fn load_all(directory: &Path, problems: &mut Vec<String>) {
    let order = directory.join("order");
    let text = match std::fs::read_to_string(&order) {
        Ok(text) => text,
        Err(error) => {
            problems.push(format!("read {}: {error}", order.display()));
            return;
        }
    };
    for name in text.lines().map(str::trim).filter(|name| !name.is_empty()) {
        let path = directory.join(name);
        let loaded = File::open(&path)
            .map_err(|error| format!("open {}: {error}", path.display()))
            .and_then(|file| match rustix::system::finit_module(file.as_fd(), c"", 0) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(format!("load module {name}: {}", strerror(errno))),
            });
        if let Err(problem) = loaded {
            problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_loaded_is_reported_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("order"), "missing.ko\n\nnot-a-module.ko\n").unwrap();
        std::fs::write(dir.path().join("not-a-module.ko"), "text").unwrap();
        let mut problems = Vec::new();
        load_all(dir.path(), &mut problems);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("missing.ko"), "{problems:?}");
        assert!(
            problems[1].starts_with("load module not-a-module.ko: "),
            "{problems:?}"
        );
    }

    #[test]
    fn a_missing_order_is_a_problem() {
        let mut problems = Vec::new();
        load_all(Path::new("/nonexistent"), &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
