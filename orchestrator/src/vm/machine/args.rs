//! QEMU's command line, built without looking at the world.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use coldcut_wire::ROOT_SERIAL;
use serde_json::json;

use super::Accel;

/// What QEMU boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootImage {
    /// A vmlinux with a PVH entry, or a bzImage.
    pub path: PathBuf,
}

/// Who answers a disk's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// An NBD server, by its Unix socket.
    Nbd(PathBuf),
    /// A raw file, written to by QEMU itself: for comparisons.
    File(PathBuf),
    /// Nobody: a disk without any capacity, for a guest that is to be saved.
    Nothing,
}

/// Where a guest's memory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ram {
    /// In QEMU alone.
    Anonymous,
    /// In this file, to be kept: what the guest writes reaches it.
    Kept(PathBuf),
    /// Read from this file, which stays as it is: pages that the guest writes are its own. The machine waits for a
    /// saved state to continue from.
    Restored(PathBuf),
}

/// The disk under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSpec {
    /// What is behind it.
    pub backend: Backend,
    /// Its bytes. A guest that boots finds them out by itself; a restored one is told.
    pub size: u64,
    /// Whether the device has a volatile write cache; without one the guest sees every write as durable (and QEMU
    /// sends every write with FUA).
    pub write_cache: bool,
    /// Bytes that the device writes atomically, as told to the guest.
    pub physical_block_size: u32,
    /// An existing file in which QEMU's own blklogwrites driver, above the NBD client, logs the same requests: for
    /// cross-checks of our log.
    pub tap: Option<PathBuf>,
}

impl DiskSpec {
    /// A disk of so many bytes with a volatile cache, served by the NBD server at a Unix socket. It writes 4096 bytes
    /// atomically.
    pub fn nbd(socket: PathBuf, size: u64) -> Self {
        Self {
            backend: Backend::Nbd(socket),
            size,
            write_cache: true,
            physical_block_size: 4096,
            tap: None,
        }
    }
}

/// Everything that makes one machine differ from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSpec {
    /// Kernel.
    pub kernel: BootImage,
    /// Initial ramdisk with the agent as `/init`.
    pub initrd: PathBuf,
    /// Guest memory in MiB.
    pub memory_mib: u32,
    /// Where it is.
    pub ram: Ram,
    /// Virtual processors.
    pub cpus: u32,
    /// How instructions are run.
    pub accel: Accel,
    /// The disks under test, if any: the guest's vda, vdb and so on.
    pub disks: Vec<DiskSpec>,
    /// The image of a root file system for programs: a disk after those under test, which nobody writes to.
    pub root: Option<PathBuf>,
    /// Whether the kernel's command line is trimmed for quick boots; a plain one is what a script would pass.
    pub trimmed: bool,
    /// Words added to the kernel's command line.
    pub extra_cmdline: String,
}

/// File descriptor numbers in the child for its three channels.
pub(super) mod fds {
    pub(in crate::vm::machine) const QMP: i32 = 3;
    pub(in crate::vm::machine) const AGENT: i32 = 4;
    pub(in crate::vm::machine) const CONSOLE: i32 = 5;
}

/// The block node below a disk under test, counted from 0.
pub(super) fn disk_node(number: usize) -> String {
    match number {
        0 => "disk".to_owned(),
        number => format!("disk{number}"),
    }
}

/// How the guest names a disk under test, counted from 0.
pub fn disk_name(number: usize) -> String {
    let letter = b'a' + number.min(25) as u8;
    format!("vd{}", char::from(letter))
}

/// The kernel's command line. Each word either makes a boot cheaper or makes it more deterministic; none changes
/// what a filesystem does.
pub fn kernel_command_line(spec: &MachineSpec) -> String {
    if !spec.trimmed {
        return format!("console=ttyS0 panic=-1 {}", spec.extra_cmdline)
            .trim_end()
            .to_owned();
    }
    let mut words = vec![
        "console=ttyS0",
        // A panic must end the machine at once: with -no-reboot the reset ends QEMU.
        "panic=-1",
        "oops=panic",
        "loglevel=4",
        "nokaslr",
        "mitigations=off",
        "random.trust_cpu=on",
        "8250.nr_uarts=1",
        "cryptomgr.notests",
        "audit=0",
        "nowatchdog",
        "net.ifnames=0",
        "reboot=t",
    ];
    match spec.accel {
        Accel::Tcg => words.extend(["tsc=reliable", "no_timer_check", "noapictimer", "lpj=4000000"]),
        Accel::Kvm => words.extend(["tsc=reliable", "no_timer_check"]),
    }
    let mut line = words.join(" ");
    if !spec.extra_cmdline.is_empty() {
        line.push(' ');
        line.push_str(&spec.extra_cmdline);
    }
    line
}

