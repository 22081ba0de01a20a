//! `coldcut doctor`.

use std::process::ExitCode;

use super::USAGE;
use crate::machine::Qemu;

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {}

pub(super) async fn run(_args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut lacking = false;
    match Qemu::find().await {
        Ok(qemu) => println!("QEMU         {} ({})", qemu.version, qemu.path.display()),
        Err(error) => {
            lacking = true;
            println!("QEMU         missing: {error}");
        }
    }
    let tools = [
        ("mke2fs", "e2fsprogs", "ext4"),
        ("e2fsck", "e2fsprogs", "ext4"),
        ("mkfs.xfs", "xfsprogs", "xfs"),
    ];
    let more = [
        ("mkfs.btrfs", "btrfs-progs", "btrfs"),
        ("mkfs.f2fs", "f2fs-tools", "f2fs"),
    ];
    for (tool, package, fstype) in tools.into_iter().chain(more) {
        let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .iter()
            .map(|d| format!("{d}/{tool}"));
        if let Some(path) = found.into_iter().find(|p| std::path::Path::new(p).exists()) {
            println!("{tool:<12} {path}");
        } else {
            lacking |= fstype == "ext4";
            println!("{tool:<12} missing; the Debian package {package} has it; needed for {fstype}");
        }
    }
    let kvm = std::fs::File::options().read(true).write(true).open("/dev/kvm");
    let kvm = kvm.map_or_else(
        |e| format!("cannot be opened: {e}"),
        |_| "opens; `--accel auto` boots a kernel to see whether it works".into(),
    );
    println!("/dev/kvm     {kvm}");
    let dir = crate::kernel::Store::default_root()?;
    let kernels = crate::kernel::Store::open(dir.clone())?.list()?;
    let names: Vec<&str> = kernels.iter().map(crate::kernel::Kernel::release).collect();
    println!(
        "kernels      {} in {}: {}",
        names.len(),
        dir.display(),
        names.join(", ")
    );
    if names.is_empty() {
        println!("             get one with `coldcut kernel pull 6.12`");
    }
    Ok(if lacking {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    })
}
