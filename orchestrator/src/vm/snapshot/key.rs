//! Which machines can be clones of one template.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::vm::machine::{Accel, Backend, MachineSpec, Qemu, Ram, qemu_args};

/// Changes when templates are made in another way.
const FORMAT: &str = "coldcut template 3";

/// Digest of all that a template depends on: QEMU's build, its arguments (machine and memory size, device
/// properties, kernel command line), and the contents of the kernel and the initial ramdisk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TemplateKey(String);

impl TemplateKey {
    /// The key for machines like `spec`, whatever is behind their disk and wherever their files are.
    ///
    /// `kernel` and `initrd` are digests of these files.
    ///
    /// # Errors
    /// When QEMU's program cannot be found.
    pub fn of(qemu: &Qemu, spec: &MachineSpec, kernel: &str, initrd: &str) -> std::io::Result<Self> {
        let mut hasher = blake3::Hasher::new_derive_key(FORMAT);
        let mut add = |text: &[u8]| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        add(qemu.version.as_bytes());
        let program = program(&qemu.path)?;
        let meta = fs::metadata(&program)?;
        add(program.as_os_str().as_encoded_bytes());
        add(format!("{} {} {}", meta.len(), meta.mtime(), meta.mtime_nsec()).as_bytes());
        if spec.accel == Accel::Kvm {
            // The guest was told what this processor can do.
            add(processor().as_bytes());
        }
        for argument in qemu_args(&template_spec(spec, Path::new("ram"), kernel, initrd)) {
            add(argument.as_encoded_bytes());
        }
        Ok(Self(hasher.finalize().to_hex()[..32].to_owned()))
    }

    /// As text, usable as a file name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `spec` with digests for its files.
fn template_spec(spec: &MachineSpec, ram: &Path, kernel: &str, initrd: &str) -> MachineSpec {
    let mut spec = unknowing(spec, ram);
    spec.kernel.path = kernel.into();
    spec.initrd = initrd.into();
    spec
}

/// The machine that becomes the template of machines like `spec`: its memory is kept, and its disk has no capacity.
pub(super) fn unknowing(spec: &MachineSpec, ram: &Path) -> MachineSpec {
    let mut spec = spec.clone();
    spec.ram = Ram::Kept(ram.to_owned());
    for disk in &mut spec.disks {
        disk.backend = Backend::Nothing;
        disk.size = 0;
    }
    spec
}

fn program(path: &Path) -> std::io::Result<PathBuf> {
    if path.components().count() > 1 {
        return fs::canonicalize(path);
    }
    std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .map(|dir| dir.join(path))
        .find(|file| file.is_file())
        .ok_or(std::io::ErrorKind::NotFound.into())
        .and_then(fs::canonicalize)
}

/// Model and features of the first processor.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let wanted = ["model name", "stepping", "microcode", "flags"];
    text.split("\n\n")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| wanted.iter().any(|w| line.starts_with(w)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::machine::{BootImage, DiskSpec};

    fn spec() -> MachineSpec {
        MachineSpec {
            kernel: BootImage { path: "/k".into() },
            initrd: "/i".into(),
            memory_mib: 256,
            ram: Ram::Anonymous,
            cpus: 1,
            accel: Accel::Tcg,
            disks: vec![DiskSpec::nbd("/s".into(), 1 << 20)],
            root: None,
            trimmed: true,
            extra_cmdline: String::new(),
        }
    }

    fn key(spec: &MachineSpec, kernel: &str, initrd: &str) -> TemplateKey {
        let qemu = Qemu {
            path: "/bin/sh".into(),
            version: "10.0.2".into(),
        };
        TemplateKey::of(&qemu, spec, kernel, initrd).unwrap()
    }

    #[test]
    fn what_a_clone_may_change_does_not_matter_and_everything_else_does() {
        let first = key(&spec(), "k", "i");
        let mut other = spec();
        other.disks[0].backend = Backend::Nbd("/another".into());
        other.disks[0].size = 2 << 20;
        other.ram = Ram::Restored("/ram".into());
        other.kernel.path = "/elsewhere".into();
        // `-incoming` is the clone's own.
        assert_eq!(key(&other, "k", "i"), first);

        let changes: [fn(&mut MachineSpec); 8] = [
            |s| s.memory_mib = 512,
            |s| s.cpus = 2,
            |s| s.accel = Accel::Kvm,
            |s| s.extra_cmdline = "quiet".into(),
            |s| s.disks[0].write_cache = false,
            |s| s.disks[0].physical_block_size = 512,
            |s| s.disks.clear(),
            |s| s.disks.extend(s.disks.clone()),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut other = spec();
            change(&mut other);
            assert_ne!(key(&other, "k", "i"), first, "change {number}");
        }
        assert_ne!(key(&spec(), "k2", "i"), first);
        assert_ne!(key(&spec(), "k", "i2"), first);
    }
}
