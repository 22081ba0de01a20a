//! Mounting the disk with programs, where there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use coldcut_wire::ROOT_SERIAL;
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::failure::strerror;

const BLOCK: &str = "/sys/block";
/// Where programs are.
const TARGET: &str = "/programs";
/// Where programs write in their root: memory, empty in the beginning.
const WRITABLE: [&str; 2] = ["run", "var/tmp"];
/// How long the disk's node may take to appear.
const WAIT: Duration = Duration::from_secs(10);

/// Mounts the disk with programs read-only, if the machine has one.
pub(super) fn mount_programs(problems: &mut Vec<String>) {
    let Some(node) = disk(Path::new(BLOCK)) else {
        return;
    };
    let deadline = Instant::now() + WAIT;
    while !node.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = fs::create_dir(TARGET);
    let flags = MountFlags::RDONLY | MountFlags::NODEV;
    if let Err(errno) = rustix::mount::mount(&node, TARGET, c"ext4", flags, c"") {
        let node = node.display();
        problems.push(format!("mount {node} on {TARGET}: {}", strerror(errno)));
        return;
    }
    for name in WRITABLE {
        let target = Path::new(TARGET).join(name);
        let mounted = rustix::mount::mount("tmpfs", &target, c"tmpfs", MountFlags::NODEV, c"mode=1777");
        if let Err(errno) = mounted
            && errno != Errno::NOENT
        {
            problems.push(format!(
                "mount tmpfs on {}: {}",
                target.display(),
                strerror(errno)
            ));
        }
    }
}

/// The device node of the disk with programs.
fn disk(block: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(block).ok()?.flatten();
    let ours = |entry: &fs::DirEntry| {
        let serial = fs::read_to_string(entry.path().join("serial"));
        serial.is_ok_and(|serial| serial.trim_end() == ROOT_SERIAL)
    };
    let disk = entries.into_iter().find(ours)?;
    Some(Path::new("/dev").join(disk.file_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_known_by_its_serial() {
        let dir = tempfile::tempdir().unwrap();
        for (name, serial) in [("vda", ""), ("vdb", "other\n"), ("vdc", "coldcut-programs\n")] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("serial"), serial).unwrap();
        }
        fs::create_dir(dir.path().join("loop0")).unwrap();
        assert_eq!(disk(dir.path()), Some(PathBuf::from("/dev/vdc")));
        fs::remove_dir_all(dir.path().join("vdc")).unwrap();
        assert_eq!(disk(dir.path()), None);
    }
}