/// The arguments after the program's name.
pub fn qemu_args(spec: &MachineSpec) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    let mut push = |words: &[&str]| args.extend(words.iter().map(OsString::from));
    push(&[
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-name",
        "coldcut",
    ]);
    // The machine does nothing that a sandboxed QEMU cannot: no new processes, no privileges.
    push(&["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"]);
    let machine = "q35,hpet=off,vmport=off,smbus=off,sata=off,graphics=off";
    if let Some(backend) = memory_backend(spec) {
        push(&[
            "-object",
            &backend.to_string(),
            "-M",
            &format!("{machine},memory-backend=ram"),
        ]);
    } else {
        push(&["-M", machine]);
    }
    if matches!(spec.ram, Ram::Restored(_)) {
        push(&["-incoming", "defer"]);
    }
    match spec.accel {
        Accel::Tcg => push(&["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"]),
        Accel::Kvm => push(&["-accel", "kvm", "-cpu", "host"]),
    }
    let memory = format!("{}M", spec.memory_mib);
    let cpus = spec.cpus.to_string();
    push(&["-m", &memory, "-smp", &cpus]);
    for (id, fd) in [
        ("qmp", fds::QMP),
        ("agent", fds::AGENT),
        ("console", fds::CONSOLE),
    ] {
        push(&["-chardev", &format!("socket,id={id},fd={fd}")]);
    }
    push(&["-mon", "chardev=qmp,mode=control", "-serial", "chardev:console"]);
    push(&["-device", "virtio-serial-pci,max_ports=2"]);
    push(&["-device", "virtserialport,chardev=agent,name=coldcut.agent"]);
    for (number, disk) in spec.disks.iter().enumerate() {
        for node in blockdevs(number, disk) {
            push(&["-blockdev", &node.to_string()]);
        }
        push(&["-device", &device(number, disk).to_string()]);
    }
    if let Some(root) = &spec.root {
        for (option, value) in root_disk(root) {
            args.extend([option.into(), value.to_string().into()]);
        }
    }
    args.extend(["-kernel".into(), spec.kernel.path.clone().into()]);
    args.extend(["-initrd".into(), spec.initrd.clone().into()]);
    args.extend(["-append".into(), kernel_command_line(spec).into()]);
    args
}

/// The file that holds the guest's memory. A private mapping of it costs nothing until the guest writes.
fn memory_backend(spec: &MachineSpec) -> Option<serde_json::Value> {
    let (path, share) = match &spec.ram {
        Ram::Anonymous => return None,
        Ram::Kept(path) => (path, true),
        Ram::Restored(path) => (path, false),
    };
    Some(json!({
        "qom-type": "memory-backend-file",
        "id": "ram",
        "size": u64::from(spec.memory_mib) << 20,
        "mem-path": path,
        "share": share,
    }))
}

/// The nodes below the device. `discard=unmap` lets TRIM through; `detect-zeroes=off` keeps writes of zeros writes;
/// flushes are never dropped.
fn blockdevs(number: usize, disk: &DiskSpec) -> Vec<serde_json::Value> {
    let options = json!({
        "discard": "unmap",
        "detect-zeroes": "off",
        "cache": { "direct": true, "no-flush": false },
    });
    let node = |mut node: serde_json::Value| {
        for key in ["discard", "detect-zeroes", "cache"] {
            node[key] = options[key].clone();
        }
        node
    };
    let top = disk_node(number);
    let name = if disk.tap.is_some() {
        format!("below-{top}")
    } else {
        top.clone()
    };
    let mut client = node(match &disk.backend {
        Backend::Nbd(socket) => json!({
            "driver": "nbd",
            "node-name": name,
            "server": { "type": "unix", "path": socket },
            "export": "",
        }),
        Backend::File(path) => json!({
            "driver": "file",
            "node-name": name,
            "filename": path,
        }),
        Backend::Nothing => json!({
            "driver": "null-co",
            "node-name": name,
            "size": 0,
            "read-zeroes": true,
        }),
    });
    if matches!(disk.backend, Backend::File(_)) {
        // A temporary file may be on a filesystem that has no direct I/O.
        client["cache"]["direct"] = false.into();
    }
    let Some(tap) = &disk.tap else { return vec![client] };
    let tap = node(json!({
        "driver": "blklogwrites",
        "node-name": top,
        "file": name,
        "log": { "driver": "file", "filename": tap },
        "log-sector-size": 512,
    }));
    vec![client, tap]
}

