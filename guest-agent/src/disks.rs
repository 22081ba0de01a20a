//! Letting go of the machine's disks and taking them again.
//!
//! Unbinding a virtio-blk device from its driver makes the kernel forget everything about it: capacity, partitions,
//! page cache, device node. Binding probes it as at boot. Both take sysfs alone, whether the driver is a module or
//! built in (Documentation/ABI/testing/sysfs-bus-pci describes the same two files for PCI).

use std::io;
use std::path::Path;

use coldcut_wire::{Done, Failure};

use crate::failure::{Tried, refuse};

const DRIVER: &str = "/sys/bus/virtio/drivers/virtio_blk";
const DEVICES: &str = "/sys/bus/virtio/devices";
/// The device type of a disk: virtio 1.2, section 5.2.
const BLOCK: &str = "0x0002";
/// More disks than this are not a machine of ours.
const MOST: usize = 64;

/// Unbinds every disk.
pub(crate) fn release() -> Result<Done, Failure> {
    each(|name, bound| {
        if bound {
            std::fs::write(Path::new(DRIVER).join("unbind"), name).tried(|| format!("unbind {name}"))?;
        }
        Ok(())
    })
}

/// Binds every disk that has no driver. The device nodes are there when it returns.
pub(crate) fn take() -> Result<Done, Failure> {
    each(|name, bound| {
        if !bound {
            std::fs::write(Path::new(DRIVER).join("bind"), name).tried(|| format!("bind {name}"))?;
        }
        Ok(())
    })
}

fn each(mut act: impl FnMut(&str, bool) -> Result<(), Failure>) -> Result<Done, Failure> {
    for (name, bound) in disks(Path::new(DEVICES)).tried(|| format!("list {DEVICES}"))? {
        act(&name, bound)?;
    }
    Ok(Done::Ok)
}

/// The disks by name, and whether each has a driver.
fn disks(devices: &Path) -> io::Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(devices)?.take(MOST) {
        let entry = entry?;
        let path = entry.path();
        if std::fs::read_to_string(path.join("device"))?.trim() == BLOCK {
            let name = entry.file_name().into_string();
            let name = name.map_err(|_| io::Error::other(refuse("a device's name is not UTF-8").what))?;
            found.push((name, path.join("driver").symlink_metadata().is_ok()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_told_from_other_devices() {
        let dir = tempfile::tempdir().unwrap();
        for (name, kind, bound) in [
            ("virtio2", "0x0002", true),
            ("virtio0", "0x0003", true),
            ("virtio1", "0x0002", false),
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("device"), format!("{kind}\n")).unwrap();
            if bound {
                std::os::unix::fs::symlink("../driver", path.join("driver")).unwrap();
            }
        }
        let found = disks(dir.path()).unwrap();
        assert_eq!(
            found,
            [("virtio1".to_owned(), false), ("virtio2".to_owned(), true)]
        );
    }
}