/// The virtio-blk device. Requests reach the log as the guest made them: not merged, errors reported to the guest,
/// and a write cache that the guest cannot change.
fn device(number: usize, disk: &DiskSpec) -> serde_json::Value {
    json!({
        "driver": "virtio-blk-pci",
        "id": disk_name(number),
        "drive": disk_node(number),
        "write-cache": if disk.write_cache { "on" } else { "off" },
        "config-wce": false,
        "request-merging": false,
        "rerror": "report",
        "werror": "report",
        "num-queues": 1,
        "logical_block_size": 512,
        "physical_block_size": disk.physical_block_size,
        "discard": true,
        "write-zeroes": true,
    })
}

/// The disk with programs: read-only, so that any number of machines share its file. The guest knows it by its serial.
fn root_disk(path: &Path) -> [(&'static str, serde_json::Value); 2] {
    let node = json!({
        "driver": "file",
        "node-name": "root",
        "filename": path,
        "read-only": true,
        "locking": "off",
    });
    let device = json!({
        "driver": "virtio-blk-pci",
        "id": "root",
        "drive": "root",
        "serial": ROOT_SERIAL,
        "num-queues": 1,
    });
    [("-blockdev", node), ("-device", device)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(accel: Accel) -> MachineSpec {
        MachineSpec {
            kernel: BootImage {
                path: "/k,1/vmlinux".into(),
            },
            initrd: "/tmp/initrd".into(),
            memory_mib: 256,
            ram: Ram::Anonymous,
            cpus: 1,
            accel,
            disks: vec![DiskSpec::nbd("/tmp/a,b.sock".into(), 1 << 20)],
            root: None,
            trimmed: true,
            extra_cmdline: String::new(),
        }
    }

    #[test]
    fn command_lines_are_as_reviewed() {
        for (name, accel) in [("tcg", Accel::Tcg), ("kvm", Accel::Kvm)] {
            let args: Vec<String> = qemu_args(&spec(accel))
                .iter()
                .map(|a| a.to_string_lossy().into_owned())
                .collect();
            insta::assert_snapshot!(name, args.join("\n"));
        }
    }

    #[test]
    fn programs_have_a_disk_that_nobody_writes_to() {
        let with = MachineSpec {
            root: Some("/r,1/root.img".into()),
            ..spec(Accel::Tcg)
        };
        let (with, without) = (qemu_args(&with), qemu_args(&spec(Accel::Tcg)));
        let added: Vec<_> = with.iter().filter(|arg| !without.contains(arg)).collect();
        let [node, device] = added.as_slice() else {
            panic!("{added:?}")
        };
        let [node, device] = [node, device]
            .map(|arg| -> serde_json::Value { serde_json::from_str(arg.to_str().unwrap()).unwrap() });
        assert_eq!(
            (&node["read-only"], &node["filename"]),
            (&true.into(), &"/r,1/root.img".into())
        );
        assert_eq!(
            (&device["drive"], &device["serial"]),
            (&"root".into(), &ROOT_SERIAL.into())
        );
    }

    #[test]
    fn what_the_design_demands_of_the_disk_is_there() {
        let disk = spec(Accel::Tcg).disks.remove(0);
        let (node, dev) = (&blockdevs(0, &disk)[0], device(0, &disk));
        assert_eq!(node["discard"], "unmap");
        assert_eq!(node["detect-zeroes"], "off");
        assert_eq!(node["cache"]["no-flush"], false);
        for (key, value) in [("write-cache", "on"), ("rerror", "report"), ("werror", "report")] {
            assert_eq!(dev[key], value);
        }
        assert_eq!(
            (&dev["config-wce"], &dev["request-merging"]),
            (&false.into(), &false.into())
        );
        assert_eq!(dev["num-queues"], 1);
    }
}
